"""Runs that predict labels: the same loop, file and resumption as those of language models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.label_model import LabelModel
from lmgen.models.model_file import has_labels, load_model
from lmgen.runs import run
from lmgen.runs.config_file import configured
from lmgen.runs.events import Event, Finished, Interrupted
from lmgen.runs.trials import estimate_cost
from tests.runs.test_run import (
    TINY,
    config,
    metrics,
    resumed_with_evaluation_tokens,
    stop_after,
    without_times,
)

pytestmark = pytest.mark.slow

LABELS: dict[str, Any] = {**TINY, "baseline_order": None, "labels": True}


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A line each: negative if there is a `not` before the last word, which alone would be positive."""
    random = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        words = random.choice(["a", "so", "very", "not"], random.integers(1, 9), p=[0.3, 0.3, 0.3, 0.1])
        lines.append(f"{' '.join(words)} fine\t{'negative' if 'not' in words else 'positive'}\n")
    path = tmp_path / "reviews.tsv"
    path.write_text("".join(lines))
    return path


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A word each: N before a v, else A, so that a word is told by the next one."""
    random = np.random.default_rng(0)
    sentences = []
    for _ in range(300):
        words = random.choice(["n", "v"], random.integers(1, 9)).tolist()
        labels = ["N" if following == "v" else "A" for following in [*words[1:], "end"]]
        sentences.append("".join(f"{word}\t{label}\n" for word, label in zip(words, labels, strict=True)))
    path = tmp_path / "tagged.conll"
    path.write_text("\n".join(sentences))
    return path


def trained(text: Path, folder: Path, **settings: Any) -> list[Event]:
    return list(run.train(config(text, **{**LABELS, **settings}), folder))


SETTINGS: list[dict[str, Any]] = [
    {"bidirectional": True},
    {"bidirectional": True, "layers": 2, "cell": "gru", "dropout": 0.3, "weight_drop": 0.3, "pool": "max"},
    {"layers": 0, "convolution": "3x8", "tokenizer": "word", "ema": 0.9},
    {"ngram_embedding": 3, "ngram_rows": 200, "bidirectional": True},
    {"layers": 0, "dense_layers": 1, "pool": "mean", "variational": True, "dropout": 0.2},
    {"tokenizer": "word", "optimizer": "adamw-adagrad", "residual": True, "layers": 2, "embedding_size": 12},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: " ".join(map(str, settings.values())))
def test_a_resumed_run_is_the_uninterrupted_one(
    settings: dict[str, Any], reviews: Path, tmp_path: Path
) -> None:
    *_, finished = trained(reviews, tmp_path / "whole", **settings)
    folder = tmp_path / "cut"
    stopped = [
        list(run.train(config(reviews, **{**LABELS, **settings}), folder, should_stop=stop_after(1)))[-1],
        list(run.resume(folder, should_stop=stop_after(9)))[-1],
        list(run.resume(folder))[-1],
    ]

    assert [type(event) for event in stopped] == [Interrupted, Interrupted, Finished]
    assert RunFolder(folder).model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
    assert without_times(metrics(folder)) == without_times(metrics(tmp_path / "whole"))
    assert isinstance(finished, Finished)
    lines = metrics(folder)
    best = min(lines, key=lambda line: float(line["valid_nats_per_token"]))
    summary = finished.to_json()
    assert summary["valid_accuracy"] == best["valid_accuracy"]
    assert summary["valid_perplexity"] is summary["baseline"] is summary["valid_bits_per_character"] is None
    assert not RunFolder(folder).ngram.exists()


def test_the_model_scores_its_validation_text_as_training_did(reviews: Path, tmp_path: Path) -> None:
    *_, finished = trained(reviews, tmp_path / "run", tokenizer="word", pool="max", learning_rate=0.02)
    model = LabelModel.load(tmp_path / "run")

    assert isinstance(finished, Finished)
    scores = model.score()
    assert scores.accuracy == pytest.approx(finished.to_json()["valid_accuracy"])
    assert scores.instances == 30
    assert scores.accuracy > scores.majority_accuracy


def test_a_word_that_the_next_one_decides_needs_a_network_that_sees_it(tagged: Path, tmp_path: Path) -> None:
    found = {}
    for both in (False, True):
        folder = tmp_path / f"run{both}"
        trained(tagged, folder, tokenizer="word", bidirectional=both, steps=150, learning_rate=0.02)
        found[both] = LabelModel.load(folder).score(tagged).accuracy

    assert found[True] > 0.99
    assert found[False] < 0.85
    model = LabelModel.load(tmp_path / "runTrue")
    assert [[(part.text, part.label) for part in parts] for parts in model.label(["n v n  n", ""])] == [
        [("n", "N"), ("v", "A"), ("n", "A"), ("n", "A")],
        [],
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": False, "bidirectional": True}, "--bidirectional lets a network see what follows, and a"),
        ({"labels": False, "pool": "max"}, "--pool is for labels"),
        ({"labels": False, "labels_as": "line"}, "--labels-as is for labels"),
        ({"unit": "record"}, "--labels reads each line as a text of its own"),
        ({"from": "other"}, "--labels is for new weights"),
        ({"objective": "sampled"}, "--objective sampled is for tokens"),
        ({"baseline_order": 3}, "--baseline-order is for language models"),
        ({"tied": True}, "--tied shares the weights of tokens"),
        ({"bidirectional": True, "attention": 2}, "--attention looks back only"),
        ({"pool": "best"}, "pool is 'best'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, Any], message: str, reviews: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        config(reviews, **{**LABELS, **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"state": "carry"}, r"read whole, .* leave --state \(or --stateful, --stateless\) out"),
        ({"state": "reset"}, "read whole, from a state of zeros, so none is carried"),
        ({"samples": 100}, "--samples is for --objective sampled, and labels are few"),
        ({"vary_window_length": True}, "with --labels windows are whole units"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(
    settings: dict[str, Any], message: str, reviews: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        configured({"corpus": [str(reviews)], "labels": True, **settings}, "the test")


def test_fields_are_of_records_and_not_of_lines(reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--field names the text of records, and reviews is read as lines"):
        trained(reviews, tmp_path / "run", field="review")
    records = tmp_path / "reviews.jsonl"
    records.write_text(
        "".join(json.dumps({"review": line}) + "\n" for line in reviews.read_text().splitlines())
    )

    assert isinstance(trained(records, tmp_path / "run", field="review", steps=2)[-1], Finished)


def test_a_run_that_was_begun_with_an_idle_setting_goes_on(reviews: Path, tmp_path: Path) -> None:
    trained(reviews, tmp_path / "run", state="reset", steps=2)

    assert isinstance([*run.resume(tmp_path / "run", {"steps": 3})][-1], Finished)


def test_a_window_length_says_what_it_is_for(reviews: Path) -> None:
    [note] = config(reviews, **{**LABELS, "window_length": 4}).notes

    assert note.startswith("--window-length 4: with --labels each text is read whole")
    wide = configured({"corpus": [str(reviews)], "labels": True, "convolution": "99x8"}, "the test")
    assert wide.notes == []


def test_what_only_the_file_tells_is_refused_before_training(tagged: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--pool max makes one vector of a whole text"):
        trained(tagged, tmp_path / "run", pool="max")
    plain = tmp_path / "plain.txt"
    plain.write_text("no labels\nin here\n" * 9)
    with pytest.raises(CorpusError, match=r"plain\.txt, line 1: no labels are found"):
        trained(plain, tmp_path / "run")
    assert not (tmp_path / "run" / "data").exists()


def test_held_out_labels_that_are_all_unknown_are_refused_before_training(
    reviews: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "valid.tsv"
    held_out.write_text("so fine\tneutral\n" * 30)
    for part in ("valid", "test"):
        with pytest.raises(
            CorpusError, match=f"none of the 30 labels of the {part} text is one of the training"
        ):
            trained(reviews, tmp_path / "run", **{part: str(held_out)})
        assert not (tmp_path / "run").exists()

    held_out.write_text("so fine\tneutral\n" * 30 + "so fine\tpositive\n")
    with pytest.raises(CorpusError, match="the first 50 tokens of the validation text have no label"):
        trained(reviews, tmp_path / "run", valid=str(held_out), evaluation_tokens=50)
    assert not (tmp_path / "run").exists()
    *_, finished = trained(reviews, tmp_path / "run", valid=str(held_out))
    assert isinstance(finished, Finished)
    assert finished.valid_nats_per_token is not None
    assert finished.valid_nats_per_token > 0
    assert resumed_with_evaluation_tokens(50, tmp_path / "run", steps=TINY["steps"] + 2) == [
        "the first 50 tokens of the validation text have no label that the training text has, so that "
        "evaluations score nothing, and their loss is 0"
    ]


def test_without_validation_text_the_last_model_is_kept(reviews: Path, tmp_path: Path) -> None:
    *_, finished = trained(reviews, tmp_path / "run", valid=0)

    assert isinstance(finished, Finished)
    assert finished.valid_nats_per_token is None
    assert has_labels(RunFolder(tmp_path / "run").model)
    with pytest.raises(CorpusError, match="is in no run folder with a held-out text"):
        LabelModel.load(tmp_path / "run").score()


def test_labels_of_lines_and_of_words_are_not_mixed_up(reviews: Path, tagged: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="in it each word has one, there each line has one"):
        trained(reviews, tmp_path / "run", valid=str(tagged))


def test_a_language_model_is_not_asked_for_labels_nor_the_other_way_round(
    reviews: Path, tmp_path: Path
) -> None:
    labels = lmgen.train_labels(reviews, out=tmp_path / "labels", **{**LABELS, "steps": 4})
    text = tmp_path / "text.txt"
    text.write_text("ein zwei drei\n" * 50)
    tokens = lmgen.train(text, out=tmp_path / "tokens", **{**TINY, "steps": 4})

    assert labels.labels == ("positive", "negative")
    with pytest.raises(ModelError, match=r"labels texts: it predicts labels, .* and no next token"):
        load_model(labels.path)
    with pytest.raises(ModelError, match=r"is a language model \(recurrent\) and has no labels"):
        lmgen.load_labels(tokens.path)
    with pytest.raises(ConfigError, match=r"`lmgen\.train_labels` gives a model that has labels"):
        lmgen.train(reviews, out=tmp_path / "no", labels=True)
    with pytest.raises(ConfigError, match=r"`lmgen\.train` gives a language model"):
        lmgen.train_labels(reviews, out=tmp_path / "no", labels=False)
    with pytest.raises(ConfigError, match=r"`lmgen\.resume_labels` gives a model that has labels"):
        lmgen.resume(tmp_path / "labels", steps=6)
    with pytest.raises(ConfigError, match=r"`lmgen\.resume` gives a language model"):
        lmgen.resume_labels(tmp_path / "tokens", steps=6)
    assert lmgen.resume_labels(tmp_path / "labels", steps=6).labels == labels.labels
    assert metrics(tmp_path / "labels")[-1]["step"] == 6
    assert {each.model for each in lmgen.list_runs(tmp_path)} == {"labels: lstm 1x12", "lstm 1x12"}


def test_texts_of_a_program_are_labelled_texts(tmp_path: Path) -> None:
    model = lmgen.train_labels(
        texts=["good\tyes", "bad\tno"] * 40, out=tmp_path / "run", **{**LABELS, "steps": 40}
    )

    assert [parts[0].label for parts in model.label(["good", "bad"])] == ["yes", "no"]
    assert model.score("good\tyes\nbad\tyes\n").accuracy == 0.5
    with pytest.raises(ConfigError, match="has to be a list or an iterator of texts"):
        model.label("good")


def test_the_cost_of_such_a_run_is_estimated_and_a_rate_is_found(reviews: Path, tmp_path: Path) -> None:
    settings = {**LABELS, "bidirectional": True, "steps": None, "epochs": 2.0}
    assert estimate_cost(config(reviews, **settings)).epochs == pytest.approx(2.0, abs=0.2)

    *_, finished = trained(reviews, tmp_path / "run", learning_rate="find", steps=60)
    assert isinstance(finished, Finished)
