"""Minimal pairs: what is read, what is right, and the intervals."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.evaluation.pairs import Pair, PairAccuracy, pairs_of, score_pairs
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.sources import Text
from lmgen.text_model import TextModel
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

TEXT = "the cat sleeps\nthe cats sleep\nthe dog sleeps\n" * 4

PAIRS = [("the cat sleeps", "the cat sleep", "verb"), ("the cats sleep", "the cats sleeps", "verb")] * 3


def model_of(kind: str = "word", unit: str = "document", after: str | None = None) -> TextModel:
    reading = ReadingConfig(unit=unit, answers_after=after)
    text = TEXT if unit != "record" else TEXT.replace("\n", "\ud800")
    tokenizer = train_tokenizer(lambda: [text], TokenizerConfig(tokenizer=kind), reading)
    ngrams = NgramModel.fit(
        tokenizer.encode(text),
        order=3,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
    )
    return TextModel(ngrams, tokenizer, Path("ngrams.safetensors"), {}, is_saved=False)


@pytest.mark.parametrize("kind", ["char", "word", "byte"])
@pytest.mark.parametrize("unit", ["document", "line", "record"])
def test_sentences_score_as_lines_do(kind: str, unit: str) -> None:
    model = model_of(kind, unit)
    results = model.pairs(PAIRS)
    text = "".join(f"{good}\n{bad}\n" for good, bad, _ in PAIRS)
    lines = [each.log10 for each in model.perplexity(Text("lines", lambda: iter([text])), by="line")]

    assert [each.good_log10 for each in results.pairs] == pytest.approx(lines[::2])
    assert [each.bad_log10 for each in results.pairs] == pytest.approx(lines[1::2])
    assert kind != "word" or results.accuracy == 1.0


def test_many_pairs_score_as_each_alone() -> None:
    model = model_of("char")
    random = np.random.default_rng(0)
    pairs = [
        ("".join(random.choice(list("the catsp"), random.integers(1, 40))), "the cat") for _ in range(5000)
    ]
    together = model.pairs(pairs).pairs

    for place in (0, 1, 2048, 4096, 4999):
        [alone] = model.pairs([pairs[place]]).pairs
        assert (alone.good, together[place].pair) == (together[place].good, place + 1)
        assert alone.good_log10 == pytest.approx(together[place].good_log10)


def test_a_tie_is_wrong_and_counted_even_if_rounding_tells_the_two_apart() -> None:
    pair = Pair(model="m", pair=1, group=None, good_log10=-20.0, bad_log10=-20.000001, good="a", bad="b")
    result = PairAccuracy.of([pair, *model_of().pairs([("the cat", "the cat")]).pairs])

    assert (result.pairs, result.correct, result.ties) == (2, 0, 2)


@pytest.mark.parametrize(
    ("correct", "pairs", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)],
)
def test_intervals_are_those_of_wilson(correct: int, pairs: int, low: float, high: float) -> None:
    """Newcombe (1998), table I, method 3."""
    found = PairAccuracy(pairs=pairs, correct=correct, ties=0).interval

    assert found == pytest.approx((low, high), abs=5e-5)


def test_groups_are_in_the_order_of_the_text() -> None:
    results = model_of().pairs([*PAIRS, ("the dog sleeps", "the dog sleep", "noun")])

    assert list(results.groups()) == ["verb", "noun"]
    assert results.groups()["verb"].pairs == 6
    assert results.to_json()["groups"]["noun"]["accuracy"] == 1.0
    assert model_of().pairs([("the cat", "cat the")]).groups() == {}


@pytest.mark.parametrize("form", ["p.jsonl", "p.json", "p.csv", "p.tsv"])
def test_pairs_are_read_from_any_file_of_records(form: str, tmp_path: Path) -> None:
    rows = [{"g": 'a, "b"', "n": "1", "b": "a\tc", "of": "x"}, {"g": "é", "n": "2", "b": "e", "of": "y"}]
    if form == "p.jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    elif form == "p.json":
        text = json.dumps(rows)
    else:
        mark = "," if form == "p.csv" else "\t"
        text = mark.join(rows[0]) + "\n"
        for row in rows:
            text += mark.join('"' + value.replace('"', '""') + '"' for value in row.values()) + "\n"
    (tmp_path / form).write_text(text)

    name, pairs = pairs_of(tmp_path / form, good="g", bad="b", group="of")
    assert (name, pairs) == (str(tmp_path / form), [('a, "b"', "a\tc", "x"), ("é", "e", "y")])
    assert pairs_of(tmp_path / form, good="b", bad="g")[1] == [("a\tc", 'a, "b"'), ("e", "é")]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            '{"sentence_good": "a"}\n',
            r"line 1: no text in the field 'sentence_bad'; choose another: sentence_",
        ),
        (
            '{"sentence_good": "a", "sentence_bad": "b"}\n{"sentence_good": "a", "sentence_bad": ""}\n',
            "pair 2: the bad sentence is empty; leave the pair out",
        ),
        ("[]", "not an object"),
    ],
)
def test_a_file_that_lacks_something_is_an_error(text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(text)

    with pytest.raises(CorpusError, match=error):
        pairs_of(tmp_path / "p.jsonl")


def test_what_is_no_pair_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a\nb\n")
    with pytest.raises(CorpusError, match="has no records, of which two fields are the sentences of a pair"):
        pairs_of(tmp_path / "p.txt")
    with pytest.raises(ConfigError, match="both sentences of a pair are the field 'good'; name two fields"):
        pairs_of(tmp_path / "pairs.jsonl", good="good", bad="good")
    with pytest.raises(ConfigError, match="pair 2 is 'ab', but has to be a good and a bad sentence"):
        pairs_of([("a", "b"), "ab"])
    with pytest.raises(CorpusError, match="pairs has no pairs"):
        pairs_of([])
    model = model_of("char", "line", after="=")
    with pytest.raises(ModelError, match="probabilities to answers only"):
        score_pairs([("a", "b")], "pairs", model.model, model.tokenizer, model.path)


def test_probabilities_are_those_of_all_tokens_and_the_end() -> None:
    model = model_of("word", "line")
    [pair] = model.pairs([("the cat sleeps", "the cat sleep")]).pairs
    score = model.score("the cat sleeps\n")

    assert score.tokens == 4
    assert pair.good_log10 == pytest.approx(-score.nats / math.log(10))
