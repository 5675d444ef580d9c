"""The number of threads that is chosen by what is faster here and now."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.runs.config_file import configured, read_config, read_run_config
from lmgen.runs.events import SizesChosen, Started, ThreadsChosen
from lmgen.runs.threads import may_choose, with_threads
from lmgen.training import process, speed
from tests.process import COMMAND, ENVIRONMENT, run_command

TEXT = "the cat sat on the mat and the dog lay on the log\n" * 200

SMALL: dict[str, Any] = {"hidden_size": 8, "baseline_order": 0, "minutes": 0.005}


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which torch would take two."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(process, "default_threads", lambda: 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def speeds_are(monkeypatch: pytest.MonkeyPatch, alone: float, both: float) -> None:
    monkeypatch.setattr(speed, "speeds_by_threads", lambda *_: {1: alone, 2: both})


def train(folder: Path, **settings: Any) -> list[Any]:
    """The events of a run."""
    events: list[Any] = []
    lmgen.train(TEXT, out=folder, on_event=events.append, **settings)
    return events


def threads_of(events: list[Any]) -> int | None:
    [started] = [event for event in events if isinstance(event, Started)]
    threads: int | None = started.config.training.threads
    return threads


@pytest.mark.parametrize(
    ("settings", "threads", "may"),
    [
        ({"minutes": 1.0}, 2, True),
        ({"preset": "quick"}, 2, True),
        ({"minutes": 1.0, "labels": True}, 2, True),
        ({"minutes": 1.0}, 1, False),
        ({"minutes": 1.0, "threads": 2}, 2, False),
        ({"minutes": 1.0, "steps": 5}, 2, False),
        ({"minutes": 1.0, "epochs": 5.0}, 2, False),
        ({"steps": 5}, 2, False),
        ({}, 2, False),
    ],
)
@pytest.mark.usefixtures("two_processors")
def test_it_is_chosen_for_a_time_alone_unless_it_is_said(
    settings: dict[str, Any], threads: int, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_threads(configured({"device": "cpu", **settings}, "here").resolved(), threads)

    assert may_choose(config) is may
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert not may_choose(config)


@pytest.mark.usefixtures("two_processors")
def test_several_processes_have_a_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_threads(configured({"device": "cpu", "minutes": 1.0}, "here").resolved(), 2)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert not may_choose(config)


@pytest.mark.slow
@pytest.mark.usefixtures("two_processors")
def test_one_thread_is_taken_and_kept_where_it_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds_are(monkeypatch, alone=13_196.0, both=366.0)
    folder = RunFolder(tmp_path / "run")
    events = train(folder.folder, **SMALL)
    [chosen] = [event for event in events if isinstance(event, ThreadsChosen)]
    resumed: list[Any] = []
    lmgen.resume(folder.folder, minutes=0.01, on_event=resumed.append)

    assert str(chosen).startswith("threads   1 of 2: 13,196 tokens/s, in 2 only 366 (")
    assert threads_of(events) == threads_of(resumed) == read_run_config(folder.config).training.threads == 1
    assert "threads" not in read_config(folder.config), "it was not asked for"
    assert not any(isinstance(event, ThreadsChosen) for event in resumed)


@pytest.mark.slow
@pytest.mark.usefixtures("two_processors")
def test_all_are_taken_where_they_are_about_as_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds_are(monkeypatch, alone=1050.0, both=1000.0)
    events = train(tmp_path / "run", **SMALL)

    assert not any(isinstance(event, ThreadsChosen) for event in events)
    assert threads_of(events) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("two_processors")
def test_sizes_are_chosen_for_the_threads_that_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two sizes whose speed tells, the first was measured with the threads."""
    speeds_are(monkeypatch, alone=1e9, both=1e8)
    during: list[int] = []

    def tokens_per_second(*_: Any) -> float:
        during.append(torch.get_num_threads())
        return 1000.0

    monkeypatch.setattr(speed, "tokens_per_second", tokens_per_second)
    events = train(tmp_path / "run", minutes=0.005, baseline_order=0)
    kinds = [type(event) for event in events]

    assert during == [1]
    assert kinds.index(ThreadsChosen) < kinds.index(SizesChosen) < kinds.index(Started)


@pytest.mark.slow
def test_what_the_command_says_is_what_config_toml_keeps(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "OMP_NUM_THREADS"}
    command = [*COMMAND, "train", "text.txt", "--minutes", "0.01", "--baseline-order", "0", "--out", "run"]
    trained = run_command(command, cwd=tmp_path, environment=environment, check=True)
    kept = read_run_config(tmp_path / "run" / "config.toml").training.threads

    said = re.search(r"^threads   (\d+) of \d+: [\d,]+ tokens/s, in \d+ only", trained.stderr, re.MULTILINE)
    available = run_command(
        [COMMAND[0], "-c", "import torch; print(torch.get_num_threads())"],
        cwd=tmp_path,
        environment=environment,
    )
    assert kept == int(said[1] if said else available.stdout)
