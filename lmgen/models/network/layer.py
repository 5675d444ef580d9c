"""
What every layer of a network is: a function from values to values, its parameters, and what it remembers.

Files of layers read in the same order: the equation and its source; the shapes of the parameters, with the
formula in letters; how they start; one step and one window; what is remembered between steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Protocol

from lmgen.models.network.functions import Array
from lmgen.models.network.initializers import Initializer, Shape

LayerState = tuple[Array, ...]
"""What a layer remembers between two steps, each part (B, size); empty if it remembers nothing."""

NetworkState = tuple[LayerState, ...]
"""Of each layer between the embedding and the output."""

Arrays = Mapping[str, Array]
"""A layer's parameters by their names in it, or all of a network by their names in the model file."""

Factors = tuple[tuple[str, int], ...]
"""A number of parameters as a product: letters or digits, and what each stands for. 4 n m is 4 * 64 * 256."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One trainable array."""

    name: str
    """In the model file, such as `layers.0.weight_input`."""
    shape: Shape
    factors: Factors
    """Their product is how many numbers the array holds."""
    start: Initializer

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def formula(self) -> str:
        """The count in letters: `4 n m`, `4 m²`."""
        letters = " ".join(letter for letter, _ in self.factors)
        return letters.replace("m m", "m²")

    @property
    def numbers(self) -> str:
        """The count with the numbers put in: `4 x 64 x 256`."""
        return " x ".join(str(number) for _, number in self.factors)


class Layer(Protocol):
    """
    A layer of a network, on arrays of numpy and torch alike.

    Every way of computing a layer faster (kernels.py, training/layers/) is optional: what is here suffices.
    """

    @property
    def kind(self) -> str:
        """What it is called, such as `dense`."""

    @property
    def prefix(self) -> str:
        """What the names of its parameters begin with in a model file, such as `layers.0.`."""

    @property
    def inputs(self) -> int:
        """n: the length of what it reads at each step; V where it reads token ids."""

    @property
    def outputs(self) -> int:
        """m: the length of what it gives at each step."""

    @property
    def formula(self) -> str:
        """How many parameters it has, in letters: `4(nm + m² + m)`."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its trainable arrays, in the order of the model file."""

    @property
    def borrowed(self) -> tuple[tuple[str, str], ...]:
        """Arrays of other layers that it uses: its own name for each, and the name in the model file."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The length of each part of what it remembers for a stream between two steps."""

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """
        Read one token a stream.

        Args:
            arrays: its parameters, by their names without the prefix.
            values: (B, n); ids, (B,), where it reads these.
            state: before; left as it is.

        Returns:
            What it gives, (B, m), and the state after.
        """

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Read T tokens a stream, (T, B, n) -> (T, B, m): the same as T steps."""


def arrays_of(layer: Layer, parameters: Arrays) -> dict[str, Array]:
    """What a layer computes with among a network's parameters, by their names without its prefix."""
    own = {
        parameter.name.removeprefix(layer.prefix): parameters[parameter.name]
        for parameter in layer.parameters
    }
    return own | {name: parameters[source] for name, source in layer.borrowed}
