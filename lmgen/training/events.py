"""What happens while a network is trained, as it happens. runs/events.py adds what happens around it."""

from dataclasses import asdict, dataclass
from typing import Any


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
    """Training had gone wrong and stands at its last good state again; see training/recovery.py."""

    reason: str
    step: int
    """The step that it went back to."""
    learning_rate: float
    """The highest from here on."""
    last: bool
    """Whether it happened once too often: the run ends here."""
