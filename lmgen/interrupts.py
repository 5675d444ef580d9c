"""
Signals that end a command by KeyboardInterrupt, so that files on the way are deleted; none of them is lost.

Python drops an exception that is raised in a finalizer, in a generator that the collector closes, or in a
function that a C library calls; and some libraries catch all there are. So a signal is kept until its
exception arrives at whoever ends the command: where Python drops it, the signal comes again a moment later,
and nothing is put in place (files.py) while one is on its way.
"""

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

MOMENT = 0.01
"""Seconds until a signal comes again; what has dropped its exception is over by then, or drops it again."""

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that ask a command to end; Windows has no SIGHUP."""

_on_its_way: int | None = None
"""The signal whose exception has been raised, or will be, and has not arrived."""

_is_dropped = False
"""Whether it has to be raised once more."""

_begun_in: FrameType | None = None
"""The import in which the block of `handled` began: a program may train in a module that it imports."""


def ending_signals() -> list[int]:
    """Signals that ask a command to end, except those that are ignored (`nohup`, `trap '' INT`)."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


def interrupt(number: int, frame: FrameType | None) -> None:
    """
    Handle a signal: raise KeyboardInterrupt, and again if it is dropped.

    Modules that are being imported may catch all there are, or be left half made: first they are imported.
    """
    global _on_its_way
    _on_its_way = number
    if is_importing(frame):
        _repeat(number)
    else:
        stop_if_interrupted()


def is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported where a signal has come, by what `handled` has in its block."""
    return _import_around(frame) not in (None, _begun_in)


def _import_around(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of an import, or None."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame


def stop_if_interrupted() -> None:
    """
    Go no further if a signal has come and its exception has not ended what was going on in the main thread.

    Raises:
        KeyboardInterrupt: so it is, and this is the main thread.
    """
    global _is_dropped
    if _on_its_way is not None and threading.current_thread() is threading.main_thread():
        _is_dropped = False  # no second exception disturbs what this one lets be deleted
        raise KeyboardInterrupt


def arrived() -> int | None:
    """Note that an exception has arrived, or need not any more; returns the signal it was raised for."""
    global _on_its_way
    number, _on_its_way = _on_its_way, None
    return number


@contextmanager
def handled(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], None] = interrupt
) -> Iterator[None]:
    """
    Within the block, signals are handled, and come again if the exception of `interrupt` is dropped.

    Without signals, as outside the main thread, that is nothing: blocks of several threads end in any order.
    """
    global _begun_in
    numbers = list(numbers)
    if not numbers:
        yield
        return
    before, _begun_in = _begun_in, _import_around(sys._getframe())
    try:
        with repeated(), ExitStack() as restoring:
            for number in numbers:
                restoring.callback(signal.signal, number, signal.signal(number, handler))
            yield
    finally:
        _begun_in = before


@contextmanager
def repeated() -> Iterator[None]:
    """Within the block, a signal comes again if Python drops the exception that `interrupt` has raised."""
    before = sys.unraisablehook

    def dropped(unraisable: "sys.UnraisableHookArgs") -> None:
        if _on_its_way is None or not isinstance(unraisable.exc_value, KeyboardInterrupt):
            before(unraisable)
            return
        _repeat(_on_its_way)

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = before


def _repeat(number: int) -> None:
    """Let a signal come again in a moment; not by `threading.Thread`, whose lock may be held just now."""
    global _is_dropped
    _is_dropped = True
    with suppress(RuntimeError):  # there can be no more threads: stop_if_interrupted has to do
        _thread.start_new_thread(_send_again, (number,))


def _send_again(number: int) -> None:
    time.sleep(MOMENT)
    if _on_its_way != number or not _is_dropped:
        return
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)  # which also ends its waiting for a pipe
    else:
        signal.raise_signal(number)
