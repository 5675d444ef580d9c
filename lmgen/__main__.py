"""
The command `lmgen`, also as `python -m lmgen`. What it does is in cli/app.py, which takes a while to import.

Here Ctrl-C is seen to before anything is imported, so that it ends the command without a traceback from the
first moment on.
"""

from __future__ import annotations

import gc
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def main() -> None:
    """Run the command line."""
    try:
        _watch_for_interrupts()
        from lmgen.cli.app import main as run

        run()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    finally:
        gc.freeze()  # or Python looks through all that is loaded for garbage before it ends


def _watch_for_interrupts() -> None:
    import signal

    # In a script's background (`lmgen ... &`) the shell has it ignored, and ignored it stays.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """
    Raise KeyboardInterrupt; but while something is being imported, leave at once.

    An exception does not always come out of half an import as it went in: some are printed and forgotten.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
