"""Notes and errors on stderr, and the conversion of exceptions to exit codes."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from lmgen.cli.output import visible
from lmgen.errors import LmgenError, lacks_memory
from lmgen.interrupts import arrived, stop_if_interrupted
from lmgen.training.processes import reports

LONGEST_MESSAGE = 8000
"""Maximum length of a message, in characters: one that quotes a damaged file can be of any length."""

QUIET = False
"""Set by `--quiet`: suppresses notes, but not errors."""

TRAINS = False
"""Whether the command is `train`, which several processes may do together."""


def note(text: str) -> None:
    """Print a note on stderr, unless `--quiet` is set."""
    if not QUIET:
        _to_stderr(f"note: {text}")


def error(text: str) -> None:
    """
    Print an error as one line on stderr; the text says what went wrong, where, and what to do.

    Of several processes that train one model, and all end by it, one prints it.
    """
    if reports() or not TRAINS:
        _to_stderr(f"error: {text}")


def duration(seconds: float) -> str:
    """Format seconds: 75 -> 1:15; 3675 -> 1:01:15."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def reported_errors() -> Iterator[None]:
    """
    Report an LmgenError as one line with its exit code, and exit quietly if the output pipe is closed.

    Lack of memory, a GPU's too, is one line as well. An OSError that names no file is assumed to come from
    stdout. Any other exception is a bug: a line asks the user to report it. With LMGEN_DEBUG=1, exceptions
    keep their traceback.
    """
    try:
        yield
        sys.stdout.flush()  # report write errors now, not at exit
        stop_if_interrupted()
    except LmgenError as failure:
        if _debugging():
            raise
        error(failure.at_the_shell or str(failure))
        raise typer.Exit(failure.exit_code) from failure
    except BrokenPipeError as closed:  # the reader of the output has closed the pipe (`| head`)
        _drop_output()
        raise typer.Exit(0) from closed
    except KeyboardInterrupt as stopped:
        raise typer.Exit(128 + (arrived() or signal.SIGINT)) from stopped
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
        report_unexpected(bug)
        raise typer.Exit(1) from bug


def report_unexpected(bug: Exception) -> None:
    """
    Print a line for an exception that is no LmgenError: memory is lacking, or it is to be reported as a bug.

    With LMGEN_DEBUG=1 its traceback is printed instead.
    """
    if _debugging():
        import traceback

        traceback.print_exception(bug)
        return
    if lacks_memory(bug):
        error("there is not enough memory for this; take a smaller model, text or batch")
        return
    kind = type(bug).__name__
    error(f"a bug in lmgen: {kind}: {bug}; run it again with LMGEN_DEBUG=1 and report what it prints")


def _drop_output() -> None:
    """Discard output that cannot be written: Python would retry at exit, and print an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging() -> bool:
    return os.environ.get("LMGEN_DEBUG") == "1"


def _to_stderr(text: str) -> None:
    if len(text) > LONGEST_MESSAGE:
        text = text[:LONGEST_MESSAGE] + "..."
    with suppress(OSError):  # the reader or the terminal is gone
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()
