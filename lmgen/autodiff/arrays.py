"""What numpy has no single function for. As with numpy's own, the last argument is where the result goes."""

from functools import cache
from typing import Any

import numpy as np

from lmgen.models.network.functions import Array

_HALF, _ZERO = np.float32(0.5), np.float32(0.0)
"""numpy's own numbers start faster than Python's, and leave float64 what it is."""


def sigmoid(values: Array, result: Array) -> None:
    """See functions.py."""
    np.multiply(values, _HALF, result)
    np.tanh(result, result)
    np.multiply(result, _HALF, result)
    np.add(result, _HALF, result)


def relu(values: Array, result: Array) -> None:
    """See functions.py."""
    np.maximum(values, _ZERO, out=result)


def maximum(values: Array, bound: Array, result: Array) -> None:
    """The larger of two; numpy deprecates to say without a keyword where the result goes."""
    np.maximum(values, bound, out=result)


def minimum(values: Array, bound: Array, result: Array) -> None:
    """The smaller of two, likewise."""
    np.minimum(values, bound, out=result)


def mean(values: Array, result: Array) -> None:
    """Of the last axis."""
    np.matmul(values, _column(values.shape[-1], 1 / values.shape[-1], values.dtype), result)


def total(values: Array, result: Array) -> None:
    """The sum of the last axis."""
    np.matmul(values, _column(values.shape[-1], 1.0, values.dtype), result)


@cache
def _column(length: int, value: float, dtype: np.dtype[Any]) -> Array:
    """What to multiply a matrix with for the sums of its rows: thrice as fast as adding them up."""
    return np.full((length, 1), value, dtype)


def join(*blocks_and_result: Array) -> None:
    """Blocks of columns, side by side."""
    *blocks, result = blocks_and_result
    np.concatenate(blocks, -1, result)
