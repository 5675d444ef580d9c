"""
Compress a network's weights for a model file, and expand untrusted files back to float32.

Matrices hold nearly all parameters and are compressed; vectors (the biases) stay float32. A matrix W, (R, C),
is stored in one of three forms:

    float32   W          float32, (R, C)
    float16   W          float16, (R, C); half the bytes, |error| <= max(2^-11 |w|, 2^-25)
    int8      W          int8, (R, C); a quarter of the bytes: w = W[r, c] * scale[r], |error| <= scale[r] / 2
              W.scale    float32, (R,)

A row of W belongs to one output unit of its layer, or is one token's vector, so its weights have similar
magnitudes. The row's scale maps its largest |w| to 127 (symmetric, per channel: Krishnamoorthi 2018,
arXiv:1806.08342, section 2.2). The scale of least squared error for each row, which clips its largest
weights, was also tried: the error falls by 3%, but bits per character change by less than 0.0004, up or down,
on three trained networks.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float32Array, Tensors
from lmgen.errors import ConfigError, ModelError

Weights = Literal["float32", "float16", "int8"]
"""Storage type of the matrices in a model file."""

WEIGHTS: tuple[str, ...] = get_args(Weights)


LARGEST_INT8 = 127
"""Largest quantized magnitude; -128 is unused, to keep the range symmetric."""

SCALE = ".scale"


def compress(parameters: Mapping[str, Float32Array], weights: str) -> dict[str, npt.NDArray[Any]]:
    """
    Convert float32 arrays to the tensors of a model file.

    Args:
        parameters: finite arrays by name.
        weights: storage type, one of `WEIGHTS`.

    Raises:
        ConfigError: `weights` is unknown.
        ModelError: a weight is too large for float16.
    """
    if weights not in WEIGHTS:
        raise ConfigError(f"weights are stored as {', '.join(WEIGHTS)}, not as {weights!r}")
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, array in parameters.items():
        if weights == "float32" or array.ndim != 2:
            tensors[name] = array
        elif weights == "float16":
            tensors[name] = _to_float16(name, array)
        else:
            tensors[name], tensors[name + SCALE] = _to_int8(array)
    return tensors


def expand(tensors: Tensors, weights: object) -> dict[str, npt.NDArray[Any]]:
    """
    Convert the tensors of a model file back to float32 arrays.

    The caller must check that names and shapes fit the network and that all values are finite.

    Args:
        tensors: all tensors of the file.
        weights: storage type from the file's header; untrusted.

    Raises:
        ModelError: the tensors do not match `weights`.
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
                scales = _checked_scales(name, len(matrix), parameters.pop(name + SCALE, None))
                with np.errstate(over="ignore"):  # the network rejects non-finite values
                    parameters[name] *= scales[:, None]
    return parameters


def _to_float16(name: str, matrix: Float32Array) -> npt.NDArray[np.float16]:
    largest = np.abs(matrix).max()
    if largest > np.finfo(np.float16).max:
        raise ModelError(
            f"its tensor {name} holds a weight of {largest:.6g}, but float16 ends at 65504; use int8"
        )
    return matrix.astype(np.float16)


def _to_int8(matrix: Float32Array) -> tuple[npt.NDArray[np.int8], Float32Array]:
    """Round each row to multiples of its scale; returns these, (R, C), and the scales, (R,)."""
    largest = np.abs(matrix).max(axis=1)  # (R,)
    scales = np.maximum(largest / LARGEST_INT8, np.finfo(np.float32).tiny)  # not 0 for a row of zeros
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def _checked_scales(name: str, rows: int, scales: npt.NDArray[Any] | None) -> Float32Array:
    """
    Return the scales of a matrix, (R,), after validation.

    Raises:
        ModelError: the scales are missing, have the wrong type or shape, or are not finite and positive.
    """
    if scales is None:
        raise ModelError(f"its tensor {name}{SCALE} is missing")
    if scales.dtype != np.float32 or scales.shape != (rows,):
        found = f"{scales.dtype} {scales.shape}"
        raise ModelError(f"its tensor {name}{SCALE} is {found}, but has to be float32 {(rows,)}")
    if not (np.isfinite(scales) & (scales > 0)).all():
        raise ModelError(f"its tensor {name}{SCALE} holds values that are not finite numbers above zero")
    return scales
