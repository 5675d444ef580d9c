"""Draw the instances of a test file: distinct, and none of them among those of the training file."""

from collections.abc import Callable, Iterable, Iterator

DRAWS = 100
"""Draws for each instance that is wanted, after which it is held that there are no more."""

FEWEST_DRAWS = 10_000


def held_out(drawn: Iterator[str], training: Callable[[], Iterable[str]], count: int) -> list[str]:
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
    draws = DRAWS * count + FEWEST_DRAWS
    kept: list[str] = []
    known: set[str] = set()
    while len(kept) < count and draws > 0:
        candidates: dict[str, None] = {}
        wanted = 2 * (count - len(kept))
        while len(candidates) < wanted and draws > 0:
            draws -= 1
            line = next(drawn)
            if line not in known:
                known.add(line)
                candidates[line] = None
        for line in training():
            candidates.pop(line, None)
        kept += candidates
    return kept[:count]
