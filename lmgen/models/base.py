"""
The protocol that evaluation and generation are written against, whatever the model is.

A state stands between two tokens: it is all that a model remembers of the tokens before, for each of B
streams. What is inside is the model's own business.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lmgen.tokenizers.base import IdArray as IdArray

State = Any
"""Opaque outside the model that made it. A state is never changed in place: it may be kept and used again."""

FloatArray = npt.NDArray[np.floating[Any]]


class LanguageModel(Protocol):
    """P(next token | all tokens before), for B streams side by side. All logarithms are natural."""

    @property
    def vocabulary_size(self) -> int:
        """V: ids are 0 .. V - 1."""

    @property
    def name(self) -> str:
        """A word or two that say what it is: `lstm`, `ngram-5`."""

    def start(self, streams: int) -> State:
        """The state before the first token of a text, for B = `streams` streams."""

    def predict(self, state: State) -> FloatArray:
        """Log-probabilities of the next token, (B, V): each row sums to 1 when exponentiated."""

    def advance(self, state: State, ids: IdArray) -> State:
        """The state after reading T more tokens a stream; `ids` is (T, B)."""

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """
        Log-probability of each of the tokens `ids`, (T, B), given all before it; and the state after them.

        The same as T times `predict`, pick, `advance`, and faster. Memory may grow with T * B * V: callers
        choose T.
        """

    def select(self, state: State, streams: Sequence[int]) -> State:
        """The state of the listed streams, in that order; one may be listed twice, or left out."""
