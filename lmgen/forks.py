"""
Work on independent things in copies of this process, one for each processor.

That is for many short calls of numpy, between which threads (processors.py) would wait for each other's
Python. A copy has everything that this process has, models too, in the same memory until one of them changes
it: only results are sent.

    items 0, 2, 4, ... ──► copy 1 ──►
    items 1, 3, 5, ... ──► copy 2 ──►  results, in the order of the items

A copy takes no signal, and ends when this process does, however that ends.
"""

import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar, cast

from lmgen.errors import LostProcessError
from lmgen.interrupts import ENDING, handled

Item = TypeVar("Item")
Result = TypeVar("Result")

DIES_WITH_PARENT = 1
"""The number of Linux's PR_SET_PDEATHSIG, which names the signal that ends a process when its parent ends."""


def can_fork() -> bool:
    """
    Whether this process can be copied.

    A copy has only the thread that asks for it, and would wait for ever for what another one was about to do.
    """
    return sys.platform == "linux" and threading.active_count() == 1


def in_forks(
    work: Callable[[Iterable[Item]], Iterator[Result]], items: Sequence[Item], count: int
) -> Iterator[Result]:
    """
    Work on items in several copies of this process; here, if the system allows no more processes.

    Args:
        work: gives a result for each of some items, in their order.
        items: what is done; each copy takes every `count`-th.
        count: the number of copies.

    Yields:
        The results, in the order of the items. An error of the work is raised in its turn.

    Raises:
        LostProcessError: a copy was ended.
    """
    copies: list[_Copy] = []
    try:
        with _signals_held(), suppress(OSError):
            while len(copies) < count:
                copies.append(_Copy(work(items[len(copies) :: count]), copies))
        if len(copies) < count:
            _end(copies)
            yield from work(items)
            return
        for number in range(len(items)):
            yield copies[number % count].result()
    finally:
        _end(copies)


def _end(copies: "list[_Copy]") -> None:
    with _signals_held():
        while copies:
            copies.pop().end()


@contextmanager
def _signals_held() -> Iterator[None]:
    """
    Hold signals back, all but that of Ctrl-Z: they would end the block halfway. A copy goes on so.

    The system gives a signal that the main thread holds back to another thread, as libraries have, and Python
    answers it in the main thread all the same. So those that Python answers are kept and raised afterwards.
    """
    kept: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    answered = [number for number in ENDING if is_main and callable(signal.getsignal(number))]
    try:
        with handled(answered, lambda number, _: kept.append(number)):
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            try:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGTSTP})
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        for number in kept:
            signal.raise_signal(number)


class _Copy:
    """A copy of this process, which sends results until there are no more."""

    def __init__(self, results: Iterator[Any], others: Sequence["_Copy"]) -> None:
        """
        Raises:
            OSError: the system allows no more processes.
        """
        self._original = os.getpid()
        reading, writing = os.pipe()
        self._results = os.fdopen(reading, "rb")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # about threads, which libraries may have
                self._process = os.fork()
            if not self._process:
                _send(results, writing, self._original, [copy.reading for copy in (self, *others)])
        except OSError:
            self._results.close()
            raise
        finally:
            os.close(writing)

    @property
    def reading(self) -> int:
        """Where its results are read."""
        return self._results.fileno()

    def result(self) -> Any:
        """The next result."""
        try:
            succeeded, result = pickle.load(self._results)  # noqa: S301 - from a copy of this process
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise LostProcessError(
                "one of the processes that share the work was ended, perhaps for want of memory; with "
                "OMP_NUM_THREADS=1 there is only one"
            ) from error
        if not succeeded:
            raise cast(Exception, result)
        return result

    def end(self) -> None:
        """End it at once, unless this process is itself a copy that somebody has made of the original."""
        self._results.close()
        if os.getpid() != self._original:
            return
        with suppress(OSError):
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


def _send(results: Iterator[Any], writing: int, parent: int, to_close: Iterable[int]) -> NoReturn:
    """What a copy does: send results; nothing that was begun before it was made is ended by it."""
    try:
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
        gc.freeze()  # what it has from the original is not its to clear away
        for file in to_close:
            os.close(file)
        with os.fdopen(writing, "wb") as pipe:
            while os.getppid() == parent:
                try:
                    reply = True, next(results)
                except StopIteration:
                    break
                except Exception as error:
                    reply = False, error
                pickle.dump(reply, pipe, pickle.HIGHEST_PROTOCOL)
                pipe.flush()
    finally:
        os._exit(0)
