"""
Work on independent things on all processors, in threads of this process.

numpy lets go of Python's lock while it computes, so threads compute at the same time; they share the model,
and start in no time. (What Python itself does, such as cutting a text into tokens, takes several processes:
tokenizers/parallel.py.)

    items ──► thread 1 ──►
          ──► thread 2 ──►  results, in the order of the items
          ──► ...      ──►

Results do not depend on the number of threads, as long as the items do not. While there are several, each
matrix product is computed in one thread.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import cache, partial
from itertools import chain, islice
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread, main_thread
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:  # what takes long to import is needed only where there is much to do
    from concurrent.futures import Future

    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

Tasks: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]"

AHEAD = 2
"""Items for each thread that are taken before the result of the first of them is asked for."""

MOST_THREADS = 16
"""More would wait for each other: between numpy's computations only one thread is at work."""

PATIENCE = 1.0
"""Seconds after which a thread without work looks whether the program ends."""

_ABANDONED: ContextVar[Event | None] = ContextVar("_ABANDONED", default=None)
"""Set once nobody waits for the results of the work that this thread does."""


class AbandonedError(Exception):
    """Nobody waits any more for what a thread works on."""


def available_processors() -> int:
    """How many processors this process may use."""
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))  # does not exist everywhere
    return os.cpu_count() or 1


def on_all_processors(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """
    Work on items in as many threads as numpy's matrix products may have.

    That is one for each processor, unless OMP_NUM_THREADS or, in a Python program, `threadpoolctl` says
    another number. A single item is worked on as if this function had not been called; so are items within
    an item.

    Args:
        work: what is done with an item. It calls `stop_if_abandoned` once in a while.
        items: a few are taken before the first result is given.

    Yields:
        The results, in the order of the items. An error is raised in its turn.
    """
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    items = chain(first, items)
    with _THREADS.several() as count:
        yield from map(work, items) if count == 1 else _side_by_side(work, items, count)


def stop_if_abandoned() -> None:
    """
    End the work of this thread if nobody waits for it any more, or the program ends.

    Raises:
        AbandonedError: nobody does.
    """
    abandoned = _ABANDONED.get()
    if abandoned is not None and (abandoned.is_set() or not main_thread().is_alive()):
        raise AbandonedError


def _side_by_side(work: Callable[[Item], Result], items: Iterator[Item], count: int) -> Iterator[Result]:
    from concurrent.futures import Future

    abandoned = Event()
    context = copy_context()  # numpy's error settings are part of it
    context.run(_ABANDONED.set, abandoned)
    tasks: Tasks = SimpleQueue()
    waiting: deque[Future[Result]] = deque()
    threads: list[Thread] = []
    try:
        with suppress(RuntimeError):  # the system allows no more of them
            while len(threads) < count:
                thread = Thread(target=context.copy().run, args=(_serve, tasks))
                thread.start()
                threads.append(thread)
        if not threads:
            yield from map(work, items)
        for item in items:
            waiting.append(Future())
            tasks.put((waiting[-1], partial(work, item)))
            while waiting and (len(waiting) >= AHEAD * len(threads) or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        abandoned.set()
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            thread.join()


def _serve(tasks: Tasks) -> None:
    """What each thread does: one task after the other, until None, or the end of the program."""
    _one_thread_a_product()
    while main_thread().is_alive():
        with suppress(Empty):
            task = tasks.get(timeout=PATIENCE)
            if task is None:
                return
            future, call = task
            try:
                stop_if_abandoned()
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)


class _Threads:
    """How many threads may compute. While several do, each matrix product is left to one."""

    def __init__(self) -> None:
        self._changing = Lock()
        self._users = 0
        self._count = 1
        self._before: Any = None

    @contextmanager
    def several(self) -> Iterator[int]:
        """How many threads there may be in the block."""
        if _ABANDONED.get() is not None:
            yield 1  # this is one of several
            return
        with self._changing:
            if not self._users:
                products = _products()
                counts = [library["num_threads"] for library in products.info()]
                self._count = min(*counts, MOST_THREADS) if counts else min(_asked_for(), MOST_THREADS)
                if self._count > 1:
                    self._before = products.limit(limits=1)
            count = self._count
            self._users += count > 1
        try:
            yield count
        finally:
            with self._changing:
                self._users -= count > 1
                if count > 1 and not self._users:
                    self._before.restore_original_limits()


def _one_thread_a_product() -> None:
    """In libraries that use OpenMP each thread has a limit of its own."""
    _products().limit(limits=1)


@cache
def _products() -> "ThreadpoolController":
    """The libraries of matrix products that numpy has loaded."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


_THREADS = _Threads()


def _asked_for() -> int:
    """The number of threads where the library of matrix products does not tell it."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else available_processors()
