"""
Truncated backpropagation through time. The loop computes and yields events; it prints and writes nothing.

Each update (update.py) reads a batch of B streams over T steps, compares what the network predicted with what
came (cross-entropy), sends gradients back through the T steps (Werbos 1990; truncated: Williams and Peng
1990), clips them if they are too long (Pascanu, Mikolov and Bengio 2013) and changes the weights. The hidden
state after the last step is where the next batch starts, but gradients do not flow back into this one. Where
an update fails (recovery.py) training is rolled back to its last good state.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from time import perf_counter

from lmgen.data.batches import Batch, Batches
from lmgen.errors import CorpusError, NumericalError
from lmgen.training.budget import MOST_ROLLBACKS, Budget, Progress
from lmgen.training.config import TrainingConfig
from lmgen.training.distributed import ALONE, Agreed, Group
from lmgen.training.events import Evaluated, RolledBack, Stepped
from lmgen.training.network import Network, TorchLanguageModel
from lmgen.training.optimization.averaging import averaging_begins
from lmgen.training.optimization.objectives import objective_for
from lmgen.training.optimization.optimizers import optimizer_for
from lmgen.training.optimization.schedules import LearningRate, scheduled
from lmgen.training.recovery import (
    check_weights,
    is_good,
    rate_after,
    roll_back,
    snapshot_if_due,
)
from lmgen.training.state import TrainingState
from lmgen.training.update import Learner
from lmgen.training.validation import StopRequested, Validation

SMOOTHING = 0.95
"""Share of the previous value in the running means of loss and speed that are shown after each update."""


def _never() -> bool:
    return False


class Trainer:
    """Trains a network on batches until its budget is spent; `run` is the loop."""

    def __init__(
        self,
        network: Network,
        batches: Batches,
        validation: Validation | None,
        config: TrainingConfig,
        group: Group = ALONE,
    ) -> None:
        """
        Set up an optimiser and start before the first batch.

        Args:
            network: trained in place, on the device it is on.
            batches: of the training text.
            validation: the validation text; None: evaluations report the training loss only.
            config: budget, optimiser, schedule.
            group: the processes that train together, whose trainers all do the same.
        """
        self.group = group
        self.agreed = Agreed(0.0)
        """What the group knows since the last update."""
        self.batches = batches
        self.validation = validation
        self.config = config
        share = None if validation is None else validation.tokens / len(batches.ids)
        self.budget = Budget.of(config, share)
        self.highest_rate = config.highest_rate(network.config.hidden_size)
        self.learning_rate = scheduled(config, self.highest_rate)
        rows = network.row_parameters(config.optimizer)
        network.sparse_gradients = frozenset(rows)
        optimizer = optimizer_for(
            network.trained_parameters(),
            config,
            self.highest_rate,
            output=network.output_parameters(),
            rows=rows.values(),
        )
        self.state = TrainingState(network, optimizer, batches.streams, config.ema, group, config.precision)
        objective = objective_for(config, network.vocabulary_size, batches.ids)
        self.learner = Learner(self.state, objective, config, batches.carried, group)
        self._shown_nats: float | None = None
        self._shown_speed: float | None = None

    def planned(self, learning_rate: LearningRate, budget: Budget | None = None) -> "Trainer":
        """A trainer that takes this training on (they share the state), at other rates, in another budget."""
        other = copy(self)
        other.learning_rate = learning_rate
        other.budget = budget or self.budget
        return other

    def run(
        self, should_stop: Callable[[], bool] = _never, should_save: Callable[[], bool] = _never
    ) -> Iterator[Stepped | Evaluated | RolledBack]:
        """
        Train from the present state until something stops it.

        Args:
            should_stop: asked after every update, and before each block of the text in an evaluation; yes
                ends the run early, in a state from which it can continue as if it had not stopped.
            should_save: asked after every update where several processes train together; what one of them
                says, all know as `agreed.save`.

        Raises:
            CorpusError: an epoch has no scored position.
            NumericalError: even the last good state has no finite loss on the validation text, or without
                one has weights that are not finite.
        """
        with suppress(StopRequested):
            while not self.stopped_by:
                try:
                    yield from self._rest_of_epoch(should_stop, should_save)
                except NumericalError as error:
                    yield self._roll_back(str(error))
            if not self.state.position.evaluated:
                yield self.evaluate(should_stop)

    def _rest_of_epoch(
        self, should_stop: Callable[[], bool], should_save: Callable[[], bool]
    ) -> Iterator[Stepped | Evaluated]:
        """Updates and evaluations until the epoch or the run is over."""
        position = self.state.position
        if self.budget.evaluation_due(position):  # training was stopped before it was made
            yield self.evaluate(should_stop)
        anything_scored = position.window > 0
        for batch in self.batches.epoch(position.epoch, position.window):
            if self.stopped_by:
                return
            if batch.scored:
                anything_scored = True
                yield self._update(batch, should_stop, should_save)
            else:
                self._skip(batch)
            if self.agreed.stop if self.group.size > 1 else should_stop():
                raise StopRequested
            if self.budget.evaluation_due(position):
                yield self.evaluate(should_stop)
        if not anything_scored:
            raise CorpusError("no position of the training text is scored, so there is nothing to learn")
        self.state.begin_epoch()

    def _update(
        self, batch: Batch, should_stop: Callable[[], bool], should_save: Callable[[], bool]
    ) -> Stepped:
        """Learn from a batch and do the accounts."""
        begun, spent, epochs, position = perf_counter(), self._spent, self._epochs, self.state.position
        candidate = snapshot_if_due(self.state)
        nats = self.learner.learn(batch, self.rate * self.batches.learning_rate_share(batch))
        if candidate and is_good(nats, self.state.network.outputs):
            self.state.good = candidate
        self.agreed = self.group.agree(perf_counter() - begun, stop=should_stop, save=should_save)
        elapsed, tokens = self.agreed.seconds, batch.scored
        position.step += 1
        position.window += 1
        position.seconds += elapsed
        position.tokens += tokens
        position.nats += nats * tokens
        position.summed_tokens += tokens
        position.crossed = self._has_crossed(spent, epochs)
        self._shown_nats = _smoothed(self._shown_nats, nats)
        self._shown_speed = _smoothed(self._shown_speed, tokens / elapsed)
        return Stepped(
            step=position.step,
            epoch=self._epochs,
            progress=self._spent,
            seconds=position.seconds,
            nats_per_token=nats,
            train_nats_per_token=self._shown_nats,
            tokens_per_second=self._shown_speed,
        )

    def _skip(self, batch: Batch) -> None:
        """Pass a batch with no scored position: no update, but the carried state reads it."""
        begun, spent, epochs, position = perf_counter(), self._spent, self._epochs, self.state.position
        self.learner.read(batch)
        position.window += 1
        position.seconds += self.group.agree(perf_counter() - begun, stop=_never, save=_never).seconds
        position.crossed |= self._has_crossed(spent, epochs)

    def _has_crossed(self, spent: float, epochs: float) -> bool:
        """Whether an evaluation falls between the place where those were spent and the present one."""
        if self.budget.crosses_evaluation(spent, self._spent):
            return True
        is_early = self.budget.is_early(self.state.position, self._spent)
        return is_early and self.budget.crosses_early(epochs, self._epochs)

    def evaluate(self, should_stop: Callable[[], bool] = _never) -> Evaluated:
        """
        Score the validation text, if there is one, without touching the state that training carries.

        Raises:
            NumericalError: the loss is not finite; without validation text, a weight is not.
        """
        state, position = self.state, self.state.position
        state.equalize()
        place = f"after {position.step:,} updates"
        nats = accuracy = None
        is_early = self.budget.is_early(position, self._spent)
        if self.validation is None:
            check_weights(state.result, place)
        else:
            scored = self.validation.score(state.result, should_stop, place)
            nats, accuracy = scored.nats, scored.accuracy
            position.validation_nats.append(nats)
            position.early += is_early
        if state.average is None and averaging_begins(position.validation_nats, self.config.nt_asgd):
            state.begin_average()
        train_nats = position.nats / position.summed_tokens if position.summed_tokens else None
        position.nats, position.summed_tokens = 0.0, 0
        position.evaluated_step = position.step
        if nats is not None and is_good(nats, self.state.network.outputs):
            state.good = state.copy()  # without validation text, training losses alone decide (`_update`)
        return Evaluated(
            step=position.step,
            epoch=self._epochs,
            seconds=position.seconds,
            train_nats_per_token=train_nats,
            valid_nats_per_token=nats,
            learning_rate=self.rate,
            gradient_norm=position.gradient_norm,
            tokens_per_second=position.tokens / max(position.seconds, 1e-9),
            rollbacks=position.rollbacks,
            train_objective=self.config.objective,
            valid_accuracy=accuracy,
            early=is_early,
        )

    def _roll_back(self, reason: str) -> RolledBack:
        roll_back(self.state)
        position = self.state.position
        return RolledBack(
            reason=reason,
            step=position.step,
            learning_rate=rate_after(self.highest_rate, position.rollbacks),
            last=position.rollbacks == MOST_ROLLBACKS,
        )

    @property
    def model(self) -> TorchLanguageModel:
        """The network to evaluate and save, as a language model."""
        return TorchLanguageModel(self.state.result, self.batches.start_token, self.batches.unit_end)

    @property
    def progress(self) -> Progress:
        """How far training has come."""
        return Progress.of(self.state.position, self._epochs, self._spent)

    @property
    def stopped_by(self) -> str | None:
        """What ends training here (`Budget.stopped_by`); None if it goes on."""
        return self.budget.stopped_by(self.state.position, self._epochs)

    @property
    def _epochs(self) -> float:
        """Passes over the training text so far, with the part of the one under way."""
        position = self.state.position
        return position.epoch + position.window / self.batches.count(position.epoch)

    @property
    def _spent(self) -> float:
        """Share of the budget that is spent."""
        return self.budget.spent(self.state.position, self._epochs)

    @property
    def rate(self) -> float:
        """The learning rate here, for a batch of the usual length."""
        position = self.state.position
        rate = self.learning_rate(position.step, self._spent, position.validation_nats)
        return rate_after(rate, position.rollbacks)


def _smoothed(before: float | None, now: float) -> float:
    return now if before is None else SMOOTHING * before + (1 - SMOOTHING) * now
