"""The loss on the validation text, in a way that can be interrupted and shared out among processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

import numpy as np
import torch

from lmgen.arrays import FloatArray, IdArray
from lmgen.data.answers import Answers
from lmgen.data.batches import Batches
from lmgen.data.token_file import Tokens
from lmgen.errors import NumericalError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.base import State
from lmgen.training.distributed import ALONE, Group
from lmgen.training.network import Network, TorchLanguageModel
from lmgen.training.optimization.weighting import scored_positions


class StopRequested(Exception):  # noqa: N818 - not an error
    """Training was asked to stop."""


@dataclass(frozen=True, slots=True)
class Scored:
    """How well a network predicts a validation text."""

    nats: float
    """The mean loss per token, or per label."""
    accuracy: float | None = None
    """Share of labels that are predicted right; None where tokens are predicted."""


class Validation(Protocol):
    """A validation text."""

    @property
    def tokens(self) -> int:
        """How many tokens are scored."""

    def score(self, network: Network, should_stop: Callable[[], bool], place: str) -> Scored:
        """
        Score a network, whose mode is as before afterwards.

        Args:
            network: the network that is trained.
            should_stop: asked before each block of the text.
            place: where training stands, for the message of an error.

        Raises:
            NumericalError: the loss is not finite.
            StopRequested: `should_stop` said yes.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TextValidation:
    """A validation text whose tokens are predicted one after the other."""

    ids: Tokens
    """The text, (N,)."""
    limit: int
    """Score only this many tokens from its start."""
    start_token: int
    unit_end: int | None = None
    answers: Answers | None = None
    """How the answers are found that alone are scored; None: all tokens are."""
    group: Group = ALONE
    """The processes that score it together."""

    @property
    def tokens(self) -> int:
        """How many tokens are scored."""
        return min(self.limit, len(self.ids))

    def score(self, network: Network, should_stop: Callable[[], bool], place: str) -> Scored:
        """Score a network as `lmgen perplexity` does (see `Validation`)."""
        model = TorchLanguageModel(network, self.start_token, self.unit_end)
        alone = self.group.size == 1
        asked = _Interruptible(model, should_stop) if alone else _Shared(model, should_stop, self.group)
        try:
            return Scored(mean_nats(asked, self.ids, self.limit, self.answers)[0])
        except NumericalError as error:
            raise _not_finite(place) from error


@dataclass(frozen=True, slots=True)
class LabelValidation:
    """Validation texts whose labels are predicted; the loss of none is 0."""

    batches: Batches
    group: Group = ALONE
    """The processes that score them together, each a batch in turn."""

    @property
    def tokens(self) -> int:
        """How many tokens the texts have."""
        return len(self.batches.ids)

    def score(self, network: Network, should_stop: Callable[[], bool], place: str) -> Scored:
        """Score a network (see `Validation`)."""
        nats = right = labels = 0.0
        was_training = network.training
        network.eval()
        try:
            for number, batch in enumerate(self.batches.epoch(0)):
                if self.group.any(should_stop()):
                    raise StopRequested
                if number % self.group.size != self.group.rank or not batch.scored:
                    continue
                ids = torch.from_numpy(batch.inputs).to(network.device)
                targets = torch.from_numpy(batch.targets).to(network.device)
                weights = None if batch.weights is None else torch.from_numpy(batch.weights).to(ids.device)
                with torch.inference_mode():
                    hidden, _ = network.read(ids, network.initial_state(ids.shape[1]))
                    hidden, wanted, _ = scored_positions(hidden, targets, weights)
                    scores = network.predict(hidden)
                    nats -= float(scores.gather(1, wanted[:, None]).double().sum())
                right += int((scores.argmax(1) == wanted).sum())
                labels += len(wanted)
        finally:
            network.train(was_training)
        nats, right, labels = self.group.sum([nats, right, labels])
        if not isfinite(nats):
            raise _not_finite(place)
        return Scored(nats / max(labels, 1), right / max(labels, 1))


class _Interruptible(TorchLanguageModel):
    """A model that asks before each block of a text whether to stop."""

    def __init__(self, model: TorchLanguageModel, should_stop: Callable[[], bool]) -> None:
        super().__init__(model.network, model.start_token, model.unit_end)
        self._should_stop = should_stop

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """Score a block, unless scoring is to stop (`StopRequested`)."""
        if self._should_stop():
            raise StopRequested
        return super().score(state, ids)


class _Shared(TorchLanguageModel):
    """
    A model that several processes ask for the same scores: each computes some streams, and all get all.

    A state says which process has each of the B streams, (B,), and has the state of this one's, if there are
    any.
    """

    def __init__(self, model: TorchLanguageModel, should_stop: Callable[[], bool], group: Group) -> None:
        super().__init__(model.network, model.start_token, model.unit_end)
        self._model = model
        self._should_stop = should_stop
        self._group = group

    def start(self, streams: int) -> State:
        """Deal the streams out in turn: of texts side by side the first are the longest."""
        owners = np.arange(streams) % self._group.size
        own = int((owners == self._group.rank).sum())
        return owners, self._model.start(own) if own else None

    def advance(self, state: State, ids: IdArray) -> State:
        """Read on with this process's streams."""
        owners, own = state
        return owners, None if own is None else self._model.advance(own, ids[:, owners == self._group.rank])

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """Score a block together, unless one of the processes is to stop (`StopRequested`)."""
        if self._group.any(self._should_stop()):
            raise StopRequested
        owners, own = state
        found = np.zeros((len(ids), 0), np.float64 if self._is_double else np.float32)
        if own is not None:
            found, own = self._model.score(own, ids[:, owners == self._group.rank])
        scores = np.empty(ids.shape, found.dtype)
        gathered = self._group.rows(torch.from_numpy(np.ascontiguousarray(found.T)))
        scores[:, np.argsort(owners, kind="stable")] = gathered.numpy().T
        return scores, (owners, own)

    def select(self, state: State, streams: Sequence[int]) -> State:
        """Each process goes on with those of the listed streams that it has."""
        owners, own = state
        chosen = np.array(streams, np.int64)
        mine = owners == self._group.rank
        places = (mine.cumsum() - 1)[chosen][mine[chosen]]
        return owners[chosen], self._model.select(own, places.tolist()) if len(places) else None

    @property
    def _is_double(self) -> bool:
        return next(self.network.parameters()).dtype == torch.float64


def _not_finite(place: str) -> NumericalError:
    return NumericalError(f"the validation loss is no longer a finite number {place}")
