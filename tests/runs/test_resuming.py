"""Runs that go on: as if they had not stopped, from whatever a killed or interrupted process has left."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.models.network.cells import CELLS
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import read_run_config
from lmgen.runs.events import Finished, Interrupted, Started
from lmgen.runs.records import Keeper
from lmgen.runs.resuming import settings_of_this_call
from lmgen.training import setup
from lmgen.training.config import OPTIMIZER_NAMES
from lmgen.training.events import Evaluated, Stepped
from tests.runs.test_run import (
    NT_ASGD,
    TOO_FAST,
    config,
    metrics,
    stop_after,
    text,
    trained,
    without_times,
)

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture

STATES = ("carry", "reset")

RESUMED: list[dict[str, Any]] = [
    *({"cell": cell, "state": state} for cell, state in product(CELLS, STATES)),
    *({"optimizer": optimizer, "state": state} for optimizer, state in product(OPTIMIZER_NAMES, STATES)),
    {"cell": "gru", "state": "reset", "optimizer": "sgd"},
    {"cell": "rnn", "optimizer": "rmsprop", "layers": 2, "dropout": 0.3},
    {"optimizer": "adagrad", "state": "reset", "dropout": 0.2, "schedule": "plateau"},
    {"tokenizer": "word", "optimizer": "adam", "tied": True, "embedding_size": 12, "window_length": 3},
    {"variational": True, "dropout_input": 0.2, "dropout_hidden": 0.3, "dropout_output": 0.4, "layers": 2},
    {"dropout_embedding": 0.2, "weight_drop": 0.4, "activation_penalty": 2.0, "slowness_penalty": 1.0},
    {"vary_window_length": True, "tied": True, "ema": 0.9},
    NT_ASGD,
    {"cell": "gru", "layers": 3, "last_hidden_size": 6, "tied": True, "weight_drop": 0.2, "ema": 0.99},
    {"cell": "lstm-layernorm", "layers": 2, "residual": True, "dropout": 0.3},
    {
        "tokenizer": "word",
        "output": "adaptive",
        "cutoffs": "2,4",
        "optimizer": "adamw-adagrad",
        "dropout": 0.3,
    },
    {
        "tokenizer": "word",
        "output": "adaptive",
        "layers": 2,
        "last_hidden_size": 9,
        "variational": True,
        "dropout": 0.2,
        "dropout_embedding": 0.2,
        "weight_drop": 0.2,
        "activation_penalty": 2.0,
        "slowness_penalty": 1.0,
        "ema": 0.9,
        "optimizer": "adamw-adagrad",
    },
    {"tokenizer": "word", "objective": "sampled", "samples": 3, "optimizer": "adamw-adagrad", "dropout": 0.3},
    {"objective": "sampled", "samples": 5, "tied": True, "ema": 0.9},
    {"objective": "sampled", "samples": 5, "tied": True, "embedding_size": 12},
    {"optimizer": "adamw-adagrad", "tied": True, "embedding_size": 12},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", RESUMED, ids=lambda settings: " ".join(map(str, settings.values())))
def test_a_resumed_run_is_the_uninterrupted_one(settings: dict[str, Any], text: Path, tmp_path: Path) -> None:
    """The same bytes in the model file (so the same samples) and the same losses, stopped three times."""
    trained(text, tmp_path / "whole", **settings)
    folder = tmp_path / "cut"
    *_, first = run.train(config(text, **settings), folder, should_stop=stop_after(1))
    *_, second = run.resume(folder, should_stop=stop_after(6))
    *_, third = run.resume(folder, should_stop=stop_after(9))
    *_, last = run.resume(folder)

    assert [type(event) for event in (first, second, third, last)] == [*[Interrupted] * 3, Finished]
    assert RunFolder(folder).model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
    assert without_times(metrics(folder)) == without_times(metrics(tmp_path / "whole"))


def test_an_evaluation_that_was_interrupted_is_made_when_the_run_goes_on(text: Path, tmp_path: Path) -> None:
    """The one after step 6, and the last one: both before they have said anything."""
    trained(text, tmp_path / "whole")
    *_, first = run.train(config(text), tmp_path / "cut", should_stop=stop_after(7))
    assert metrics(tmp_path / "cut") == []
    *_, second = run.resume(tmp_path / "cut", should_stop=stop_after(22))
    assert [line["step"] for line in metrics(tmp_path / "cut")] == [6, 12, 18]
    *_, last = run.resume(tmp_path / "cut")

    assert [event.step for event in (first, second) if isinstance(event, Interrupted)] == [6, 24]
    assert isinstance(last, Finished)
    assert RunFolder(tmp_path / "cut").model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
    assert without_times(metrics(tmp_path / "cut")) == without_times(metrics(tmp_path / "whole"))


def test_early_evaluations_are_those_of_the_uninterrupted_run(tmp_path: Path) -> None:
    """With 60 epochs of five windows: after 1, 1.5, 2, 3 and 4 epochs, and then after every sixth."""
    short = tmp_path / "short.txt"
    short.write_text("the cat sat on a mat and the dog on a log\n" * 4)
    settings: dict[str, Any] = {"evaluations": None, "steps": 300, "dropout": 0.2, "patience": 8}
    trained(short, tmp_path / "whole", **settings)
    folder = tmp_path / "cut"
    list(run.train(config(short, **settings), folder, should_stop=stop_after(5)))
    for steps in (2, 4, 30):
        list(run.resume(folder, should_stop=stop_after(steps)))
    *_, finished = run.resume(folder)
    made = metrics(folder)

    assert isinstance(finished, Finished)
    assert [line["step"] for line in made if "early" in line] == [5, 8, 10, 15, 20]
    assert [line["step"] for line in made if "early" not in line] == list(range(30, finished.steps + 1, 30))
    assert without_times(made) == without_times(metrics(tmp_path / "whole"))
    assert RunFolder(folder).model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()


def test_metrics_after_the_checkpoint_are_written_again_once(text: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    list(run.train(config(text), folder.folder, should_stop=stop_after(7)))
    with folder.metrics.open("a") as file:
        file.write('{"step": 12, "valid_nats_per_token": 0.0}\n{"step": 18, "va')
    list(run.resume(folder.folder))

    assert [line["step"] for line in metrics(folder.folder)] == [6, 12, 18, 24]


def test_a_run_without_its_metrics_goes_on(text: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    list(run.train(config(text), folder.folder))
    folder.metrics.unlink()
    *_, finished = run.resume(folder.folder)

    assert isinstance(finished, Finished)
    assert finished.train_nats_per_token is None


def test_a_run_that_is_killed_twice_while_its_text_is_prepared_keeps_its_settings(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    folder = RunFolder(tmp_path / "run")
    list(run.train(config(text), tmp_path / "first"))
    folder.new.folder.mkdir(parents=True)
    folder.new.config.write_text((tmp_path / "first" / "config.toml").read_text())
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            list(run.resume(folder.folder))
    *_, second = run.resume(folder.folder)

    assert isinstance(second, Finished)
    assert folder.model.read_bytes() == RunFolder(tmp_path / "first").model.read_bytes()


@pytest.mark.slow
def test_a_checkpoint_at_every_step_resumes_exactly(text: Path, tmp_path: Path) -> None:
    """Killed at any moment: what was saved last is all there is, the newer metrics and model beside it."""
    often = {"checkpoint_minutes": 1e-9, "evaluations": 8}
    trained(text, tmp_path / "whole", **often)
    for step, kind in product((5, 6, 7), (Stepped, Evaluated)):
        folder = RunFolder(tmp_path / f"{step} {kind.__name__}")
        for event in run.train(config(text, **often), folder.folder):
            if isinstance(event, Stepped | Evaluated) and type(event) is kind and event.step >= step:
                break  # as if killed here: nothing more is written
        list(run.resume(folder.folder))

        assert folder.model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
        assert without_times(metrics(folder.folder)) == without_times(metrics(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "vary_window_length": True, "weight_drop": 0.1}])
def test_a_run_that_was_rolled_back_resumes_exactly(more: dict[str, Any], text: Path, tmp_path: Path) -> None:
    """Interrupted before, between and after its rollbacks: `step` counts those that were undone too."""
    settings = {**TOO_FAST, **more}
    *_, finished = trained(text, tmp_path / "whole", **settings)
    assert isinstance(finished, Finished)
    assert finished.rollbacks
    for step in (20, 60, 90, 130):
        folder = RunFolder(tmp_path / f"stopped at {step}")
        list(run.train(config(text, **settings), folder.folder, should_stop=stop_after(step)))
        list(run.resume(folder.folder))

        assert folder.model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
        assert without_times(metrics(folder.folder)) == without_times(metrics(tmp_path / "whole"))


def test_a_model_without_its_checkpoint_is_not_trained_over(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    files = (folder.model, folder.metrics, folder.config)
    before = [file.read_bytes() for file in files]
    folder.last.unlink()
    folder.previous.unlink()

    with pytest.raises(ModelError, match=r"training\.safetensors is missing, so .* cannot be resumed"):
        list(run.resume(folder.folder, {"steps": 99}))
    assert [file.read_bytes() for file in files] == before


def test_what_only_says_how_a_run_is_computed_may_be_other_each_time(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is not kept: the next call has the run's own settings again."""
    trained(text, tmp_path / "whole")
    list(run.train(config(text), tmp_path / "cut", should_stop=stop_after(7)))
    folder = RunFolder(tmp_path / "cut")
    before = folder.config.read_text(encoding="utf-8")
    changes = {"threads": 2, "checkpoint_minutes": 1e-9, "device": "cpu"}
    seen: list[int] = []
    monkeypatch.setattr(run, "Keeper", _noting(seen, Keeper))
    [started] = [
        event
        for event in run.resume(folder.folder, changes, should_stop=stop_after(6))
        if isinstance(event, Started)
    ]
    [again] = [event for event in run.resume(folder.folder) if isinstance(event, Started)]

    assert (started.config.training.threads, again.config.training.threads) == (2, 1)
    assert seen == [1e-9, None]
    assert folder.config.read_text(encoding="utf-8") == before
    with pytest.raises(ConfigError, match="threads is 0, but has to be at least 1"):
        list(run.resume(folder.folder, {"threads": 0}))


