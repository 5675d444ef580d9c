"""What runs there are, and how two of them differ."""

import json
from pathlib import Path

import pytest

import lmgen
from lmgen.runs.listing import compare_runs
from tests.process import lmgen as command
from tests.runs.test_run import TINY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listing")
    (folder / "rain.txt").write_text("the rain in spain stays mainly in the plain\n" * 20)
    lmgen.train(folder / "rain.txt", out=folder / "checkpoints" / "one", **TINY)
    lmgen.train(
        folder / "rain.txt", out=folder / "checkpoints" / "two", **{**TINY, "steps": 12, "cell": "gru"}
    )
    lmgen.fit_ngram(folder / "rain.txt", out=folder / "checkpoints" / "n.safetensors", order=2)
    (folder / "checkpoints" / "README.md").write_text("no run\n")
    (folder / "checkpoints" / "broken.safetensors").write_text("nothing")
    return folder


def test_runs_are_listed_newest_first(folder: Path) -> None:
    listed = {run.name: run for run in lmgen.list_runs(folder / "checkpoints")}

    assert list(listed) == ["broken", "n", "two", "one"]
    assert listed["one"].corpus == "rain"
    assert listed["one"].model == "lstm 1x12"
    assert listed["one"].steps == 24
    model = lmgen.load(folder / "checkpoints" / "one")
    assert listed["one"].parameters == model.describe()["parameters"]
    ngram = lmgen.load(folder / "checkpoints" / "n.safetensors")
    assert listed["n"].parameters == ngram.describe()["parameters"]
    assert listed["broken"].model is None


def test_two_runs_differ_in_what_was_set_otherwise(folder: Path) -> None:
    differences = {
        each.name: (each.first, each.second)
        for each in compare_runs(folder / "checkpoints" / "one", folder / "checkpoints" / "two")
    }

    assert differences["cell"] == ("lstm", "gru")
    assert differences["steps"] == (24, 12)
    assert "hidden_size" not in differences


def test_the_command_prints_them(folder: Path) -> None:
    table = command("runs", cwd=folder).stdout.splitlines()
    assert table[0].split()[:3] == ["name", "corpus", "tokens"]
    assert len(table) == 5
    rows = [json.loads(line) for line in command("runs", "--json", cwd=folder).stdout.splitlines()]
    assert [row["name"] for row in rows] == ["broken", "n", "two", "one"]
    compared = command("runs", "checkpoints/one", "checkpoints/two", cwd=folder).stdout
    assert "gru" in compared
    wrong = command("runs", "checkpoints/one", "rain.txt", cwd=folder)
    assert wrong.returncode == 1
    assert "rain.txt is no run" in wrong.stderr
