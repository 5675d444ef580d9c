"""How fast a network learns, measured on one that is thrown away."""

from statistics import median
from time import perf_counter

from lmgen.errors import NumericalError
from lmgen.training.budget import Budget
from lmgen.training.events import Stepped
from lmgen.training.loop import Trainer

FIRST_UPDATES = 2
"""Not timed: they compile, choose kernels and get memory."""

TIMED_UPDATES = 12
"""Timed at most."""

FEWEST_UPDATES = 3
"""Timed at least, however long they take."""


def tokens_per_second(trainer: Trainer, most_seconds: float) -> float:
    """
    The speed of a typical update: one that is disturbed does not count.

    Args:
        trainer: before its first update; it is used up.
        most_seconds: after this time no further update begins, but for the fewest that are needed.

    Raises:
        NumericalError: not even the first update went well.
    """
    begun, times, tokens = perf_counter(), [perf_counter()], [0]
    for event in trainer.planned(lambda *_: 0.0, Budget()).run():
        if not isinstance(event, Stepped):
            break
        times.append(perf_counter())
        tokens.append(trainer.progress.tokens)
        timed = len(times) - 1 - FIRST_UPDATES
        if timed >= TIMED_UPDATES or (timed >= FEWEST_UPDATES and times[-1] - begun > most_seconds):
            break
    if len(times) == 1:
        raise NumericalError("training is unstable from its first updates on; give a lower --learning-rate")
    speeds = [
        (read_until - read) / (end - start)
        for start, end, read, read_until in zip(times, times[1:], tokens, tokens[1:], strict=False)
    ]
    return median(speeds[FIRST_UPDATES:] or speeds)
