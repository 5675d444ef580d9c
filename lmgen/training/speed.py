"""How fast a network learns, measured on one that is thrown away."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import median
from time import perf_counter

import torch

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


def speeds_by_threads(trainer: Trainer, counts: Sequence[int], most_seconds: float) -> dict[int, float]:
    """
    The speed of a typical update in each of some numbers of threads, which take turns.

    Args:
        trainer: before its first update; it is used up.
        counts: numbers of threads, the one that is safe to begin with first.
        most_seconds: no number that has taken so long gets another turn.

    Returns:
        Tokens a second by the number of threads; without those for which no update went well.
    """
    events = trainer.planned(lambda *_: 0.0, Budget()).run()
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    speeds: dict[int, list[float]] = {count: [] for count in counts}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(counts[0])
        list(islice(events, FIRST_UPDATES))
        for count in _turns(seconds, most_seconds):
            torch.set_num_threads(count)
            begun, read = perf_counter(), trainer.progress.tokens
            if not isinstance(next(events, None), Stepped):
                break
            seconds[count].append(perf_counter() - begun)
            speeds[count].append((trainer.progress.tokens - read) / seconds[count][-1])
    finally:
        torch.set_num_threads(before)
    return {count: median(found) for count, found in speeds.items() if found}


def _turns(seconds: Mapping[int, Sequence[float]], most_seconds: float) -> Iterator[int]:
    """Whose turn it is, as long as there is somebody who has not taken too much time."""
    while waiting := [
        count for count, taken in seconds.items() if len(taken) < TIMED_UPDATES and sum(taken) < most_seconds
    ]:
        yield from waiting
