"""How far training has come. Needs no torch: a run is looked at without it."""

from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Position:
    """How far training has come, with its running sums and the results of its evaluations."""

    step: int = 0
    """Updates made."""
    epoch: int = 0
    window: int = 0
    """The next batch of this epoch."""
    seconds: float = 0.0
    """Time spent on updates; evaluation is not counted."""
    tokens: int = 0
    """Scored tokens trained on."""
    gradient_norm: float = 0.0
    """Of the last update, before clipping."""
    gradient_norms: list[float] = field(default_factory=list)
    """Of the last `recovery.MEDIAN_NORMS` updates."""
    rollbacks: int = 0
    """How often training was rolled back; each time the learning rate was halved."""
    nats: float = 0.0
    """Training loss summed over `summed_tokens`."""
    summed_tokens: int = 0
    """Scored tokens since the last evaluation."""
    crossed: bool = False
    """Whether the last update calls for an evaluation."""
    evaluated_step: int = -1
    """The step of the last evaluation."""
    validation_nats: list[float] = field(default_factory=list)
    """Nats per token of each evaluation so far; none without validation text."""
    early: int = 0
    """How many of the first evaluations were made before those that are spread evenly over the budget."""
    lost: int = 0
    """How many of the first evaluations are of models that no longer exist, their file being damaged."""

    @property
    def evaluated(self) -> bool:
        """Whether there has been an evaluation since the last update."""
        return self.evaluated_step == self.step

    @property
    def best_nats(self) -> float | None:
        """The lowest validation loss of a model that still exists; None if there is none."""
        return min(self.validation_nats[self.lost :], default=None)

    @property
    def improved(self) -> bool:
        """Whether the last evaluation is the best one."""
        values = self.validation_nats[self.lost :]
        return bool(values) and values[-1] < min(values[:-1], default=inf)
