"""`lmgen.train` in Python, stopped on the way by Ctrl-C, by `should_stop` or by a callback that raises."""

import shutil
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.runs.events import Event, Finished, Started
from lmgen.runs.interruption import Interruption, run_to_end
from lmgen.training.events import Evaluated, Stepped
from tests.process import Forked
from tests.runs.test_run import TINY, metrics, stop_after, text, trained, without_times

__all__ = ["text"]  # a fixture

pytestmark = pytest.mark.slow

LONG: dict[str, Any] = {**TINY, "steps": 600, "evaluations": 10}

PROGRAM = """
import sys, lmgen
from lmgen.training.events import Stepped

def show(event):
    if isinstance(event, Stepped):
        print(event.step, flush=True)

try:
    {call}
except KeyboardInterrupt as stopped:
    print(stopped, flush=True)
    sys.exit(77)
"""
"""A Python program that trains and prints each step."""


def interrupted(call: str, folder: Path, lines: int) -> tuple[int | None, str]:
    """Send Ctrl-C to the program after some lines of output; its exit code and last line."""
    with Forked(cwd=folder, program=PROGRAM.format(call=call)) as process:
        for _ in range(lines):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
    assert errors == ""
    return process.returncode, rest.splitlines()[-1]


def check_equal(folder: Path, whole: Path) -> None:
    assert RunFolder(folder).model.read_bytes() == RunFolder(whole).model.read_bytes()
    assert without_times(metrics(folder)) == without_times(metrics(whole))


def test_ctrl_c_saves_and_resuming_gives_the_uninterrupted_run(text: Path, tmp_path: Path) -> None:
    """Twice: in `lmgen.train` and in `lmgen.resume`. No checkpoint is made on the way but for Ctrl-C."""
    lmgen.train(text, out=tmp_path / "whole", **LONG)
    settings = ", ".join(f"{name}={value!r}" for name, value in LONG.items())
    train = f"lmgen.train({text.name!r}, out='cut', on_event=show, {settings})"
    code, message = interrupted(train, tmp_path, lines=20)
    assert code == 77
    assert message.startswith("saved at step ")
    assert message.endswith("; lmgen.resume('cut') goes on")
    first = int(message.split()[3].rstrip(";"))
    code, message = interrupted("lmgen.resume('cut', on_event=show)", tmp_path, lines=20)
    assert code == 77
    assert int(message.split()[3].rstrip(";")) > first
    model = lmgen.resume(tmp_path / "cut")

    assert model.model.name == "lstm"
    check_equal(tmp_path / "cut", tmp_path / "whole")


def test_should_stop_returns_the_best_model_so_far(text: Path, tmp_path: Path) -> None:
    model = lmgen.train(text, out=tmp_path / "run", should_stop=stop_after(20), **TINY)
    best = min(line["valid_nats_per_token"] for line in metrics(tmp_path / "run"))
    valid = RunFolder(tmp_path / "run").valid_text.read_text(encoding="utf-8")

    assert 6 <= metrics(tmp_path / "run")[-1]["step"] < 24
    assert model.score(valid).nats_per_token == pytest.approx(best, rel=1e-5)
    assert lmgen.resume(tmp_path / "run", should_stop=stop_after(1)).path == RunFolder(tmp_path / "run").model
    trained(text, tmp_path / "whole")
    lmgen.resume(tmp_path / "run")
    check_equal(tmp_path / "run", tmp_path / "whole")


def test_a_run_in_another_thread_is_stopped_by_should_stop(text: Path, tmp_path: Path) -> None:
    """Where there can be no handlers of signals. The main thread's stay as they are."""
    stop, begun = threading.Event(), threading.Event()
    models: list[Any] = []

    def train() -> None:
        settings = {**TINY, "steps": 10**6}
        models.append(
            lmgen.train(
                text,
                out=tmp_path / "run",
                should_stop=stop.is_set,
                on_event=lambda event: begun.set() if isinstance(event, Stepped) else None,
                **settings,
            )
        )

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=train)
    thread.start()
    assert begun.wait(60)
    assert signal.getsignal(signal.SIGINT) is before
    stop.set()
    thread.join(60)

    assert models[0].path == RunFolder(tmp_path / "run").model


class CallbackError(Exception):
    """What a faulty callback raises."""


@pytest.mark.parametrize("kind", [Started, Stepped, Evaluated, Finished])
def test_a_callback_that_raises_does_not_lose_the_run(kind: type, text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "whole")
    seen: list[Event] = []

    def fail(event: Event) -> None:
        seen.append(event)
        if isinstance(event, kind):
            raise CallbackError

    with pytest.raises(CallbackError):
        lmgen.train(text, out=tmp_path / "run", on_event=fail, **TINY)
    assert isinstance(seen[-1], kind), "it is not called again"
    lmgen.resume(tmp_path / "run")

    check_equal(tmp_path / "run", tmp_path / "whole")


def test_a_callback_that_raises_before_the_first_update_leaves_a_run_to_resume(
    text: Path, tmp_path: Path
) -> None:
    def fail(_: Event) -> None:
        raise CallbackError

    with pytest.raises(CallbackError):
        lmgen.train(text, out=tmp_path / "run", on_event=fail, **TINY)
    assert not RunFolder(tmp_path / "run").last.exists()
    trained(text, tmp_path / "whole")
    lmgen.resume(tmp_path / "run")

    check_equal(tmp_path / "run", tmp_path / "whole")


def test_a_should_stop_that_raises_does_not_lose_the_run(text: Path, tmp_path: Path) -> None:
    def fail() -> bool:
        raise CallbackError

    with pytest.raises(CallbackError):
        lmgen.train(text, out=tmp_path / "run", should_stop=fail, **TINY)
    trained(text, tmp_path / "whole")
    lmgen.resume(tmp_path / "run")

    check_equal(tmp_path / "run", tmp_path / "whole")


def test_a_resumed_run_takes_a_new_budget_and_the_newest_run(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lmgen.train(text, **TINY)
    lmgen.resume(steps=30, threads=2)

    assert metrics(tmp_path / "checkpoints" / "numbers")[-1]["step"] == 30


def test_a_run_of_links_to_another_goes_on_and_leaves_the_other_as_it_is(text: Path, tmp_path: Path) -> None:
    run, links = tmp_path / "run", tmp_path / "links"
    lmgen.train(text, out=run, **TINY)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    shutil.copytree(run, links, copy_function=lambda source, target: Path(target).symlink_to(source))
    lmgen.resume(links, steps=30)

    assert metrics(links)[-1]["step"] == 30
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_resumed_run_takes_the_paths_and_corpora_that_it_has(text: Path, tmp_path: Path) -> None:
    run = lmgen.train(text, out=tmp_path / "run", valid=text, **TINY)

    assert lmgen.resume(tmp_path / "run", valid=text, corpus=[str(text)]).path == run.path
    with pytest.raises(ConfigError, match="test cannot change"):
        lmgen.resume(tmp_path / "run", test=text)
    with pytest.raises(ConfigError, match="unknown settings stepps"):
        lmgen.resume(tmp_path / "run", stepps=3)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with Interruption([signal.SIGINT]) as interruption:
        interruption.updating = True
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_program_that_handles_ctrl_c_itself_goes_on_doing_so() -> None:
    received: list[int] = []

    def begin(_: object) -> Generator[Event, None, None]:
        signal.raise_signal(signal.SIGINT)
        raise CallbackError

    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        with pytest.raises(CallbackError):
            run_to_end(begin, None, None)
    finally:
        signal.signal(signal.SIGINT, before)

    assert received == [signal.SIGINT]
