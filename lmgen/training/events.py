"""The events of training a network, in the order they happen. runs/events.py adds those of a whole run."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RangePoint:
    """One update of a learning-rate range test."""

    learning_rate: float
    nats_per_token: float
    smoothed_nats: float
    """Mean of the loss over this update and its neighbours."""


@dataclass(frozen=True, slots=True)
class RangeTest:
    """The result of a learning-rate range test (training/range_test.py): a curve and a suggestion."""

    points: tuple[RangePoint, ...]
    learning_rate: float
    """The suggestion, to two digits."""

    def __repr__(self) -> str:
        return f"<RangeTest {len(self.points)} learning rates, {self.learning_rate:g} suggested>"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CostMeasured:
    """What the run will cost, measured on its first updates; the fields are those of `--estimate --json`."""

    parameters: int
    memory_bytes: int | None
    """Peak memory, of the GPU or of this process; None where it cannot be known."""
    tokens_per_second: float
    steps: int
    """Updates until the budget is spent."""
    epochs: float
    """Passes over the training text until the budget is spent."""
    seconds: float
    """Time of all updates until the budget is spent, without evaluations."""
    seconds_left: float

    def __str__(self) -> str:
        return (
            f"cost      {self.parameters:,} parameters, {self.tokens_per_second:,.0f} tokens/s, "
            f"{self.steps:,} steps in {self.seconds:,.0f} s"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `--estimate --json` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Stepped:
    """An update was made."""

    step: int
    epoch: float
    progress: float
    """Share of the budget that is spent, 0 to 1."""
    seconds: float
    nats_per_token: float
    """The loss of this update's batch; an estimate where the objective is `sampled`."""
    train_nats_per_token: float
    """A running mean of `nats_per_token`."""
    tokens_per_second: float
    """A running mean."""

    def __str__(self) -> str:
        return (
            f"step      {self.step:,} ({self.progress:.0%}): training {self.train_nats_per_token:.4f} "
            f"nats/token, {self.tokens_per_second:,.0f} tokens/s"
        )


@dataclass(frozen=True, slots=True)
class Evaluated:
    """
    The validation text was scored, if there is one. The fields are those of a line in `metrics.jsonl`.
    """

    step: int
    epoch: float
    seconds: float
    train_nats_per_token: float | None
    """Mean training loss since the previous evaluation; None if there were no updates since then."""
    valid_nats_per_token: float | None
    """None without validation text."""
    learning_rate: float
    gradient_norm: float
    """Of the last update, before clipping."""
    tokens_per_second: float
    """Since training began."""
    rollbacks: int
    """How often training was rolled back so far, see `RolledBack`."""
    train_objective: str
    """What `train_nats_per_token` is: `full`, the loss over all tokens, or `sampled`, an estimate of it."""
    valid_accuracy: float | None = None
    """Share of labels that are right; None where tokens are predicted, or without validation text."""
    early: bool = False
    """Whether it comes before those that are spread evenly over the budget, as with a text read often."""

    def __str__(self) -> str:
        losses = {"training": self.train_nats_per_token, "validation": self.valid_nats_per_token}
        known = [f"{name} {nats:.4f}" for name, nats in losses.items() if nats is not None]
        return (
            f"evaluated step {self.step:,}, epoch {self.epoch:.3g}, {self.seconds:,.0f} s: "
            f"{', '.join(known) or 'no'} "
            + (
                "nats/token"
                if self.valid_accuracy is None
                else f"nats/label, {self.valid_accuracy:.2%} right"
            )
        )

    def to_json(self) -> dict[str, float | str | None]:
        """The line in `metrics.jsonl`: `valid_accuracy` only of labels, `early` only where it is true."""
        line = asdict(self)
        if self.valid_accuracy is None:
            del line["valid_accuracy"]
        if not self.early:
            del line["early"]
        return line


@dataclass(frozen=True, slots=True)
class RolledBack:
    """An update failed, and training was rolled back to its last good state (training/recovery.py)."""

    reason: str
    step: int
    """The step that it was rolled back to."""
    learning_rate: float
    """The highest learning rate from here on."""
    last: bool
    """Whether this was one rollback too many, so that the run ends here."""

    def __str__(self) -> str:
        return f"unstable  {self.reason}: back to step {self.step:,}"
