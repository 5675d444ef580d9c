"""Language models small enough to work out by hand: what evaluation and generation are tested with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmgen.models.base import FloatArray, IdArray


@dataclass
class BigramModel:
    """P(next | the last token) from a table of log-probabilities, (V, V); the state is the last token."""

    table: FloatArray
    first: int = 0
    name: str = "bigram"

    @property
    def vocabulary_size(self) -> int:
        return len(self.table)

    def start(self, streams: int) -> IdArray:
        return np.full(streams, self.first)

    def predict(self, state: IdArray) -> FloatArray:
        return self.table[state]

    def advance(self, state: IdArray, ids: IdArray) -> IdArray:
        return np.array(ids[-1]) if len(ids) else state

    def score(self, state: IdArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
        before = np.concatenate([state[None], ids])
        return self.table[before[:-1], before[1:]], np.array(before[-1])

    def select(self, state: IdArray, streams: Sequence[int]) -> IdArray:
        return state[list(streams)]


def uniform_model(vocabulary_size: int) -> BigramModel:
    """Every token is as likely as every other: perplexity is V, whatever the text."""
    return BigramModel(np.full((vocabulary_size, vocabulary_size), -np.log(vocabulary_size)), name="uniform")


def random_bigram_model(vocabulary_size: int, seed: int = 0) -> BigramModel:
    """A bigram model with random probabilities, each row summing to 1."""
    logits = np.random.default_rng(seed).normal(size=(vocabulary_size, vocabulary_size)) * 2
    return BigramModel(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
