"""Names of the types of numpy arrays."""

from collections.abc import Mapping
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
