"""
Elementwise functions for arrays of numpy and torch, and for the formulas that autodiff/ traces.

numpy is imported at the first call, not with this file: the command line reads the names of cells and
activations, and must start without numpy.
"""

from collections.abc import Callable
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
