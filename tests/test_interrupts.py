"""Signals whose exception Python or a library drops: they end the command all the same, and leave nothing."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from lmgen import interrupts
from lmgen.interrupts import handled, stop_if_interrupted
from tests.process import run_command

pytestmark = pytest.mark.slow  # most tests start a command

DROPPING = """
import os, {module}
from lmgen.__main__ import main

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), {number})
        for _ in range(100):
            pass

def closed():
    try:
        yield
    finally:
        os.kill(os.getpid(), {number})
        for _ in range(100):
            pass

def caught():
    try:
        os.kill(os.getpid(), {number})
        for _ in range(100):
            pass
    except BaseException:
        pass

def generator():
    suspended = closed()
    next(suspended)

whole = {module}.{function}
def interrupted(*arguments, **others):
    {way}()
    return whole(*arguments, **others)
{module}.{function} = interrupted
main()
"""
"""Sends itself a signal, whose exception is dropped, when it comes to call a function."""

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def dropping(module: str, function: str, way: str, number: int) -> list[str]:
    code = DROPPING.format(module=module, function=function, way=way, number=int(number))
    return [sys.executable, "-c", code]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("one fine day\n" * 500)
    return path


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("way", ["Finalized", "generator", "caught"])
@pytest.mark.parametrize("function", ["prepare", "fit_on_run", "save_model"])
def test_counting_is_ended(function: str, way: str, number: int, text: Path, tmp_path: Path) -> None:
    program = dropping("lmgen.runs.ngram", function, way, number)
    result = run_command([*program, "ngram", text.name, "--out", "m"], cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (CODES[signal.Signals(number)], "", "")
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("way", ["generator", "caught"])
def test_a_run_does_not_begin(way: str, number: int, text: Path, tmp_path: Path) -> None:
    program = dropping("lmgen.runs.run", "prepare_run", way, number)
    training = ["train", text.name, "--out", "run", "--steps", "2", "--hidden-size", "4", "--threads", "1"]
    result = run_command([*program, *training], cwd=tmp_path)

    assert result.returncode == CODES[signal.Signals(number)], result.stderr
    assert "Exception ignored" not in result.stderr
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize("way", ["Finalized", "caught"])
def test_any_command_that_writes_is_ended_by_ctrl_c(way: str, text: Path, tmp_path: Path) -> None:
    program = dropping("lmgen.compression.files", "compress", way, signal.SIGINT)
    result = run_command([*program, "compress", text.name, "--out", "archive"], cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")
    assert list(tmp_path.iterdir()) == [text]


SLOW = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
for _ in range(100):
    pass
whole = True
"""
"""A module while which is imported a signal comes."""

IMPORTED = """
import os, signal, time
from lmgen.interrupts import handled

def stopped(what):
    with handled([signal.SIGINT]):
        try:
            what()
            time.sleep(10)
        except KeyboardInterrupt:
            return True
    return False

def imports():
    global slow
    import slow

print(stopped(lambda: os.kill(os.getpid(), signal.SIGINT)), stopped(imports), slow.whole)
"""


@pytest.mark.parametrize("how", [["program.py"], ["-c", "import program"]], ids=" ".join)
def test_a_program_may_be_a_module_that_is_imported(how: list[str], tmp_path: Path) -> None:
    """Only what is imported in the block is finished first."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "program.py").write_text(IMPORTED)
    result = run_command([sys.executable, *how], cwd=tmp_path)

    assert (result.stdout, result.stderr) == ("True True True\n", "")


def in_a_thread(function: Callable[[], None]) -> list[BaseException]:
    """What a function raises in another thread."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    return raised


def test_only_the_main_thread_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_on_its_way", signal.SIGINT)

    assert in_a_thread(stop_if_interrupted) == []
    with pytest.raises(KeyboardInterrupt):
        stop_if_interrupted()


def test_trainings_of_several_threads_leave_no_hook() -> None:
    before = sys.unraisablehook
    first, second = handled([]), handled([])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)

    assert sys.unraisablehook is before
