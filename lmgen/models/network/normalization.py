"""
Layer normalisation: each step's values are shifted and scaled to mean 0 and variance 1, over all units.

    y = α (v - mean(v)) / sqrt(variance(v) + ε) + β     mean and variance over the n units; α (n), β (n)

Ba, Kiros and Hinton 2016, equation 4. It follows each recurrent layer (and its residual connection), so that
the next layer, attention or the output reads values of the same scale at every step. `lstm-layernorm` is the
cell of that paper, which normalises inside the recurrence.
"""

from dataclasses import dataclass

from lmgen.models.network.cells import normalise
from lmgen.models.network.functions import Array
from lmgen.models.network.initializers import ones, zeros
from lmgen.models.network.layer import Arrays, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNormalization:
    """Layer normalisation of the output of a recurrent layer."""

    number: int
    """Index of that recurrent layer, from 0."""
    inputs: int
    """Number of units n."""

    kind = "layer-normalization"
    formula = "2n"
    state_sizes = ()
    borrowed = ()

    @property
    def prefix(self) -> str:
        """Prefix of parameter names: `normalization.0.` after the first recurrent layer."""
        return f"normalization.{self.number}."

    @property
    def outputs(self) -> int:
        """Output size: that of the input, n."""
        return self.inputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The gain α, (n), initialized to 1, and β, (n), initialized to 0."""
        n = ("n", self.inputs)
        return (
            Parameter(f"{self.prefix}gain", (self.inputs,), (n,), ones),
            Parameter(f"{self.prefix}bias", (self.inputs,), (n,), zeros),
        )

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """One step: (B, n) -> (B, n)."""
        return arrays["gain"] * normalise(values) + arrays["bias"], state

    window = step
    """All steps of a window at once: (T, B, n) -> (T, B, n)."""
