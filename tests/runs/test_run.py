"""Whole training runs, tiny ones: what they write, that they learn, that they go on exactly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, CorpusError, ModelError, NumericalError
from lmgen.models.network.cells import CELLS
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import read_config
from lmgen.runs.events import BaselineFitted, Event, Finished, Saved, Started
from lmgen.training.config import OPTIMIZER_NAMES
from lmgen.training.events import Evaluated, RolledBack

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {
    "hidden_size": 12,
    "embedding_size": 8,
    "window_length": 8,
    "batch_size": 4,
    "baseline_order": 2,
    "evaluations": 4,
    "threads": 1,
    "steps": 24,
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Words in random order: something to learn, but not by heart."""
    random = np.random.default_rng(0)
    words = random.choice(["ein", "zwei", "drei", "vier", "fünf"], 600)
    path = tmp_path / "numbers.txt"
    path.write_text("\n".join(" ".join(line) for line in words.reshape(-1, 6)), encoding="utf-8")
    return path


def config(text: Path, **settings: Any) -> RunConfig:
    return RunConfig.from_settings({**TINY, "corpus": [str(text)], **settings}, "the test")


def stop_after(steps: int) -> Callable[[], bool]:
    """A `should_stop` that says yes from the given call on."""
    calls = iter(range(steps - 1))
    return lambda: next(calls, None) is None


def trained(text: Path, folder: Path, **settings: Any) -> list[Event]:
    return list(run.train(config(text, **settings), folder))


def resumed_with_evaluation_tokens(tokens: int, folder: Path, steps: int) -> list[str]:
    """Resume a run up to some step, as if it had begun with so many evaluation tokens; what is noted."""
    file = RunFolder(folder).config
    kept = [line for line in file.read_text().splitlines() if not line.startswith("evaluation_tokens")]
    file.write_text("\n".join([*kept, f"evaluation_tokens = {tokens}"]) + "\n")
    notes: list[str] = []
    *_, finished = run.resume(folder, {"steps": steps}, on_note=notes.append)
    assert isinstance(finished, Finished)
    assert metrics(folder)[-1]["step"] == steps
    return notes


def metrics(folder: Path) -> list[dict[str, Any]]:
    file = RunFolder(folder).metrics
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def without_times(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in ("seconds", "tokens_per_second")} for line in lines]


