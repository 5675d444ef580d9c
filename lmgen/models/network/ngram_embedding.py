"""
The n-gram embedding: maps each token, and the n-grams that end with it, to one vector.

    e_t = T[w_t] + Σ_n G[hash(w_(t-n+1) .. w_t)]   n = 2 .. N; T (V, m), G (R, m)

Without it a recurrent layer first has to learn to remember the last few tokens, so with it the network learns
more from few updates. All n-grams share the R rows of G by a hash: two of them that share a row differ in
the vectors of their shorter n-grams. G is initialized to 0, so a new network is one with a plain embedding.

Pagnoni et al. 2024 (Byte Latent Transformer, section 3.2.1); Huang et al. 2025 (Over-Tokenized Transformer).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmgen.models.network.embedding import Embedding
from lmgen.models.network.functions import Array, alike, concatenate, integers, stack
from lmgen.models.network.initializers import zeros
from lmgen.models.network.layer import Arrays, LayerState, Parameter

MULTIPLIER = 1_000_003
PRIME = (1 << 31) - 1
"""Of the hash; products of keys below the prime and the multiplier stay within 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramEmbedding:
    """A table of token vectors, and one of n-gram vectors."""

    tokens: Embedding
    """The embedding of tokens."""
    order: int
    """N, the length of the longest n-grams, at least 2."""
    rows: int
    """R, the number of rows of their table."""

    kind = "n-gram embedding"
    prefix = ""
    formula = "nm + Rm"
    borrowed = ()

    @property
    def inputs(self) -> int:
        """Size of the vocabulary, n = V."""
        return self.tokens.inputs

    @property
    def outputs(self) -> int:
        """Length of a vector, m = E."""
        return self.tokens.outputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The table of tokens, (V, m), and that of n-grams, (R, m), initialized to 0."""
        factors = (("R", self.rows), ("m", self.outputs))
        ngrams = Parameter("ngram_embedding", (self.rows, self.outputs), factors, zeros)
        return (*self.tokens.parameters, ngrams)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The N - 1 tokens before the next one, the oldest first: 1 + id, or 0 for none."""
        return (self.order - 1,)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Look up the vectors of ids: (B,) -> (B, m)."""
        given, after = self.window(arrays, values[None], state)
        return given[0], after

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """All steps of a window at once: (T, B) -> (T, B, m)."""
        ngrams, after = self.ngrams(values, state)
        return arrays["embedding"][values] + arrays["ngram_embedding"][ngrams].sum(-2), after

    def ngrams(self, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """The rows of the n-grams that end with each of the ids, (T, B) -> (T, B, N - 1); the state after."""
        (before,) = state
        seen = concatenate([integers(before).T, integers(values) + 1])  # (N - 1 + T, B)
        steps = len(values)
        shifted = [seen[first : first + steps] for first in range(self.order)]
        return stack(hashed(shifted, self.rows), axis=-1), (alike(seen[steps:].T, before),)


def hashed(tokens: Sequence[Any], rows: int) -> list[Any]:
    """
    The rows of the n-grams that end with the last of N tokens, for n = 2 .. N.

    Args:
        tokens: the oldest first, each 1 + id, or 0 for none: integers, or int64 arrays of one shape.
        rows: R.

    Returns:
        N - 1 integers or arrays, each 0 .. R - 1.
    """
    key, found = tokens[-1], []
    for earlier in reversed(tokens[:-1]):
        key = (key * MULTIPLIER + earlier) % PRIME
        found.append(key % rows)
    return found
