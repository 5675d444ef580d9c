"""
What the members of a gated mixture (gated.py) say of next tokens: the opinions of their experts, and signals.

A language model is one expert without signals; counts that grow have an expert for each of several orders,
and signal how often each context was seen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.models.base import LanguageModel, LearningModel, State, predict_each


class Opinions(NamedTuple):
    """On next tokens."""

    probabilities: Float64Array
    """Of the tokens under each of K experts, (..., K)."""
    signals: Float64Array
    """What tells how far to trust them, (..., F), known before the token; numbers of about 0 to 2."""


class Member(Protocol):
    """Several experts that read the same text; states as those of a LanguageModel."""

    @property
    def experts(self) -> int:
        """K: opinions on each token."""

    @property
    def signals(self) -> int:
        """F: numbers that tell how far to trust them."""

    def start(self, streams: int) -> Any:
        """The state before the first token of a text, for B streams."""

    def restart(self, state: Any, streams: int) -> Any:
        """The state of the same streams before the first token of other texts, with all that was learned."""

    def opinions(self, state: Any) -> Opinions:
        """On all tokens that may come next: (B, V, K), with signals (B, F)."""

    def score(self, state: Any, ids: IdArray) -> tuple[Opinions, Any]:
        """On each of `ids`, (T, B): (T, B, K), with signals (T, B, F); and the state after them."""

    def opinions_each(self, state: Any, ids: IdArray) -> tuple[Opinions, Any]:
        """
        On all tokens that may come before each of `ids`, (T, B): (T, B, V, K), with signals (T, B, F); the
        state after them. Memory grows with T * B * V * K: callers choose T.
        """

    def follow(self, state: Any, ids: IdArray) -> Any:
        """The state after tokens, (T, B), that are context only: nothing is learned from them."""

    def select(self, state: Any, streams: Sequence[int]) -> Any:
        """The state of the listed streams, in that order; one may be listed twice, or left out."""


def opinions_one_by_one(member: Member, state: Any, ids: IdArray) -> tuple[Opinions, Any]:
    """What `opinions_each` gives, (T, B, V, K), of a member that finds those of one place at a time."""
    each = []
    for row in ids:
        each.append(member.opinions(state))
        _, state = member.score(state, row[None])
    return Opinions(*map(np.stack, zip(*each, strict=True))), state


class OneExpert:
    """A language model that stays as it is, as a member."""

    experts, signals = 1, 0

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def start(self, streams: int) -> State:
        """The model's."""
        return self.model.start(streams)

    def restart(self, state: State, streams: int) -> State:  # noqa: ARG002 - it has learned nothing
        """The same as `start`."""
        return self.start(streams)

    def opinions(self, state: State) -> Opinions:
        """The model's probabilities, (B, V, 1)."""
        found = np.exp(self.model.predict(state).astype(np.float64))[..., None]
        return Opinions(found, np.zeros((len(found), 0)))

    def score(self, state: State, ids: IdArray) -> tuple[Opinions, State]:
        """The model's probabilities of `ids`, (T, B, 1)."""
        scored, after = self.model.score(state, ids)
        return Opinions(np.exp(scored.astype(np.float64))[..., None], np.zeros((*ids.shape, 0))), after

    def opinions_each(self, state: State, ids: IdArray) -> tuple[Opinions, State]:
        """The model's probabilities before each of `ids`, (T, B, V, 1)."""
        found, after = predict_each(self.model, state, ids)
        return Opinions(np.exp(found.astype(np.float64))[..., None], np.zeros((*ids.shape, 0))), after

    def follow(self, state: State, ids: IdArray) -> State:
        """The model's state after `ids`."""
        return self.model.advance(state, ids)

    def select(self, state: State, streams: Sequence[int]) -> State:
        """The model's."""
        return self.model.select(state, streams)


class OneLearner(OneExpert):
    """A language model that learns from what it reads, as a member."""

    def __init__(self, model: LearningModel) -> None:
        super().__init__(model)
        self._learning = model

    def restart(self, state: State, streams: int) -> State:  # noqa: ARG002 - the state knows
        """The model's."""
        return self._learning.restart(state)

    def follow(self, state: State, ids: IdArray) -> State:
        """The model's."""
        return self._learning.follow(state, ids)
