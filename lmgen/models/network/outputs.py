"""
From the layers' states to log-probabilities, for numpy and torch arrays alike.

`softmax`: a score for each of the V tokens, W h + b, and a softmax over all of them.

`adaptive` (Grave, Joulin, Cissé, Grangier and Jégou 2017): ids go by falling frequency, and are divided:

    ids      0 ... C0 - 1      C0 ... C1 - 1      C1 ... V - 1
             the head          cluster 0          cluster 1

The head is a softmax over its own tokens and one entry for each cluster; a cluster's, over its own alone.

    P(v | h) = head[v]                      for a token of the head
    P(v | h) = head[C0 + i] cluster_i[v]    for a token of cluster i

Most tokens of a text are in the head; cluster i is scored by D_i < H numbers that a projection makes of h. So
most of the work falls away. Nothing is approximated, and all sums to 1: what is given up is that rare tokens
see less of h.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmgen.models.network.cells import LayerStates
from lmgen.models.network.config import NetworkConfig

Array = Any
Parameters = Mapping[str, Array]


def top(states: LayerStates, config: NetworkConfig) -> Array:
    """
    What the output layer reads after a step: the last layer's hidden state h.

    With residual connections a layer's h is added to what it has read, so it is the sum of the h of all
    layers (Wu et al. 2016, section 3.1). The first layer's input is left out of it: it would be the token's
    vector, which a state does not remember.
    """
    if not config.residual:
        return states[-1][0]
    hidden = states[0][0]
    for layer, (h, *_) in enumerate(states):
        hidden = h + hidden if config.adds_input(layer) else h
    return hidden


def log_probabilities(hidden: Array, parameters: Parameters, clusters: Sequence[int] = ()) -> Array:
    """
    Log-probabilities of all tokens: (..., H) -> (..., V).

    Args:
        hidden: as `top` gives them.
        parameters: the output layer's and the embedding, by the names of `parameter_shapes`.
        clusters: the first id of each; none for a softmax over all tokens.
    """
    head = log_softmax(logits(hidden, parameters))
    if not clusters:
        return head
    size = clusters[0]  # of the head without its entries for the clusters
    rest = [
        head[..., size + index, None] + _within_cluster(index, hidden, parameters)
        for index in range(len(clusters))
    ]
    return _joined([head[..., :size], *rest])


def log_probabilities_of(
    ids: Array, hidden: Array, parameters: Parameters, clusters: Sequence[int] = ()
) -> Array:
    """
    Log-probability of one token for each hidden state, computing only the clusters that the tokens are in.

    Args:
        ids: (N,).
        hidden: (N, H).
        parameters: as above.
        clusters: as above.

    Returns:
        (N,).
    """
    head = log_softmax(logits(hidden, parameters))
    if not clusters:
        return _picked(head, ids)
    among = sum(ids >= first for first in clusters)  # which cluster, counted from 1; 0 is the head
    entries = clusters[0] + among - 1
    chosen = _picked(head, ids * (among == 0) + entries * (among > 0))
    for index, first in enumerate(clusters):
        members = among == index + 1
        if members.any():
            within = _within_cluster(index, hidden[members], parameters)
            chosen[members] += _picked(within, ids[members] - first)
    return chosen


def logits(hidden: Array, parameters: Parameters) -> Array:
    """
    Scores before normalisation, (..., H) -> (..., V), as `output.weight` h + `output.bias`.

    With tied weights there is no `output.weight` and the embedding serves (Press and Wolf 2017; Inan,
    Khosravi and Socher 2017). Of an adaptive output these are the scores of the head.
    """
    weight = parameters.get("output.weight", parameters["embedding"])
    return _linear(projected(hidden, parameters), weight) + parameters["output.bias"]


def projected(hidden: Array, parameters: Parameters) -> Array:
    """
    Hidden states in the length that the output's weights have: (..., H) -> (..., E).

    Where a tied embedding's vectors have another length than h, `output.projection` maps h to it: (E, H), as
    in Gulordava, Aina and Boleda 2018. Otherwise they stay as they are.
    """
    projection = parameters.get("output.projection")
    return hidden if projection is None else _linear(hidden, projection)


def log_softmax(scores: Array) -> Array:
    """Log-probabilities along the last axis: a - log Σ exp(a), shifted by the largest against overflow."""
    if not isinstance(scores, np.ndarray):
        return scores.log_softmax(-1)
    # ufunc.reduce is what max() and sum() call, a microsecond of Python later
    shifted = scores - np.maximum.reduce(scores, axis=-1, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    return shifted


def _within_cluster(index: int, hidden: Array, parameters: Parameters) -> Array:
    """Log-probabilities of a cluster's tokens, if the token is one of them: (..., H) -> (..., V_i)."""
    name = f"output.clusters.{index}"
    shorter = _linear(hidden, parameters[f"{name}.projection"])  # (..., D_i)
    return log_softmax(_linear(shorter, parameters[f"{name}.weight"]))


def _linear(values: Array, weight: Array) -> Array:
    """W v of each vector: (..., I) and (O, I) -> (..., O)."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return np.ascontiguousarray((weight @ values.T).T)  # as columns, for what recurrent.py says of tiles
    return values @ weight.T


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
