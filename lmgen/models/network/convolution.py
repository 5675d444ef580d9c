"""
The causal convolution: each step reads the last w inputs (Waibel et al. 1989), never one of the future.

    y_t = f(Σ_k W_k v_(t-k) + b)   k = 0 .. w-1; W_k (m, n), b (m); f is an activation such as relu

Inputs before the start of a text are 0. Without recurrent layers this is the feed-forward language model of
Bengio, Ducharme, Vincent and Jauvin 2003: a window of w token vectors, then a hidden layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lmgen.models.network.functions import ACTIVATIONS, Array, concatenate, linear
from lmgen.models.network.initializers import each_block, glorot, scaled, zeros
from lmgen.models.network.layer import Arrays, Factors, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A causal convolution between the embedding and the recurrent layers."""

    number: int
    """Index among the convolutions, from 0."""
    width: int
    """Number w of inputs that a step reads."""
    inputs: int
    """Input size n."""
    outputs: int
    """Number of filters m."""
    activation: str
    """Key in ACTIVATIONS."""

    kind = "convolution"
    borrowed = ()

    @property
    def prefix(self) -> str:
        """Prefix of parameter names: `convolution.0.` for the first convolution."""
        return f"convolution.{self.number}."

    @property
    def formula(self) -> str:
        """Parameter count: `3nm + m` for a width of 3."""
        return f"{'' if self.width == 1 else self.width}nm + m"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """W_0 .. W_(w-1) as blocks of rows, (w*m, n), and b, (m), initialized to 0."""
        w, n, m = self.width, ("n", self.inputs), ("m", self.outputs)
        start = scaled(each_block(w, glorot), w**-0.5)  # glorot with fan in and fan out of all w blocks
        factors: Factors = (n, m) if w == 1 else ((str(w), w), n, m)
        return (
            Parameter(f"{self.prefix}weight", (w * self.outputs, self.inputs), factors, start),
            Parameter(f"{self.prefix}bias", (self.outputs,), (m,), zeros),
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The last w - 1 inputs, each of size n, the oldest first."""
        return (self.inputs,) * (self.width - 1)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """One step: (B, n) -> (B, m)."""
        seen = (*state, values)
        return self._filtered(arrays, seen), seen[1:]

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """T steps: (T, B, n) -> (T, B, m), with one product for each block of W."""
        steps = len(values)
        seen = concatenate([*(part[None] for part in state), values])  # (w - 1 + T, B, n)
        shifted = [seen[first : first + steps] for first in range(self.width)]
        return self._filtered(arrays, shifted), tuple(seen[steps:])

    def _filtered(self, arrays: Arrays, seen: Sequence[Array]) -> Array:
        """Compute the outputs from the w inputs that each step reads, the oldest first: (..., n)."""
        m = self.outputs
        total = arrays["bias"]
        for k, values in enumerate(reversed(seen)):
            total = total + linear(values, arrays["weight"][k * m : (k + 1) * m])
        return ACTIVATIONS[self.activation](total)
