"""The processes in which tests run commands (process.py): an interrupted one is not the end of others."""

import os
import signal
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.process import Forked, lmgen

SLEEPING = "import time; time.sleep(60)"


class TimeUpError(Exception):
    """What a time limit raises."""


def time_up(*_: Any) -> None:
    raise TimeUpError


@pytest.mark.slow
def test_a_test_that_is_interrupted_while_it_waits_is_not_the_end_of_others(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGUSR1, time_up)
    try:
        with Forked(cwd=tmp_path, program=SLEEPING) as waited_for:
            Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(TimeUpError):
                waited_for.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert lmgen("--version", cwd=tmp_path).returncode == 0
    with Forked(cwd=tmp_path, program="raise SystemExit(3)") as other:
        assert other.wait() == 3


@pytest.mark.slow
def test_a_process_that_forks_and_dies_is_replaced(tmp_path: Path) -> None:
    with Forked(cwd=tmp_path, program="import os; print(os.getppid())") as asking:
        forking = int(asking.communicate()[0])
    os.kill(forking, signal.SIGKILL)

    with pytest.raises((ValueError, BrokenPipeError)):
        lmgen("--version", cwd=tmp_path)
    assert lmgen("--version", cwd=tmp_path).returncode == 0
