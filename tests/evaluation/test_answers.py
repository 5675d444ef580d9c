"""Scores of models that learned answers are those of the answers' tokens alone, by whatever is asked for."""

from collections.abc import Callable
from math import exp, log

import numpy as np
import pytest

from lmgen.arrays import IdArray
from lmgen.data.answers import Answers
from lmgen.errors import CorpusError
from lmgen.evaluation.perplexity import compare_models, score_rows, score_text, score_texts
from lmgen.evaluation.rows import BlankWith
from lmgen.evaluation.scoring import mean_nats, score_ids
from lmgen.models.base import LanguageModel
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

LINES = ["the cat = die Katze", "nothing", "", "a=b=c", "big cats = große  Katzen", "=x", "y="]
TEXT = "".join(f"{line}\n" for line in LINES)
ANSWERS = {1: " die Katze\n", 4: "b=c\n", 5: " große  Katzen\n", 6: "x\n", 7: "\n"}
"""The answer of each line that has one, by the number of the line."""

Make = Callable[[Tokenizer], LanguageModel]

KINDS = ("char", "byte", "word", "bpe", "unigram")


def tokenizer_of(kind: str, unit: str = "line") -> Tokenizer:
    reading = ReadingConfig(unit=unit, answers_after="=")
    return train_tokenizer(lambda: [TEXT * 9], TokenizerConfig(tokenizer=kind), reading)


def network(tokenizer: Tokenizer) -> LanguageModel:
    config, V = NetworkConfig(hidden_size=6, embedding_size=4), tokenizer.vocabulary_size
    return RecurrentModel(
        config, V, tokenizer.start, initial_parameters(config, V, None, seed=1), tokenizer.end
    )


def ngram(tokenizer: Tokenizer) -> LanguageModel:
    ids = np.concatenate(list(tokenizer.encode_stream([TEXT])))
    V = tokenizer.vocabulary_size
    return NgramModel.fit(ids, order=3, vocabulary_size=V, sentence_end=tokenizer.sentence_end)


def by_hand(model: LanguageModel, tokenizer: Tokenizer) -> dict[int, np.ndarray]:
    """The nats of the answer of each line, worked out line by line."""
    found = {}
    for number, line in enumerate(LINES, 1):
        ids: IdArray = tokenizer.encode(line + "\n")
        nats = np.concatenate([block.nats for block in score_ids(model, ids)])
        if number in ANSWERS:
            [place] = np.flatnonzero(ids == tokenizer.answer_mark)
            found[number] = nats[place + 1 :]
    return found


cases = pytest.mark.parametrize(
    ("kind", "make"), [(kind, make) for kind in KINDS for make in (network, ngram)]
)


@cases
def test_a_document_has_the_nats_and_the_sizes_of_its_answers(kind: str, make: Make) -> None:
    tokenizer = tokenizer_of(kind)
    model = make(tokenizer)
    nats = np.concatenate(list(by_hand(model, tokenizer).values()))
    answers = "".join(ANSWERS.values())
    for size in (5, 10_000):
        chunks = [TEXT[first : first + size] for first in range(0, len(TEXT), size)]
        [score] = compare_models([model], tokenizer, chunks, "text")
        assert score.tokens == len(nats)
        assert score.nats == pytest.approx(nats.sum(), rel=1e-5)
        assert score.perplexity == pytest.approx(exp(nats.mean()), rel=1e-5)
        assert (score.characters, score.bytes) == (len(answers), len(answers.encode()))
        assert score.words == len(answers.split()) + len(ANSWERS)
        assert score.bits_per_character == pytest.approx(nats.sum() / log(2) / len(answers), rel=1e-5)


@cases
def test_rows_of_lines_are_those_with_an_answer(kind: str, make: Make) -> None:
    tokenizer = tokenizer_of(kind)
    model = make(tokenizer)
    rows = list(score_rows([model], tokenizer, [TEXT], "text", by="line"))
    expected = by_hand(model, tokenizer)

    assert [row.line for row in rows] == list(expected)  # type: ignore[union-attr]
    for row, (number, nats) in zip(rows, expected.items(), strict=True):
        assert row.tokens == len(nats)  # type: ignore[union-attr]
        assert row.nats == pytest.approx(nats.sum(), rel=1e-5)  # type: ignore[union-attr]
        bits = nats.sum() / log(2) / len(ANSWERS[number])
        assert row.bits_per_character == pytest.approx(bits, rel=1e-5)  # type: ignore[union-attr]


