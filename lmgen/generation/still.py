"""A model that learns from prompts, and not from what it writes itself."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from lmgen.arrays import FloatArray, IdArray
from lmgen.models.base import LanguageModel, LearningModel, State


def writing(model: LanguageModel, *, learn_from_itself: bool = False) -> LanguageModel:
    """The model as it goes on after a prompt: itself, or one that learns nothing more."""
    if learn_from_itself or not model.reads_in_order:
        return model
    return cast(LanguageModel, _Still(cast(LearningModel, model)))


class _Still:
    """A model that has learned, and learns nothing more."""

    def __init__(self, model: LearningModel) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, state: State) -> FloatArray:
        """The model's."""
        return self._model.predict(state)

    def advance(self, state: State, ids: IdArray) -> State:
        """The state after `ids`, (T, B), as context only."""
        return self._model.follow(state, ids)

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """Log-probabilities of `ids`, (T, B), and the state after them as context only."""
        found = np.zeros(ids.shape)
        for step, row in enumerate(ids):
            found[step] = self.predict(state)[np.arange(len(row)), row]
            state = self.advance(state, row[None])
        return found, state

    def select(self, state: State, streams: Sequence[int]) -> State:
        """The model's."""
        return self._model.select(state, streams)
