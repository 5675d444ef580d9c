"""
Attention: each step looks back at the K hidden states before its own, and joins what it finds to its own.

    e_k = v · tanh(W_q h_t + W_k h_(t-k))        k = 1 .. K; W_q and W_k (m, m), v (m)
    a   = softmax(e)                             over those of the K steps that the text has
    c   = Σ_k a_k h_(t-k)                        the context; 0 at the first step of a text
    y_t = tanh(W_h h_t + W_c c + b)              W_h and W_c (m, m), b (m)

The score is the additive one of Bahdanau, Cho and Bengio 2014, whose query here is the current hidden state;
the rest is that of Daniluk, Rocktäschel, Welbl and Riedel 2017, equations 2 to 5.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lmgen.models.network.functions import Array, concatenate, linear, ones_like, softmax, stack, tanh
from lmgen.models.network.initializers import glorot, uniform, zeros
from lmgen.models.network.layer import Arrays, LayerState, Parameter

NEVER = -1e30
"""Added to the score of a position that does not exist: its share becomes exactly 0."""


def contexts(shares: Array, seen: Array) -> Array:
    """Σ_k a_k h_(t-k) at each of T steps, (T, B, m): from shares, (K, T, B), and states, (K + T, B, m)."""
    steps = shares.shape[1]
    return sum(share[..., None] * seen[k : k + steps] for k, share in enumerate(shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Attention over the last hidden states of the layer below."""

    inputs: int
    """Size m of the hidden states."""
    reach: int
    """Number K of earlier hidden states."""

    kind = "attention"
    prefix = "attention."
    formula = "4m² + 2m"
    borrowed = ()

    @property
    def outputs(self) -> int:
        """Output size: that of the input, m."""
        return self.inputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Matrices initialized by `glorot`, v to uniform values, b to 0."""
        m = ("m", self.inputs)
        square, vector = (self.inputs, self.inputs), (self.inputs,)
        return (
            Parameter("attention.weight_query", square, (m, m), glorot),
            Parameter("attention.weight_key", square, (m, m), glorot),
            Parameter("attention.score", vector, (m,), uniform(self.inputs**-0.5)),
            Parameter("attention.weight_hidden", square, (m, m), glorot),
            Parameter("attention.weight_context", square, (m, m), glorot),
            Parameter("attention.bias", vector, (m,), zeros),
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The last K hidden states one after another, the oldest first, and for each a 1 if it exists."""
        return self.reach * self.inputs, self.reach

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """One step: (B, m) -> (B, m)."""
        given, after = self.window(arrays, values[None], state)
        return given[0], after

    def window(
        self,
        arrays: Arrays,
        values: Array,
        state: LayerState,
        summed: Callable[[Array, Array], Array] = contexts,
    ) -> tuple[Array, LayerState]:
        """
        T steps: (T, B, m) -> (T, B, m), with one product for the keys of all of them.

        `summed` is `contexts`, or a faster way to compute the same.
        """
        steps, streams = len(values), values.shape[1]
        before = state[0].reshape(streams, self.reach, self.inputs).swapaxes(0, 1)
        seen = concatenate([before, values])  # (K + T, B, m)
        exists = concatenate([state[1].swapaxes(0, 1), ones_like(values[..., 0])])  # (K + T, B)
        shares = self._shares(arrays, values, seen, exists)  # (K, T, B)
        context = linear(summed(shares, seen), arrays["weight_context"])
        joined = linear(values, arrays["weight_hidden"]) + context
        memory, marks = seen[steps:].swapaxes(0, 1), exists[steps:].swapaxes(0, 1)
        return tanh(joined + arrays["bias"]), (memory.reshape(streams, -1), marks.reshape(streams, -1))

    def _shares(self, arrays: Arrays, values: Array, seen: Array, exists: Array) -> Array:
        """
        Compute the softmax of the scores of the K states that each of T steps looks at, the oldest first.

        A loop over K takes half the time and memory of one array of (T, B, K, m).
        """
        steps = len(values)
        query = linear(values, arrays["weight_query"])
        keys = linear(seen, arrays["weight_key"])
        places = [slice(k, k + steps) for k in range(self.reach)]
        scores = stack([tanh(query + keys[place]) @ arrays["score"] for place in places])
        present = stack([exists[place] for place in places])
        return softmax(scores + NEVER * (1 - present)) * present
