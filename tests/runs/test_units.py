"""Whole runs over lines and records: what is held out, what is scored, what is resumed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from lmgen.runs.events import Finished
from tests.runs.test_run import TINY, config, metrics, stop_after

pytestmark = pytest.mark.slow


@pytest.fixture
def names(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    syllables = ["fen", "lo", "hes", "ma", "dell", "ran", "vin"]
    path = tmp_path / "names.txt"
    path.write_text("\n".join("".join(random.choice(syllables, n)) for n in random.integers(1, 5, 400)))
    return path


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "recipes.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(60):
            lines = random.choice(["oil", "salt", "", "2 eggs", "serve cold"], random.integers(1, 9))
            file.write(json.dumps({"text": "\n".join(lines), "id": number}) + "\n")
    return path


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
@pytest.mark.parametrize("unit", ["line", "record"])
def test_a_run_over_units_trains_and_scores(
    unit: str, tokenizer: str, names: Path, recipes: Path, tmp_path: Path
) -> None:
    corpus = {"line": names, "record": recipes}[unit]
    vocabulary: dict[str, Any] = {"vocab_size": 300} if tokenizer == "bpe" else {}

    model = lmgen.train(corpus, out=tmp_path / "run", unit=unit, tokenizer=tokenizer, **TINY, **vocabulary)

    assert model.tokenizer.unit == unit
    assert model.tokenizer.end is not None
    valid = np.load(RunFolder(tmp_path / "run").valid_tokens)
    assert valid[-1] == model.tokenizer.end
    [network, ngram] = model.perplexity()
    assert network.tokens == ngram.tokens == len(valid)
    best = min(line["valid_nats_per_token"] for line in metrics(tmp_path / "run"))
    assert network.nats_per_token == pytest.approx(best, rel=1e-4)


def test_held_out_records_are_kept_as_records(recipes: Path, tmp_path: Path) -> None:
    lmgen.train(recipes, out=tmp_path / "run", unit="record", valid="0.2", test="0.1", **TINY)
    folder = RunFolder(tmp_path / "run")

    read = [json.loads(line)["text"] for line in recipes.read_text().splitlines()]
    held_out = [
        json.loads(line)["text"]
        for file in (folder.valid_text, folder.test_text)
        for line in file.read_text().splitlines()
    ]

    assert folder.valid_text.suffix == ".jsonl"
    assert 5 < len(held_out) < 30
    assert [text.removesuffix("\n") for text in held_out] == [
        text.removesuffix("\n") for text in read[-len(held_out) :]
    ]


@pytest.mark.parametrize("window_length", [3, 64])
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_stopped_run_over_units_goes_on_exactly(
    state: str, window_length: int, recipes: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "unit": "record",
        "state": state,
        "window_length": window_length,
        "dropout": 0.2,
    }
    asked = config(recipes, **{**TINY, **settings})
    straight, halting = tmp_path / "straight", tmp_path / "halting"
    list(run.train(asked, straight))
    events = list(run.train(asked, halting, should_stop=stop_after(11)))
    assert not any(isinstance(event, Finished) for event in events)
    list(run.resume(halting))

    assert RunFolder(halting).model.read_bytes() == RunFolder(straight).model.read_bytes()
    for one, other in zip(metrics(halting), metrics(straight), strict=True):
        assert one["valid_nats_per_token"] == other["valid_nats_per_token"]
        assert one["gradient_norm"] == other["gradient_norm"]


def test_fine_tuning_keeps_the_unit(names: Path, tmp_path: Path) -> None:
    lmgen.train(names, out=tmp_path / "one", unit="line", **TINY)
    steps: dict[str, Any] = {
        name: value for name, value in TINY.items() if name not in ("hidden_size", "embedding_size")
    }

    tuned = lmgen.train(names, out=tmp_path / "two", from_model=tmp_path / "one", **steps)

    assert tuned.tokenizer.unit == "line"
    with pytest.raises(lmgen.ConfigError, match="unit is 'record'"):
        lmgen.train(names, out=tmp_path / "three", from_model=tmp_path / "one", unit="record", **steps)


def test_the_setting_is_kept_in_config_toml(names: Path, tmp_path: Path) -> None:
    lmgen.train(names, out=tmp_path / "run", unit="line", **TINY)

    assert 'unit = "line"' in (tmp_path / "run" / "config.toml").read_text()
    assert RunConfig.from_settings({"unit": "line"}, "the test").reading.unit == "line"


def test_line_ends_are_read_before_a_text_is_cut_into_units(tmp_path: Path) -> None:
    """Paragraphs and lines of a text whose lines end in \\r, as old systems wrote them."""
    (tmp_path / "old.txt").write_bytes(b"a\rb\r\rc\rd\r\re\r\rf\r" * 30)
    records = lmgen.fit_ngram(
        tmp_path / "old.txt", unit="record", newlines="lf", order=2, out=tmp_path / "n.safetensors"
    )

    # "a\nb", then 30 times "c\nd" and "e", between them 29 times "f\na\nb", and "f"; each with its end
    assert records.training["train_tokens"] == 4 + 30 * (4 + 2) + 29 * 6 + 2
    assert len(list(records.perplexity(tmp_path / "old.txt", by="record"))) == 1 + 30 * 2 + 29 + 1


def test_windows_of_varied_length_are_refused_over_units(names: Path, tmp_path: Path) -> None:
    with pytest.raises(lmgen.ConfigError, match="vary_window_length is for documents"):
        lmgen.train(names, out=tmp_path / "run", unit="line", vary_window_length=True, **TINY)
