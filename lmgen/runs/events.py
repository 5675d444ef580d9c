"""What happens in a training run, as it happens. Whoever shows or records training listens to these."""

from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from lmgen.data.preparation import Prepared
from lmgen.errors import NumericalError
from lmgen.runs.config import RunConfig
from lmgen.training.events import CostMeasured, Evaluated, RangeTest, RolledBack, Stepped


@dataclass(frozen=True, slots=True)
class BaselineFitted:
    """The n-gram model that the network is measured against is fitted and saved."""

    order: int
    ngrams: int
    valid_nats_per_token: float
    notes: tuple[str, ...]


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
    """Of the same tokens, per character of theirs; None where some of them are unknown."""
    baseline: dict[str, float] | None
    rollbacks: int
    stopped_by: str
    """`budget`, `patience` or `instability`."""
    train_objective: str
    """What `train_nats_per_token` is: `full`, the loss over all tokens, or `sampled`, an estimate of it."""

    def to_json(self) -> dict[str, Any]:
        """The summary that programs read; JSON has no infinity."""
        finite = self.valid_perplexity < inf
        return {**asdict(self), "valid_perplexity": self.valid_perplexity if finite else None}

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
