"""Whatever a command can do is one call from Python, with the same words and the same results."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen import serving
from lmgen.cli import (
    answers,
    compress,
    corpus,
    export,
    info,
    label,
    ngram,
    novelty,
    pairs,
    perplexity,
    run_report,
    runs,
    sample,
    serve,
    tokenize,
    vectors,
)
from lmgen.cli import inspect as inspected
from lmgen.cli.next import next_
from lmgen.data.config import HeldOutConfig
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.evaluation.results import CountedTextScore, LineScore, TextScore, TokenScore, WordScore
from lmgen.generation.config import SamplingConfig
from lmgen.label_model import LabelModel
from lmgen.models.model_file import save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.ngram.model import NgramModel
from lmgen.runs.ngram import fit_ngram
from lmgen.serving.config import ServingConfig
from lmgen.text.config import ReadingConfig
from lmgen.text.sources import Text
from lmgen.text.tasks import TASKS
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.vectors.config import VectorConfig
from lmgen.vectors.table import Vectors
from tests.cli.tiny_model import save_bigram_model
from tests.process import lmgen as command

pytestmark = pytest.mark.slow

PRINTING = {"json", "quiet", "output_format", "help_all", "heat", "bars"}
"""Flags that only say how results are printed."""

OPENING = {"model", "device"}
"""What `lmgen.load` and `TextModel.on_device` take instead."""

FORMS: list[tuple[Callable[..., Any], list[Callable[..., Any]], dict[str, str]]] = [
    (perplexity.perplexity, [TextModel.perplexity], {}),
    (answers.answers, [TextModel.answers], {}),
    (pairs.pairs, [TextModel.pairs], {"texts": "pairs"}),
    (novelty.novelty, [TextModel.novelty, SamplingConfig], {"texts": "text"}),
    (export.export, [TextModel.export, LabelModel.export], {"out": "path"}),
    (
        next_,
        [TextModel.next],
        {"arguments": "text", "adapt": "TextModel.adapting", "cache": "TextModel.adapting"},
    ),
    (info.info, [TextModel.describe], {"cells": "lmgen.list_cells"}),
    (tokenize.tokenize, [TextModel.tokenize], {"pieces": "TextModel.pieces", "tokenizer": "ByteTokenizer()"}),
    (tokenize.detokenize, [TextModel.detokenize], {"pieces": "tokens", "tokenizer": "ByteTokenizer()"}),
    (
        sample.sample,
        [TextModel.sample, TextModel.complete, SamplingConfig],
        {
            "mixed": "TextModel.mixed",
            "adapt": "TextModel.adapting",
            "cache": "TextModel.adapting",
            "save_adapted": "TextModel.save_adapted",
            "no_echo": "echo",
            "prompt_file": "prompts",
            "text": "prompt",
        },
    ),
    (
        ngram.ngram,
        [lmgen.fit_ngram, lmgen.read_arpa, fit_ngram, ReadingConfig, HeldOutConfig, TokenizerConfig],
        {"arpa": "path"},
    ),
    (
        inspected.states,
        [TextModel.states],
        {
            "arguments": "text",
            "last": "TextModel.state_vectors",
            "mean": "TextModel.state_vectors",
            "npz": "save_arrays",
            "svg": "states_chart",
        },
    ),
    (
        inspected.gates,
        [TextModel.gates],
        {"arguments": "text", "by": "lmgen.inspection.gates.summaries", "svg": "gates_chart"},
    ),
    (
        inspected.gradients,
        [TextModel.gradients, TextModel.untrained, NetworkConfig],
        {"arguments": "text", "svg": "gradients_chart"},
    ),
    (inspected.memory, [TextModel.memory], {"arguments": "text", "svg": "memory_chart"}),
    (compress.compress, [lmgen.compress], {}),
    (compress.decompress, [lmgen.decompress], {}),
    (
        label.label,
        [LabelModel.label_text, LabelModel.compare],
        {"arguments": "text", "labelled": "LabelModel.score"},
    ),
    (
        vectors.train,
        [lmgen.train_vectors, Vectors.save, ReadingConfig, VectorConfig],
        {"out": "path", "pairs": "lmgen.vectors.pairs.skip_gram_pairs"},
    ),
    (vectors.near, [Vectors.near], {"arguments": "expression"}),
    (vectors.analogies, [Vectors.analogies], {"arguments": "questions"}),
    (vectors.plot, [Vectors.picture], {"out": "Chart.save", "overwrite": "Chart.save"}),
    (vectors.export, [Vectors.save, lmgen.load_vectors], {"out": "path"}),
    (serve.serve, [serving.serve, ServingConfig], {"models": "*models"}),
    (run_report.report_, [lmgen.write_report], {"arguments": "runs"}),
    (runs.runs, [lmgen.list_runs], {"folders": "folder"}),
    (corpus.list_, [lmgen.list_corpora], {}),
    (corpus.show, [lmgen.read_corpus], {"parameters": "lmgen.describe_task"}),
    (corpus.get, [lmgen.get_corpus], {}),
    (corpus.make, [lmgen.make_corpus, *TASKS.values()], {}),
]
"""
Commands; the functions that do the same from Python, with the settings they take by name; and flags that go
by another name there.
"""


@pytest.mark.parametrize(
    ("of_shell", "of_python", "renamed"), FORMS, ids=lambda form: getattr(form, "__name__", "")
)
def test_every_flag_of_a_command_has_its_python_form(
    of_shell: Callable[..., Any], of_python: list[Callable[..., Any]], renamed: dict[str, str]
) -> None:
    flags = set(inspect.signature(of_shell).parameters) - PRINTING - OPENING - set(renamed)
    flags = {flag for flag in flags if not flag.startswith("opposite_of_")}  # `--no-` forms
    taken = [inspect.signature(each).parameters for each in of_python]

    assert not flags - {name for parameters in taken for name in parameters}


TOKENIZER = CharacterTokenizer("\n ab")
TRAINING = TOKENIZER.encode("aab ab\nb\n" * 20)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in `run` with a unigram baseline, and two texts."""
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Path("run"))
    run.data.mkdir(parents=True)
    scores = np.tile(np.log([[0.1, 0.2, 0.3, 0.3, 0.1]]), (5, 1))
    save_bigram_model(run.model, TOKENIZER, scores)
    run.config.write_text("")
    run.valid_text.write_text("ba\nab\nbab a\n")
    write_tokens(run.train_tokens, [TRAINING], TOKENIZER.vocabulary_size)
    write_tokens(run.valid_tokens, [TOKENIZER.encode("ba\nab\nbab a\n")], TOKENIZER.vocabulary_size)
    baseline = NgramModel.fit(TRAINING, order=1, vocabulary_size=TOKENIZER.vocabulary_size)
    save_model(run.ngram, baseline, TOKENIZER)
    Path("one.txt").write_text("a b\n")
    Path("two.txt").write_text("ab?\n\na", newline="")
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ([], {}),
        (["--no-baseline"], {"baseline": False}),
        (["--order", "2", "--exact"], {"order": 2, "exact": True}),
        (["--orders", "1-3", "--mix"], {"orders": range(1, 4), "mix": True}),
        (["--by", "line"], {"by": "line"}),
        (["--by", "line", "--mix"], {"by": "line", "mix": True}),
        (["--by", "token", "--baseline"], {"by": "token", "baseline": True}),
        (["--by", "token", "--unit", "line"], {"by": "token", "unit": "line"}),
        (["--by", "record"], {"by": "record"}),
        (["--by", "word", "--mix"], {"by": "word", "mix": True}),
        (["--by", "word", "--blank-with", "previous"], {"by": "word", "blank_with": "previous"}),
    ],
)
def test_perplexity_gives_the_rows_that_the_command_prints(
    flags: list[str], arguments: dict[str, Any], folder: Path
) -> None:
    printed = command("perplexity", "run", "one.txt", "two.txt", *flags, "--json", cwd=folder)
    notes: list[str] = []
    scores = lmgen.load("run").perplexity("one.txt", Path("two.txt"), **arguments, on_note=notes.append)

    assert [json.dumps(score.to_json()) for score in scores] == printed.stdout.splitlines()
    assert [f"note: {note}" for note in notes] == printed.stderr.splitlines()


