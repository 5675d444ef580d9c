"""
Kernels of the embedding: vectors of the next tokens with numpy, in few calls, each stream as a column.

A single stream hashes its n-grams as Python integers: one call of numpy takes longer than all of them.
"""

from typing import Protocol

import numpy as np

from lmgen.arrays import Float32Array, IdArray
from lmgen.models.network.embedding import Embedding, OneHot
from lmgen.models.network.kernels import ColumnState, to_columns, to_rows
from lmgen.models.network.layer import Arrays
from lmgen.models.network.ngram_embedding import NgramEmbedding, hashed


class EmbeddingKernel(Protocol):
    """An embedding with its parameters."""

    def step(self, ids: IdArray, state: ColumnState) -> tuple[Float32Array, ColumnState]:
        """
        Embed a token of each of B streams.

        Args:
            ids: the tokens, (B,).
            state: previous state, each part (size, B); not modified.

        Returns:
            The vectors, (n, B), and the next state.
        """


def embedding_kernel(layer: Embedding | NgramEmbedding | OneHot, arrays: Arrays) -> EmbeddingKernel:
    """Build the fastest kernel for an embedding."""
    if isinstance(layer, NgramEmbedding):
        return _NgramKernel(layer, arrays)
    return _StepKernel(layer, arrays)


class _StepKernel:
    """Kernel of any embedding that calls its `step`, with streams as rows."""

    def __init__(self, layer: Embedding | OneHot, arrays: Arrays) -> None:
        self._layer, self._arrays = layer, arrays

    def step(self, ids: IdArray, state: ColumnState) -> tuple[Float32Array, ColumnState]:
        vectors, after = self._layer.step(self._arrays, ids, to_rows(state))
        return vectors.T, to_columns(after)


class _NgramKernel:
    """Kernel of `NgramEmbedding`."""

    def __init__(self, layer: NgramEmbedding, arrays: Arrays) -> None:
        self._layer = layer
        self._tokens: Float32Array = arrays["embedding"]
        self._ngrams: Float32Array = arrays["ngram_embedding"]

    def step(self, ids: IdArray, state: ColumnState) -> tuple[Float32Array, ColumnState]:
        if len(ids) == 1:
            return self._step_alone(int(ids[0]), state[0])
        rows, (after,) = self._layer.ngrams(ids[None], to_rows(state))
        vectors = np.add.reduce(self._ngrams.take(rows[0].T, axis=0))
        vectors += self._tokens.take(ids, axis=0)
        return vectors.T, (np.ascontiguousarray(after.T),)

    def _step_alone(self, token: int, before: Float32Array) -> tuple[Float32Array, ColumnState]:
        """`step` for a single stream, whose state `before` is (N - 1, 1)."""
        seen = [*map(int, before[:, 0].tolist()), token + 1]
        vector = np.add.reduce(self._ngrams.take(hashed(seen, self._layer.rows), axis=0))
        vector += self._tokens[token]
        return vector[:, None], (np.array(seen[1:], np.float32)[:, None],)
