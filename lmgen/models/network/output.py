"""
The output layer: from a hidden state h to log-probabilities of the next token.

`softmax`: a score for each of the V tokens, W h + b, and a softmax over all of them.

`adaptive` (Grave, Joulin, Cissé, Grangier and Jégou 2017): ids go by falling frequency, and are divided:

    ids      0 ... C0 - 1      C0 ... C1 - 1      C1 ... V - 1
             the head          cluster 0          cluster 1

The head is a softmax over its own tokens and one entry for each cluster; a cluster's is over its own tokens.

    P(v | h) = head[v]                      for a token of the head
    P(v | h) = head[C0 + i] cluster_i[v]    for a token of cluster i

Most tokens of a text are in the head; cluster i is scored by D_i < n numbers that a projection makes of h. So
most of the work falls away. Nothing is approximated, and all sums to 1: what is given up is that rare tokens
see less of h.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from lmgen.models.network.functions import Array, linear
from lmgen.models.network.initializers import glorot, zeros
from lmgen.models.network.layer import Arrays, Layer, LayerState, Parameter


class Output(Layer, Protocol):
    """A layer that gives log-probabilities, and those of single tokens for less."""

    def log_probabilities(self, arrays: Arrays, hidden: Array) -> Array:
        """Of all tokens: (..., n) -> (..., V)."""

    def log_probabilities_of(self, arrays: Arrays, hidden: Array, ids: Array) -> Array:
        """Of one token for each hidden state, computing no more than needed: (N, n) and (N,) -> (N,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """
    A softmax over all tokens.

    With tied weights W is the embedding's table (Press and Wolf 2017; Inan, Khosravi and Socher 2017). Where
    its vectors have another length than h, a projection maps h to it (Gulordava, Aina and Boleda 2018).
    """

    inputs: int
    """n = H."""
    outputs: int
    """m = V."""
    tied_to: int | None = None
    """The length E of the table's vectors, if the table serves as W."""

    kind = "softmax"
    prefix = "output."
    state_sizes = ()

    @property
    def formula(self) -> str:
        """With a matrix of its own nm + m; with tied weights m for the bias, and nE for a projection."""
        if self.tied_to is None:
            return "nm + m"
        return "nE + m" if self._is_projected else "m"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """W, (V, n), or a projection, (E, n), or neither, which start uniform (`glorot`); b, (V), from 0."""
        n, m = ("n", self.inputs), ("m", self.outputs)
        found = []
        if self.tied_to is None:
            found.append(Parameter("output.weight", (self.outputs, self.inputs), (n, m), glorot))
        elif self._is_projected:
            shape = (self.tied_to, self.inputs)
            found.append(Parameter("output.projection", shape, (n, ("E", self.tied_to)), glorot))
        return (*found, Parameter("output.bias", (self.outputs,), (m,), zeros))

    @property
    def borrowed(self) -> tuple[tuple[str, str], ...]:
        """With tied weights, `weight` is the embedding's table."""
        return () if self.tied_to is None else (("weight", "embedding"),)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Log-probabilities: (B, n) -> (B, V)."""
        return self.log_probabilities(arrays, values), state

    window = step
    """The same for (T, B, n) -> (T, B, V)."""

    def log_probabilities(self, arrays: Arrays, hidden: Array) -> Array:
        """As `Output`."""
        return log_softmax(self.logits(arrays, hidden))

    def log_probabilities_of(self, arrays: Arrays, hidden: Array, ids: Array) -> Array:
        """As `Output`."""
        return _picked(self.log_probabilities(arrays, hidden), ids)

    def logits(self, arrays: Arrays, hidden: Array) -> Array:
        """Scores before normalisation, W h + b: (..., n) -> (..., V)."""
        return _linear(self.projected(arrays, hidden), arrays["weight"]) + arrays["bias"]

    def projected(self, arrays: Arrays, hidden: Array) -> Array:
        """Hidden states in the length that W's rows have: (..., n) -> (..., E); mostly as they are."""
        projection = arrays.get("projection")
        return hidden if projection is None else _linear(hidden, projection)

    @property
    def _is_projected(self) -> bool:
        return self.tied_to is not None and self.tied_to != self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveSoftmax:
    """A softmax by clusters of rarer and rarer tokens."""

    inputs: int
    """n = H."""
    outputs: int
    """m = V."""
    starts: tuple[int, ...]
    """C0, C1, ...: the first id of each cluster, ascending."""
    widths: tuple[int, ...]
    """D0, D1, ...: how many numbers each cluster makes of a hidden state."""

    kind = "adaptive softmax"
    prefix = "output."
    state_sizes = ()
    borrowed = ()

    @property
    def formula(self) -> str:
        """The head's, and the sum over clusters i with D_i numbers for each of N_i tokens."""
        return f"(n + 1)(C0 + {len(self.starts)}) + Σ Di (n + Ni)"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """
        The head's W, (C0 + K, n) for K clusters, and b; of each cluster a projection, (D, n), and W, (N, D).

        Matrices start uniform (`glorot`) by their own sizes, b from 0.
        """
        n, entries = ("n", self.inputs), len(self.starts)
        head = (f"(C0 + {entries})", self.starts[0] + entries)
        found = [
            Parameter("output.weight", (head[1], self.inputs), (n, head), glorot),
            Parameter("output.bias", (head[1],), (head,), zeros),
        ]
        bounds = pairwise([*self.starts, self.outputs])
        for index, ((first, end), width) in enumerate(zip(bounds, self.widths, strict=True)):
            D = (f"D{index}", width)
            size = (f"({f'C{index + 1}' if end < self.outputs else 'm'} - C{index})", end - first)
            name = f"output.clusters.{index}"
            found += [
                Parameter(f"{name}.projection", (width, self.inputs), (n, D), glorot),
                Parameter(f"{name}.weight", (size[1], width), (D, size), glorot),
            ]
        return tuple(found)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Log-probabilities: (B, n) -> (B, V)."""
        return self.log_probabilities(arrays, values), state

    window = step
    """The same for (T, B, n) -> (T, B, V)."""

    def log_probabilities(self, arrays: Arrays, hidden: Array) -> Array:
        """As `Output`."""
        head = self._head(arrays, hidden)
        size = self.starts[0]  # of the head without its entries for the clusters
        rest = [
            head[..., size + index, None] + _within_cluster(index, hidden, arrays)
            for index in range(len(self.starts))
        ]
        return _joined([head[..., :size], *rest])

    def log_probabilities_of(self, arrays: Arrays, hidden: Array, ids: Array) -> Array:
        """As `Output`; of the clusters only those are computed that the tokens are in."""
        head = self._head(arrays, hidden)
        among = sum(ids >= first for first in self.starts)  # which cluster, counted from 1; 0 is the head
        entries = self.starts[0] + among - 1
        chosen = _picked(head, ids * (among == 0) + entries * (among > 0))
        for index, first in enumerate(self.starts):
            members = among == index + 1
            if members.any():
                within = _within_cluster(index, hidden[members], arrays)
                chosen[members] += _picked(within, ids[members] - first)
        return chosen

    def _head(self, arrays: Arrays, hidden: Array) -> Array:
        """Log-probabilities of the head's tokens and of the clusters: (..., n) -> (..., C0 + K)."""
        return log_softmax(_linear(hidden, arrays["weight"]) + arrays["bias"])


def _linear(values: Array, weight: Array) -> Array:
    """W v of each vector, (..., I) -> (..., O), each in a row of its own for the sums that follow."""
    scores = linear(values, weight)
    return np.ascontiguousarray(scores) if isinstance(scores, np.ndarray) else scores


def log_softmax(scores: Array) -> Array:
    """Log-probabilities along the last axis: a - log Σ exp(a), shifted by the largest against overflow."""
    if not isinstance(scores, np.ndarray):
        return scores.log_softmax(-1)
    # ufunc.reduce is what max() and sum() call, a microsecond of Python later
    shifted = scores - np.maximum.reduce(scores, axis=-1, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    return shifted


def _within_cluster(index: int, hidden: Array, arrays: Arrays) -> Array:
    """Log-probabilities of a cluster's tokens, if the token is one of them: (..., n) -> (..., V_i)."""
    shorter = _linear(hidden, arrays[f"clusters.{index}.projection"])  # (..., D_i)
    return log_softmax(_linear(shorter, arrays[f"clusters.{index}.weight"]))


def _picked(values: Array, ids: Array) -> Array:
    """One of each row, (N, K) and (N,) -> (N,)."""
    if isinstance(values, np.ndarray):
        return values[np.arange(len(ids)), ids]
    return values.gather(1, ids[:, None])[:, 0]


def _joined(parts: Sequence[Array]) -> Array:
    """Arrays side by side along the last axis."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=-1)
    width = sum(part.shape[-1] for part in parts)
    joined = parts[0].new_empty((*parts[0].shape[:-1], width))
    first = 0
    for part in parts:
        joined[..., first : first + part.shape[-1]] = part
        first += part.shape[-1]
    return joined
