"""Answers of models that are known by heart, and what is counted of them."""

import numpy as np
import pytest

from lmgen.errors import ConfigError, CorpusError
from lmgen.generation.answers import Answer, AnswerResults, answer_lines
from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.given import text_of
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

LINES = ["one cat = eine Katze", "two cats = zwei Katzen", "the dog = der Hund", "a = b = c"]
TEXT = "".join(f"{line}\n" for line in LINES)
KINDS = ("char", "byte", "word", "bpe", "unigram")


def learned(
    kind: str = "char",
    *,
    mark: str | None = " = ",
    unit: str = "line",
    text: str = TEXT,
    lowercase: bool = False,
    **ways: str,
) -> tuple[LanguageModel, Tokenizer]:
    """An n-gram model of an order at which it knows the lines by heart."""
    reading = ReadingConfig(unit=unit, answers_after=mark, **ways)
    config = TokenizerConfig(tokenizer=kind, lowercase=lowercase)
    tokenizer = train_tokenizer(lambda: [text], config, reading)
    ids = np.concatenate(list(tokenizer.encode_stream([text])))
    V = tokenizer.vocabulary_size
    return NgramModel.fit(ids, order=9, vocabulary_size=V, sentence_end=tokenizer.sentence_end), tokenizer


def answered(
    model: LanguageModel, tokenizer: Tokenizer, text: str = TEXT, **settings: object
) -> AnswerResults:
    return answer_lines(model, tokenizer, text_of(text, "text"), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_learned_is_answered(kind: str) -> None:
    results = answered(*learned(kind))

    assert [each.answer for each in results.answers] == ["eine Katze", "zwei Katzen", "der Hund", "b = c"]
    assert [each.prompt for each in results.answers] == ["one cat = ", "two cats = ", "the dog = ", "a = "]
    assert (results.instances, results.exact, results.accuracy) == (4, 4, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_greedy_completions(kind: str) -> None:
    model, tokenizer = learned(kind, text=TEXT * 2 + "one dog = ein Hund\n")
    questions = "".join(f"{each} = ?\n" for each in ("one", "one cat", "two dog", "the", ""))
    results = answered(model, tokenizer, questions)
    config = SamplingConfig(temperature=0, length=2, seed=1)
    for each in results.answers:
        [alone] = complete(model, tokenizer, [each.prompt], config)
        assert alone.text.startswith(each.answer) or each.answer.startswith(alone.text)
        assert not each.correct


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_choice_is_taken(kind: str) -> None:
    model, tokenizer = learned(kind)
    choices = ["der Hund", "eine Katze", "eine", "b = c", "zwei Katzen"]
    results = answered(model, tokenizer, choices=choices)

    assert results.accuracy == 1.0
    assert answered(model, tokenizer, choices=["eine Katze"]).exact == 1


def test_choices_that_begin_alike_are_told_apart_by_their_end() -> None:
    text = "x=a\n" * 3 + "y=ab\n" * 3
    model, tokenizer = learned(mark="=", text=text)
    results = answered(model, tokenizer, "x=a\ny=ab\n", choices=["ab", "a"])

    assert [each.answer for each in results.answers] == ["a", "ab"]


@pytest.mark.parametrize("unit", ["document", "line"])
def test_a_model_without_a_mark_answers_after_the_one_that_is_named(unit: str) -> None:
    model, tokenizer = learned(mark=None, unit=unit)
    results = answered(model, tokenizer, after=" = ")

    assert results.accuracy == 1.0
    assert answered(model, tokenizer, after=" = ", choices=["der Hund", "eine Katze"]).exact == 2
    with pytest.raises(ConfigError, match="--after MARK"):
        answered(model, tokenizer)


def test_records_have_answers_of_several_lines() -> None:
    text = "ask\none=a\nb\ud800two=c\ud800"
    model, tokenizer = learned(mark="=", unit="record", text=text)
    results = answered(model, tokenizer, "ask\none=a\nb\n\ntwo=c\n")

    assert [(each.prompt, each.answer) for each in results.answers] == [("ask\none=", "a\nb"), ("two=", "c")]
    assert results.accuracy == 1.0
    assert list(results.by_length) == [1, 3]


def test_white_space_does_not_count_in_a_model_of_words() -> None:
    model, tokenizer = learned("word", mark="=")

    assert answered(model, tokenizer, "one  cat   =  eine   Katze \n").exact == 1


@pytest.mark.parametrize("kind", ["char", "word"])
def test_case_does_not_count_in_a_model_of_lower_case(kind: str) -> None:
    model, tokenizer = learned(kind, lowercase=True)
    notes: list[str] = []

    assert answered(model, tokenizer).accuracy == 1.0
    choices = ["Der Hund", "Eine Katze"]
    assert answered(model, tokenizer, choices=choices, on_note=notes.append).exact == 2
    assert notes == ["2 of 4 right answers are not among the choices"]


@pytest.mark.parametrize("kind", ["char", "word"])
def test_answers_that_the_model_cannot_tell_apart_are_not_the_same(kind: str) -> None:
    notes: list[str] = []
    choices = ["猫", "狗"]
    results = answered(*learned(kind), "one cat = 狗\n", choices=choices, on_note=notes.append)

    assert [(each.answer, each.correct) for each in results.answers] == [("猫", False)]
    assert any("'猫' and '狗' are the same to the model" in note for note in notes)


def test_choices_are_read_as_texts_are() -> None:
    model, tokenizer = learned(text="a = café\nb = cafe\n", normalize="nfc")

    assert answered(model, tokenizer, "a = café\n", choices=["cafe", "cafe\u0301"]).accuracy == 1.0


@pytest.mark.parametrize("read", ["\n", "\r\n"])
@pytest.mark.parametrize("trained", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", KINDS)
def test_line_ends_are_no_part_of_an_answer(kind: str, trained: str, read: str) -> None:
    notes: list[str] = []
    model, tokenizer = learned(kind, text=TEXT.replace("\n", trained))
    results = answered(model, tokenizer, TEXT.replace("\n", read), on_note=notes.append)

    assert [each.expected for each in results.answers] == ["eine Katze", "zwei Katzen", "der Hund", "b = c"]
    assert (results.exact, results.by_length[5].exact) == (4, 1)
    if trained == read or trained == "\n":
        assert notes == []


def test_lines_without_a_mark_are_left_out_and_counted() -> None:
    notes: list[str] = []
    model, tokenizer = learned()
    results = answered(model, tokenizer, f"title\n\n{TEXT}", on_note=notes.append)

    assert [each.line for each in results.answers] == [3, 4, 5, 6]
    assert notes == ["text: 2 of 6 lines have no ' = ' and are left out"]
    with pytest.raises(CorpusError, match="no line of text has the mark ' = '"):
        answered(model, tokenizer, "title\n")
    with pytest.raises(ConfigError, match="twice"):
        answered(model, tokenizer, choices=["a", "b", "a"])


def test_a_mixture_answers_and_an_n_gram_model_beside_it() -> None:
    model, tokenizer = learned()
    other, _ = learned(text=TEXT)
    results = answered(MixtureModel([model, other], (0.5, 0.5)), tokenizer, baseline=other)

    assert results.accuracy == 1.0
    assert results.baseline is not None
    assert results.baseline.accuracy == 1.0
    assert results.to_json()["baseline"] == {"model": "ngram-9", "instances": 4, "exact": 4, "accuracy": 1.0}


def results_of(pairs: list[tuple[str, str]]) -> AnswerResults:
    answers = [
        Answer(line=line, prompt="?", expected=expected, answer=answer, correct=expected == answer)
        for line, (expected, answer) in enumerate(pairs, 1)
    ]
    return AnswerResults(model="m", text="t", answers=tuple(answers))


def test_accuracy_by_length_and_by_label() -> None:
    results = results_of([("yes", "yes"), ("no", "yes"), ("yes", "no"), ("no", "no"), ("yes", "yes")])

    assert results.to_json() == {
        "model": "m",
        "text": "t",
        "instances": 5,
        "exact": 3,
        "accuracy": 0.6,
        "majority_answer": "yes",
        "majority_accuracy": 0.6,
        "by_length": {
            "2": {"instances": 2, "exact": 1, "accuracy": 0.5},
            "3": {"instances": 3, "exact": 2, "accuracy": 2 / 3},
        },
        "by_label": {
            "yes": {"instances": 3, "exact": 2, "accuracy": 2 / 3},
            "no": {"instances": 2, "exact": 1, "accuracy": 0.5},
        },
        "baseline": None,
    }
    assert results_of([(str(n), "") for n in range(30)]).by_label == {}