def test_a_run_says_what_happens_and_writes_its_folder(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")

    kinds = [type(event) for event in events]
    assert kinds.index(BaselineFitted) < kinds.index(Started) < kinds.index(Evaluated) < kinds.index(Saved)
    assert kinds.count(Evaluated) == 4
    for file in (folder.model, folder.ngram, folder.config, folder.metrics, folder.last, folder.valid_text):
        assert file.exists()
    assert [line["step"] for line in metrics(folder.folder)] == [6, 12, 18, 24]
    assert list(metrics(folder.folder)[0]) == [
        "step",
        "epoch",
        "seconds",
        "train_nats_per_token",
        "valid_nats_per_token",
        "learning_rate",
        "gradient_norm",
        "tokens_per_second",
        "rollbacks",
        "train_objective",
    ]


def test_the_summary_has_the_keys_that_scripts_read(text: Path, tmp_path: Path) -> None:
    finished = trained(text, tmp_path / "run")[-1]

    assert isinstance(finished, Finished)
    summary = finished.to_json()
    assert list(summary) == [
        "run",
        "parameters",
        "steps",
        "epochs",
        "seconds",
        "tokens_per_second",
        "train_nats_per_token",
        "valid_nats_per_token",
        "valid_perplexity",
        "valid_bits_per_character",
        "baseline",
        "rollbacks",
        "stopped_by",
        "train_objective",
    ]
    assert summary["steps"] == 24
    assert summary["valid_perplexity"] == pytest.approx(np.exp(summary["valid_nats_per_token"]))
    assert summary["valid_bits_per_character"] == pytest.approx(summary["valid_nats_per_token"] / np.log(2))
    assert summary["baseline"]["order"] == 2
    best = min(line["valid_nats_per_token"] for line in metrics(tmp_path / "run"))
    assert summary["valid_nats_per_token"] == best


def test_network_and_baseline_are_scored_on_the_same_tokens(text: Path, tmp_path: Path) -> None:
    finished = trained(text, tmp_path / "run", evaluation_tokens=50)[-1]
    assert isinstance(finished, Finished)
    assert finished.baseline is not None

    valid = (tmp_path / "run" / "data" / "valid.txt").read_text(encoding="utf-8")[:50]
    network = lmgen.load(tmp_path / "run").score(valid)
    baseline = lmgen.load(tmp_path / "run" / "ngram.safetensors").score(valid)
    assert finished.valid_perplexity == pytest.approx(network.perplexity, rel=1e-5)
    assert finished.baseline["valid_perplexity"] == pytest.approx(baseline.perplexity, rel=1e-5)


@pytest.mark.parametrize("tokenizer", ["byte", "word", "bpe"])
def test_bits_per_character_are_those_of_the_tokens_scored(
    tokenizer: str, text: Path, tmp_path: Path
) -> None:
    """Not of the whole validation text, whose second half has other characters a token."""
    beginning = "ein zwei drei vier ein zwei\n" * 4
    valid = tmp_path / "valid.txt"
    valid.write_text(beginning + "fünf fünf fünf\n" * 20, encoding="utf-8")
    settings: dict[str, Any] = {"tokenizer": tokenizer, "valid": str(valid)}
    settings |= {"vocab_size": 270} if tokenizer == "bpe" else {}
    ngram = lmgen.fit_ngram(text, out=tmp_path / "ngram.safetensors", order=1, **settings)
    tokens = len(ngram.tokenizer.encode(beginning))
    finished = trained(text, tmp_path / "run", evaluation_tokens=tokens, **settings)[-1]
    assert isinstance(finished, Finished)

    score = lmgen.load(tmp_path / "run").score(beginning)
    assert score.tokens == tokens
    assert finished.valid_bits_per_character == pytest.approx(score.bits_per_character, rel=1e-5)
    *_, resumed = run.resume(tmp_path / "run", {"steps": 25})
    assert isinstance(resumed, Finished)
    assert resumed.valid_nats_per_token is not None
    assert resumed.valid_bits_per_character == pytest.approx(
        resumed.valid_nats_per_token * tokens / np.log(2) / score.characters
    )


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns(cell: str, text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run", cell=cell, steps=150, optimizer="adam", learning_rate=0.01)
    lines = metrics(tmp_path / "run")

    assert lines[-1]["valid_nats_per_token"] < min(2.0, lines[0]["valid_nats_per_token"])


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_every_optimizer_learns_at_its_own_rate(optimizer: str, text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run", optimizer=optimizer, steps=100)
    lines = metrics(tmp_path / "run")

    assert lines[-1]["valid_nats_per_token"] < lines[0]["valid_nats_per_token"]


NT_ASGD: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 20.0,
    "schedule": "constant",
    "evaluations": 8,
    "nt_asgd": 1,
}
"""A rate so large that the third evaluation is worse than the first: averaging begins at step 9."""


@pytest.mark.parametrize("average", [{"ema": 0.9}, NT_ASGD])
def test_the_saved_model_is_the_average_that_was_evaluated(
    average: dict[str, Any], text: Path, tmp_path: Path
) -> None:
    finished = trained(text, tmp_path / "run", **average)[-1]
    assert isinstance(finished, Finished)

    score = lmgen.load(tmp_path / "run").score((tmp_path / "run/data/valid.txt").read_text(encoding="utf-8"))
    assert score.nats_per_token == pytest.approx(finished.valid_nats_per_token, rel=1e-5)


def test_the_same_seed_gives_the_same_model_file(text: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trained(text, tmp_path / name, seed=seed)
    a, b, c = (RunFolder(tmp_path / name).model.read_bytes() for name in "abc")

    assert a == b
    assert a != c


def test_the_config_file_makes_the_same_run_again(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "a", learning_rate=0.003)
    settings = read_config(RunFolder(tmp_path / "a").config)
    list(run.train(RunConfig.from_settings(settings, "config.toml"), tmp_path / "b"))

    assert RunFolder(tmp_path / "a").model.read_bytes() == RunFolder(tmp_path / "b").model.read_bytes()


def test_defaults_that_depend_on_other_settings_are_resolved(text: Path) -> None:
    settings = {name: value for name, value in TINY.items() if name not in ("steps", "embedding_size")}
    kept = RunConfig.from_settings(settings, "the test").resolved().to_settings()

    assert kept["learning_rate"] == 8e-3 * 256 / 128  # the rule goes no narrower than 128 units
    assert kept["embedding_size"] == 64
    assert kept["epochs"] == 10
    assert config(text).resolved().to_settings()["epochs"] == "none"


def test_a_run_stopped_before_its_first_evaluation_leaves_a_model(text: Path, tmp_path: Path) -> None:
    list(run.train(config(text), tmp_path / "run", should_stop=stop_after(1)))

    assert lmgen.load(tmp_path / "run").sample(length=5, seed=1)


def test_a_finished_run_goes_on_with_a_larger_budget(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    *_, event = run.resume(tmp_path / "run", {"steps": 36})

    assert isinstance(event, Finished)
    assert event.steps == 36
    assert [line["step"] for line in metrics(tmp_path / "run")] == [6, 12, 18, 24, 27, 36]
    assert read_config(RunFolder(tmp_path / "run").config)["steps"] == 36


def test_resuming_changes_nothing_but_the_budget(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")

    for changes in ({"hidden_size": 64}, {"clip": None}, {"preset": "good"}, {"corpus": ["other.txt"]}):
        name = next(iter(changes)).replace("_", "-")
        with pytest.raises(ConfigError, match=rf"(--|the ){name} cannot change when a run is resumed"):
            list(run.resume(tmp_path / "run", changes))
    same = {"hidden_size": 12, "ema": None, "optimizer": "adamw", "tied": False, "corpus": [str(text)]}
    list(run.resume(tmp_path / "run", same))
    with pytest.raises(ModelError, match="there is no run in"):
        list(run.resume(tmp_path / "nothing"))


def test_a_run_is_never_overwritten_unasked(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    before = RunFolder(tmp_path / "run").model.read_bytes()

    with pytest.raises(ModelError, match=r"there is a run in .* already; go on with it \(--resume\)"):
        trained(text, tmp_path / "run", seed=9)
    assert RunFolder(tmp_path / "run").model.read_bytes() == before
    list(run.train(config(text, seed=9), tmp_path / "run", overwrite=True))
    assert RunFolder(tmp_path / "run").model.read_bytes() != before


def test_a_folder_that_is_no_run_is_never_touched(text: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"jpg")

    with pytest.raises(ModelError, match="not empty and not a run"):
        list(run.train(config(text), tmp_path / "photos", overwrite=True))
    assert [file.name for file in (tmp_path / "photos").iterdir()] == ["me.jpg"]


def test_a_corpus_that_fails_leaves_nothing_behind_and_an_old_run_as_it_was(
    text: Path, tmp_path: Path
) -> None:
    trained(text, tmp_path / "run")
    before = RunFolder(tmp_path / "run").model.read_bytes()
    bad = tmp_path / "latin1.txt"
    bad.write_bytes("größe ".encode("latin-1") * 500)

    for folder in ("new", "run"):
        with pytest.raises(CorpusError, match="UTF-8"):
            list(run.train(config(bad), tmp_path / folder, overwrite=True))
    assert not (tmp_path / "new").exists()
    assert RunFolder(tmp_path / "run").model.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latin1.txt", "numbers.txt", "run"]


def test_a_corpus_shorter_than_a_window_says_so(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text("abc abc abc")

    with pytest.raises(CorpusError, match=r"has 9 tokens, but one window needs at least 16"):
        trained(path, tmp_path / "run", batch_size=16)


HOPELESS: dict[str, Any] = {"cell": "rnn-relu", "optimizer": "sgd", "learning_rate": 1e12, "clip": 1e30}

TOO_FAST: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 100.0,
    "output_rate": 1.0,
    "warmup": 0.0,
    "steps": 150,
    "evaluations": 10,
}
"""Explodes twice on `text`; a quarter of the learning rate is then low enough."""


def test_a_run_that_never_becomes_stable_ends_with_what_it_has(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run", **HOPELESS)
    undone = [event for event in events if isinstance(event, RolledBack)]
    finished = events[-1]

    assert [event.learning_rate for event in undone] == [5e11, 2.5e11, 1.25e11]
    assert [event.last for event in undone] == [False, False, True]
    assert isinstance(finished, Finished)
    assert (finished.stopped_by, finished.rollbacks, finished.steps) == ("instability", 3, 0)
    assert np.isfinite(lmgen.load(tmp_path / "run").score("eins zwei").perplexity)
    [line] = metrics(tmp_path / "run")
    assert line["train_nats_per_token"] is None, "nothing was learned"
    with pytest.raises(NumericalError, match=r"was unstable 3 times .* with a lower learning_rate"):
        lmgen.train(text, out=tmp_path / "again", **{**TINY, **HOPELESS})


def test_a_run_recovers_with_a_lower_learning_rate(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run", **TOO_FAST)
    finished = events[-1]

    assert isinstance(finished, Finished)
    assert (finished.stopped_by, finished.rollbacks, finished.steps) == ("budget", 2, 150)
    lines = metrics(tmp_path / "run")
    assert [line["step"] for line in lines] == [15, 30, 45, 60, 75, 90, 105, 120, 135, 150]
    assert all(line["rollbacks"] == 2 for line in lines), "what came before was undone"
    assert max(line["learning_rate"] for line in lines) <= 25
    assert finished.valid_nats_per_token is not None
    assert finished.valid_nats_per_token < 1.5


def test_patience_ends_a_run_early(text: Path, tmp_path: Path) -> None:
    *_, event = run.train(
        config(text, steps=400, evaluations=40, patience=2, learning_rate=1e-9), tmp_path / "run"
    )

    assert isinstance(event, Finished)
    assert event.steps < 400


def test_minutes_end_a_run(text: Path, tmp_path: Path) -> None:
    settings = {**TINY, "corpus": [str(text)], "minutes": 0.01}
    del settings["steps"]
    *_, event = run.train(RunConfig.from_settings(settings, "the test"), tmp_path / "run")

    assert isinstance(event, Finished)
    assert 0.6 <= event.seconds < 5


def test_epochs_end_a_run(text: Path, tmp_path: Path) -> None:
    *_, event = run.train(config(text, steps=None, epochs=1.5), tmp_path / "run")

    assert isinstance(event, Finished)
    assert event.epochs == pytest.approx(1.5, abs=0.02)


def test_the_library_trains_loads_samples_and_scores(text: Path, tmp_path: Path) -> None:
    seen: list[Event] = []
    model = lmgen.train(text, out=tmp_path / "run", on_event=seen.append, **TINY)

    assert isinstance(seen[-1], Finished)
    assert model.sample("zwei ", length=20, seed=1).startswith("zwei ")
    score = lmgen.load(tmp_path / "run").score((tmp_path / "run/data/valid.txt").read_text(encoding="utf-8"))
    assert score.nats_per_token == pytest.approx(seen[-1].valid_nats_per_token, rel=1e-5)


def test_the_library_fits_an_ngram_model(text: Path, tmp_path: Path) -> None:
    model = lmgen.fit_ngram(text, order=3, out=tmp_path / "three.safetensors", tokenizer="word")

    assert model.model.name == "ngram-3"
    assert model.score("zwei drei").tokens == 3
    with pytest.raises(ModelError, match="already"):
        lmgen.fit_ngram(text, order=3, out=tmp_path / "three.safetensors")


@pytest.mark.parametrize(
    "name", ["layers", "hidden_size", "last_hidden_size", "embedding_size", "vocab_size", "threads"]
)
def test_a_size_that_nothing_can_have_is_refused_before_anything_takes_it_for_one(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}.* at most"):
        RunConfig.from_settings({name: 10**23}, "here")


def test_an_unknown_setting_is_named(text: Path) -> None:
    with pytest.raises(ConfigError, match="unknown settings hiden_size"):
        lmgen.train(text, hiden_size=3)
