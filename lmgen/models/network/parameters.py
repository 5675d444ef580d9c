"""The trained arrays of a network, and whether they fit it."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.errors import ModelError
from lmgen.models.network.layer import Parameter

Parameters = Mapping[str, Float32Array]
"""Arrays by their names in the model file."""


def check_parameters(parameters: Parameters, expected: Sequence[Parameter]) -> None:
    """Raise ModelError unless the arrays match `expected` in names, shapes and type, and are finite."""
    names = {parameter.name for parameter in expected}
    if missing := sorted(names - set(parameters)):
        raise ModelError(f"its tensors {', '.join(missing)} are missing")
    if extra := sorted(set(parameters) - names):
        raise ModelError(f"its tensors {', '.join(extra)} belong to no layer of this network")
    for parameter in expected:
        name, shape, found = parameter.name, parameter.shape, parameters[parameter.name]
        if found.shape != shape or found.dtype != np.float32:
            raise ModelError(
                f"its tensor {name} is {found.dtype} {found.shape}, but has to be float32 {shape}"
            )
        if not -inf < found.min() <= found.max() < inf:  # also false for NaN
            raise ModelError(f"its tensor {name} holds values that are not finite numbers")
