"""
A network's weights in fewer bytes for a model file, and back to float32, trusting nothing.

Matrices hold nearly all parameters and are compressed; vectors (the biases) stay float32. Of a matrix W,
(R, C), a file keeps one of

    float32   W          float32, (R, C)
    float16   W          float16, (R, C); half the bytes, |error| <= max(2^-11 |w|, 2^-25)
    int8      W          int8, (R, C); a quarter of the bytes: w = W[r, c] * scale[r], |error| <= scale[r] / 2
              W.scale    float32, (R,)

A row of W is one output of its layer, or one token's vector: weights that are of one size. A row's scale
takes its largest |w| to 127 (symmetric and per channel: Krishnamoorthi 2018, arXiv:1806.08342, section 2.2).
Searching each row for the scale of least squared error, which cuts off its largest weights, was tried: the
error falls by 3%, but bits per character move either way, by less than 0.0004 on three trained networks.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float32Array, Tensors
from lmgen.errors import ConfigError, ModelError

Weights = Literal["float32", "float16", "int8"]
"""How a file stores the matrices."""

WEIGHTS: tuple[str, ...] = get_args(Weights)


LARGEST_INT8 = 127
"""-128 is not used: the range is symmetric."""

_SCALE = ".scale"


def compress(parameters: Mapping[str, Float32Array], weights: str) -> dict[str, npt.NDArray[Any]]:
    """
    Turn float32 arrays into what a file stores.

    Args:
        parameters: finite arrays by name.
        weights: one of `WEIGHTS`.

    Raises:
        ConfigError: `weights` is something else.
        ModelError: a weight is too large for float16.
    """
    if weights not in WEIGHTS:
        raise ConfigError(f"weights are stored as {', '.join(WEIGHTS)}, not as {weights!r}")
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, array in parameters.items():
        if weights == "float32" or array.ndim != 2:
            tensors[name] = array
        elif weights == "float16":
            tensors[name] = _halved(name, array)
        else:
            tensors[name], tensors[name + _SCALE] = _quantized(array)
    return tensors


def expand(tensors: Tensors, weights: object) -> dict[str, npt.NDArray[Any]]:
    """
    Turn what a file stores back into float32 arrays.

    Whether these are the arrays of some network, and finite, is for the network to check.

    Args:
        tensors: of the file, all of them.
        weights: what its header says, which may be anything.

    Raises:
        ModelError: the tensors are not such as `weights` promises.
    """
    if weights not in WEIGHTS:
        raise ModelError(f"its weights are {weights!r}; known here are {', '.join(WEIGHTS)}")
    if weights == "float32":
        return dict(tensors)
    parameters = {name: array for name, array in tensors.items() if array.ndim != 2}
    for name, matrix in tensors.items():
        if matrix.ndim == 2:
            if matrix.dtype != np.dtype(str(weights)):
                raise ModelError(f"its tensor {name} is {matrix.dtype}, but has to be {weights}")
            parameters[name] = matrix.astype(np.float32)
            if weights == "int8":
                scales = _checked_scales(name, len(matrix), parameters.pop(name + _SCALE, None))
                with np.errstate(over="ignore"):  # the network refuses what is not finite
                    parameters[name] *= scales[:, None]
    return parameters


def _halved(name: str, matrix: Float32Array) -> npt.NDArray[np.float16]:
    largest = np.abs(matrix).max()
    if largest > np.finfo(np.float16).max:
        raise ModelError(
            f"its tensor {name} holds a weight of {largest:.6g}, but float16 ends at 65504; use int8"
        )
    return matrix.astype(np.float16)


def _quantized(matrix: Float32Array) -> tuple[npt.NDArray[np.int8], Float32Array]:
    """The nearest multiples of each row's scale, (R, C), and the scales, (R,)."""
    largest = np.abs(matrix).max(axis=1)  # (R,)
    scales = np.maximum(largest / LARGEST_INT8, np.finfo(np.float32).tiny)  # a row of zeros has one too
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def _checked_scales(name: str, rows: int, scales: npt.NDArray[Any] | None) -> Float32Array:
    """
    The scales of a matrix, (R,).

    Raises:
        ModelError: they are missing, of another type or shape, or not finite and above zero.
    """
    if scales is None:
        raise ModelError(f"its tensor {name}{_SCALE} is missing")
    if scales.dtype != np.float32 or scales.shape != (rows,):
        found = f"{scales.dtype} {scales.shape}"
        raise ModelError(f"its tensor {name}{_SCALE} is {found}, but has to be float32 {(rows,)}")
    if not (np.isfinite(scales) & (scales > 0)).all():
        raise ModelError(f"its tensor {name}{_SCALE} holds values that are not finite numbers above zero")
    return scales
