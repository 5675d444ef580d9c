"""From hidden states to log-probabilities, for numpy and torch arrays alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = Any


def logits(hidden: Array, parameters: Mapping[str, Array]) -> Array:
    """
    Scores before normalisation: (..., H) -> (..., V), as `output.weight` h + `output.bias`.

    With tied weights there is no `output.weight` and the embedding serves (Press and Wolf 2017; Inan,
    Khosravi and Socher 2017).
    """
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
