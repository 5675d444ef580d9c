"""What happens in a training run, as it happens. Whoever shows or records training listens to these."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from lmgen.data.preparation import Prepared
from lmgen.errors import NumericalError
from lmgen.training.config import RunConfig


@dataclass(frozen=True, slots=True)
class BaselineFitted:
    """The n-gram model that the network is measured against is fitted and saved."""

    order: int
    ngrams: int
    valid_nats_per_token: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RangePoint:
    """One update of a learning-rate range test."""

    learning_rate: float
    nats_per_token: float
    smoothed_nats: float
    """Mean over this update and those around it."""


@dataclass(frozen=True, slots=True)
class RangeTest:
    """Learning rates were tried (training/range_test.py); this is the curve, and what it suggests."""

    points: tuple[RangePoint, ...]
    learning_rate: float
    """The suggestion, to two digits."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Started:
    """Everything is ready and the first update comes next."""

    folder: Path
    config: RunConfig
    prepared: Prepared
    parameters: int
    device: str
    resumed_step: int | None
    """The step that a resumed run goes on from."""


@dataclass(frozen=True, slots=True)
class CostMeasured:
    """What the run will cost, from its first updates. The fields are those of `lmgen train --estimate`."""

    parameters: int
    memory_bytes: int | None
    """The most that will have been used, of the GPU or of this process; None where that is not known."""
    tokens_per_second: float
    steps: int
    """When the budget is spent; so are `epochs` and `seconds`."""
    epochs: float
    seconds: float
    """Of training: evaluations come on top."""
    seconds_left: float

    def to_json(self) -> dict[str, Any]:
        """The estimate that programs read."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Saved:
    """A better model was written to the run folder."""

    path: Path


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Something could not be written; it is kept in memory and tried again later."""

    reason: str
    seconds: float
    """How long until then."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The run was asked to stop: everything is saved and it can be resumed."""

    folder: Path
    step: int


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
    valid_nats_per_token: float
    """Of the best model, which is the one that is kept, on the first `evaluation_tokens` of the text."""
    valid_perplexity: float
    valid_bits_per_character: float | None
    """None where the validation text has unknown tokens."""
    baseline: dict[str, float] | None
    rollbacks: int
    stopped_by: str
    """`budget`, `patience` or `instability`."""

    def to_json(self) -> dict[str, Any]:
        """The summary that programs read; JSON has no infinity."""
        baseline = _finite(self.baseline) if self.baseline else None
        return {**_finite(asdict(self)), "baseline": baseline}

    def check(self) -> None:
        """
        Tell a run that was trained as asked from one that had to be given up.

        Raises:
            NumericalError: training was unstable to the end; the model is the best it had until then.
        """
        if self.stopped_by == "instability":
            raise NumericalError(
                f"training was unstable {self.rollbacks} times and ended after {self.steps:,} updates; its "
                f"best model is in {self.run}: train again with a lower --learning-rate "
                "(--learning-rate find suggests one)"
            )


@dataclass(frozen=True, slots=True)
class Stepped:
    """One update was made."""

    step: int
    epoch: float
    progress: float
    """Share of the budget that is spent, 0 to 1."""
    seconds: float
    nats_per_token: float
    """The loss of this update's window."""
    train_nats_per_token: float
    """A running mean over the last steps."""
    tokens_per_second: float
    """A running mean over the last steps."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The validation text was scored. The fields are those of a line in `metrics.jsonl`."""

    step: int
    epoch: float
    seconds: float
    train_nats_per_token: float | None
    """Mean since the evaluation before; None if nothing was learned since then."""
    valid_nats_per_token: float
    learning_rate: float
    gradient_norm: float
    """Of the last update, before clipping."""
    tokens_per_second: float
    """Since training began."""
    rollbacks: int
    """How often training went back to a good state so far, see `RolledBack`."""

    def to_json(self) -> dict[str, float | None]:
        """The line in `metrics.jsonl`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Training had gone wrong and stands at its last good state again; see training/stability.py."""

    reason: str
    step: int
    """The step that it went back to."""
    learning_rate: float
    """The highest from here on."""
    last: bool
    """Whether it happened once too often: the run ends here."""


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None in the place of numbers that JSON does not have."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in values.items()
    }


Event = (
    Prepared
    | BaselineFitted
    | RangeTest
    | Started
    | CostMeasured
    | Stepped
    | Evaluated
    | RolledBack
    | Saved
    | Unsaved
    | Interrupted
    | Finished
)
