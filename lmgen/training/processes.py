"""
Which of several processes that train one model this one is, by the environment that torchrun sets.

Needs no torch: which process reports an error has to be known before torch is imported.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a process among those that train one model."""

    rank: int = 0
    """0 is the one that prepares, prints and writes."""
    size: int = 1
    """How many there are."""
    local_rank: int = 0
    """Its number among those on this machine."""


_ended: list[bool] = []
"""Whether this process is the one to report how the group that it was in ended, once that has ended."""


def own_place() -> Place:
    """The place of this process; that of one on its own where the environment names no others."""
    try:
        rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        local_rank = int(os.environ.get("LOCAL_RANK", rank))
    except ValueError:  # set by something else than torchrun
        return Place()
    return Place(rank, size, local_rank) if 0 <= rank < size and local_rank >= 0 else Place()


def reports() -> bool:
    """
    Whether this process is the one to report an error, of several that all end by it.

    Before they have met, it is the first one on each machine: what is wrong then, such as a flag, is wrong
    for all. Later they settle it (`Processes` in distributed.py).
    """
    return _ended[-1] if _ended else own_place().local_rank == 0


def note_end(*, reports: bool) -> None:
    """Note that a group has ended, and whether this process is the one that reports it."""
    _ended[:] = [reports]


def note_beginning() -> None:
    """Forget how a group before this one ended."""
    _ended.clear()
