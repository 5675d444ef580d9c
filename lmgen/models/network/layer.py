"""
The interface of a layer: its parameters, its state between steps, and how it computes one step or a window.

Files of layers share one order: the equation and its source; the shapes of the parameters, with their count
as a formula; their initialization; one step and one window; the state between steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Protocol

from lmgen.models.network.functions import Array
from lmgen.models.network.initializers import Initializer, Shape

LayerState = tuple[Array, ...]
"""The state of a layer between two steps, each part (B, size); empty for a layer without state."""

NetworkState = tuple[LayerState, ...]
"""The states of all layers between the embedding and the output, and then that of the embedding."""

Arrays = Mapping[str, Array]
"""Parameters by name: without the prefix for one layer, as in the model file for a whole network."""

Factors = tuple[tuple[str, int], ...]
"""A parameter count as a product of (symbol, value) factors, such as 4 n m = 4 * 64 * 256."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One trainable array."""

    name: str
    """Name in the model file, such as `layers.0.weight_input`."""
    shape: Shape
    factors: Factors
    """Factors of the number of elements."""
    start: Initializer

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def formula(self) -> str:
        """The count as a formula: `4 n m`, `4 m²`."""
        letters = " ".join(letter for letter, _ in self.factors)
        return letters.replace("m m", "m²").replace("H H", "H²")

    @property
    def numbers(self) -> str:
        """The formula with values substituted: `4 x 64 x 256`."""
        return " x ".join(str(number) for _, number in self.factors)


class Layer(Protocol):
    """
    A layer of a network, which computes on numpy and torch arrays.

    Faster implementations (kernels.py, training/layers/) are optional: these methods are enough for a layer.
    """

    @property
    def kind(self) -> str:
        """Kind of layer for people, such as `dense`."""

    @property
    def prefix(self) -> str:
        """Prefix of its parameter names in a model file, such as `layers.0.`."""

    @property
    def inputs(self) -> int:
        """Input size n per step; V for a layer that reads token ids."""

    @property
    def outputs(self) -> int:
        """Output size m per step."""

    @property
    def formula(self) -> str:
        """Number of parameters as a formula: `4(nm + m² + m)`."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Trainable arrays, in the order of the model file; the first multiplies the input."""

    @property
    def borrowed(self) -> tuple[tuple[str, str], ...]:
        """Arrays shared from other layers, as pairs: name in this layer, name in the model file."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Size of each part of the state, per stream."""

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """
        Compute one step for each of B streams.

        Args:
            arrays: parameters of this layer, by their names without the prefix.
            values: input, (B, n), or token ids, (B,).
            state: previous state; not modified.

        Returns:
            The output, (B, m), and the next state.
        """

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Compute T steps, (T, B, n) -> (T, B, m), with the same result as T calls of `step`."""


def arrays_of(layer: Layer, parameters: Arrays) -> dict[str, Array]:
    """Select a layer's own and borrowed arrays from a network's parameters, by names without the prefix."""
    own = {
        parameter.name.removeprefix(layer.prefix): parameters[parameter.name]
        for parameter in layer.parameters
    }
    return own | {name: parameters[source] for name, source in layer.borrowed}
