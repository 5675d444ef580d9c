"""
When training ends and when it evaluates: limits on epochs, updates and time, and patience. Needs no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp
from typing import Self

from lmgen.training.config import DEFAULT_EVALUATIONS, TrainingConfig
from lmgen.training.position import Position

MOST_ROLLBACKS = 3
"""The run ends at this many rollbacks (recovery.py), with the best model it has."""

READ_FOR_EARLY = 6.0
"""Tokens that are trained on before the first early evaluation, for each one that it scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far training has come, for whoever watches it."""

    step: int
    """Updates made."""
    epochs: float
    """Passes over the training text, with the part of the one under way."""
    seconds: float
    """Time spent on updates."""
    tokens: int
    """Scored tokens trained on."""
    spent: float
    """Share of the budget, 0 to 1."""
    rollbacks: int
    evaluated_step: int
    """The step of the last evaluation; below 0 before the first."""
    last_nats: float | None
    """Validation loss of the last evaluation, nats per token; None before it or without validation text."""
    best_nats: float | None
    """The lowest validation loss of a model that still exists; None if there is none."""
    improved: bool
    """Whether the last evaluation is the best one."""

    evaluated: bool
    """Whether there has been an evaluation since the last update."""

    @classmethod
    def of(cls, position: Position, epochs: float, spent: float) -> Self:
        """The progress at a position; `epochs` and `spent` are as above."""
        return cls(
            step=position.step,
            epochs=epochs,
            seconds=position.seconds,
            tokens=position.tokens,
            spent=spent,
            rollbacks=position.rollbacks,
            evaluated_step=position.evaluated_step,
            evaluated=position.evaluated,
            last_nats=position.validation_nats[-1] if position.validation_nats else None,
            best_nats=position.best_nats,
            improved=position.improved,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of a training; whichever is reached first ends it. None: no limit of that kind."""

    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    patience: int | None = None
    """Evaluations without a better one, of those that are spread evenly."""
    evaluations: int = 0
    """How many to make, spread evenly over the budget; 0: only one at the end."""
    early: float | None = None
    """
    Epochs until an evaluation before the first of those; others follow after 1.5, 2, 3, 4, 6, ... times that.

    On a short text a network may be past its best when a tenth of the budget is spent. None: none come early.
    """

    @classmethod
    def of(cls, config: TrainingConfig, validation_share: float | None = None) -> Self:
        """
        The budget that the settings give.

        Args:
            config: the settings.
            validation_share: tokens that an evaluation scores, as a multiple of those in an epoch; None:
                there is no validation text, so no evaluation can tell which model is the best one.
        """
        counted = config.schedule == "plateau" or config.nt_asgd is not None  # those go by each evaluation
        has_early = config.evaluations is None and validation_share is not None and not counted
        return cls(
            epochs=config.budget_epochs,
            steps=config.steps,
            minutes=config.minutes,
            patience=config.patience,
            evaluations=config.evaluations or DEFAULT_EVALUATIONS,
            early=max(1.0, READ_FOR_EARLY * (validation_share or 0.0)) if has_early else None,
        )

    def spent(self, position: Position, epochs: float) -> float:
        """Share of the budget that is spent, 0 to 1, by the nearest limit; `epochs` as in `Progress`."""
        shares = [
            used / limit
            for used, limit in (
                (epochs, self.epochs),
                (position.step, self.steps),
                (position.seconds / 60, self.minutes),
            )
            if limit is not None
        ]
        return min(1.0, max(shares, default=0.0))

    def crosses_evaluation(self, before: float, after: float) -> bool:
        """Whether an evaluation falls between two shares of the budget."""
        return int(after * self.evaluations) > int(before * self.evaluations)

    def crosses_early(self, before: float, after: float) -> bool:
        """Whether an early evaluation, if there are still any, falls between two numbers of epochs."""
        return self.early is not None and _reached(after / self.early) > _reached(before / self.early)

    def is_early(self, position: Position, spent: float) -> bool:
        """Whether an evaluation at a position comes before those that are spread evenly; `spent` as above."""
        none_yet = len(position.validation_nats) == position.early
        return self.early is not None and none_yet and spent * self.evaluations < 1

    def evaluation_due(self, position: Position) -> bool:
        """Whether the last update calls for an evaluation that has not been made yet."""
        return self.evaluations > 0 and position.crossed and not position.evaluated

    def stopped_by(self, position: Position, epochs: float) -> str | None:
        """
        What ends training here, if anything.

        `instability` (too many rollbacks), `budget` (a limit is reached) or `patience`.
        """
        if position.rollbacks >= MOST_ROLLBACKS:
            return "instability"
        if self.spent(position, epochs) >= 1:
            return "budget"
        return (
            "patience" if _out_of_patience(position.validation_nats, position.early, self.patience) else None
        )


def _reached(number: float) -> int:
    """How many of 1, 1.5, 2, 3, 4, 6, 8, 12, ... are not above a number."""
    fraction, power = frexp(number)  # number = fraction * 2 ** power, and the fraction is from 0.5 to 1
    return max(0, 2 * power - (fraction < 0.75))


def _out_of_patience(values: Sequence[float], early: int, patience: int | None) -> bool:
    """Whether the last `patience` evaluations, none of them early, brought nothing better than before."""
    if patience is None or len(values) <= patience or len(values) - early < patience:
        return False
    return min(values[-patience:]) >= min(values[:-patience])
