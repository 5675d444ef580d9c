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
Float64Array = npt.NDArray[np.float64]

ROUNDING = 0.01
"""
No log-probability is above 0 by more, unless the model is damaged.

Rounding to float32 adds far less. An n-gram file with three decimals of each log10 may be wrong by 0.00115 in
each number, and adds up one for each order: below this up to order 8.
"""


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


def nats_of(log_probabilities: FloatArray) -> Float64Array:
    """
    Negative log-probabilities, in double precision.

    What rounding has put just above a probability of 1 is 1; what is far above it, or no number, is a NaN.
    """
    nats = np.maximum(0.0 - log_probabilities.astype(np.float64), 0.0)
    nats[log_probabilities > ROUNDING] = np.nan
    return nats
