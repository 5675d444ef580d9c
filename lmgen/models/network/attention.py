"""
Attention: each step looks back at the K hidden states before its own, and joins what it finds to its own.

    e_k = v · tanh(W_q h_t + W_k h_(t-k))        k = 1 .. K; W_q and W_k (m, m), v (m)
    a   = softmax(e)                             over those of the K steps that the text has
    c   = Σ_k a_k h_(t-k)                        the context; 0 at the first step of a text
    y_t = tanh(W_h h_t + W_c c + b)              W_h and W_c (m, m), b (m)

The score is the additive one of Bahdanau, Cho and Bengio 2014, whose query here is the current hidden state;
the rest is that of Daniluk, Rocktäschel, Welbl and Riedel 2017, equations 2 to 5.
"""

from dataclasses import dataclass

from lmgen.models.network.functions import Array, concatenate, linear, ones_like, sliding, softmax, tanh
from lmgen.models.network.initializers import glorot, uniform, zeros
from lmgen.models.network.layer import Arrays, LayerState, Parameter

NEVER = -1e30
"""Added to the score of a position that does not exist: its share becomes exactly 0."""


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
        memory, exists = state
        hidden = memory.reshape(len(values), self.reach, self.inputs)
        given = self._joined(arrays, values, hidden, linear(hidden, arrays["weight_key"]), exists)
        after = concatenate([memory[:, self.inputs :], values], axis=1)
        return given, (after, concatenate([exists[:, 1:], ones_like(exists[:, :1])], axis=1))

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """T steps: (T, B, m) -> (T, B, m), with one product for the keys of all of them."""
        steps, streams, K = len(values), values.shape[1], self.reach
        before = state[0].reshape(streams, K, self.inputs).swapaxes(0, 1)
        seen = concatenate([before, values])  # (K + T, B, m)
        exists = concatenate([state[1].swapaxes(0, 1), ones_like(values[..., 0])])  # (K + T, B)
        keys = linear(seen, arrays["weight_key"])
        looked_at = (sliding(part, K)[:steps] for part in (seen, keys, exists[..., None]))
        hidden, keys, present = looked_at  # (T, B, K, ...)
        given = self._joined(arrays, values, hidden, keys, present[..., 0])
        memory = seen[steps:].swapaxes(0, 1).reshape(streams, -1)
        return given, (memory, exists[steps:].swapaxes(0, 1).reshape(streams, -1))

    def _joined(self, arrays: Arrays, values: Array, hidden: Array, keys: Array, exists: Array) -> Array:
        """
        Compute the output of any number of steps.

        Args:
            arrays: the parameters.
            values: h_t, (..., m).
            hidden: the K hidden states that each step looks at, (..., K, m).
            keys: W_k of each of these, (..., K, m).
            exists: 1 for those that exist, 0 for the others, (..., K).
        """
        query = linear(values, arrays["weight_query"])
        scores = tanh(query[..., None, :] + keys) @ arrays["score"]
        shares = softmax(scores + NEVER * (1 - exists)) * exists
        context = (shares[..., None, :] @ hidden)[..., 0, :]
        joined = linear(values, arrays["weight_hidden"]) + linear(context, arrays["weight_context"])
        return tanh(joined + arrays["bias"])
