"""
The output layer: from a hidden state h to log-probabilities of the next token.

`softmax`: logits W h + b for all V tokens, then a softmax over them.

`adaptive` (Grave, Joulin, Cissé, Grangier and Jégou 2017): ids are sorted by falling frequency and
partitioned:

    ids      0 ... C0 - 1      C0 ... C1 - 1      C1 ... V - 1
             the head          cluster 0          cluster 1

The head is a softmax over its tokens and one entry per cluster; each cluster is a softmax over its tokens.

    P(v | h) = head[v]                      for a token of the head
    P(v | h) = head[C0 + i] cluster_i[v]    for a token of cluster i

Most tokens of a text are in the head, and cluster i scores its tokens from a projection of h to D_i < n
features, which saves most of the work. The probabilities are exact and sum to 1; the cost is that rare tokens
depend on fewer features of h.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from lmgen.arrays import Float64Array
from lmgen.models.network.functions import Array, concatenate, linear
from lmgen.models.network.initializers import glorot, zeros
from lmgen.models.network.layer import Arrays, Layer, LayerState, Parameter


class Output(Layer, Protocol):
    """A layer that computes log-probabilities of all tokens, or of given tokens at lower cost."""

    def log_probabilities(self, arrays: Arrays, hidden: Array) -> Array:
        """Compute log-probabilities of all tokens: (..., n) -> (..., V)."""

    def log_probabilities_of(self, arrays: Arrays, hidden: Array, ids: Array) -> Array:
        """Compute the log-probability of one token per hidden state: (N, n) and (N,) -> (N,)."""

    def bias_for(self, probabilities: Float64Array) -> Float64Array:
        """The b with which a hidden state of zeros gives tokens these probabilities, (V,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """
    A softmax over all tokens.

    With tied weights, W is the embedding's table (Press and Wolf 2017; Inan, Khosravi and Socher 2017). If
    its vectors and h differ in length, a projection maps h to that length (Gulordava, Aina and Boleda 2018).
    """

    inputs: int
    """n = H."""
    outputs: int
    """m = V."""
    tied_to: int | None = None
    """Length E of the embedding's vectors if its table serves as W; otherwise None."""

    kind = "softmax"
    prefix = "output."
    state_sizes = ()

    @property
    def formula(self) -> str:
        """Parameter count: `nm + m`; with tied weights only the bias, `m`, and any projection, `nE + m`."""
        if self.tied_to is None:
            return "nm + m"
        return "nE + m" if self._is_projected else "m"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """W, (V, n), or with tied weights any projection, (E, n), by `glorot`; b, (V), initialized to 0."""
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
        """The embedding's table as `weight`, with tied weights."""
        return () if self.tied_to is None else (("weight", "embedding"),)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Log-probabilities: (B, n) -> (B, V)."""
        return self.log_probabilities(arrays, values), state

    window = step
    """All steps of a window at once: (T, B, n) -> (T, B, V)."""

    def log_probabilities(self, arrays: Arrays, hidden: Array) -> Array:
        """Compute log-probabilities of all tokens: (..., n) -> (..., V)."""
        return log_softmax(self.logits(arrays, hidden))

    def log_probabilities_of(self, arrays: Arrays, hidden: Array, ids: Array) -> Array:
        """Compute the log-probability of one token per hidden state, by way of all tokens."""
        return _select(self.log_probabilities(arrays, hidden), ids)

    def logits(self, arrays: Arrays, hidden: Array) -> Array:
        """Compute W h + b: (..., n) -> (..., V)."""
        return _linear(self.projected(arrays, hidden), arrays["weight"]) + arrays["bias"]

    def projected(self, arrays: Arrays, hidden: Array) -> Array:
        """Project hidden states to the length of W's rows, if they differ: (..., n) -> (..., E)."""
        projection = arrays.get("projection")
        return hidden if projection is None else _linear(hidden, projection)

    def bias_for(self, probabilities: Float64Array) -> Float64Array:
        """The logarithms."""
        return np.log(probabilities)

    @property
    def _is_projected(self) -> bool:
        return self.tied_to is not None and self.tied_to != self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveSoftmax:
    """An adaptive softmax: a head of frequent tokens, and clusters of increasingly rare ones."""

    inputs: int
    """n = H."""
    outputs: int
    """m = V."""
    starts: tuple[int, ...]
    """First id of each cluster, C0, C1, ..., ascending."""
    widths: tuple[int, ...]
    """Projection width of each cluster, D0, D1, ..."""

    kind = "adaptive softmax"
    prefix = "output."
    state_sizes = ()
    borrowed = ()

    @property
    def formula(self) -> str:
        """Parameter count: the head's, and a sum over clusters i with width D_i and N_i tokens."""
        return f"(n + 1)(C0 + {len(self.starts)}) + Σ Di (n + Ni)"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """
        The head's W, (C0 + K, n) for K clusters, and b; for each cluster a projection, (D, n), and W, (N, D).

        Matrices are initialized by `glorot`, b to 0.
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
    """All steps of a window at once: (T, B, n) -> (T, B, V)."""

    def log_probabilities(self, arrays: Arrays, hidden: Array) -> Array:
        """Compute log-probabilities of all tokens, from the head and every cluster: (..., n) -> (..., V)."""
        head = self._head(arrays, hidden)
        size = self.starts[0]  # tokens in the head, without the entries for clusters
        rest = [
            head[..., size + index, None] + _within_cluster(index, hidden, arrays)
            for index in range(len(self.starts))
        ]
        return concatenate([head[..., :size], *rest], axis=-1)

    def log_probabilities_of(self, arrays: Arrays, hidden: Array, ids: Array) -> Array:
        """As `Output`; computes only the clusters that contain one of the tokens."""
        head = self._head(arrays, hidden)
        among = sum(ids >= first for first in self.starts)  # cluster number, counted from 1; 0 is the head
        entries = self.starts[0] + among - 1
        chosen = _select(head, ids * (among == 0) + entries * (among > 0))
        for index, first in enumerate(self.starts):
            members = among == index + 1
            if members.any():
                within = _within_cluster(index, hidden[members], arrays)
                chosen[members] += _select(within, ids[members] - first)
        return chosen

    def _head(self, arrays: Arrays, hidden: Array) -> Array:
        """Log-probabilities of the head's tokens and cluster entries: (..., n) -> (..., C0 + K)."""
        return log_softmax(_linear(hidden, arrays["weight"]) + arrays["bias"])

    def bias_for(self, probabilities: Float64Array) -> Float64Array:
        """The logarithms of the head's tokens, and of the sum of each cluster; inside one, all are alike."""
        size = self.starts[0]
        clusters = np.add.reduceat(probabilities, self.starts)
        return np.log([*probabilities[:size], *clusters])


def _linear(values: Array, weight: Array) -> Array:
    """Compute W v for each vector, (..., I) -> (..., O), with contiguous rows for the sums that follow."""
    scores = linear(values, weight)
    return np.ascontiguousarray(scores) if isinstance(scores, np.ndarray) else scores


def log_softmax(scores: Array) -> Array:
    """Log-probabilities along the last axis: a - log Σ exp(a), shifted by the maximum to avoid overflow."""
    if not isinstance(scores, np.ndarray):
        return scores.log_softmax(-1)
    # max() and sum() call ufunc.reduce too, after a microsecond of Python
    shifted = scores - np.maximum.reduce(scores, axis=-1, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    return shifted


def _within_cluster(index: int, hidden: Array, arrays: Arrays) -> Array:
    """Log-probabilities of a cluster's tokens given that cluster: (..., n) -> (..., N_i)."""
    shorter = _linear(hidden, arrays[f"clusters.{index}.projection"])  # (..., D_i)
    return log_softmax(_linear(shorter, arrays[f"clusters.{index}.weight"]))


def _select(values: Array, ids: Array) -> Array:
    """Select one element of each row: (N, K) and (N,) -> (N,)."""
    if isinstance(values, np.ndarray):
        return values[np.arange(len(ids)), ids]
    return values.gather(1, ids[:, None])[:, 0]
