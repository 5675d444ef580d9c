"""
Truncated backpropagation through time. The loop computes and yields events; it prints and writes nothing.

Each update reads one window of B streams (data/windows.py), compares what the network predicted with what
came (cross-entropy), sends gradients back through the window's T steps (Werbos 1990; truncated: Williams
and Peng 1990), shortens the gradient if it is too long (Pascanu, Mikolov and Bengio 2013) and changes the
weights. Where that goes wrong (recovery.py) training goes back to its last good state.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import cast

import torch
from torch.optim.swa_utils import AveragedModel

from lmgen.data.windows import Window, Windows
from lmgen.errors import NumericalError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.base import FloatArray
from lmgen.models.network.layer import NetworkState
from lmgen.tokenizers.base import IdArray
from lmgen.training import snapshots
from lmgen.training.config import TrainingConfig
from lmgen.training.events import Evaluated, RolledBack, Stepped
from lmgen.training.network import Network, TorchLanguageModel, detached
from lmgen.training.optimization.averaging import averaging_begins, begin_average
from lmgen.training.optimization.objectives import objective_for
from lmgen.training.optimization.optimizers import optimizer_for
from lmgen.training.optimization.regularization import activation_penalty
from lmgen.training.optimization.rows import clip_gradients
from lmgen.training.optimization.schedules import learning_rate_factor
from lmgen.training.recovery import GOOD_STATE_STEPS, MEDIAN_NORMS, MOST_ROLLBACKS, check_update, is_good
from lmgen.training.snapshots import Snapshot

SMOOTHING = 0.95
"""How much of the loss and speed shown after a step is that of the steps before."""

RESTART_WINDOWS = 1000
"""
After so many windows a stream begins from zeros again, as every text does that a model is used on.

The end of an epoch does the same for all streams, but in a long text it may never come. A network that has
seen no beginning for thousands of updates can lock up at one: its cells then saturate in a way that they
have never been in, and stay so for thousands of tokens.
"""


@dataclass(slots=True)
class Position:
    """Where training stands: with the weights and the optimiser's moments, all there is to know."""

    step: int = 0
    epoch: int = 0
    window: int = 0
    """The next window of this epoch."""
    seconds: float = 0.0
    """Spent on updates; evaluation is not counted."""
    tokens: int = 0
    gradient_norm: float = 0.0
    """Of the last update, before clipping."""
    gradient_norms: list[float] = field(default_factory=list)
    """Of the last `MEDIAN_NORMS` updates."""
    rollbacks: int = 0
    """How often training went back to a good state; each time the learning rate was halved."""
    nats: float = 0.0
    """Summed over the `summed_tokens` since the last evaluation."""
    summed_tokens: int = 0
    crossed: bool = False
    """Whether the last update calls for an evaluation."""
    evaluated_step: int = -1
    validation_nats: list[float] = field(default_factory=list)
    """Nats per token of each evaluation so far."""
    lost: int = 0
    """The first so many of them were of models that are lost: the file was damaged."""


