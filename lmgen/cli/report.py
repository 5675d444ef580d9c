"""What commands say: results on stdout, everything else on stderr. The one place where errors end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from lmgen.errors import LmgenError

QUIET = False
"""Set by `--quiet`: notes are left out. Errors never are."""


def note(text: str) -> None:
    """Tell the user something on stderr that is neither a result nor an error."""
    if not QUIET:
        _to_stderr(f"note: {text}")


def error(text: str) -> None:
    """Print the one line that says what went wrong, where, and what to do."""
    _to_stderr(f"error: {text}")


@contextmanager
def reported_errors() -> Iterator[None]:
    """
    Turn an LmgenError into one line and its exit code; a closed pipe into a quiet end.

    Anything else is a bug: with LMGEN_DEBUG=1 it keeps its traceback, otherwise one line asks for a report.
    """
    try:
        yield
    except LmgenError as failure:
        if _debugging():
            raise
        error(str(failure))
        raise typer.Exit(failure.exit_code) from failure
    except BrokenPipeError as closed:
        # Whoever read our output has had enough (`| head`). Python would flush stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from closed
    except KeyboardInterrupt as stopped:
        raise typer.Exit(130) from stopped


def _debugging() -> bool:
    return os.environ.get("LMGEN_DEBUG") == "1"


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
