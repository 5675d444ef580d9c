"""
Work on a long text in several processes, block by block, with the results in order.

That is for what Python itself does with a text; what numpy computes is done in threads (processors.py).

The first `ALONE` characters are worked on here; only a longer text is worth starting processes for. A block
goes to whichever process is idle, and its result waits until it is its turn:

    blocks ──► process 1 ──►
           ──► process 2 ──►  results, in the order of the blocks
           ──► ...       ──►

The processes are new interpreters that import only what they need, and end when this one does.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar, cast

from lmgen.errors import CutOffError
from lmgen.processors import available_processors

ALONE = 1 << 24
"""Characters of a text that are worked on before processes are started."""

AHEAD = 3
"""Blocks for each process that are read before the result of the first of them is asked for."""

PROCESSES: ContextVar[int] = ContextVar("PROCESSES", default=1)
"""How many processes work on a text; 1: this one alone."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from lmgen.tokenizers.parallel import serve; serve()"
)

Result_co = TypeVar("Result_co", covariant=True)


class Work(Protocol[Result_co]):
    """What is done with blocks. Unpickled, it is as new: it has seen no block."""

    def __call__(self, block: str, /) -> Result_co:
        """Work on one block."""

    def total(self) -> Any:
        """What is known after the last block that belongs to no single one."""

    def merge(self, total: Any) -> None:
        """Take in the total of another process."""


@contextmanager
def in_processes(count: int | None) -> Iterator[None]:
    """In the block, work on long texts in so many processes; None: one for each processor."""
    token = PROCESSES.set(available_processors() if count is None else count)
    try:
        yield
    finally:
        PROCESSES.reset(token)


def in_order(work: Work[Result_co], blocks: Iterable[str]) -> Iterator[tuple[str, Result_co]]:
    """
    Work on the blocks of a text, in several processes if it is long; `work` has all totals in the end.

    Yields:
        Each block with its result, the same as `work` gives here, in the order of the blocks.

    Raises:
        CutOffError: one of the processes cannot be started, or ended early.
    """
    count, characters = PROCESSES.get(), 0
    blocks = iter(blocks)
    for block in blocks:
        if count > 1 and characters >= ALONE and sys.executable:
            yield from _side_by_side(work, block, blocks, count)
            return
        yield block, work(block)
        characters += len(block)


def serve() -> None:
    """What one of the processes does: answer each block on stdin with its result on stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that asks, and that ends this one
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    with suppress(EOFError, BrokenPipeError):
        work = pickle.load(requests)  # noqa: S301 - from the process that started this one
        while True:
            block = pickle.load(requests)  # noqa: S301
            try:
                reply = True, work.total() if block is None else work(block)
            except Exception as error:
                reply = False, error
            pickle.dump(reply, replies, pickle.HIGHEST_PROTOCOL)
            replies.flush()


class _Process:
    """A process that works on one block after the other."""

    def __init__(self, work: Work[Any]) -> None:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-P", "-c", _START],  # -P: import no module from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        with suppress(OSError):  # it has ended: the first block says so
            self._requests.write(json.dumps(sys.path).encode() + b"\n")
            pickle.dump(work, self._requests, pickle.HIGHEST_PROTOCOL)

    def ask(self, block: str | None) -> Any:
        """The result of a block; of None, the total of all."""
        try:
            pickle.dump(block, self._requests, pickle.HIGHEST_PROTOCOL)
            self._requests.flush()
            succeeded, result = pickle.load(self._replies)  # noqa: S301 - from a process of our own
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise CutOffError(
                "one of the processes that read the text was ended, perhaps for want of memory; fewer of "
                "them (`lmgen train --threads 1`, `lmgen ngram --memory 500M`) take less"
            ) from error
        if not succeeded:
            raise cast(Exception, result)
        return result

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> None:
        """Let it end, and wait for that."""
        with suppress(OSError):
            self._requests.close()
        self._process.wait()
        self._replies.close()


def _started(work: Work[Any]) -> _Process:
    """A new process; raises CutOffError if the system allows no more of them."""
    try:
        return _Process(work)
    except OSError as error:
        raise CutOffError(
            f"cannot start a process to read the text ({error.strerror or error}); --threads 1 needs none"
        ) from error


def _side_by_side(
    work: Work[Result_co], first: str, blocks: Iterator[str], count: int
) -> Iterator[tuple[str, Result_co]]:
    """The blocks, of which `first` is the first, with their results."""
    processes: list[_Process] = []
    idle: SimpleQueue[_Process] = SimpleQueue()

    def ask(block: str) -> Result_co:
        process = idle.get()
        try:
            return cast(Result_co, process.ask(block))
        finally:
            idle.put(process)

    waiting: deque[tuple[str, Future[Result_co]]] = deque()
    with ThreadPoolExecutor(count) as pool:  # a thread sends a block and waits for its result
        try:
            for _ in range(count):
                processes.append(_started(work))
                idle.put(processes[-1])
            waiting.append((first, pool.submit(ask, first)))
            for block in blocks:
                waiting.append((block, pool.submit(ask, block)))
                while len(waiting) >= AHEAD * count or waiting[0][1].done():
                    done, result = waiting.popleft()
                    yield done, result.result()
                    if not waiting:
                        break
            for done, result in waiting:
                yield done, result.result()
            for process in processes:
                work.merge(process.ask(None))
        except BaseException:
            for process in processes:
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            for process in processes:
                process.end()