def test_scores_have_types() -> None:
    model = lmgen.load(Path("run"))

    assert {type(score) for score in model.perplexity()} == {TextScore}
    assert {type(score) for score in model.perplexity(orders=[2, 1])} == {CountedTextScore}
    assert {type(score) for score in model.perplexity(by="line")} == {LineScore}
    assert {type(score) for score in model.perplexity(by="record")} == {LineScore}
    assert {type(score) for score in model.perplexity(by="word")} == {WordScore}
    assert {type(score) for score in model.perplexity(by="token")} == {TokenScore}


def test_a_score_comes_before_the_text_goes_on() -> None:
    """By line and, read exactly, by token: the text is endless."""

    def endless() -> Iterator[str]:
        while True:
            yield "ab\n"

    model, text = lmgen.load("run"), Text("endless", endless)
    lines = model.perplexity(text, by="line", baseline=True)
    tokens = model.perplexity(text, by="token", exact=True)

    assert [(score.model, score.line) for score in (next(lines) for _ in range(3))] == [
        ("rnn", 1),
        ("ngram-1", 1),
        ("rnn", 2),
    ]
    assert next(tokens).index == 0


def test_arguments_that_contradict_each_other_are_refused_before_anything_is_read() -> None:
    model = lmgen.load("run")

    with pytest.raises(ConfigError, match="leave order and baseline=False out"):
        model.perplexity("one.txt", mix=True, baseline=False)
    with pytest.raises(CorpusError, match=r"cannot read gone\.txt"):
        model.perplexity("gone.txt")
    with pytest.raises(ConfigError, match="by is 'page', but has to be one of document, record, "):
        model.perplexity("one.txt", by="page")  # type: ignore[call-overload]


