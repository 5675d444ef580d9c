"""
The embedding: maps each token id to a vector.

    e = T[id]        a row of the table T, (V, m)
    e = 1_id         one-hot: length V, 1 at the token's id and 0 elsewhere; no parameters

Bengio, Ducharme, Vincent and Jauvin 2003. An embedding followed by the next layer's input weights W is
equivalent to a one-hot input with weights W Tᵀ. Factoring these into two matrices saves parameters if E is
less than V.
"""

import sys
from dataclasses import dataclass

from lmgen.models.network.functions import Array
from lmgen.models.network.initializers import normal
from lmgen.models.network.layer import Arrays, LayerState, Parameter

LARGE_VOCABULARY = 10_000
"""Vocabulary size from which the embedding is initialized with small values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A table of token vectors, looked up by id."""

    inputs: int
    """n = V: ids are 0 .. V - 1."""
    outputs: int
    """m = E: length of a token's vector."""
    tied: bool = False
    """Whether the output layer shares the table (Press and Wolf 2017)."""

    kind = "embedding"
    prefix = ""
    formula = "nm"
    state_sizes = ()
    borrowed = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """
        The table, (V, m).

        Initialized from a normal distribution. A standard deviation of 1 lets the gates distinguish tokens
        from the first step on (benchmarks/results/defaults.md compares it with 0.1). It is 1 / sqrt(m) for
        tied weights, and from LARGE_VOCABULARY tokens on: most tokens are rare there, and their few updates
        must overcome the initial noise.
        """
        small = self.tied or self.inputs >= LARGE_VOCABULARY
        start = normal(self.outputs**-0.5 if small else 1.0)
        shape = (self.inputs, self.outputs)
        return (Parameter("embedding", shape, (("n", self.inputs), ("m", self.outputs)), start),)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Look up the vectors of ids: (B,) -> (B, m)."""
        return arrays["embedding"][values], state

    window = step
    """All steps of a window at once: (T, B) -> (T, B, m)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHot:
    """One-hot input without parameters: a vector of length V, 1 at the token's id and 0 elsewhere."""

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
        """Length of a token's vector: m = V."""
        return self.inputs

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:  # noqa: ARG002
        """One-hot vectors of ids, float32: (B,) -> (B, V)."""
        import numpy as np

        if not isinstance(values, np.ndarray):
            float32 = sys.modules[type(values).__module__].float32  # torch's, which models/ never imports
            zeros = values.new_zeros((*values.shape, self.inputs), dtype=float32)
            return zeros.scatter_(-1, values[..., None], 1.0), state
        vectors = np.zeros((*values.shape, self.inputs), np.float32)
        np.put_along_axis(vectors, values[..., None], 1, -1)
        return vectors, state

    window = step
    """All steps of a window at once: (T, B) -> (T, B, V)."""
