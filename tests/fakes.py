"""Language models small enough to work out by hand: what evaluation and generation are tested with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmgen.arrays import FloatArray, IdArray, Tensors


class FakeModel:
    """What a fake says of itself: it is neither network nor n-grams, and is not saved."""

    kind = "fake"
    reads_in_order = False
    resets_at = None
    format_version = 1

    def describe(self) -> dict[str, Any]:
        return {"parameters": 0}

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        return {}, {}

    def as_network(self) -> None:
        pass

    def as_ngrams(self) -> None:
        pass


@dataclass
class BigramModel(FakeModel):
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

    def join(self, states: Sequence[IdArray]) -> IdArray:
        return np.concatenate(list(states))


@dataclass
class CountingModel(FakeModel):
    """
    Adapts while it reads: P(v) = (how often v was read + 1) / (tokens read + V).

    The state is how often each id was read, (B, V). `most_streams` is the most that were asked for at once.
    """

    vocabulary_size: int
    name: str = "counting"
    reads_in_order = True
    most_streams: int = 0

    def start(self, streams: int) -> FloatArray:
        self.most_streams = max(self.most_streams, streams)
        return np.zeros((streams, self.vocabulary_size))

    def predict(self, state: FloatArray) -> FloatArray:
        weights = state + 1
        return np.asarray(np.log(weights / weights.sum(axis=1, keepdims=True)))

    def advance(self, state: FloatArray, ids: IdArray) -> FloatArray:
        state = state.copy()
        for row in ids:
            state[np.arange(len(row)), row] += 1
        return state

    def score(self, state: FloatArray, ids: IdArray) -> tuple[FloatArray, FloatArray]:
        scored = np.zeros(ids.shape)
        for step, row in enumerate(ids):
            scored[step] = self.predict(state)[np.arange(len(row)), row]
            state = self.advance(state, row[None])
        return scored, state

    def restart(self, state: FloatArray) -> FloatArray:
        return state

    def follow(self, state: FloatArray, ids: IdArray) -> FloatArray:
        return state

    def select(self, state: FloatArray, streams: Sequence[int]) -> FloatArray:
        return state[list(streams)]


def uniform_model(vocabulary_size: int) -> BigramModel:
    """Every token is as likely as every other: perplexity is V, whatever the text."""
    return BigramModel(np.full((vocabulary_size, vocabulary_size), -np.log(vocabulary_size)), name="uniform")


def random_bigram_model(vocabulary_size: int, seed: int = 0) -> BigramModel:
    """A bigram model with random probabilities, each row summing to 1."""
    logits = np.random.default_rng(seed).normal(size=(vocabulary_size, vocabulary_size)) * 2
    return BigramModel(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
