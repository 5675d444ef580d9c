"""
The fast ways that numpy has for the output layer, which reads hidden states as columns and gives rows.

A softmax over all tokens is one product and a few passes in place. Others compute what their layer says.
"""

from typing import Protocol

import numpy as np

from lmgen.arrays import Float32Array, FloatArray, IdArray
from lmgen.models.network.kernels import Arrays
from lmgen.models.network.output import Output, Softmax, log_softmax

OUTPUT_FLOATS = 250_000
"""Scores of so many tokens times V are computed at once: they stay in the cache ..."""
OUTPUT_ROWS = 64
"""... but of at least so many tokens, for the output layer's weights have to be read each time."""


class OutputKernel(Protocol):
    """An output layer, ready to score."""

    size: int
    """How many numbers `prepare` makes of a hidden state."""

    def prepare(self, hidden: Float32Array) -> Float32Array:
        """Hidden states, (n, B), in the form that the other two read, (size, B)."""

    def log_probabilities(self, prepared: Float32Array) -> FloatArray:
        """Of the token after each column, (size, B): (B, V)."""

    def chosen(self, prepared: Float32Array, ids: IdArray) -> Float32Array:
        """Log-probability of each of `ids`, (N,), by the rows of `prepared`, (N, size)."""


def output_kernel(layer: Output, arrays: Arrays) -> OutputKernel:
    """The fastest kernel for an output layer; `arrays` are its parameters, by their names in it."""
    return _Softmax(arrays) if isinstance(layer, Softmax) else _Layer(layer, arrays)


class _Softmax:
    """`output.Softmax`."""

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


class _Layer:
    """Any output layer, as it computes itself."""

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
    """Slices of `count` rows, each of which has so many scores."""
    size = max(OUTPUT_FLOATS // scores, OUTPUT_ROWS)
    return [np.s_[first : first + size] for first in range(0, count, size)]
