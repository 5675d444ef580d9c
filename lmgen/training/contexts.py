"""
Vectors of tokens by what stands near them in a text: a start for the embedding, `--init-embedding contexts`.

    ids ──► weights of pairs ──► PPMI, a sparse matrix, (V, 2C) ──► truncated SVD ──► vectors, (V, E)

    PPMI(w, c) = max(0, log(P(w, c) / (P(w) P_α(c)))),    P_α(c) = P(c)^α / Σ_c' P(c')^α

P(w, c) is how often c follows w within WINDOW tokens, as a share of all pairs, where a distance of d counts
(WINDOW + 1 − d) / WINDOW; the other C columns are of what comes before w. They are kept apart since a
language model has to learn what follows. The vectors are U √Σ of the SVD U Σ Vᵀ. Weights by distance, α and
the root are as in Levy, Goldberg and Dagan 2015; the SVD is randomised (Halko, Martinsson and Tropp 2011,
algorithm 4.4), so that the matrix is only multiplied.
"""

import numpy as np
import torch
from torch import Tensor

from lmgen.arrays import Float32Array, FloatArray, IdArray, Int64Array

WINDOW = 5
"""How far away a context is at most."""

MOST_CONTEXTS = 10_000
"""C at most: the most frequent tokens are contexts. Rarer ones cost time and say little."""

SMOOTHING = 0.75
"""α, which takes rare contexts for more frequent than they are, or they would decide alone."""

SPARE, ITERATIONS = 10, 2
"""Directions beyond those that are kept, and multiplications that turn them towards the largest."""


def context_vectors(
    ids: IdArray, vocabulary_size: int, size: int, seed: int, end: int | None = None
) -> tuple[Int64Array, Float32Array]:
    """
    Make vectors of the tokens of a text.

    Args:
        ids: the text, (N,).
        vocabulary_size: V.
        size: E; if there are fewer tokens or contexts, the last numbers of each vector are zero.
        seed: of the directions that the SVD starts with.
        end: the token that ends a unit; what stands in another unit is no context.

    Returns:
        The tokens that have a vector, ascending, (M,): those with a context that is not there by chance.
        Their vectors, (M, E), whose numbers have a root mean square of 1.
    """
    rows, columns, values, width = _informative(*_pairs(ids, vocabulary_size, end), vocabulary_size)
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])),
        torch.from_numpy(values),
        (vocabulary_size, width),
        check_invariants=True,
    )
    found = np.unique(rows)
    vectors = _left_vectors(matrix, min(size, vocabulary_size, width), seed)[found]
    scale = np.sqrt(np.mean(np.square(vectors))) if vectors.any() else np.float32(1)
    return found, np.pad(vectors / scale, ((0, 0), (0, size - vectors.shape[1])))


def _pairs(ids: IdArray, vocabulary_size: int, end: int | None) -> tuple[Int64Array, Int64Array, FloatArray]:
    """Tokens, those that follow them within the window, and the weight of each pair."""
    ids = ids.astype(np.int64)
    units = np.zeros_like(ids) if end is None else np.cumsum(ids == end) - (ids == end)
    found: list[Int64Array] = [np.empty(0, np.int64)]
    weights: list[FloatArray] = [np.empty(0)]
    for distance in range(1, min(WINDOW, len(ids) - 1) + 1):
        together = units[:-distance] == units[distance:]
        pairs = ids[:-distance][together] * vocabulary_size + ids[distance:][together]
        pairs, counts = np.unique(pairs, return_counts=True)
        found.append(pairs)
        weights.append(counts * ((WINDOW + 1 - distance) / WINDOW))
    pairs, places = np.unique(np.concatenate(found), return_inverse=True)
    before, after = np.divmod(pairs, vocabulary_size)
    summed = np.zeros(len(pairs))
    np.add.at(summed, places, np.concatenate(weights))
    return before, after, summed


def _informative(
    before: Int64Array, after: Int64Array, weights: FloatArray, vocabulary_size: int
) -> tuple[Int64Array, Int64Array, Float32Array, int]:
    """The numbers of the matrix that are not zero, by row and column, and how many columns there are."""
    first, second = (np.bincount(tokens, weights, vocabulary_size) for tokens in (before, after))
    contexts = np.argsort(-(first + second), kind="stable")[:MOST_CONTEXTS]
    column = np.full(vocabulary_size, -1)
    column[contexts] = np.arange(len(contexts))
    parts = []
    for side, (tokens, of_token, others, of_other) in enumerate(
        [(before, first, after, second), (after, second, before, first)]
    ):
        smoothed = of_other**SMOOTHING
        smoothed /= max(smoothed.sum(), 1)  # 0 without pairs, and no less than 1 with them
        chance = of_token[tokens] * smoothed[others]
        information = np.log(weights / chance)
        kept = (information > 0) & (column[others] >= 0)
        columns = column[others[kept]] + side * len(contexts)
        parts.append((tokens[kept], columns, information[kept].astype(np.float32)))
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, values, 2 * len(contexts)


def _left_vectors(matrix: Tensor, rank: int, seed: int) -> Float32Array:
    """U √Σ of a sparse matrix, (V, rank)."""
    matrix, transposed = matrix.coalesce(), matrix.T.coalesce()
    random = np.random.default_rng([seed, 0xC047])  # a stream of its own, as that of other weights is
    basis = torch.from_numpy(random.standard_normal((matrix.shape[1], rank + SPARE), np.float32))
    for _ in range(ITERATIONS):
        basis = _orthonormal(transposed @ _orthonormal(matrix @ basis))
    basis = _orthonormal(matrix @ basis)
    smaller = transposed @ basis
    squares, left = torch.linalg.eigh(smaller.T @ smaller)  # of the singular values, the largest last
    largest = slice(max(len(squares) - rank, 0), None)
    vectors = basis @ left[:, largest] * squares[largest].clamp(min=0) ** 0.25
    largest_first: Float32Array = vectors.flip(1).numpy()
    return largest_first


def _orthonormal(matrix: Tensor) -> Tensor:
    """A basis of the columns' space, row by row in memory, as sparse products need it to be fast."""
    basis: Tensor = torch.linalg.qr(matrix).Q.contiguous()
    return basis
