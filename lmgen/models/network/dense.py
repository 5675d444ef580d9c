"""
The dense (fully connected) layer: y = f(W v + b) at each step, with an activation f such as tanh.
"""

from dataclasses import dataclass

from lmgen.models.network.functions import ACTIVATIONS, Array, linear
from lmgen.models.network.initializers import glorot, zeros
from lmgen.models.network.layer import Arrays, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A fully connected layer between the recurrent layers and the output."""

    number: int
    """Index among the dense layers, from 0."""
    inputs: int
    """Input size n."""
    outputs: int
    """Number of units m."""
    activation: str
    """Key in ACTIVATIONS."""

    kind = "dense"
    formula = "nm + m"
    state_sizes = ()
    borrowed = ()

    @property
    def prefix(self) -> str:
        """Prefix of parameter names: `dense.0.` for the first dense layer."""
        return f"dense.{self.number}."

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """W, (m, n), initialized by `glorot`, and b, (m), initialized to 0."""
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
    """All steps of a window at once: (T, B, n) -> (T, B, m)."""
