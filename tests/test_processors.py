"""Several threads give what one gives, in the same order, and leave nothing behind."""

import sys
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lmgen import processors
from lmgen.processors import AHEAD, on_all_processors, products_in_one_thread, stop_if_abandoned
from tests.process import run_command


@pytest.fixture
def two() -> Iterator[None]:
    """Two threads, however many processors there are."""
    with threadpool_limits(2, user_api="blas"):
        yield


def threads_of_products() -> int:
    """How many threads a matrix product may have."""
    return min(int(library["num_threads"]) for library in threadpool_info() if library["user_api"] == "blas")


@pytest.mark.usefixtures("two")
def test_two_items_are_worked_on_at_the_same_time_each_product_in_one_thread() -> None:
    both = threading.Barrier(2, timeout=20)

    def work(number: int) -> tuple[int, int]:
        both.wait()  # fails unless another thread is here, too
        return number, threads_of_products()

    assert list(on_all_processors(work, range(10))) == [(number, 1) for number in range(10)]
    assert threads_of_products() == 2


@pytest.mark.usefixtures("two")
def test_results_come_in_the_order_of_the_items() -> None:
    def work(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    items = [0.05, 0, 0.02, 0, 0, 0.03, 0]

    assert list(on_all_processors(work, iter(items))) == items


@pytest.mark.parametrize(("limit", "items"), [(1, 5), (2, 1), (2, 0)])
def test_one_thread_or_one_item_needs_no_other_thread(limit: int, items: int) -> None:
    here = threading.get_ident(), limit
    with threadpool_limits(limit, user_api="blas"):
        found = list(
            on_all_processors(lambda _: (threading.get_ident(), threads_of_products()), range(items))
        )

    assert found == [here] * items


@pytest.mark.usefixtures("two")
def test_work_within_work_stays_in_its_thread() -> None:
    def within(_: int) -> set[int]:
        return set(on_all_processors(lambda _: threading.get_ident(), range(4))) - {threading.get_ident()}

    assert list(on_all_processors(within, range(4))) == [set()] * 4


@pytest.mark.usefixtures("two")
def test_an_error_is_raised_in_its_turn() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError(number)
        time.sleep(0.01 * (number < 3))
        return number

    before = threading.active_count()
    results = on_all_processors(work, range(10))
    assert list(islice(results, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)

    assert threading.active_count() == before
    assert threads_of_products() == 2


@pytest.mark.usefixtures("two")
def test_work_that_nobody_waits_for_ends() -> None:
    """As when Ctrl-C is raised where a result is used, or waited for."""

    def work(number: int) -> int:
        while number:
            stop_if_abandoned()
            time.sleep(0.001)
        return number

    before = threading.active_count()
    results = on_all_processors(work, count())
    assert next(results) == 0
    assert threading.active_count() == before + 2
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)  # type: ignore[attr-defined]

    assert threading.active_count() == before
    assert threads_of_products() == 2


@pytest.mark.usefixtures("two")
def test_few_items_are_taken_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    for given, _ in enumerate(islice(on_all_processors(lambda number: number, items()), 100), 1):
        assert taken <= given + AHEAD * 2


@pytest.mark.usefixtures("two")
def test_two_calls_at_a_time_both_have_two_threads() -> None:
    """The threads of a call wait for each other; across calls the last one could wait for nobody."""
    found = set()

    def call() -> Iterator[int]:
        both = threading.Barrier(2, timeout=20)
        return on_all_processors(lambda _: both.wait() and threads_of_products(), range(6))

    calls = [call(), call()]
    for results in zip(*calls, strict=True):
        found |= set(results)

    assert found <= {0, 1}
    assert threads_of_products() == 2


@pytest.mark.usefixtures("two")
def test_the_settings_of_numpy_hold_in_every_thread() -> None:
    with np.errstate(divide="raise"):
        results = on_all_processors(lambda number: np.log(np.zeros(number)), [1, 1])
        with pytest.raises(FloatingPointError):
            list(results)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("allowed", [0, 1])
def test_fewer_threads_do_where_the_system_allows_no_more(
    allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    start = threading.Thread.start

    def refusing(thread: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread.ident or 0)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    found = set(on_all_processors(lambda _: threading.get_ident(), range(9)))

    assert found == (set(started) or {threading.get_ident()})


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["sys.exit(3)", "raise KeyboardInterrupt", "os.kill(os.getpid(), 15)"])
def test_a_program_that_ends_waits_for_no_work(ending: str, tmp_path: Path) -> None:
    code = f"""
import itertools, os, sys, time
import numpy
from threadpoolctl import threadpool_limits
from lmgen.processors import on_all_processors, stop_if_abandoned

def work(number):
    while number:
        stop_if_abandoned()
        time.sleep(0.001)
    return number

threadpool_limits(2, user_api="blas")
results = on_all_processors(work, itertools.count())
next(results)
{ending}
"""
    result = run_command([sys.executable, "-c", code], cwd=tmp_path, timeout=60)

    assert result.returncode in (3, 130, 1, -2, -15)
    assert "AbandonedError" not in result.stderr


@pytest.mark.usefixtures("two")
def test_an_error_of_the_items_comes_after_the_results_before_it() -> None:
    def items(most: int) -> Iterator[int]:
        yield from range(most)
        raise OSError("the disk is gone")

    def work(number: int) -> int:
        time.sleep(0.005)
        return number

    for most in (0, 1, 2, 9):
        results = on_all_processors(work, items(most))
        assert list(islice(results, most)) == list(range(most))
        with pytest.raises(OSError, match="the disk is gone"):
            next(results)


@pytest.mark.usefixtures("two")
def test_an_abandoned_generator_may_be_collected_while_threads_are_counted() -> None:
    """In the thread that holds the lock: the collector runs wherever something is allocated."""
    abandoned = [on_all_processors(lambda number: number, range(9))]
    assert next(abandoned[0]) == 0

    with processors._THREADS._changing:
        abandoned.clear()  # ends it here and now

    assert threads_of_products() == 2


@pytest.mark.usefixtures("two")
def test_work_goes_on_in_a_thread_that_outlives_the_main_one(tmp_path: Path) -> None:
    program = """
import threading, time
from threadpoolctl import threadpool_limits
from lmgen.processors import on_all_processors, stop_if_abandoned

def work(number):
    threading.main_thread().join()
    time.sleep(0.01)
    stop_if_abandoned()
    return number

def outlive():
    with threadpool_limits(2, user_api="blas"):
        print(list(on_all_processors(work, range(5))))

import numpy
threading.Thread(target=outlive).start()
"""
    result = run_command([sys.executable, "-c", program], cwd=tmp_path, timeout=60)

    assert (result.returncode, result.stdout, result.stderr) == (0, "[0, 1, 2, 3, 4]\n", "")


@pytest.mark.usefixtures("two")
def test_training_and_scoring_at_a_time_leave_the_number_of_threads_as_it_was() -> None:
    """Whichever ends first."""
    for scoring_ends_first in (True, False):
        results = on_all_processors(lambda number: number, range(9))
        assert next(results) == 0
        training = products_in_one_thread(["openblas", "blis"])
        training.__enter__()
        ends = [results.close, lambda training=training: training.__exit__(None, None, None)]  # type: ignore[attr-defined]
        for end in ends if scoring_ends_first else reversed(ends):
            assert threads_of_products() == 1
            end()
        assert threads_of_products() == 2


@pytest.mark.usefixtures("two")
def test_while_a_network_is_trained_other_work_has_one_thread() -> None:
    with products_in_one_thread(["openblas", "blis"]):
        threads = set(on_all_processors(lambda _: threading.get_ident(), range(5)))

    assert threads == {threading.get_ident()}
