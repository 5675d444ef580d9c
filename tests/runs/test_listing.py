"""What runs there are, and how two of them differ."""

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.models.model_file import save_model, save_tensors
from lmgen.runs.listing import Sort, compare_runs
from lmgen.runs.lock import locked
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


def test_runs_are_sorted_by_what_is_asked_for(folder: Path) -> None:
    def names(sort: Any) -> list[str]:
        return [run.name for run in lmgen.list_runs(folder / "checkpoints", sort=sort)]

    assert names("name") == ["broken", "n", "one", "two"]
    assert names("steps") == ["two", "one", "broken", "n"], "those without steps come last, the newest first"
    losses = [run.valid_nats_per_token for run in lmgen.list_runs(folder / "checkpoints", sort="loss")]
    assert losses[2:] == [None, None]
    assert losses[:2] == sorted(loss for loss in losses[:2] if loss is not None)
    with pytest.raises(lmgen.ConfigError, match=r"^sort is 'size', but has to be one of age, name"):
        names("size")


def test_a_run_is_training_stopped_or_finished(folder: Path, tmp_path: Path) -> None:
    def state() -> str | None:
        [listed] = lmgen.list_runs(tmp_path / "run")
        return listed.state

    shutil.copytree(folder / "checkpoints" / "one", tmp_path / "run")
    assert state() == "finished"
    with locked(RunFolder(tmp_path / "run")):
        assert state() == "training"
    config = (tmp_path / "run" / "config.toml").read_text()
    (tmp_path / "run" / "config.toml").write_text(config.replace("steps = 24", "steps = 25"))
    assert state() == "stopped"
    (tmp_path / "run" / "metrics.jsonl").write_text("damaged")
    assert state() == "stopped"
    (tmp_path / "run" / "model.safetensors").unlink()
    [begun] = lmgen.list_runs(tmp_path / "run")
    assert (begun.corpus, begun.tokenizer, begun.model, begun.steps) == ("rain", "char", "lstm 1x12", None)
    assert {run.name: run.state for run in lmgen.list_runs(folder / "checkpoints")} == {
        "broken": None,
        "n": None,
        "two": "finished",
        "one": "finished",
    }


def test_a_header_with_values_of_other_types_does_no_harm(folder: Path, tmp_path: Path) -> None:
    model = lmgen.load(folder / "checkpoints" / "n.safetensors")
    wrong: list[dict[str, Any]] = [{"corpus": 5, "steps": "many"}, {"valid_nats_per_token": [1]}]
    for number, training in enumerate(wrong):
        save_model(tmp_path / f"{number}.safetensors", model.model, model.tokenizer, training)
    save_tensors(
        tmp_path / "x.safetensors", {}, {"kind": [], "training": ["steps"], "tokenizer": 5, "config": 5}
    )

    for sort in get_args(Sort):
        for run in lmgen.list_runs(tmp_path, sort=sort):
            assert (run.corpus, run.steps, run.valid_nats_per_token) == (None, None, None)


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
    same = command("runs", "checkpoints/one", "checkpoints/one", cwd=folder)
    assert same.stderr == "note: checkpoints/one and checkpoints/one differ in no setting and no result\n"
    by_name = command("runs", "--sort", "name", cwd=folder).stdout.splitlines()
    assert [row.split()[0] for row in by_name] == ["name", "broken", "n", "one", "two"]
    wrong = command("runs", "checkpoints/one", "rain.txt", cwd=folder)
    assert wrong.returncode == 1
    assert "rain.txt is no run" in wrong.stderr
