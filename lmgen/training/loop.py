"""
Truncated backpropagation through time. The loop computes and yields events; it prints and writes nothing.

Each update reads one window of B streams (data/windows.py), compares what the network predicted with what
came (cross-entropy), sends gradients back through the window's T steps (Werbos 1990; truncated: Williams
and Peng 1990), shortens the gradient if it is too long (Pascanu, Mikolov and Bengio 2013) and changes the
weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf, isfinite
from time import perf_counter

import torch

from lmgen.data.windows import Window, Windows
from lmgen.errors import NumericalError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.cells import LayerStates
from lmgen.tokenizers.base import IdArray
from lmgen.training.config import TrainingConfig, default_learning_rate
from lmgen.training.events import Evaluated, Stepped
from lmgen.training.network import Network, TorchLanguageModel, detached
from lmgen.training.objectives import objective_for
from lmgen.training.optimizers import optimizer_for
from lmgen.training.rows import clip_gradients
from lmgen.training.schedules import learning_rate_factor

SMOOTHING = 0.95
"""How much of the loss and speed shown after a step is that of the steps before."""


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
    nats: float = 0.0
    """Summed over the `summed_tokens` since the last evaluation."""
    summed_tokens: int = 0
    evaluated_step: int = -1
    validation_nats: list[float] = field(default_factory=list)
    """Nats per token of each evaluation so far."""


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
        self.model = TorchLanguageModel(network, windows.start_token)
        self.highest_rate = config.learning_rate or default_learning_rate(
            config.optimizer, network.config.hidden_size
        )
        network.sparse_gradients = config.optimizer == "adamw-adagrad"
        self.objective = objective_for(config, network, windows.ids)
        self.optimizer = optimizer_for(
            network.parameters(), config, self.highest_rate, network.token_parameters()
        )
        self.position = Position()
        self.carried = network.initial_state(windows.streams)
        self._crossed = False
        self._shown_nats: float | None = None
        self._shown_speed: float | None = None

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
        return self.position.epoch + self.position.window / self.windows.count

    @property
    def best_nats(self) -> float:
        """The lowest validation loss so far, nats per token; infinite before the first."""
        return min(self.position.validation_nats, default=inf)

    @property
    def improved(self) -> bool:
        """Whether the last evaluation is the best one."""
        values = self.position.validation_nats
        return bool(values) and values[-1] < min(values[:-1], default=inf)

    @property
    def evaluation_due(self) -> bool:
        """Whether the last update calls for an evaluation that has not been made yet."""
        return self._crossed and self.position.evaluated_step != self.position.step

    @property
    def finished(self) -> bool:
        """Whether the budget is spent, or patience with evaluations that bring nothing better."""
        return self.progress >= 1 or self._out_of_patience

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Stepped | Evaluated]:
        """
        Train from where `position` stands until the budget is spent.

        Args:
            should_stop: asked after every update; when it says yes the run ends early, in a state from which
                it can be continued as if it had not stopped.

        Raises:
            NumericalError: the loss is not finite.
        """
        while not self.finished:
            for window in self.windows.epoch(self.position.epoch, self.position.window):
                yield self._update(window)
                if self.evaluation_due:
                    yield self.evaluate()
                if self.finished or should_stop():
                    break
            if self.position.window == self.windows.count:
                self._begin_epoch()
            if should_stop():
                return
        if self.position.evaluated_step != self.position.step:
            yield self.evaluate()

    def evaluate(self) -> Evaluated:
        """Score the validation text without touching the state that training carries."""
        position = self.position
        nats, _ = mean_nats(self.model, self.validation, limit=self.config.evaluation_tokens)
        position.validation_nats.append(nats)
        train_nats = position.nats / max(position.summed_tokens, 1)
        position.nats, position.summed_tokens = 0.0, 0
        position.evaluated_step = position.step
        return Evaluated(
            step=position.step,
            epoch=self.epochs,
            seconds=position.seconds,
            train_nats_per_token=train_nats,
            valid_nats_per_token=nats,
            learning_rate=self._learning_rate(),
            gradient_norm=position.gradient_norm,
            tokens_per_second=position.tokens / max(position.seconds, 1e-9),
        )

    @property
    def _out_of_patience(self) -> bool:
        values, patience = self.position.validation_nats, self.config.patience
        if patience is None or len(values) <= patience:
            return False
        return min(values[-patience:]) >= min(values[:-patience])

    def _learning_rate(self) -> float:
        config = self.config
        return self.highest_rate * learning_rate_factor(
            config.schedule, self.progress, config.warmup, self.position.validation_nats
        )

    def _update(self, window: Window) -> Stepped:
        """One window forward and back, and a step of the optimiser."""
        begun = perf_counter()
        spent = self.progress
        nats = self._learn(window)
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
        self._crossed = int(self.progress * evaluations) > int(spent * evaluations)
        self._shown_nats = _smoothed(self._shown_nats, nats)
        self._shown_speed = _smoothed(self._shown_speed, count / elapsed)
        return Stepped(
            step=position.step,
            epoch=self.epochs,
            progress=self.progress,
            seconds=position.seconds,
            train_nats_per_token=self._shown_nats,
            tokens_per_second=self._shown_speed,
        )

    def _learn(self, window: Window) -> float:
        """Change the weights by one window; its mean loss in nats per token."""
        self.network.train()
        device = self.network.embedding.device
        inputs = torch.from_numpy(window.inputs).to(device)
        targets = torch.from_numpy(window.targets).to(device)
        hidden, after = self.network.read(inputs, self._state_before(inputs.shape[1]))
        loss = self.objective(self.network, self.network.drop_output(hidden), targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_gradients(self.network.parameters(), self.config.clip or inf)
        nats, self.position.gradient_norm = loss.item(), norm.item()
        if not (isfinite(nats) and isfinite(self.position.gradient_norm)):
            raise NumericalError(
                f"the loss is no longer a finite number after {self.position.step} updates; train again with "
                f"a lower --learning-rate (it was {self._learning_rate():.3g} here) or a smaller --clip"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.step()
        if self.windows.carried:
            self.carried = detached(after)
        return nats

    def _state_before(self, streams: int) -> LayerStates:
        """What the window starts from: the carried state, or zeros."""
        return self.carried if self.windows.carried else self.network.initial_state(streams)

    def _begin_epoch(self) -> None:
        """Back to the first window, from zeros: the end of the text says nothing about its start."""
        self.position.epoch += 1
        self.position.window = 0
        self.carried = self.network.initial_state(self.windows.streams)


def _smoothed(before: float | None, now: float) -> float:
    return now if before is None else SMOOTHING * before + (1 - SMOOTHING) * now
