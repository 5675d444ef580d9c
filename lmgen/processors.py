"""
Score independent texts on all processors, in threads of this process.

numpy lets go of Python's lock while it computes, so threads compute at the same time; they share the model,
and start in no time. (What Python itself does, such as cutting a text into tokens, takes several processes:
tokenizers/parallel.py. So do the many short calls that draw one token after the other: forks.py.)

    items ──► thread 1 ──►
          ──► thread 2 ──►  results, in the order of the items
          ──► ...      ──►

Results do not depend on the number of threads, as long as the items do not. While there are several, each
matrix product is computed in one thread.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import cache, partial
from itertools import chain, islice
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread, current_thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

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
"""Seconds after which a thread without work looks whether anybody still waits for some."""


class _Demand:
    """Whether anybody waits for results: the thread that asks for them."""

    def __init__(self) -> None:
        self.over = Event()
        self.asking = current_thread()

    def is_over(self) -> bool:
        """Whether nobody does any more, as when the program ends with results left."""
        return self.over.is_set() or not self.asking.is_alive()


_DEMAND: ContextVar[_Demand | None] = ContextVar("_DEMAND", default=None)
"""The demand for the work that this thread does, if it is one of several."""


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
        The results, in the order of the items. An error is raised in its turn, be it one of the work or of
        the items.
    """
    calls = _calls(work, items)
    first = list(islice(calls, 2))
    if len(first) < 2:
        yield from map(_called, first)
        return
    calls = chain(first, calls)
    with free_processors() as count:
        yield from map(_called, calls) if count == 1 else _side_by_side(calls, count)


@contextmanager
def free_processors() -> Iterator[int]:
    """How many processors work in the block may have; matrix products there have one thread each."""
    with _THREADS.several() as count:
        yield count


@contextmanager
def products_in_one_thread(internal_apis: Sequence[str]) -> Iterator[None]:
    """
    In the block, matrix products of these libraries have one thread each.

    Args:
        internal_apis: names of libraries, as threadpoolctl has them.
    """
    with _THREADS.held(internal_apis):
        yield


def stop_if_abandoned() -> None:
    """
    End the work of this thread if nobody waits for it any more.

    Raises:
        AbandonedError: nobody does.
    """
    demand = _DEMAND.get()
    if demand is not None and demand.is_over():
        raise AbandonedError


def _calls(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Callable[[], Result]]:
    """What works on each item; if the items end with an error, the last call raises it."""
    try:
        for item in items:
            yield partial(work, item)
    except Exception as error:
        yield partial(_raise, error)


def _called(call: Callable[[], Result]) -> Result:
    return call()


def _raise(error: Exception) -> NoReturn:
    raise error


def _side_by_side(calls: Iterator[Callable[[], Result]], count: int) -> Iterator[Result]:
    from concurrent.futures import Future

    demand = _Demand()
    context = copy_context()  # numpy's error settings are part of it
    context.run(_DEMAND.set, demand)
    tasks: Tasks = SimpleQueue()
    waiting: deque[Future[Result]] = deque()
    threads: list[Thread] = []
    try:
        while len(threads) < count:
            threads.append(Thread(target=context.copy().run, args=(_serve, tasks, demand)))
            try:
                threads[-1].start()
            except RuntimeError:  # the system allows no more of them
                del threads[-1]
                break
        if not threads:
            yield from map(_called, calls)
        for call in calls:
            waiting.append(Future())
            tasks.put((waiting[-1], call))
            while waiting and (len(waiting) >= AHEAD * len(threads) or waiting[0].done()):
                yield waiting.popleft().result()
                demand.asking = current_thread()  # a generator may go from hand to hand
        while waiting:
            yield waiting.popleft().result()
            demand.asking = current_thread()
    finally:
        demand.over.set()
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            if thread.is_alive() and thread is not current_thread():  # which may collect this generator
                thread.join()


def _serve(tasks: Tasks, demand: _Demand) -> None:
    """What each thread does: one task after the other, until None, or until nobody asks any more."""
    _one_thread_a_product()
    while not demand.is_over():
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
    """
    How many threads may compute. While several do, each matrix product is left to one.

    What products may have is noted before the first user changes it, and restored after the last. The lock
    is one that a thread may take again: anywhere in here the collector may end an abandoned generator, which
    is then no longer a user.
    """

    def __init__(self) -> None:
        self._changing = RLock()
        self._users = 0
        self._count = 1
        self._before: Any = None

    @contextmanager
    def several(self) -> Iterator[int]:
        """How many threads there may be in the block."""
        if _DEMAND.get() is not None:
            yield 1  # this is one of several
            return
        with self._changing:
            count = self._count if self._users else _threads_of_products()
        if count == 1:
            yield 1
            return
        with self._user():
            self._count = count
            _one_thread_a_product()
            yield count

    @contextmanager
    def held(self, internal_apis: Sequence[str]) -> Iterator[None]:
        """In the block, products of these libraries have one thread, and so has all other work."""
        from threadpoolctl import ThreadpoolController

        with self._user():
            if self._users == 1:
                self._count = 1
            ThreadpoolController().select(internal_api=list(internal_apis)).limit(limits=1)
            yield

    @contextmanager
    def _user(self) -> Iterator[None]:
        with self._changing:
            self._users += 1
            if self._users == 1:
                self._before = _products().limit(limits=None)
        try:
            yield
        finally:
            with self._changing:
                self._users -= 1
                if not self._users:
                    self._before.restore_original_limits()


def _threads_of_products() -> int:
    """How many threads a matrix product may have now."""
    counts = [library["num_threads"] for library in _products().info()]
    return min(*counts, MOST_THREADS) if counts else min(_asked_for(), MOST_THREADS)


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
