"""
Entry point of the command `lmgen`, also as `python -m lmgen`; the commands are in cli/app.py.

Importing cli/app.py takes a moment. The handler for Ctrl-C is installed before, so that Ctrl-C never prints a
traceback.
"""

from __future__ import annotations

import gc
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def main() -> None:
    """Run the command line."""
    try:
        _watch_for_interrupts()
        from lmgen.cli.app import main as run

        run()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    finally:
        gc.freeze()  # skips a garbage collection of all loaded modules at exit


def _watch_for_interrupts() -> None:
    import signal

    # A shell script starts background commands (`lmgen ... &`) with SIGINT ignored: leave it ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """
    Raise KeyboardInterrupt, or exit at once if an import is in progress.

    An exception raised during an import is not always propagated: some modules print and discard it.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
