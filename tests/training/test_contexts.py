"""Vectors of contexts are those of a dense SVD, and alike for tokens that are used alike."""

import numpy as np
import pytest

from lmgen.arrays import Float32Array, IdArray
from lmgen.training import contexts
from lmgen.training.contexts import SMOOTHING, WINDOW, context_vectors

V = 9
IDS = np.random.default_rng(5).integers(0, V, 400) % np.random.default_rng(6).integers(1, V + 1, 400)
"""Small ids are frequent."""


def dense(ids: IdArray, end: int | None = None) -> np.ndarray:
    """The matrix of the module's equations, pair by pair: what follows, then what comes before."""
    weights = np.zeros((V, V))
    for place, token in enumerate(ids):
        for distance in range(1, WINDOW + 1):
            if place + distance >= len(ids) or end in ids[place : place + distance]:
                break
            weights[token, ids[place + distance]] += (WINDOW + 1 - distance) / WINDOW

    def information(pairs: np.ndarray) -> np.ndarray:
        shares = pairs / pairs.sum()
        smoothed = pairs.sum(axis=0) ** SMOOTHING
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.log(shares / (shares.sum(axis=1, keepdims=True) * smoothed / smoothed.sum()))
        return np.where(pairs > 0, np.maximum(found, 0), 0)

    return np.hstack([information(weights), information(weights.T)])


def similarities(vectors: Float32Array) -> np.ndarray:
    """Products of each two, which no rotation changes, with the scale taken out."""
    products = vectors.astype(np.float64) @ vectors.T
    scaled: np.ndarray = products / np.sqrt(np.mean(np.square(products)))
    return scaled


@pytest.mark.parametrize("end", [None, 1])
@pytest.mark.parametrize("size", [3, V])
def test_vectors_are_those_of_a_dense_decomposition(size: int, end: int | None) -> None:
    tokens, vectors = context_vectors(IDS, V, size, seed=1, end=end)

    left, singular, _ = np.linalg.svd(dense(IDS, end))
    expected = left[:, :size] * np.sqrt(singular[:size])
    assert tokens.tolist() == list(range(V))
    assert vectors.shape == (V, size)
    assert np.sqrt(np.mean(np.square(vectors))) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(similarities(vectors), similarities(expected), atol=1e-4)


def test_what_is_used_alike_is_alike() -> None:
    names = ["the", "a", "cat", "dog", "sat", "ran", "."]
    random = np.random.default_rng(2)
    ids = np.concatenate([[*random.integers([0, 2, 4], [2, 4, 6]), 6] for _ in range(500)])
    tokens, vectors = context_vectors(ids, len(names), 4, seed=0, end=6)
    unit = dict(zip(tokens, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))

    def likeness(one: str, other: str) -> float:
        return float(unit[names.index(one)] @ unit[names.index(other)])

    assert likeness("cat", "dog") > 0.9
    assert likeness("the", "a") > 0.9
    assert max(likeness("cat", other) for other in ("the", "sat", ".")) < 0.5


def test_the_most_frequent_tokens_alone_are_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    frequent = np.argsort(-np.bincount(IDS, minlength=V), kind="stable")[:4]
    monkeypatch.setattr(contexts, "MOST_CONTEXTS", 4)

    _, vectors = context_vectors(IDS, V, 8, seed=1)

    columns = dense(IDS)[:, [*frequent, *(V + frequent)]]
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    np.testing.assert_allclose(similarities(vectors), similarities(left * np.sqrt(singular)), atol=1e-4)


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = (context_vectors(IDS, V, 3, seed=7)[1] for _ in range(2))

    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize(
    ("ids", "found"),
    [([], []), ([3], []), ([2, 2, 2], []), ([3, 1, 5, 1, 3, 1], []), ([3, 5, 1, 2, 4, 1], [2, 3, 4, 5])],
    ids=["empty", "one token", "only one token again and again", "a unit each", "two in a unit"],
)
def test_what_stands_beside_nothing_has_no_vector(ids: list[int], found: list[int]) -> None:
    """One token that is repeated says nothing: it is its own context as often as by chance."""
    tokens, vectors = context_vectors(np.array(ids, np.int64), V, 20, seed=0, end=1)

    assert [token for token in tokens.tolist() if token != 1] == found
    assert vectors.shape == (len(tokens), 20)
    assert np.isfinite(vectors).all()
