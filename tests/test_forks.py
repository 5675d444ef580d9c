"""Copies of a process share work, and end with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from lmgen.errors import LostProcessError, NumericalError
from lmgen.forks import in_forks
from tests.process import ENVIRONMENT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux alone")


def places(items: Iterable[int]) -> Iterator[tuple[int, int]]:
    for item in items:
        yield item, os.getpid()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_ended(*processes: int) -> None:
    until = time.monotonic() + 20
    while any(map(is_alive, processes)):
        assert time.monotonic() < until, "a copy is left"
        time.sleep(0.01)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    found = list(in_forks(places, range(11), count))

    assert [item for item, _ in found] == list(range(11))
    assert len({process for _, process in found} - {os.getpid()}) == count
    wait_until_ended(*{process for _, process in found})


def test_an_error_comes_in_its_turn() -> None:
    def work(items: Iterable[int]) -> Iterator[int]:
        for item in items:
            if item == 3:
                raise NumericalError("the third is NaN")
            yield item

    results = in_forks(work, range(6), 2)

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(NumericalError, match="the third is NaN"):
        next(results)


def test_large_results_are_whole() -> None:
    def work(items: Iterable[int]) -> Iterator[bytes]:
        for item in items:
            yield bytes([item]) * 3_000_000

    assert [(result[0], len(result)) for result in in_forks(work, range(4), 2)] == [
        (item, 3_000_000) for item in range(4)
    ]


def test_a_killed_copy_is_an_error_and_the_others_end() -> None:
    results = in_forks(places, range(100_000), 2)
    (_, first), (_, second) = next(results), next(results)
    os.kill(second, signal.SIGKILL)

    with pytest.raises(LostProcessError, match="want of memory"):
        list(results)
    wait_until_ended(first, second)


def test_copies_end_when_nobody_wants_their_results() -> None:
    results = in_forks(places, range(100_000), 2)
    processes = [next(results)[1] for _ in range(2)]
    assert all(map(is_alive, processes))
    results.close()  # type: ignore[attr-defined]

    assert not any(map(is_alive, processes))


def test_a_program_that_forks_meanwhile_keeps_its_copies() -> None:
    results = in_forks(places, range(20_000), 2)
    next(results)
    if not (other := os.fork()):
        try:
            results.close()  # type: ignore[attr-defined]
        finally:
            os._exit(0)
    os.waitpid(other, 0)

    assert [item for item, _ in results] == list(range(1, 20_000))


def test_ctrl_c_while_copies_are_ended_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    results = in_forks(places, range(100_000), 3)
    processes = [next(results)[1] for _ in range(3)]
    kill, over = os.kill, Event()
    other = Thread(target=over.wait)  # takes the signals that the main thread holds back
    other.start()

    def interrupted(process: int, number: int) -> None:
        kill(os.getpid(), signal.SIGINT)
        kill(process, number)

    monkeypatch.setattr(os, "kill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        results.close()  # type: ignore[attr-defined]

    monkeypatch.undo()
    over.set()
    other.join()
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_where_no_process_can_be_started_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    fork = os.fork

    def only_once() -> int:
        if begun:
            raise BlockingIOError
        begun.append(fork())
        return begun[0]

    monkeypatch.setattr(os, "fork", only_once)
    assert list(in_forks(places, range(5), 3)) == [(item, os.getpid()) for item in range(5)]
    wait_until_ended(*begun)


def test_a_process_with_threads_is_not_copied() -> None:
    """In a process of its own, since other tests may have left threads in this one."""
    program = """
from threading import Event, Thread
from lmgen.forks import can_fork
over = Event()
thread = Thread(target=over.wait)
print(can_fork())
thread.start()
print(can_fork())
over.set()
thread.join()
print(can_fork())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["True", "False", "True"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_copies_end_with_their_original_in_the_middle_of_an_item(number: int) -> None:
    program = """
import os, time
from lmgen.forks import in_forks

def work(items):
    for item in items:
        yield os.getpid()
        time.sleep(1000)

results = in_forks(work, range(10), 2)
print(next(results), next(results), flush=True)
next(results)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        copies = [int(number) for number in process.stdout.readline().split()]
        if number == signal.SIGINT:  # as Ctrl-C does
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(60) == -number
        wait_until_ended(*copies)
