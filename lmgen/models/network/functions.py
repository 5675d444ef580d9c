"""
What layers compute with, for arrays of numpy and torch alike; the elementwise functions and `gate` also for
the formulas that autodiff/ traces.

numpy is imported at the first call, not with this file: the command line reads the names of cells and
activations, and must start without numpy.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Array = Any
"""A numpy array or a torch tensor, or a formula that stands for one."""

LEAK = 0.01
"""The slope of the leaky rectifier below 0."""


def tanh(array: Array) -> Array:
    """The hyperbolic tangent."""
    import numpy as np

    return np.tanh(array) if isinstance(array, np.ndarray) else array.tanh()


def sigmoid(array: Array) -> Array:
    """The logistic function 1 / (1 + exp(-a)), written so that no exponential can overflow."""
    import numpy as np

    return 0.5 * np.tanh(0.5 * array) + 0.5 if isinstance(array, np.ndarray) else array.sigmoid()


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
    """The array itself: a layer without activation is linear."""
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
"""By the names that the command line takes."""


def linear(values: Array, weight: Array) -> Array:
    """W v of each vector: (..., I) and (O, I) -> (..., O)."""
    import numpy as np

    if isinstance(values, np.ndarray) and values.ndim == 2:
        return (weight @ values.T).T  # streams as columns, for what tiles.py says of rounding
    return values @ weight.T


def stack(arrays: Sequence[Array]) -> Array:
    """Arrays of equal shape along a new first axis: T times (B, H) -> (T, B, H)."""
    return sys.modules[type(arrays[0]).__module__].stack(
        arrays
    )  # numpy, or torch, which models/ never imports


_gates: ContextVar[dict[str, Array] | None] = ContextVar("gates", default=None)


def gate(name: str, value: Array) -> Array:
    """
    The value itself, which a cell names so that it can be looked at: see `recorded_gates`.

    Args:
        name: of the gate, as in `Cell.gates`.
        value: after its activation, (B, H).
    """
    recorded = _gates.get()
    if recorded is not None:
        recorded[name] = value
    return value


@contextmanager
def recorded_gates() -> Iterator[dict[str, Array]]:
    """The gates of the steps computed within the block, by name; a later step replaces an earlier one."""
    recorded: dict[str, Array] = {}
    token = _gates.set(recorded)
    try:
        yield recorded
    finally:
        _gates.reset(token)
