"""
The events that a training run yields: for displays, records and callbacks.

Printed, each is a line: `lmgen.train("book.txt", on_event=print)`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from lmgen.data.prepared import Prepared
from lmgen.errors import NumericalError
from lmgen.runs.config import RunConfig
from lmgen.training.events import CostMeasured, Evaluated, RangeTest, RolledBack, Stepped


@dataclass(frozen=True, slots=True)
class BaselineBegun:
    """The network is trained and saved, and the n-gram baseline of its long text is being fitted."""

    order: int
    train_tokens: int

    def __str__(self) -> str:
        return f"baseline  {self.order}-gram, being fitted on {self.train_tokens:,} tokens"


@dataclass(frozen=True, slots=True)
class BaselineFitted:
    """The n-gram baseline, which the network is compared with, is fitted and saved."""

    order: int
    ngrams: int
    valid_nats_per_token: float | None
    """None without validation text."""
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"baseline  {self.order}-gram, {self.ngrams:,} n-grams"


@dataclass(frozen=True, slots=True)
class ThreadsChosen:
    """Fewer threads than there could be are faster here and now."""

    threads: int
    of: int
    """How many there could be."""
    tokens_per_second: float
    tokens_per_second_of_all: float

    def __str__(self) -> str:
        return (
            f"threads   {self.threads} of {self.of}: {self.tokens_per_second:,.0f} tokens/s, in {self.of} "
            f"only {self.tokens_per_second_of_all:,.0f} (other programs may be busy; --threads {self.of} "
            "takes all)"
        )


@dataclass(frozen=True, slots=True)
class SizesChosen:
    """Sizes were chosen for the time there is."""

    reason: str
    """Which, and why."""

    def __str__(self) -> str:
        return f"chosen    {self.reason}"


@dataclass(frozen=True, slots=True)
class Started:
    """Everything is ready; the first update comes next."""

    folder: Path
    config: RunConfig
    prepared: Prepared
    parameters: int
    device: str
    resumed_step: int | None
    """The step that a resumed run goes on from; None at the beginning."""
    processes: int = 1
    """How many train it together."""

    def __str__(self) -> str:
        goes_on = f", going on from step {self.resumed_step:,}" if self.resumed_step else ""
        on = self.device if self.processes == 1 else f"{self.device}, in {self.processes:,} processes"
        return f"started   {self.config.network.in_short} on {on}, in {self.folder}{goes_on}"


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The run is long past its best: it learns its text by heart (overfitting.py)."""

    best_step: int
    best_epoch: float
    epoch: float
    """Passes over the text by now."""

    def __str__(self) -> str:
        return (
            f"the best model, of step {self.best_step:,} (epoch {self.best_epoch:.3g}), is kept; until epoch "
            f"{self.epoch:.3g} the training loss fell and the validation loss rose, so more time on this "
            "text does not help: --patience 3 ends such a run early, and more text, --dropout or a smaller "
            "--hidden-size may make it better"
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """A better model, or without validation text a later one, was written to the run folder."""

    path: Path

    def __str__(self) -> str:
        return f"saved     {self.path}"


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Something could not be written; it is kept in memory and tried again later."""

    reason: str
    seconds: float
    """Time until the next attempt."""

    def __str__(self) -> str:
        return f"unsaved   {self.reason}"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The run was asked to stop. Everything is saved, and it can be resumed."""

    folder: Path
    step: int

    def __str__(self) -> str:
        return f"stopped   at step {self.step:,}, in {self.folder}"


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over. The fields are those of `lmgen train --json`."""

    run: str
    parameters: int
    steps: int
    epochs: float
    seconds: float
    tokens_per_second: float
    train_nats_per_token: float | None
    valid_nats_per_token: float | None
    """
    Of the best model, which is the one that is kept, on the first `evaluation_tokens` of the text.

    None without validation text; then the last model is kept.
    """
    valid_perplexity: float | None
    valid_bits_per_character: float | None
    """Of the same tokens, per character of theirs; None where some of them are unknown."""
    baseline: dict[str, float | None] | None
    rollbacks: int
    stopped_by: str
    """`budget`, `patience` or `instability`."""
    train_objective: str
    """What `train_nats_per_token` is: `full`, the loss over all tokens, or `sampled`, an estimate of it."""
    valid_accuracy: float | None = None
    """Of the best model: the share of labels that are right; None where tokens are predicted."""

    def __str__(self) -> str:
        figures = {"training": self.train_nats_per_token, "validation": self.valid_nats_per_token}
        known = [f"{name} {nats:.4f}" for name, nats in figures.items() if nats is not None]
        return (
            f"finished  {self.steps:,} steps in {self.seconds:,.0f} s: {', '.join(known) or 'no'} "
            f"nats/{'token' if self.valid_accuracy is None else 'label'}, in {self.run}"
        )

    def to_json(self) -> dict[str, Any]:
        """The summary that programs read; JSON has no infinity."""
        baseline = _finite(self.baseline) if self.baseline else None
        summary = {**_finite(asdict(self)), "baseline": baseline}
        if self.valid_accuracy is None:
            del summary["valid_accuracy"]
        return summary

    def check(self) -> None:
        """
        Raise an error if training had to be given up.

        Raises:
            NumericalError: training was unstable to the end; the model is the best one until then.
        """
        if self.stopped_by == "instability":
            raise NumericalError(
                f"training was unstable {self.rollbacks} times and ended after {self.steps:,} updates; its "
                f"best model is in {self.run}: train again with a lower --learning-rate "
                "(--learning-rate find suggests one)"
            )


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None in the place of numbers that JSON does not have."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in values.items()
    }


Event = (
    Prepared
    | BaselineBegun
    | BaselineFitted
    | ThreadsChosen
    | SizesChosen
    | RangeTest
    | Started
    | CostMeasured
    | Stepped
    | Evaluated
    | RolledBack
    | Overfitting
    | Saved
    | Unsaved
    | Interrupted
    | Finished
)
