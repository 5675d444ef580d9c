"""`--init-embedding contexts`: an embedding that starts with what stands beside each token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data.prepared import load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.models.model_file import load_tensors
from lmgen.runs import run
from lmgen.runs.config_file import configured
from lmgen.runs.events import Interrupted
from lmgen.runs.setup import CONTEXT_SCALE
from lmgen.runs.sizes import Bought, choose
from lmgen.runs.trials import estimate_cost, find_learning_rate
from lmgen.training.contexts import context_vectors
from tests.process import lmgen as command
from tests.runs.test_pretrained import SMALL, first_weights
from tests.runs.test_run import metrics, stop_after, text, without_times

__all__ = ["text"]  # a fixture

CONTEXTS: dict[str, Any] = {**SMALL, "embedding_size": 6, "init_embedding": "contexts"}


@pytest.mark.parametrize("settings", [{}, {"unit": "line"}, {"tokenizer": "bpe", "vocab_size": 262}], ids=str)
def test_the_embedding_starts_with_the_vectors_of_the_training_text(
    settings: dict[str, Any], text: Path, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    first = first_weights(folder.folder, text, **{**CONTEXTS, **settings})
    prepared = load_prepared(folder)
    tokenizer = prepared.tokenizer
    ids = prepared.open_tokens(folder.train_tokens, tokenizer.vocabulary_size)[:]

    tokens, vectors = context_vectors(ids, tokenizer.vocabulary_size, 6, 0, tokenizer.end)

    assert len(tokens) >= 5
    np.testing.assert_array_equal(first["embedding"][tokens], np.float32(CONTEXT_SCALE) * vectors)
    others = first_weights(tmp_path / "other", text, **{**CONTEXTS, **settings, "init_embedding": "random"})
    changed = {name for name in first if not np.array_equal(first[name], others[name])}
    assert changed == {"embedding"}


def test_a_run_that_is_interrupted_ends_as_one_that_is_not(text: Path, tmp_path: Path) -> None:
    config = configured({**CONTEXTS, "corpus": [str(text)]}, "the test")
    *_, last = run.train(config, tmp_path / "cut", should_stop=stop_after(7))
    list(run.resume(tmp_path / "cut"))
    list(run.train(config, tmp_path / "whole"))

    assert isinstance(last, Interrupted)
    cut, whole = (RunFolder(tmp_path / name) for name in ("cut", "whole"))
    assert cut.model.read_bytes() == whole.model.read_bytes()
    assert without_times(metrics(cut.folder)) == without_times(metrics(whole.folder))


def test_labels_are_predicted_from_it_too(tmp_path: Path) -> None:
    lines = "".join(f"{'good' if n % 2 else 'bad'} film number {n % 7}\t{'AB'[n % 2]}\n" for n in range(80))
    (tmp_path / "reviews.txt").write_text(lines)
    starts = ("contexts", "random")
    for start in starts:
        lmgen.train_labels(
            tmp_path / "reviews.txt",
            out=tmp_path / start,
            init_embedding=start,
            tokenizer="word",
            embedding_size=6,
            steps=1,
            learning_rate=1e-9,
        )

    contexts, random = (load_tensors(RunFolder(tmp_path / start).model)[1]["embedding"] for start in starts)
    assert np.sqrt(np.mean(np.square(contexts))) == pytest.approx(CONTEXT_SCALE, rel=0.2)
    assert np.sqrt(np.mean(np.square(random))) == pytest.approx(1, rel=0.2)


@pytest.mark.slow
def test_the_command_says_so_and_the_model_is_one_like_any_other(text: Path, tmp_path: Path) -> None:
    flags = ["--tokenizer", "word", "--steps", "3", "--hidden-size", "8", "--out", "run", "--threads", "1"]
    result = command("train", text.name, *flags, "--init-embedding", "contexts", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "note: the embedding starts with vectors of contexts, counted in 630 tokens" in result.stderr
    assert 'init_embedding = "contexts"' in (tmp_path / "run" / "config.toml").read_text()
    sampled = command("sample", "run", "--length", "5", "--seed", "1", cwd=tmp_path)
    assert sampled.returncode == 0, sampled.stderr
    assert "init_embedding" not in load_tensors(tmp_path / "run" / "model.safetensors")[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding_size": 0}, "--embedding-size 0 has no embedding to start with --init-embedding"),
        ({"embeddings": "v.txt"}, "two starts of one embedding"),
        ({"init_embedding": "context"}, "init_embedding is 'context'"),
    ],
)
def test_where_it_cannot_be_that_is_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured({"tokenizer": "word", "init_embedding": "contexts", **settings}, "the test")


@pytest.mark.parametrize(
    ("settings", "minutes", "text", "start"),
    [
        ({}, 4.0, 2_000_000, "contexts"),
        ({}, 0.5, 2_000_000, "random"),
        ({}, 10.0, 2_000_000_000, "contexts"),
        ({"init_embedding": "random"}, 4.0, 2_000_000, "random"),
        ({"init_embedding": "contexts"}, 0.5, 2_000_000, "contexts"),
        ({"embeddings": "vectors.txt"}, 4.0, 2_000_000, "random"),
        ({"embedding_size": 0}, 4.0, 2_000_000, "random"),
        ({"tokenizer": "char"}, 4.0, 2_000_000, "random"),
        ({"unit": "line", "answers_after": "="}, 4.0, 2_000_000, "random"),
    ],
    ids=str,
)
def test_words_start_with_it_where_that_takes_little_of_the_time(
    settings: dict[str, Any], minutes: float, text: int, start: str
) -> None:
    given = {"tokenizer": "word", "preset": "auto", "minutes": minutes, **settings}
    config = configured(given, "the test").resolved()

    chosen = config.with_sizes(*choose(Bought(minutes, {256: 20_000, 512: 5_000}, text), config))

    assert chosen.training.init_embedding == start


def test_they_are_counted_for_a_trial_that_learns_and_not_to_know_what_a_run_costs(text: Path) -> None:
    config = configured({**CONTEXTS, "corpus": [str(text)], "steps": 300}, "the test")
    estimated: list[str] = []
    tried: list[str] = []

    cost = estimate_cost(config, estimated.append)
    find_learning_rate(config, tried.append)

    assert cost.steps == 300
    assert not any("contexts" in note for note in estimated)
    assert any("contexts" in note for note in tried)


@pytest.mark.slow
def test_python_takes_it_too(text: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    model = lmgen.train(text, out=tmp_path / "run", on_note=notes.append, **CONTEXTS)

    assert any("the embedding starts with" in note for note in notes)
    assert model.training["steps"] == CONTEXTS["steps"]
