"""
Learning-rate schedules: pure functions of the share of the budget spent and, during warm-up, of the update.

So they stretch over any budget, and a resumed run need not remember anything of them.
"""

from collections.abc import Callable, Sequence
from math import cos, pi

from lmgen.training.config import TrainingConfig

LearningRate = Callable[[int, float, Sequence[float]], float]
"""Updates made, share of the budget spent (0 to 1), validation losses so far -> learning rate."""

PLATEAU_FACTOR = 0.5
"""Factor of `plateau` for each evaluation that was no better than the best before it."""

WARMUP_BEGIN = 0.01
"""Factor at the start of warm-up; not 0, or the first update would change nothing."""

WARMUP_UPDATES = 100
"""
The shortest warm-up, in updates: until then Adam's estimates of the gradients' sizes are too rough (Ma and
Yarats 2021). A network of 512 units that was given the full rate after 18 updates learned to cycle through
the same states, whatever it read.
"""

LONGEST_WARMUP = 1 / 3
"""The largest share of the budget that `WARMUP_UPDATES` may take; a shorter run warms up in less."""


def scheduled(config: TrainingConfig, highest: float) -> LearningRate:
    """The learning rate of a schedule and warm-up that the settings name, below a highest rate."""

    def rate(step: int, spent: float, validation_nats: Sequence[float]) -> float:
        factor = learning_rate_factor(config.schedule, spent, config.warmup, validation_nats, step)
        return highest * factor

    return rate


def learning_rate_factor(
    schedule: str,
    progress: float,
    warmup: float,
    validation_nats: Sequence[float],
    step: int = WARMUP_UPDATES,
) -> float:
    """
    Factor on the highest learning rate, 0 to 1.

    Args:
        schedule: `cosine` (falls to 0 as half a cosine: Loshchilov and Hutter 2017, equation 5), `linear`
            (falls to 0 in a straight line: Defazio et al. 2023), `plateau` (halves after each evaluation
            that is no better than the best before it), or `constant`.
        progress: share of the budget spent, 0 to 1.
        warmup: share of the budget over which the rate first rises linearly from `WARMUP_BEGIN`; at least
            `WARMUP_UPDATES`, but these at most `LONGEST_WARMUP` of the budget. 0: no warm-up.
        validation_nats: the evaluations so far; only `plateau` uses them.
        step: updates made; by default enough for the warm-up to be over.
    """
    return _warmup(progress, warmup, step) * _decay(schedule, progress, warmup, validation_nats)


def _warmup(progress: float, warmup: float, step: int) -> float:
    if not warmup:
        return 1.0
    risen = min(1.0, progress / warmup, max(step / WARMUP_UPDATES, progress / LONGEST_WARMUP))
    return WARMUP_BEGIN + (1 - WARMUP_BEGIN) * risen


def _decay(schedule: str, progress: float, warmup: float, validation_nats: Sequence[float]) -> float:
    if progress < warmup:
        return 1.0
    fallen = min(1.0, (progress - warmup) / (1 - warmup))
    match schedule:
        case "cosine":
            return 0.5 * (1 + cos(pi * fallen))
        case "linear":
            return 1 - fallen
        case "plateau":
            return PLATEAU_FACTOR ** _not_improved(validation_nats)
        case _:
            return 1.0


def _not_improved(values: Sequence[float]) -> int:
    """How many values are not lower than every one before them: [3, 2, 2, 4, 1] -> 2."""
    best = float("inf")
    count = 0
    for value in values:
        count += value >= best
        best = min(best, value)
    return count
