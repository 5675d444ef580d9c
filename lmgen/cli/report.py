"""What commands say: results on stdout, everything else on stderr. The one place where errors end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from lmgen.cli.output import visible
from lmgen.errors import LmgenError

LONGEST_MESSAGE = 8000
"""In characters: a damaged file may have as much to say as it likes."""

QUIET = False
"""Set by `--quiet`: notes are left out. Errors never are."""


def note(text: str) -> None:
    """Tell the user something on stderr that is neither a result nor an error."""
    if not QUIET:
        _to_stderr(f"note: {text}")


def error(text: str) -> None:
    """Print the one line that says what went wrong, where, and what to do."""
    _to_stderr(f"error: {text}")


def duration(seconds: float) -> str:
    """75 -> 1:15; 3675 -> 1:01:15."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def reported_errors() -> Iterator[None]:
    """
    Turn an LmgenError into one line and its exit code; a closed pipe into a quiet end.

    An OSError that nobody turned into an LmgenError is taken to be about stdout unless it names a file.
    Anything else is a bug: with LMGEN_DEBUG=1 it keeps its traceback, otherwise one line asks for a report.
    """
    try:
        yield
        sys.stdout.flush()  # what cannot be written shows now, not at exit
    except LmgenError as failure:
        if _debugging():
            raise
        error(str(failure))
        raise typer.Exit(failure.exit_code) from failure
    except BrokenPipeError as closed:  # whoever read our output has had enough (`| head`)
        _drop_output()
        raise typer.Exit(0) from closed
    except KeyboardInterrupt as stopped:
        raise typer.Exit(130) from stopped
    except MemoryError as failure:
        if _debugging():
            raise
        error("there is not enough memory for this; take a smaller model, text or batch")
        raise typer.Exit(1) from failure
    except OSError as failure:
        if _debugging():
            raise
        _drop_output()
        where = failure.filename or "the output"
        error(f"cannot use {where}: {failure.strerror or failure}; free some space or choose another place")
        raise typer.Exit(1) from failure
    except (typer.Exit, typer.Abort):
        raise
    except Exception as bug:
        if _debugging():
            raise
        kind = type(bug).__name__
        error(f"a bug in lmgen: {kind}: {bug}; run it again with LMGEN_DEBUG=1 and report what it prints")
        raise typer.Exit(1) from bug


def _drop_output() -> None:
    """Let go of output that nobody can take: Python would try once more at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging() -> bool:
    return os.environ.get("LMGEN_DEBUG") == "1"


def _to_stderr(text: str) -> None:
    if len(text) > LONGEST_MESSAGE:
        text = text[:LONGEST_MESSAGE] + "..."
    with suppress(OSError):  # whoever read this has gone, or the terminal is closed
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()
