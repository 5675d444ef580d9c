"""
Stopping a run from outside without losing it: by signals, by `should_stop`, by a callback that raises.

A signal may come in the middle of an update, when weights and moments do not belong together. So it only
asks the run to stop: training finishes the update, saves a checkpoint and yields `Interrupted`.
"""

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Self

from lmgen.interrupts import arrived, handled, interrupt, stop_if_interrupted
from lmgen.runs.events import BaselineBegun, Event, Finished, Interrupted, Started


class Interruption:
    """
    Within the block, the first of some signals asks training to finish its update and save.

    Before `Started` there is nothing to save, and after `BaselineBegun` all is saved, so a signal raises
    KeyboardInterrupt at once. So does a second Ctrl-C; other signals do not, since a closing terminal sends
    several.
    """

    def __init__(self, signals: Iterable[int]) -> None:
        """Args: signals, whose handlers are replaced within the block; none outside the main thread."""
        self._signals = list(signals)
        self._requested = False
        self.received: int | None = None
        """The first signal that came."""
        self.folder: Path | None = None
        """The run folder, once updates have begun."""
        self.updating = False
        """Whether updates have begun, and not ended."""

    def __enter__(self) -> Self:
        self._handling = handled(self._signals, self._handle)
        self._handling.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handling.__exit__(None, None, None)
        if self._signals:
            arrived()

    def request(self) -> None:
        """Ask training to finish its update and save."""
        self._requested = True

    def requested(self) -> bool:
        """Whether training is asked to stop."""
        return self._requested

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass the events of a run on, and note when its updates begin and end."""
        for event in events:
            stop_if_interrupted()
            if isinstance(event, Started):
                self.folder, self.updating = event.folder, True
            yield event
            # Only after it was shown: then the run handles a KeyboardInterrupt.
            if isinstance(event, BaselineBegun):
                self.updating = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        second = self.received is not None and number == signal.SIGINT
        self.received = self.received or number
        if second or not self.updating:
            interrupt(number, frame)
        else:
            self.request()


def run_to_end(
    begin: Callable[[Callable[[], bool]], Generator[Event, None, None]],
    on_event: Callable[[Event], None] | None,
    should_stop: Callable[[], bool] | None,
) -> Path:
    """
    Follow a run until it is over, saved whatever stops it.

    Args:
        begin: starts the run, given its `should_stop`, and returns its events.
        on_event: called with each event. If it raises, the run is saved first.
        should_stop: asked after every update and during evaluations. If it raises, the run is saved first.

    Returns:
        The run folder, with the best model so far: the run is finished, or `should_stop` said True.

    Raises:
        KeyboardInterrupt: Ctrl-C; what there was to save is saved.
        NumericalError: training was unstable to its end.
    """
    interruption = Interruption(_signals())
    caller = _Caller(on_event, should_stop)
    events = begin(lambda: interruption.requested() or caller.should_stop())
    try:
        with interruption, closing(events):  # which lets go of the run folder's lock
            for event in interruption.watch(events):
                caller.on_event(event)
                if caller.failure and not interruption.updating:
                    raise caller.failure
    except KeyboardInterrupt as stopped:  # a second Ctrl-C, or raised in the middle by a debugger or notebook
        if interruption.folder and not stopped.args:
            folder = str(interruption.folder)
            stopped.args = (f"lmgen.resume({folder!r}) goes on from the last checkpoint",)
        raise
    if caller.failure:
        raise caller.failure
    if isinstance(event, Finished):
        event.check()
        return Path(event.run)
    assert isinstance(event, Interrupted)
    if not caller.stopped:
        raise KeyboardInterrupt(f"saved at step {event.step:,}; lmgen.resume({str(event.folder)!r}) goes on")
    return event.folder


class _Caller:
    """The caller's functions. What one of them raises is kept, and asks the run to stop."""

    def __init__(
        self, on_event: Callable[[Event], None] | None, should_stop: Callable[[], bool] | None
    ) -> None:
        self._on_event, self._should_stop = on_event, should_stop
        self.failure: BaseException | None = None
        self.stopped = False
        """Whether `should_stop` has said True."""

    def on_event(self, event: Event) -> None:
        if self._on_event is None or self.failure:
            return
        try:
            self._on_event(event)
        except BaseException as error:
            self.failure = error

    def should_stop(self) -> bool:
        if self.failure is None and self._should_stop is not None and not self.stopped:
            try:
                self.stopped = bool(self._should_stop())
            except BaseException as error:
                self.failure = error
        return self.stopped or self.failure is not None


def _signals() -> list[int]:
    """Ctrl-C, where it would raise KeyboardInterrupt: in the main thread of a program that left it so."""
    if threading.current_thread() is not threading.main_thread():
        return []
    handler = signal.getsignal(signal.SIGINT)
    return [signal.SIGINT] if handler is signal.default_int_handler or _is_of_asyncio(handler) else []


def _is_of_asyncio(handler: object) -> bool:
    """
    Whether this is the handler of `asyncio.run`, a partial of a runner's method.

    It would cancel a task at its next await, so only when training is over.
    """
    runner = getattr(getattr(handler, "func", None), "__self__", None)
    return f"{type(runner).__module__}.{type(runner).__name__}" == "asyncio.runners.Runner"
