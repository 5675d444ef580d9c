"""Runs that hold nothing out (`--valid 0`): they validate nothing, and keep their last model."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data.prepared import Prepared, load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, CorpusError, NumericalError
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from lmgen.runs.events import BaselineFitted, Finished, Interrupted, Saved
from lmgen.training.events import Evaluated, RolledBack
from tests.process import Forked
from tests.process import lmgen as command
from tests.runs.test_run import (
    HOPELESS,
    TINY,
    TOO_FAST,
    config,
    metrics,
    stop_after,
    text,
    trained,
    without_times,
)
from tests.runs.test_trouble import flip

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture

FLAGS = [
    *("--valid", "0", "--hidden-size", "12", "--embedding-size", "8", "--window-length", "8"),
    *("--batch-size", "4", "--baseline-order", "2", "--threads", "1"),
]


def test_nothing_is_held_out_and_the_last_model_is_kept(text: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    events = trained(text, folder.folder, valid="0")

    [prepared] = [event for event in events if isinstance(event, Prepared)]
    assert (prepared.valid, prepared.scored, prepared.test) == (None, None, None)
    assert prepared.train.characters == len(text.read_text(encoding="utf-8"))
    assert sorted(file.name for file in folder.data.iterdir()) == ["prepared.json", "train.npy"]
    [baseline] = [event for event in events if isinstance(event, BaselineFitted)]
    assert baseline.valid_nats_per_token is None
    evaluated = [event for event in events if isinstance(event, Evaluated)]
    assert [event.step for event in evaluated] == [6, 12, 18, 24]
    assert [event.valid_nats_per_token for event in evaluated] == [None] * 4
    assert sum(isinstance(event, Saved) for event in events) == 4, "a model at each evaluation, and no more"
    lines = metrics(folder.folder)
    assert [line["step"] for line in lines] == [6, 12, 18, 24]
    assert all(line["valid_nats_per_token"] is None for line in lines)
    assert lines[-1]["train_nats_per_token"] < lines[0]["train_nats_per_token"]
    assert lmgen.load(folder.folder).training["steps"] == 24


def test_the_summary_has_every_key_with_null_for_what_was_not_validated(text: Path, tmp_path: Path) -> None:
    finished = trained(text, tmp_path / "run", valid="0")[-1]
    with_validation = trained(text, tmp_path / "validated")[-1]
    assert isinstance(finished, Finished)
    assert isinstance(with_validation, Finished)
    summary = finished.to_json()

    assert list(summary) == list(with_validation.to_json())
    absent = ("valid_nats_per_token", "valid_perplexity", "valid_bits_per_character")
    assert [summary[name] for name in absent] == [None] * 3
    assert summary["baseline"] == {"order": 2, "valid_perplexity": None}
    assert summary["train_nats_per_token"] == metrics(tmp_path / "run")[-1]["train_nats_per_token"]


@pytest.mark.parametrize("valid", [0, 0.0, "0", "0.0"])
def test_python_takes_numbers_too(valid: object, text: Path, tmp_path: Path) -> None:
    settings = {**TINY, "steps": 2, "valid": valid}
    lmgen.train(text, out=tmp_path / "run", **settings)

    assert load_prepared(RunFolder(tmp_path / "run")).valid is None
    assert lmgen.estimate_cost(text, **settings).steps == 2
    assert lmgen.find_learning_rate(text, **settings).learning_rate > 0
    lmgen.resume(tmp_path / "run", steps=3, valid=valid)
    assert lmgen.load(tmp_path / "run").training["steps"] == 3


def test_a_test_text_can_be_held_out_alone(text: Path, tmp_path: Path) -> None:
    content = text.read_text(encoding="utf-8")
    folder = RunFolder(tmp_path / "run")
    events = trained(text, folder.folder, valid="0", test="0.2")

    [prepared] = [event for event in events if isinstance(event, Prepared)]
    assert prepared.valid is None
    assert prepared.test is not None
    assert prepared.train.characters + prepared.test.characters == len(content)
    assert content.endswith(folder.test_text.read_text(encoding="utf-8"))
    [network, ngram] = lmgen.load(folder.folder).perplexity()
    assert network.tokens == ngram.tokens == prepared.test.tokens


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ema": 0.9, "dropout": 0.3, "layers": 2},
        {"state": "reset", "cell": "gru", "evaluations": 1},
        {"tokenizer": "word", "learning_rate": "find"},
        {"test": "0.1", "checkpoint_minutes": 1e-9},
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one(settings: dict[str, Any], text: Path, tmp_path: Path) -> None:
    """Stopped within an epoch, right before an evaluation, right after one and at the last update."""
    whole = RunFolder(tmp_path / "whole")
    trained(text, whole.folder, valid="0", **settings)
    folder = RunFolder(tmp_path / "cut")
    made = [list(run.train(config(text, valid="0", **settings), folder.folder, should_stop=stop_after(2)))]
    for updates in (4, 1, 11, 6):
        assert isinstance(made[-1][-1], Interrupted)
        assert lmgen.load(folder.folder).training["steps"] == made[-1][-1].step, "what is stopped can be used"
        made.append(list(run.resume(folder.folder, should_stop=stop_after(updates))))
    assert [each[-1].step for each in made if isinstance(each[-1], Interrupted)] == [2, 6, 7, 18, 24]
    *_, finished = run.resume(folder.folder)

    assert isinstance(finished, Finished)
    assert folder.model.read_bytes() == whole.model.read_bytes()
    assert folder.ngram.read_bytes() == whole.ngram.read_bytes()
    assert without_times(metrics(folder.folder)) == without_times(metrics(whole.folder))


@pytest.mark.parametrize("share", [0.9, None])
@pytest.mark.parametrize("stop", [10, 40])
def test_a_lost_model_is_written_anew(share: float | None, stop: int, text: Path, tmp_path: Path) -> None:
    """That of a run that was stopped, and that of one that is over."""
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    trained(text, whole.folder, valid="0")
    list(run.train(config(text, valid="0"), folder.folder, should_stop=stop_after(stop)))
    if share is None:
        folder.model.unlink()
    else:
        flip(folder.model, share)
    notes: list[str] = []
    *_, finished = run.resume(folder.folder, on_note=notes.append)

    assert isinstance(finished, Finished)
    assert notes == [f"{folder.model} is missing or damaged: the next evaluation writes it anew"]
    assert folder.model.read_bytes() == whole.model.read_bytes()
    assert without_times(metrics(folder.folder)) == without_times(metrics(whole.folder))


def test_a_killed_run_leaves_a_usable_model_and_goes_on(text: Path, tmp_path: Path) -> None:
    budget = ["--steps", "400", "--evaluations", "1"]
    often, seldom = ["--checkpoint-minutes", "0.0001"], ["--checkpoint-minutes", "1"]
    started = ["train", str(text), *FLAGS, *budget, *often, "--out", "cut", "--quiet"]
    folder = RunFolder(tmp_path / "cut")
    with Forked(*started, cwd=tmp_path) as process:
        deadline = time.monotonic() + 100
        while not folder.previous.exists() or not folder.model.exists():
            assert time.monotonic() < deadline
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.kill()
    model = lmgen.load(folder.folder)
    assert 0 < model.training["steps"] < 400
    assert len(model.sample(length=20, seed=1)) == 20

    resumed = command("train", "--resume", *seldom, "--out", "cut", "--json", "--quiet", cwd=tmp_path)
    whole = command("train", str(text), *FLAGS, *budget, "--out", "whole", "--json", "--quiet", cwd=tmp_path)
    assert (
        json.loads(resumed.stdout)["train_nats_per_token"] == json.loads(whole.stdout)["train_nats_per_token"]
    )
    assert folder.model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
    assert without_times(metrics(folder.folder)) == without_times(metrics(tmp_path / "whole"))


def test_training_losses_alone_bring_a_run_back_from_a_fault(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run", valid="0", **TOO_FAST)
    undone = [event for event in events if isinstance(event, RolledBack)]
    finished = events[-1]

    assert isinstance(finished, Finished)
    assert undone
    assert finished.rollbacks == len(undone)
    assert (
        lmgen.load(tmp_path / "run").training["steps"]
        == finished.steps
        == metrics(tmp_path / "run")[-1]["step"]
    )
    assert all(np.isfinite(array).all() for array in arrays(tmp_path / "run"))


def test_a_run_that_never_becomes_stable_keeps_its_last_good_model(text: Path, tmp_path: Path) -> None:
    finished = trained(text, tmp_path / "run", valid="0", **HOPELESS)[-1]

    assert isinstance(finished, Finished)
    assert (finished.stopped_by, finished.rollbacks) == ("instability", 3)
    assert lmgen.load(tmp_path / "run").training["steps"] == finished.steps
    assert all(np.isfinite(array).all() for array in arrays(tmp_path / "run"))
    with pytest.raises(NumericalError, match=r"was unstable 3 times"):
        finished.check()


def arrays(folder: Path) -> list[Any]:
    return list(lmgen.load(folder).model.to_tensors()[1].values())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"patience": 2}, "--patience"),
        ({"nt_asgd": 5}, "--nt-asgd"),
        ({"schedule": "plateau", "patience": 1}, "--patience and --schedule plateau"),
    ],
)
def test_what_goes_by_the_validation_loss_is_refused(
    settings: dict[str, Any], named: str, text: Path
) -> None:
    with pytest.raises(
        ConfigError, match=rf"--valid 0 leaves no text to validate on, which {named} would need"
    ):
        RunConfig.from_settings({"corpus": [str(text)], "valid": "0", **settings}, "the test")


def test_the_command_says_what_is_missing(text: Path, tmp_path: Path) -> None:
    out = ["--steps", "24", "--evaluations", "2", "--out", "run"]
    refused = command("train", str(text), *FLAGS, *out, "--preset", "awd-lstm", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: --valid 0 leaves no text to validate on, which --nt-asgd would need; leave that out, or give "
        "--valid a file or a fraction such as 0.1\n"
    )
    assert not (tmp_path / "run").exists()

    trained = command("train", str(text), *FLAGS, *out, cwd=tmp_path)
    assert trained.returncode == 0
    assert "characters to train on, nothing to validate\n" in trained.stderr
    assert "validation" not in trained.stderr
    heading = "     step   epoch     time    train   tokens/s\n"
    table = trained.stderr[trained.stderr.index(heading) :].splitlines()
    assert [line.split()[0] for line in table] == ["step", "12", "24"]
    assert {len(line) for line in table} == {len(heading) - 1}
    assert "\nvalidation  none, the last model is kept; training " in trained.stdout
    assert trained.stdout.endswith("\nbaseline    2-gram\n")

    nameless = command("perplexity", "run", cwd=tmp_path)
    assert (nameless.returncode, nameless.stdout) == (1, "")
    assert nameless.stderr == "error: run has no held-out text; name a text to score\n"
    mixed = command("perplexity", "run", str(text), "--mix", cwd=tmp_path)
    assert (mixed.returncode, mixed.stdout) == (1, "")
    assert mixed.stderr == (
        "error: nothing to fit a mixture on: run has no validation text; train with --valid, such as "
        "--valid 0.1\n"
    )
    scored = command("perplexity", "run", str(text), "--json", cwd=tmp_path)
    assert [json.loads(line)["model"] for line in scored.stdout.splitlines()] == ["lstm", "ngram-2"]
    assert command("info", "run", cwd=tmp_path).stdout.count("None") == 0


def test_the_mixture_of_a_model_from_python_is_refused_likewise(text: Path, tmp_path: Path) -> None:
    model = lmgen.train(text, out=tmp_path / "run", **{**TINY, "steps": 2, "valid": 0})

    with pytest.raises(CorpusError, match=r"run has no validation text; train with --valid"):
        model.mixed()
    with pytest.raises(CorpusError, match=r"run has no held-out text; name a text to score"):
        list(model.perplexity())
