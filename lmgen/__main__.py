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
        from lmgen.interrupts import repeated

        _watch_for_interrupts()
        with repeated():
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    """
    Raise KeyboardInterrupt, or exit at once if an import is in progress.

    An exception raised during an import is not always propagated: some modules print and discard it.
    """
    from lmgen.interrupts import interrupt, is_importing

    if is_importing(frame):
        os._exit(INTERRUPTED)
    interrupt(number, frame)


if __name__ == "__main__":
    main()
