"""How a run was made and went, from its files."""

import json
import shlex
from pathlib import Path

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.report.history import command_of, history_of
from tests.process import lmgen as command
from tests.report import runs


def folder_with(tmp_path: Path, **lines: object) -> RunFolder:
    """A run whose metrics have these lines."""
    run = RunFolder(tmp_path / "run")
    run.folder.mkdir()
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines.values()))
    return run


def test_curves_and_rollbacks_come_from_the_metrics(tmp_path: Path) -> None:
    run = folder_with(
        tmp_path,
        first={"step": 5, "train_nats_per_token": 2.5, "valid_nats_per_token": None, "rollbacks": 0},
        second={"step": 10, "train_nats_per_token": 2.0, "valid_nats_per_token": 1.5, "rollbacks": 1},
        third={
            "step": 15,
            "train_nats_per_token": float("nan"),
            "rollbacks": 1,
            "train_objective": "sampled",
        },
    )
    found = history_of(run)

    assert found.curves.keys() == {"train_nats_per_token", "valid_nats_per_token"}
    assert (found.curves["train_nats_per_token"].steps, found.curves["train_nats_per_token"].values) == (
        [5, 10],
        [2.5, 2.0],
    )
    assert found.curves["valid_nats_per_token"].steps == [10]
    assert found.rollbacks == [10]
    assert found.samples == []
    assert found.estimated


@pytest.mark.parametrize(
    "line", ["{}", "[", '{"step": 1, "text": 5}', '{"step": "x"}', '{"step":1,"rollbacks":"x"}']
)
def test_lines_that_somebody_has_changed_are_passed_over(line: str, tmp_path: Path) -> None:
    run = folder_with(tmp_path)
    run.metrics.write_text(line + "\n")
    run.samples.write_text(line + "\n")

    assert history_of(run).curves == {}
    assert history_of(run).samples == []
    assert command_of(run) is None


@pytest.mark.slow
def test_a_run_tells_its_quarters() -> None:
    found = history_of(RunFolder(runs.run()))

    assert [sample.step for sample in found.samples] == [10, 20, 30, 40]
    assert [sample.progress for sample in found.samples] == [0.25, 0.5, 0.75, 1]
    assert found.curves["valid_nats_per_token"].steps == [10, 20, 30, 40]


@pytest.mark.slow
def test_the_command_of_a_run_makes_it_again(tmp_path: Path) -> None:
    (tmp_path / "a text.txt").write_text(runs.text())
    asked = "--steps 6 --hidden-size 8 --no-tied --clip none --learning-rate 1e-3 --threads 1 --valid 0.2"
    command("train", "a text.txt", *asked.split(), "--out", "it's", cwd=tmp_path)
    again = command_of(RunFolder(tmp_path / "it's"))
    assert again is not None
    words = shlex.split(again)
    assert words[:3] == ["lmgen", "train", "a text.txt"]
    assert words[-2:] == ["--out", str(tmp_path / "it's")]
    command(*words[1:-1], "again", cwd=tmp_path)

    one, other = (RunFolder(tmp_path / name) for name in ("it's", "again"))
    assert one.model.read_bytes() == other.model.read_bytes()
    assert command_of(RunFolder(runs.run())) is None  # its text came from a program
    assert lmgen.load(one.folder).training["steps"] == 6
