"""
When training has gone wrong, and when it stands well enough to be gone back to.

Gradients can grow exponentially with the number of steps they flow back through (Bengio, Simard and Frasconi
1994). Clipping mends most of it; what it cannot mend is a loss or gradient that is no finite number, and
weights thrown so far off that the gradient is of another order altogether. The loop (loop.py) then goes back
to the last good state and goes on from there with half the learning rate.
"""

from collections.abc import Sequence
from math import isfinite, log
from statistics import median

from lmgen.errors import NumericalError

MOST_ROLLBACKS = 3
"""A run that has to be rolled back so often is over: what it has is kept."""

GOOD_STATE_STEPS = 100
"""Updates between two states that are kept to go back to: a copy of all weights costs less than an update."""

EXPLODED = 100.0
"""
How many times its running median, and how large at all, a gradient's norm has to be to have exploded. Over
300 updates of every cell, at learning rates up to a hundred times the best, no norm of a run that still
learned was more than 5 times the median.
"""

MEDIAN_NORMS = 100
"""The running median is that of so many updates."""

FEWEST_NORMS = 20
"""Before so many, only what is not finite counts: the first norms are larger than those to come."""


def check_update(nats: float, gradient_norm: float, norms: Sequence[float], place: str) -> None:
    """
    Refuse an update that would do harm.

    Args:
        nats: the loss of a window, nats per token.
        gradient_norm: before clipping.
        norms: those of the updates before, `MEDIAN_NORMS` at most.
        place: where training stands, for the message.

    Raises:
        NumericalError: the loss or the gradient is not finite, or the gradient has exploded.
    """
    if not isfinite(nats):
        raise NumericalError(f"the loss is no longer a finite number {place}")
    if not isfinite(gradient_norm):
        raise NumericalError(f"the gradient is no longer a finite number {place}")
    if len(norms) < FEWEST_NORMS or gradient_norm <= EXPLODED:
        return
    usual = median(norms)
    if gradient_norm > EXPLODED * usual:
        raise NumericalError(f"the gradient is {gradient_norm / usual:,.0f} times as long as usual {place}")


def is_good(nats: float, vocabulary_size: int) -> bool:
    """Whether a loss, nats per token, is not far above that of knowing nothing, ln V."""
    return nats <= 2 * log(vocabulary_size)
