"""A progress bar on stderr while large files are read."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from lmgen.cli import report

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS = 1.0
"""How long reading takes before a bar is worth it."""

WIDE = 70
"""Columns of a terminal that has room for the bar itself and the time that is left."""

Item = TypeVar("Item")


class Bar:
    """A bar, while there is one, with the time that is left."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._what = ""
        self._begun = 0.0

    def show(self, what: str, done: int, total: int) -> None:
        """Show how many bytes have been read of all, and for what (text/progress.py)."""
        now = time.monotonic()
        if what != self._what:
            self.hide()
            self._what, self._begun = what, now
        if self._progress is None and now - self._begun < SECONDS:
            return
        with suppress(OSError):  # the terminal is closed
            if self._progress is None:
                self._progress = _started(what)
            if self._progress is None:  # the terminal cannot show it
                self._begun = float("inf")
                return
            self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    def hide(self) -> None:
        """Remove the bar; if reading goes on, it comes back after a while."""
        if self._progress is not None:
            with suppress(OSError):
                self._progress.stop()
        self._progress, self._begun = None, time.monotonic()

    def hidden_for(self, results: Iterable[Item]) -> Iterator[Item]:
        """Pass results on, without a bar while each is printed."""
        for result in results:
            self.hide()
            yield result


@contextmanager
def reading_shown() -> Iterator[Bar]:
    """In the block, show how far files are read, if stderr is a terminal and `--quiet` is not set."""
    bar = Bar()
    if report.QUIET or not sys.stderr.isatty():
        yield bar
        return
    from lmgen.text.progress import SHOWN

    before = SHOWN.set(bar)
    try:
        yield bar
    finally:
        SHOWN.reset(before)
        bar.hide()


def _started(what: str) -> "Progress | None":
    """A bar, narrow or wide; None on a terminal that cannot replace what it shows."""
    from rich.console import Console  # takes a while to load
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        return None
    name = TextColumn("{task.description}")
    wide = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    columns = (name, *wide) if console.width >= WIDE else (name, DownloadColumn())
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
    progress.add_task(what, total=None)
    progress.start()
    return progress
