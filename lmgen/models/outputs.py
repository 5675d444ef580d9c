"""From the layers' states to log-probabilities, for numpy and torch arrays alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lmgen.models.cells import LayerStates
from lmgen.models.config import NetworkConfig

Array = Any


def top(states: LayerStates, config: NetworkConfig) -> Array:
    """
    What the output layer reads after a step: the last layer's hidden state h.

    With residual connections a layer's h is added to what it has read, so it is the sum of the h of all
    layers (Wu et al. 2016, section 3.1). The first layer's input is left out of it: it would be the token's
    vector, which a state does not remember.
    """
    hidden = states[0][0]
    for layer, (h, *_) in enumerate(states):
        hidden = h + hidden if config.adds_input(layer) else h
    return hidden


def logits(hidden: Array, parameters: Mapping[str, Array]) -> Array:
    """
    Scores before normalisation: (..., H) -> (..., V), as `output.weight` h + `output.bias`.

    With tied weights there is no `output.weight` and the embedding serves (Press and Wolf 2017; Inan,
    Khosravi and Socher 2017). Where its vectors have another length than h, `output.projection` maps h to
    that length first: (E, H), as in Gulordava, Aina and Boleda 2018.
    """
    if "output.projection" in parameters:
        hidden = hidden @ parameters["output.projection"].T  # (..., E)
    weight = parameters.get("output.weight", parameters["embedding"])
    return hidden @ weight.T + parameters["output.bias"]


def log_softmax(scores: Array) -> Array:
    """Log-probabilities along the last axis: a - log Σ exp(a), shifted by the largest against overflow."""
    if not isinstance(scores, np.ndarray):
        return scores.log_softmax(-1)
    # ufunc.reduce is what max() and sum() call, a microsecond of Python later
    shifted = scores - np.maximum.reduce(scores, axis=-1, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    return shifted
