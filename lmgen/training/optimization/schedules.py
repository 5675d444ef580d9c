"""
Learning-rate schedules: pure functions of what share of the budget is spent, and at first of the updates.

So they stretch over any budget, and a resumed run needs to remember nothing of them.
"""

from collections.abc import Sequence
from math import cos, pi

PLATEAU_FACTOR = 0.5
"""What `plateau` multiplies the learning rate with after an evaluation that was no better."""


WARMUP_BEGIN = 0.01
"""What the warm-up begins with: not nothing, or the first update would be none."""


WARMUP_UPDATES = 100
"""
No warm-up is shorter: until then Adam knows too little of the gradients' sizes (Ma and Yarats 2021). A
network of 512 units that was given the whole rate after 18 updates learned to run in circles, whatever it
read.
"""

LONGEST_WARMUP = 1 / 3
"""The share of the budget that these updates may take at most."""


def learning_rate_factor(
    schedule: str,
    progress: float,
    warmup: float,
    validation_nats: Sequence[float],
    step: int = WARMUP_UPDATES,
) -> float:
    """
    What the highest learning rate is multiplied with.

    Args:
        schedule: `cosine` (falls to 0 as half a cosine: Loshchilov and Hutter 2017, equation 5), `plateau`
            (halves after each evaluation that is no better than the best before it), or `constant`.
        progress: share of the budget spent, 0 to 1.
        warmup: share of the budget over which the rate first of all rises in a straight line, from a
            hundredth; at least `WARMUP_UPDATES`, or `LONGEST_WARMUP` where these would be more. 0 is none.
        validation_nats: the evaluations so far; only `plateau` looks at them.
        step: updates so far; by default the first ones are over.
    """
    return _rise(progress, warmup, step) * _fall(schedule, progress, warmup, validation_nats)


def _rise(progress: float, warmup: float, step: int) -> float:
    if not warmup:
        return 1.0
    risen = min(1.0, progress / warmup, max(step / WARMUP_UPDATES, progress / LONGEST_WARMUP))
    return WARMUP_BEGIN + (1 - WARMUP_BEGIN) * risen


def _fall(schedule: str, progress: float, warmup: float, validation_nats: Sequence[float]) -> float:
    if progress < warmup:
        return 1.0
    match schedule:
        case "cosine":
            return 0.5 * (1 + cos(pi * min(1.0, (progress - warmup) / (1 - warmup))))
        case "plateau":
            return PLATEAU_FACTOR ** _disappointments(validation_nats)
        case _:
            return 1.0


def _disappointments(values: Sequence[float]) -> int:
    """How many values are no lower than all before them: [3, 2, 2, 4, 1] -> 2."""
    best = float("inf")
    count = 0
    for value in values:
        count += value >= best
        best = min(best, value)
    return count
