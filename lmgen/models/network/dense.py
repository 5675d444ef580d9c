"""
A dense layer, fully connected: y = f(W v + b) at each step, with an activation f such as tanh.
"""

from dataclasses import dataclass

from lmgen.models.network.functions import ACTIVATIONS, Array, linear
from lmgen.models.network.initializers import glorot, zeros
from lmgen.models.network.layer import Arrays, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A fully connected layer between the recurrent layers and the output."""

    number: int
    """Its place among the dense layers, from 0."""
    inputs: int
    """n."""
    outputs: int
    """m: how many units."""
    activation: str
    """A name in ACTIVATIONS."""

    kind = "dense"
    formula = "nm + m"
    state_sizes = ()
    borrowed = ()

    @property
    def prefix(self) -> str:
        """`dense.0.` for the first."""
        return f"dense.{self.number}."

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """W, (m, n), which starts uniform (`glorot`), and b, (m), which starts from 0."""
        n, m = ("n", self.inputs), ("m", self.outputs)
        return (
            Parameter(f"{self.prefix}weight", (self.outputs, self.inputs), (n, m), glorot),
            Parameter(f"{self.prefix}bias", (self.outputs,), (m,), zeros),
        )

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """One step: (B, n) -> (B, m)."""
        activation = ACTIVATIONS[self.activation]
        return activation(linear(values, arrays["weight"]) + arrays["bias"]), state

    window = step
    """The same for (T, B, n) -> (T, B, m)."""
