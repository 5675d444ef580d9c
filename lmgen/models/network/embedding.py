"""
The embedding: a vector for each token.

    e = T[id]        the row of a table, (V, m)
    e = 1_id         one-hot: as long as the vocabulary, 1 at the token's id and 0 elsewhere (no table)

Bengio, Ducharme, Vincent and Jauvin 2003. A row of the table times the next layer's weights is a column of
weights for a one-hot input: a table of its own gives that product fewer parameters (E instead of V inputs).
"""

import sys
from dataclasses import dataclass

from lmgen.models.network.functions import Array
from lmgen.models.network.initializers import normal
from lmgen.models.network.layer import Arrays, LayerState, Parameter

LARGE_VOCABULARY = 10_000
"""From so many tokens on the embedding starts small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A table with a vector for each token, looked up by id."""

    inputs: int
    """n = V: ids are 0 .. V - 1."""
    outputs: int
    """m = E: the length of a vector."""
    tied: bool = False
    """Whether the output layer uses the same table (Press and Wolf 2017)."""

    kind = "embedding"
    prefix = ""
    formula = "nm"
    state_sizes = ()
    borrowed = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """
        The table, (V, m).

        It starts normal with deviation 1, so that the gates tell tokens apart from the first step on (with
        0.1, three epochs of tinyshakespeare end 0.04 nats worse); with 1 / sqrt(m) if it is the output layer
        too, and from 10,000 tokens on, when most are rare and their rows are noise that few updates have to
        overcome (a third of an epoch of WikiText-2 ends 0.2 nats better).
        """
        small = self.tied or self.inputs >= LARGE_VOCABULARY
        start = normal(self.outputs**-0.5 if small else 1.0)
        shape = (self.inputs, self.outputs)
        return (Parameter("embedding", shape, (("n", self.inputs), ("m", self.outputs)), start),)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """The vectors of ids: (B,) -> (B, m)."""
        return arrays["embedding"][values], state

    window = step
    """The same for (T, B) -> (T, B, m)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHot:
    """A vector of V numbers for each token: 1 at its id, 0 elsewhere."""

    inputs: int
    """n = V: ids are 0 .. V - 1."""

    kind = "one-hot"
    prefix = ""
    formula = "0"
    parameters = ()
    state_sizes = ()
    borrowed = ()

    @property
    def outputs(self) -> int:
        """As long as the vocabulary: m = V."""
        return self.inputs

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:  # noqa: ARG002
        """The vectors of ids, float32: (B,) -> (B, V)."""
        import numpy as np

        if not isinstance(values, np.ndarray):
            float32 = sys.modules[type(values).__module__].float32  # torch's, which models/ never imports
            zeros = values.new_zeros((*values.shape, self.inputs), dtype=float32)
            return zeros.scatter_(-1, values[..., None], 1.0), state
        vectors = np.zeros((*values.shape, self.inputs), np.float32)
        np.put_along_axis(vectors, values[..., None], 1, -1)
        return vectors, state

    window = step
    """The same for (T, B) -> (T, B, V)."""
