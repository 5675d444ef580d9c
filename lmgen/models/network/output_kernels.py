"""
Kernels of the output layer with numpy, which read hidden states as columns and return rows.

A softmax over all tokens takes one product and a few in-place operations. Other output layers run their own
code.
"""

from typing import Protocol

import numpy as np

from lmgen.arrays import Float32Array, FloatArray, IdArray
from lmgen.models.network.kernels import Arrays
from lmgen.models.network.output import Output, Softmax, log_softmax

OUTPUT_FLOATS = 250_000
"""Logits computed in one batch of `chosen`, few enough to stay in the CPU cache."""
OUTPUT_ROWS = 64
"""Minimum rows of such a batch, because each batch reads all weights of the output layer."""


class OutputKernel(Protocol):
    """An output layer with its parameters prepared for fast scoring."""

    size: int
    """Number of rows that `prepare` returns."""

    def prepare(self, hidden: Float32Array) -> Float32Array:
        """Convert hidden states, (n, B), to the input of the other methods, (size, B)."""

    def log_probabilities(self, prepared: Float32Array) -> FloatArray:
        """Compute log-probabilities of the next token for each column: (size, B) -> (B, V)."""

    def chosen(self, prepared: Float32Array, ids: IdArray) -> Float32Array:
        """Compute the log-probability of each of `ids`, (N,), from rows of prepared states, (N, size)."""


def output_kernel(layer: Output, arrays: Arrays) -> OutputKernel:
    """Build the fastest kernel for an output layer; `arrays` has its parameters without the prefix."""
    return _SoftmaxKernel(arrays) if isinstance(layer, Softmax) else _LayerKernel(layer, arrays)


class _SoftmaxKernel:
    """Kernel of `output.Softmax`."""

    def __init__(self, arrays: Arrays) -> None:
        self._weight, self._bias = arrays["weight"], arrays["bias"]
        self._column = self._bias[:, None]
        self._projection = arrays.get("projection")
        self.size = self._weight.shape[1]

    def prepare(self, hidden: Float32Array) -> Float32Array:
        return hidden if self._projection is None else self._projection @ hidden

    def log_probabilities(self, prepared: Float32Array) -> FloatArray:
        scores = self._weight @ prepared
        np.add(scores, self._column, out=scores)
        rows = scores.reshape(1, -1) if prepared.shape[1] == 1 else np.ascontiguousarray(scores.T)
        return log_softmax(rows)  # type: ignore[no-any-return]

    def chosen(self, prepared: Float32Array, ids: IdArray) -> Float32Array:
        chosen = np.empty(len(ids), np.float32)
        for rows in _batches(len(ids), len(self._weight)):
            scores = prepared[rows] @ self._weight.T
            np.add(scores, self._bias, out=scores)
            scores -= scores.max(axis=1, keepdims=True)
            picked = scores[np.arange(len(scores)), ids[rows]]
            np.exp(scores, out=scores)
            chosen[rows] = picked - np.log(scores.sum(axis=1))
        return chosen


class _LayerKernel:
    """Kernel of any output layer, which calls the layer's own methods."""

    def __init__(self, layer: Output, arrays: Arrays) -> None:
        self._layer, self._arrays = layer, arrays
        self._scores = len(arrays["bias"])
        self.size = layer.inputs

    def prepare(self, hidden: Float32Array) -> Float32Array:
        return hidden

    def log_probabilities(self, prepared: Float32Array) -> FloatArray:
        return self._layer.log_probabilities(self._arrays, prepared.T)  # type: ignore[no-any-return]

    def chosen(self, prepared: Float32Array, ids: IdArray) -> Float32Array:
        chosen = np.empty(len(ids), np.float32)
        for rows in _batches(len(ids), self._scores):
            chosen[rows] = self._layer.log_probabilities_of(self._arrays, prepared[rows], ids[rows])
        return chosen


def _batches(count: int, scores: int) -> list[slice]:
    """Slice `count` rows, of `scores` logits each, into batches that fit the cache."""
    size = max(OUTPUT_FLOATS // scores, OUTPUT_ROWS)
    return [np.s_[first : first + size] for first in range(0, count, size)]
