"""
How far the files of a text have been read, for whoever shows that.

The command line sets `SHOWN` to a bar on a terminal; without it nothing is told to anyone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol


class Show(Protocol):
    """Shows how far files have been read."""

    def show(self, what: str, done: int, total: int, /) -> None:
        """Show for what files are read, the bytes that have been read of them, and those of all."""

    def hide(self) -> None:
        """Show nothing any more: they have been read."""


SHOWN: ContextVar[Show | None] = ContextVar("SHOWN", default=None)

_WATCHED: ContextVar["_Watch | None"] = ContextVar("_WATCHED", default=None)


@contextmanager
def reading(what: str, files: Sequence[Path] | None) -> Iterator[None]:
    """In the block, show how far some files have been read; None: it is not known what is read."""
    show = SHOWN.get()
    if show is None or not files:
        yield
        return
    token = _WATCHED.set(_Watch(show, what, files))
    try:
        yield
    finally:
        _WATCHED.reset(token)
        show.hide()


def has_read(path: Path, position: int) -> None:
    """Note that a file has been read up to a position, in bytes."""
    if watch := _WATCHED.get():
        watch.note(path, position)


class _Watch:
    def __init__(self, show: Show, what: str, files: Sequence[Path]) -> None:
        self._show, self._what = show, what
        self._positions = dict.fromkeys(files, 0)
        self._done = self._total = 0
        for file in self._positions:
            with suppress(OSError):
                self._total += file.stat().st_size

    def note(self, path: Path, position: int) -> None:
        if path in self._positions:
            self._done += position - self._positions[path]
            self._positions[path] = position
            self._show.show(self._what, self._done, self._total)
