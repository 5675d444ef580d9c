"""A progress bar on stderr while a corpus is downloaded."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lmgen.cli import report

if TYPE_CHECKING:
    from lmgen.text.download import OnBytes


@contextmanager
def downloads_shown() -> Iterator[None]:
    """In the block, show downloads as a bar if stderr is a terminal and `--quiet` is not set."""
    if report.QUIET or not sys.stderr.isatty():
        yield
        return
    from lmgen.text.download import WATCHED

    before = WATCHED.set(_bar)
    try:
        yield
    finally:
        WATCHED.reset(before)


@contextmanager
def _bar() -> Iterator["OnBytes"]:
    """A bar that is removed when the download ends."""
    from rich.console import Console  # takes a while to load
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