def test_a_mixture_is_saved_and_opened_as_a_model_of_its_own() -> None:
    mixed = lmgen.load("run").mixed()
    with pytest.raises(ModelError, match="the model has no file yet: save it"):
        mixed.export("small.safetensors", to="int8")
    assert mixed.describe()["bytes"] is None
    saved = mixed.save("mixture.safetensors")

    assert saved.describe()["bytes"] == Path("mixture.safetensors").stat().st_size
    assert saved.score("ab a\n").nats == mixed.score("ab a\n").nats
    assert [each["name"] for each in saved.describe()["models"]] == ["rnn", "ngram-1"]
    assert saved.sample("a", length=5, seed=1) == mixed.sample("a", length=5, seed=1)
    with pytest.raises(ModelError, match=r"there is a file mixture\.safetensors already"):
        mixed.save(Path("mixture.safetensors"))
    shown = command("info", "mixture.safetensors", cwd=Path.cwd()).stdout
    assert "rnn, " in shown
    assert "ngram-1, 6 parameters" in shown


def test_an_arpa_file_goes_out_and_comes_back() -> None:
    ngrams = lmgen.load("run/ngram.safetensors")
    exported = ngrams.export("model.arpa", to="arpa")
    back = lmgen.read_arpa(Path("model.arpa"), out=Path("back.safetensors"))

    assert (exported.out, exported.ngrams) == ("model.arpa", (7,))
    assert back.score("ab\n").nats == pytest.approx(ngrams.score("ab\n").nats, rel=1e-6)
    with pytest.raises(
        ModelError, match=r"\(rnn\) has no n-grams to write to an ARPA file; its n-gram baseline is"
    ):
        lmgen.load("run").export("other.arpa", to="arpa")
    with pytest.raises(ConfigError, match="text goes with to float16 or int8"):
        ngrams.export("other.arpa", to="arpa", text="one.txt")


def test_settings_may_be_paths() -> None:
    model = lmgen.fit_ngram(Path("one.txt"), order=2, out=Path("new.safetensors"), valid=Path("two.txt"))

    assert model.describe()["order"] == 2


def test_tokens_go_and_come_back() -> None:
    model = lmgen.load("run")

    assert model.tokenize("a b\n") == [3, 2, 4, 1]
    assert model.pieces("a b\n") == ["a", "▁", "b", "\\n"]
    assert model.detokenize(model.tokenize("a b\n")) == model.detokenize(model.pieces("a b\n")) == "a b\n"
    with pytest.raises(CorpusError, match="'9' is not a token id"):
        model.detokenize([9])


def test_corpora_are_listed_read_and_made() -> None:
    names = [listing.name for listing in lmgen.list_corpora()]
    made = lmgen.make_corpus("synthetic-markov", "markov.txt", characters=1000, seed=3)

    assert {"python-docs", "addition", "synthetic-markov", "wikitext-2"} <= set(names)
    assert len(Path("markov.txt").read_text()) == made.characters == 1000
    assert "".join(lmgen.read_corpus("markov.txt", split="valid")) == Path("markov.txt").read_text()[900:]
    assert lmgen.get_corpus("synthetic-markov") == []
    assert lmgen.get_corpus("addition") == []
    with pytest.raises(CorpusError, match=r"markov\.txt has no test split"):
        lmgen.read_corpus(Path("markov.txt"), split="test")


def test_tasks_are_described_and_made() -> None:
    copy = lmgen.describe_task("copy")
    made = lmgen.make_corpus(
        "copy", "copy.txt", count=20, seed=3, test=Path("test.txt"), test_count=5, length=range(3, 5)
    )
    flags = ["--count", "20", "--seed", "3", "--test", "t.txt", "--test-count", "5", "--length", "3-4"]
    printed = command("corpus", "make", "copy", "--out", "c.txt", *flags, "--json", cwd=Path.cwd())

    assert (copy.mark, [each.name for each in copy.parameters]) == (
        "=",
        ["length", "test_length", "letters", "reverse"],
    )
    assert json.loads(json.dumps(copy.to_json()))["best"]["nats_per_answer"] == 0
    assert (made.lines, made.test_lines, made.mark) == (20, 5, "=")
    assert Path("c.txt").read_bytes() == Path("copy.txt").read_bytes()
    assert Path("t.txt").read_bytes() == Path("test.txt").read_bytes()
    assert json.loads(printed.stdout) == {**made.to_json(), "path": "c.txt", "test_path": "t.txt"}
    with pytest.raises(ConfigError, match=r"copy has no parameter digits; its parameters: length, test_len"):
        lmgen.make_corpus("copy", "other.txt", digits=3)
    with pytest.raises(ConfigError, match="letters is '3', but has to be of type int"):
        lmgen.make_corpus("copy", "other.txt", letters="3")
    with pytest.raises(ConfigError, match="give count in place of characters"):
        lmgen.make_corpus("copy", "other.txt", characters=10)
    with pytest.raises(CorpusError, match="wikitext-2 is no task"):
        lmgen.describe_task("wikitext-2")
    assert not Path("other.txt").exists()