def _noting(seen: list[Any], keeper: Any) -> Any:
    def made(lock: Any, trainer: Any, prepared: Any, minutes: float | None, files: Any) -> Any:
        seen.append(minutes)
        return keeper(lock, trainer, prepared, minutes, files)

    return made


def test_a_run_goes_on_with_the_device_of_the_machine_unless_one_was_asked_for(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with a GPU is played by `open_device`: which device it names is all that is asked here."""
    path = RunFolder(tmp_path / "run").config
    trained(text, tmp_path / "run")
    auto = read_run_config(path)
    asked = RunConfig.from_settings(auto.to_settings(), "here", {**auto.asked, "device": "cpu"})
    notes: list[str] = []
    monkeypatch.setattr(setup, "open_device", lambda name: torch.device("cuda" if name == "auto" else name))

    assert settings_of_this_call(asked, {}, notes.append)["device"] == "cpu"
    assert settings_of_this_call(auto, {"device": "cpu"}, notes.append)["device"] == "cpu"
    assert notes == []
    assert settings_of_this_call(auto, {}, notes.append)["device"] == "cuda"
    assert settings_of_this_call(asked, {"device": "auto"}, notes.append)["device"] == "cuda"
    assert len(notes) == 2
    assert notes[0].startswith("the run was computed on cpu until now and goes on on cuda, which rounds")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_run_that_wants_a_gpu_goes_on_without_one_when_told_to(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    of_a_gpu = folder.config.read_text().replace("threads = 1", 'threads = 1\ndevice = "cuda"')
    folder.config.write_text(of_a_gpu.replace('device = "cpu"\n', ""))

    with pytest.raises(ConfigError, match="torch finds no GPU here; use --device cpu"):
        list(run.resume(folder.folder, {"steps": 30}))
    *_, finished = run.resume(folder.folder, {"steps": 30, "device": "cpu"})
    assert isinstance(finished, Finished)
    assert finished.steps == 30
    assert read_run_config(folder.config).training.device == "cuda"


def test_threads_are_kept_unless_the_machine_has_fewer_processors(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**config(text).to_settings(), "threads": 6, "device": "cpu"}
    chosen = RunConfig.from_settings(settings, "here", {"threads": 6})
    left_to_lmgen = RunConfig.from_settings(settings, "here", {})
    notes: list[str] = []

    def threads(made: RunConfig, processors: int) -> Any:
        monkeypatch.setattr("os.cpu_count", lambda: processors)
        return settings_of_this_call(made, {}, notes.append)["threads"]

    assert [threads(chosen, 8), threads(chosen, 4), threads(left_to_lmgen, 8)] == [6, 6, 6]
    assert notes == []
    assert threads(left_to_lmgen, 4) == torch.get_num_threads()
    assert notes == ["this machine has fewer than the 6 processors that the run had until now"]