class Trainer:
    """Trains a network on the windows of a text until its budget is spent."""

    def __init__(
        self,
        network: Network,
        windows: Windows,
        validation: IdArray,
        config: TrainingConfig,
    ) -> None:
        """
        Set up an optimiser and stand before the first window.

        Args:
            network: trained in place, on the device it is on.
            windows: of the training text.
            validation: the ids of the validation text, (N,).
            config: budget, optimiser, schedule.
        """
        self.network = network
        self.windows = windows
        self.validation = validation
        self.config = config
        self.highest_rate = config.highest_rate(network.config.hidden_size)
        network.sparse_gradients = config.optimizer == "adamw-adagrad"
        self.objective = objective_for(config, network, windows.ids)
        self.optimizer = optimizer_for(
            network.parameters(), config, self.highest_rate, network.token_parameters()
        )
        self.position = Position()
        self.carried = network.initial_state(windows.streams)
        self.average: AveragedModel | None = None
        self.good = snapshots.take(self)
        self._shown_nats: float | None = None
        self._shown_speed: float | None = None

    @property
    def result(self) -> Network:
        """The network that is evaluated and saved: with averaged weights once an average has begun."""
        return self.network if self.average is None else cast(Network, self.average.module)

    @property
    def model(self) -> TorchLanguageModel:
        """The same, to score texts with."""
        return TorchLanguageModel(self.result, self.windows.start_token)

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, by the limit that is nearest."""
        config, position = self.config, self.position
        spent = [
            used / limit
            for used, limit in (
                (self.epochs, config.budget_epochs),
                (position.step, config.steps),
                (position.seconds / 60, config.minutes),
            )
            if limit is not None
        ]
        return min(1.0, max(spent))

    @property
    def epochs(self) -> float:
        """Passes over the training text so far, with the part of the one under way."""
        return self.position.epoch + self.position.window / self.windows.count(self.position.epoch)

    @property
    def best_nats(self) -> float:
        """The lowest validation loss of a model that is kept, nats per token; infinite before the first."""
        return min(self.position.validation_nats[self.position.lost :], default=inf)

    @property
    def improved(self) -> bool:
        """Whether the last evaluation is the best one."""
        values = self.position.validation_nats[self.position.lost :]
        return bool(values) and values[-1] < min(values[:-1], default=inf)

    @property
    def evaluation_due(self) -> bool:
        """Whether the last update calls for an evaluation that has not been made yet."""
        return self.position.crossed and not self.evaluated

    @property
    def evaluated(self) -> bool:
        """Whether there has been an evaluation since the last update."""
        return self.position.evaluated_step == self.position.step

    @property
    def stopped_by(self) -> str | None:
        """
        What ended training: the `budget` is spent, or `patience` with evaluations that bring nothing better,
        or there was too much `instability`.
        """
        if self.position.rollbacks >= MOST_ROLLBACKS:
            return "instability"
        if self.progress >= 1:
            return "budget"
        return "patience" if self._out_of_patience else None

    def run(
        self, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Stepped | Evaluated | RolledBack]:
        """
        Train from where `position` stands until something stops it.

        Args:
            should_stop: asked after every update, and now and then during an evaluation; when it says yes the
                run ends early, in a state from which it can be continued as if it had not stopped.

        Raises:
            NumericalError: even the last good state has no finite loss on the validation text.
        """
        with suppress(_StopError):
            while not self.stopped_by:
                try:
                    yield from self._rest_of_epoch(should_stop)
                except NumericalError as error:
                    yield self._roll_back(str(error))
            if not self.evaluated:
                yield self.evaluate(should_stop)

    def evaluate(self, should_stop: Callable[[], bool] = lambda: False) -> Evaluated:
        """
        Score the validation text without touching the state that training carries.

        Raises:
            NumericalError: the loss is not finite.
        """
        position = self.position
        nats = self._validation_nats(should_stop)
        position.validation_nats.append(nats)
        self._consider_averaging()
        train_nats = position.nats / position.summed_tokens if position.summed_tokens else None
        position.nats, position.summed_tokens = 0.0, 0
        position.evaluated_step = position.step
        if is_good(nats, self.model.vocabulary_size):
            self.good = snapshots.take(self)
        return Evaluated(
            step=position.step,
            epoch=self.epochs,
            seconds=position.seconds,
            train_nats_per_token=train_nats,
            valid_nats_per_token=nats,
            learning_rate=self._learning_rate(),
            gradient_norm=position.gradient_norm,
            tokens_per_second=position.tokens / max(position.seconds, 1e-9),
            rollbacks=position.rollbacks,
        )

    def forget_best(self) -> None:
        """The model of the best evaluation is lost: those that follow, or the one just made, count anew."""
        self.position.lost = len(self.position.validation_nats) - self.evaluated
        self.good.position.lost = len(self.good.position.validation_nats)

    def _rest_of_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Stepped | Evaluated]:
        """Updates and evaluations until the epoch or the run is over."""
        if self.evaluation_due:  # training was stopped before it
            yield self.evaluate(should_stop)
        for window in self.windows.epoch(self.position.epoch, self.position.window):
            if self.stopped_by:
                return
            yield self._update(window)
            if should_stop():
                raise _StopError
            if self.evaluation_due:
                yield self.evaluate(should_stop)
        self._begin_epoch()

    @property
    def _out_of_patience(self) -> bool:
        values, patience = self.position.validation_nats, self.config.patience
        if patience is None or len(values) <= patience:
            return False
        return min(values[-patience:]) >= min(values[:-patience])

    def _validation_nats(self, should_stop: Callable[[], bool]) -> float:
        model = _Stoppable(self.result, self.windows.start_token, should_stop)
        try:
            return mean_nats(model, self.validation, limit=self.config.evaluation_tokens)[0]
        except NumericalError as error:
            updates = f"{self.position.step:,} updates"
            raise NumericalError(
                f"the validation loss is no longer a finite number after {updates}"
            ) from error

    def _learning_rate(self) -> float:
        config = self.config
        factor = learning_rate_factor(
            config.schedule,
            self.progress,
            config.warmup,
            self.position.validation_nats,
            self.position.step,
        )
        return self.highest_rate * factor * 0.5**self.position.rollbacks

    def _update(self, window: Window) -> Stepped:
        """One window forward and back, and a step of the optimiser."""
        begun = perf_counter()
        spent = self.progress
        candidate = self._candidate()
        nats = self._learn(window)
        if candidate and is_good(nats, self.model.vocabulary_size):
            self.good = candidate
        elapsed = perf_counter() - begun
        count = window.targets.size
        position = self.position
        position.step += 1
        position.window += 1
        position.seconds += elapsed
        position.tokens += count
        position.nats += nats * count
        position.summed_tokens += count
        evaluations = self.config.evaluations
        position.crossed = int(self.progress * evaluations) > int(spent * evaluations)
        self._shown_nats = _smoothed(self._shown_nats, nats)
        self._shown_speed = _smoothed(self._shown_speed, count / elapsed)
        return Stepped(
            step=position.step,
            epoch=self.epochs,
            progress=self.progress,
            seconds=position.seconds,
            nats_per_token=nats,
            train_nats_per_token=self._shown_nats,
            tokens_per_second=self._shown_speed,
        )

    def _learn(self, window: Window) -> float:
        """Change the weights by one window; its mean loss in nats per token, without any penalty."""
        self.network.train()
        device = self.network.device
        inputs = torch.from_numpy(window.inputs).to(device)
        targets = torch.from_numpy(window.targets).to(device)
        hidden, after = self.network.read(inputs, self._state_before(inputs.shape[1]))
        dropped = self.network.drop_output(hidden)
        loss = self.objective(self.network, dropped, targets)
        penalty = activation_penalty(
            dropped, hidden, self.config.activation_penalty, self.config.slowness_penalty
        )
        self.optimizer.zero_grad()
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        norm = clip_gradients(self.network.parameters(), self.config.clip or inf)
        nats = loss.item()
        self._note_gradient(nats, norm.item())
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate() * self._share_of_rate(window)
        self.optimizer.step()
        self._update_average()
        if self.windows.carried:
            self.carried = detached(after)
        return nats

    def _note_gradient(self, nats: float, norm: float) -> None:
        """Keep the gradient's norm, unless it or the loss says that training has gone wrong."""
        position = self.position
        check_update(nats, norm, position.gradient_norms, f"after {position.step:,} updates")
        position.gradient_norm = norm
        position.gradient_norms = [*position.gradient_norms, norm][-MEDIAN_NORMS:]

    def _candidate(self) -> Snapshot | None:
        """Every so often a copy of where training stands, which is good if the next update goes well."""
        step = self.position.step
        if step % GOOD_STATE_STEPS or step == self.good.position.step:
            return None
        return snapshots.take(self)

    def _roll_back(self, reason: str) -> RolledBack:
        """Back to the last good state with half the learning rate; what was undone still counts as time."""
        undone = self.position
        snapshots.restore(self, self.good)
        position = self.position
        position.seconds, position.tokens = undone.seconds, undone.tokens
        position.rollbacks = undone.rollbacks + 1
        position.crossed = False
        return RolledBack(
            reason=reason,
            step=position.step,
            learning_rate=self.highest_rate * 0.5**position.rollbacks,
            last=position.rollbacks == MOST_ROLLBACKS,
        )

    def _update_average(self) -> None:
        """Add the new weights to the average; a moving average begins with the first."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        elif self.config.ema is not None:
            self.average = begin_average(self.network, self.config.ema)

    def _consider_averaging(self) -> None:
        """Begin to average where evaluations say that it is time."""
        patience = self.config.nt_asgd
        if patience and self.average is None and averaging_begins(self.position.validation_nats, patience):
            self.average = begin_average(self.network, None)

    def _share_of_rate(self, window: Window) -> float:
        """
        Of the learning rate, for a window of varied length: in proportion to its steps.

        A loss is a mean, so a token in a short window would otherwise weigh more than one in a long window
        (Merity, Keskar and Socher 2017, section 4.1).
        """
        return len(window.targets) / self.windows.length if self.windows.varied else 1.0

    def _state_before(self, streams: int) -> NetworkState:
        """What the window starts from: the carried state, or zeros."""
        if not self.windows.carried:
            return self.network.initial_state(streams)
        restarting = torch.tensor([[self._restarts(stream)] for stream in range(streams)])
        if not restarting.any():
            return self.carried
        restarting = restarting.to(self.network.device)
        return tuple(tuple(part.masked_fill(restarting, 0.0) for part in layer) for layer in self.carried)

    def _restarts(self, stream: int) -> bool:
        """Whether a stream begins from zeros in the middle of an epoch: each at windows of its own."""
        since = self.position.window - stream * RESTART_WINDOWS // self.windows.streams
        return since >= RESTART_WINDOWS and since % RESTART_WINDOWS == 0

    def _begin_epoch(self) -> None:
        """Back to the first window, from zeros: the end of the text says nothing about its start."""
        self.position.epoch += 1
        self.position.window = 0
        self.carried = self.network.initial_state(self.windows.streams)


class _StopError(Exception):
    """Training was asked to stop."""


class _Stoppable(TorchLanguageModel):
    """A model that may be asked to stop between two blocks of a text."""

    def __init__(self, network: Network, start_token: int, should_stop: Callable[[], bool]) -> None:
        super().__init__(network, start_token)
        self._should_stop = should_stop

    def score(self, state: NetworkState, ids: IdArray) -> tuple[FloatArray, NetworkState]:
        """
        The same.

        Raises:
            _StopError: it was asked to.
        """
        if self._should_stop():
            raise _StopError
        return super().score(state, ids)


def _smoothed(before: float | None, now: float) -> float:
    return now if before is None else SMOOTHING * before + (1 - SMOOTHING) * now
