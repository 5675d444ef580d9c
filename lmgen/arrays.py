"""Names of the types of numpy arrays, and a short form of values that hold arrays."""

import mmap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

IdArray = npt.NDArray[np.integer[Any]]
"""Token ids, of any integer type."""

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

FloatArray = npt.NDArray[np.floating[Any]]
"""Of single or double precision."""

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by name, as a model file holds them."""


def let_go(array: npt.NDArray[Any]) -> None:
    """
    Give back the memory of what was read of an array that a file is mapped to; nothing for other arrays.

    The numbers stay where they are: those that are asked for again are read again. A map that can be written
    to is left alone: what was changed in it need not be in the file. Where the system has no such call, it
    takes the memory back on its own when it is short of it.
    """
    below: Any = array
    while isinstance(below, np.ndarray | memoryview):
        below = below.base if isinstance(below, np.ndarray) else below.obj
    if isinstance(below, mmap.mmap) and hasattr(below, "madvise") and memoryview(below).readonly:
        below.madvise(mmap.MADV_DONTNEED)


def in_short(value: Any) -> str:
    """
    A dataclass on one line, with the type and shape of an array in the place of its numbers.

    `Batch(inputs=int64 (64, 32), targets=int64 (64, 32), weights=None)`
    """
    parts = (
        f"{field.name}={_shape_or_repr(getattr(value, field.name))}" for field in fields(value) if field.repr
    )
    return f"{type(value).__name__}({', '.join(parts)})"


def _shape_or_repr(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {_shape_or_repr(each)}" for name, each in value.items()) + "}"
    return repr(value)
