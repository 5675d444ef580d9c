"""
Pooling: one vector for a whole text, from the vectors of its tokens. It has no parameters.

    max     y_t = max(v_1, ..., v_t), number by number (Collobert et al. 2011; Kim 2014)
    mean    y_t = (v_1 + ... + v_t) / t
    last    y_t = [h_t; k_1] of a bidirectional layer's v = [h; k]: either direction after its whole text

Each is kept up to date from step to step, so that the value at the last token of a text is that of the whole
text, whatever padding follows it.
"""

from dataclasses import dataclass

from lmgen.models.network.functions import Array, concatenate, maximum, ones_like, stack
from lmgen.models.network.layer import Arrays, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """What stands for all the steps up to the present one; `last` is for a bidirectional layer below."""

    inputs: int
    """Input size n."""
    pool: str
    """`last`, `max` or `mean`."""

    prefix = "pooling."
    formula = "0"
    borrowed = ()

    @property
    def kind(self) -> str:
        """Kind of layer for people: `max pooling`."""
        return f"{self.pool} pooling"

    @property
    def outputs(self) -> int:
        """Output size: that of the input, n."""
        return self.inputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """None."""
        return ()

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The maximum, the sum, or the first k; and the number of steps before."""
        return (self.inputs // 2 if self.pool == "last" else self.inputs), 1

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:  # noqa: ARG002
        """One step: (B, n) -> (B, n)."""
        kept, count = state
        count = count + ones_like(count)
        if self.pool == "mean":
            kept = kept + values
            return kept / count, (kept, count)
        begins = (count == 1) * ones_like(count)
        if self.pool == "max":
            kept = begins * values + (1 - begins) * maximum(kept, values)
            return kept, (kept, count)
        half = self.inputs // 2
        kept = begins * values[:, half:] + (1 - begins) * kept
        return concatenate([values[:, :half], kept], axis=1), (kept, count)

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """T steps: (T, B, n) -> (T, B, n)."""
        pooled = []
        for each in values:
            given, state = self.step(arrays, each, state)
            pooled.append(given)
        return stack(pooled), state