@cases
def test_rows_of_tokens_have_their_places_in_the_whole_text(kind: str, make: Make) -> None:
    tokenizer = tokenizer_of(kind)
    model = make(tokenizer)
    rows = list(score_rows([model], tokenizer, [TEXT], "text", by="token"))
    ids, offsets = tokenizer.encode_with_offsets(TEXT)
    answers = Answers.of(tokenizer)
    assert answers is not None
    places = np.flatnonzero(answers.among(ids))

    assert [row.index for row in rows] == places.tolist()  # type: ignore[union-attr]
    assert [row.offset for row in rows] == offsets[places].tolist()  # type: ignore[union-attr]
    bits = np.concatenate(list(by_hand(model, tokenizer).values())) / log(2)
    found = [row.surprisal_bits for row in rows]  # type: ignore[union-attr]
    np.testing.assert_allclose(found, bits, rtol=1e-4, atol=1e-6)
    assert {row.unit for row in rows} == set(ANSWERS)  # type: ignore[union-attr]


@cases
@pytest.mark.parametrize("blank_with", ["next", "previous"])
def test_words_of_an_answer_sum_to_it(kind: str, make: Make, blank_with: BlankWith) -> None:
    tokenizer = tokenizer_of(kind)
    model = make(tokenizer)
    rows = list(score_rows([model], tokenizer, [TEXT], "text", by="word", blank_with=blank_with))

    for number, nats in by_hand(model, tokenizer).items():
        words = [row for row in rows if row.unit == number]  # type: ignore[union-attr]
        assert [row.word for row in words] == [*ANSWERS[number].split(), "</s>"]  # type: ignore[union-attr]
        total = sum([row.surprisal_bits for row in words])  # type: ignore[union-attr, misc]
        assert total == pytest.approx(nats.sum() / log(2), rel=1e-4)


def test_the_mean_over_a_text_is_that_of_its_answers() -> None:
    tokenizer = tokenizer_of("char")
    model = network(tokenizer)
    ids = np.concatenate(list(tokenizer.encode_stream([TEXT])))
    nats = np.concatenate(list(by_hand(model, tokenizer).values()))

    mean, tokens = mean_nats(model, ids, answers=Answers.of(tokenizer))
    assert mean == pytest.approx(nats.mean(), rel=1e-5)
    assert tokens == len(nats)
    assert mean_nats(model, ids)[1] == len(ids)


def test_texts_in_memory_are_scored_alike() -> None:
    tokenizer = tokenizer_of("char")
    model = network(tokenizer)
    texts = [line for line in LINES if "=" in line]
    together = list(score_texts(model, tokenizer, texts, "text"))

    for score, nats in zip(together, by_hand(model, tokenizer).values(), strict=True):
        assert score.nats == pytest.approx(nats.sum(), rel=1e-5)
    assert together[0].characters == len(ANSWERS[1])


def test_a_text_without_answers_has_nothing_to_score() -> None:
    tokenizer = tokenizer_of("char")
    for unit in (None, "document", "line"):
        with pytest.raises(CorpusError, match="follows '='"):
            compare_models([network(tokenizer)], tokenizer, ["nothing\n"], "text", unit=unit)
    with pytest.raises(CorpusError, match="follows '='"):
        list(score_rows([network(tokenizer)], tokenizer, ["nothing\n"], "text", by="line"))


def test_records_have_answers_of_several_lines() -> None:
    tokenizer = tokenizer_of("char", "record")
    model = network(tokenizer)
    score = score_text(model, tokenizer, ["a=b\nc\ud800d\ud800"], "text")

    ids = tokenizer.encode("a=b\nc\ud800")
    nats = np.concatenate([block.nats for block in score_ids(model, ids)])
    assert (score.tokens, score.characters) == (4, 4)
    assert score.nats == pytest.approx(nats[2:].sum(), rel=1e-5)
