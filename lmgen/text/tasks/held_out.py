"""Draw the instances of a test file: distinct, and none of them among those of the training file."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

DRAWS = 100
"""Draws for each instance that is wanted, after which it is held that there are no more."""

FRUITLESS = 10
"""Draws in a row for each instance that is known, of which none is new, that say the same."""

FEWEST_DRAWS = 10_000
"""Draws that are made in any case."""


class HeldOut(NamedTuple):
    """The instances of a test file."""

    lines: list[str]
    as_drawn: bool
    """Whether they are drawn as any others: none was left out, as a repetition or a training instance."""


def held_out(drawn: Iterator[str], training: Callable[[], Iterable[str]], count: int) -> HeldOut:
    """
    Distinct instances that are not among the training ones, in the order in which they are drawn.

    Only instances of the test file are held in memory: candidates are drawn, then the training instances are
    gone through, and those that occur are struck out.

    Args:
        drawn: instances of the test file, without end.
        training: goes through all training instances.
        count: how many are wanted.

    Returns:
        Fewer than `count` if no more turned up.
    """
    kept: list[str] = []
    draws = 0

    def counted() -> Iterator[str]:
        nonlocal draws
        for line in islice(drawn, DRAWS * count + FEWEST_DRAWS):
            draws += 1
            yield line

    new = _distinct(counted())
    while len(kept) < count:
        candidates = dict.fromkeys(islice(new, 2 * (count - len(kept))))
        if not candidates:
            break
        for line in training():
            candidates.pop(line, None)
        kept += candidates
    return HeldOut(kept[:count], as_drawn=draws == len(kept))


def _distinct(drawn: Iterator[str]) -> Iterator[str]:
    """Each instance the first time that it is drawn, until hardly any is new."""
    known: set[str] = set()
    fruitless = 0
    for line in drawn:
        fruitless += 1
        if line not in known:
            known.add(line)
            fruitless = 0
            yield line
        elif fruitless > FRUITLESS * len(known) + FEWEST_DRAWS:
            return
