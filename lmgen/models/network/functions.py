"""
Array functions for layers, which accept both numpy and torch arrays.

The elementwise functions and `gate` also accept the formulas that autodiff/ traces. numpy is imported inside
the functions: the command line imports this file for the names of activations, and must start without numpy.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Array = Any
"""A numpy array, a torch tensor, or a traced formula."""

LEAK = 0.01
"""Slope of the leaky rectifier below 0."""


def tanh(array: Array) -> Array:
    """The hyperbolic tangent."""
    import numpy as np

    return np.tanh(array) if isinstance(array, np.ndarray) else array.tanh()


def sigmoid(array: Array) -> Array:
    """The logistic function 1 / (1 + exp(-a)), written so that no exponential can overflow."""
    import numpy as np

    return 0.5 * np.tanh(0.5 * array) + 0.5 if isinstance(array, np.ndarray) else array.sigmoid()


def hard_sigmoid(array: Array) -> Array:
    """The logistic function as three straight lines: 0.2 a + 0.5, but at least 0 and at most 1."""
    line = 0.2 * array + 0.5
    return relu(line) - relu(line - 1.0)


def relu(array: Array) -> Array:
    """The rectifier max(0, a)."""
    import numpy as np

    return np.maximum(array, 0) if isinstance(array, np.ndarray) else array.relu()


def leaky_relu(array: Array) -> Array:
    """The leaky rectifier: a above 0, 0.01 a below (Maas, Hannun and Ng 2013)."""
    return relu(array) + LEAK * _negative_part(array)


def elu(array: Array) -> Array:
    """The exponential linear unit: a above 0, exp(a) - 1 below (Clevert, Unterthiner and Hochreiter 2016)."""
    import numpy as np

    below = _negative_part(array)
    return relu(array) + (np.expm1(below) if isinstance(array, np.ndarray) else below.expm1())


def softplus(array: Array) -> Array:
    """The smooth rectifier log(1 + exp(a)), without overflow."""
    import numpy as np

    if isinstance(array, np.ndarray):
        return np.logaddexp(array, np.zeros_like(array))
    return array.logaddexp(array * 0.0)


def exp(array: Array) -> Array:
    """The exponential function."""
    import numpy as np

    return np.exp(array) if isinstance(array, np.ndarray) else array.exp()


def identity(array: Array) -> Array:
    """Return the array unchanged: the activation of a linear layer."""
    return array


def _negative_part(array: Array) -> Array:
    """The part below 0: min(0, a)."""
    import numpy as np

    return np.minimum(array, 0) if isinstance(array, np.ndarray) else array.clamp(max=0.0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": tanh,
    "relu": relu,
    "leaky-relu": leaky_relu,
    "elu": elu,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "none": identity,
}
"""Activations of dense layers and convolutions, by the names that `--dense-activation` accepts."""


def linear(values: Array, weight: Array) -> Array:
    """Compute W v for each vector v: (..., I) and (O, I) -> (..., O)."""
    import numpy as np

    if isinstance(values, np.ndarray) and values.ndim == 2:
        return (weight @ values.T).T  # streams as columns: tiles.py explains how that affects rounding
    return values @ weight.T


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Stack arrays of equal shape along a new axis: T times (B, H) -> (T, B, H)."""
    return _library(arrays[0]).stack(arrays, axis)


def concatenate(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Join arrays along an axis: (K, B, H) and (T, B, H) -> (K + T, B, H)."""
    return _library(arrays[0]).concatenate(arrays, axis=axis)


def along_steps(values: Array, order: Array) -> Array:
    """Take for each step of each stream another step of that stream: (T, B, n) and (T, B) -> (T, B, n)."""
    import numpy as np

    if isinstance(values, np.ndarray):
        return np.take_along_axis(values, order[..., None], axis=0)
    return values.take_along_dim(order[..., None], dim=0)


def backwards(values: Array) -> Array:
    """The steps from the last to the first: (T, B, n) -> (T, B, n)."""
    import numpy as np

    return values[::-1] if isinstance(values, np.ndarray) else values.flip(0)


def zeros_like(array: Array, *shape: int) -> Array:
    """Zeros of a given shape, of the same type as an array."""
    import numpy as np

    return np.zeros(shape, array.dtype) if isinstance(array, np.ndarray) else array.new_zeros(shape)


def integers(array: Array) -> Array:
    """Convert to int64."""
    import numpy as np

    return array.astype(np.int64) if isinstance(array, np.ndarray) else array.long()


def alike(array: Array, like: Array) -> Array:
    """Convert to the type of another array."""
    import numpy as np

    return array.astype(like.dtype) if isinstance(array, np.ndarray) else array.to(like.dtype)


def maximum(one: Array, other: Array) -> Array:
    """The larger of two numbers, for each pair."""
    return _library(one).maximum(one, other)


def ones_like(array: Array) -> Array:
    """An array of ones of the same shape."""
    return _library(array).ones_like(array)


def softmax(scores: Array) -> Array:
    """Shares along the first axis, which sum to 1: exp(a) / Σ exp(a), shifted by the maximum."""
    import numpy as np

    if not isinstance(scores, np.ndarray):
        return scores.softmax(0)
    powers = np.exp(scores - scores.max(axis=0))
    return powers / powers.sum(axis=0)


def _library(array: Array) -> Any:
    """The module that an array is of: numpy, or torch, which models/ must not import."""
    return sys.modules[type(array).__module__]


_gates: ContextVar[dict[str, Array] | None] = ContextVar("gates", default=None)


def gate(name: str, value: Array) -> Array:
    """
    Record a gate's value if a `recorded_gates` block is active; returns the value unchanged.

    Args:
        name: name of the gate, as in `Cell.gates`.
        value: value after the activation, (B, H).
    """
    recorded = _gates.get()
    if recorded is not None:
        recorded[name] = value
    return value


@contextmanager
def recorded_gates() -> Iterator[dict[str, Array]]:
    """Record the gates of all steps within the block, by name; a later step overwrites an earlier one."""
    recorded: dict[str, Array] = {}
    token = _gates.set(recorded)
    try:
        yield recorded
    finally:
        _gates.reset(token)
