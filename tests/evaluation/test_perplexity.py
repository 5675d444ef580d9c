"""Figures of texts, lines and tokens, against what can be worked out by hand."""

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.arrays import FloatArray, IdArray
from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation import scoring, side_by_side
from lmgen.evaluation.perplexity import (
    compare_models,
    readings,
    score_rows,
    score_text,
)
from lmgen.evaluation.results import LineScore, TextScore, TokenScore
from lmgen.evaluation.units import FIRST_UNITS
from lmgen.models.base import LanguageModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.words import WordTokenizer
from tests.fakes import BigramModel, random_bigram_model, uniform_model

CHARACTERS = CharacterTokenizer("\n abé")  # with <unk> 6 ids
WORDS = WordTokenizer(["the", "cat"])  # with <unk> and </s> 4 ids
BYTES = ByteTokenizer()

tokenizers = pytest.mark.parametrize("tokenizer", [CHARACTERS, WORDS, BYTES], ids=lambda each: each.name)
Scorer = Callable[[LanguageModel, Tokenizer, Iterable[str], str], Iterator[object]]

some_texts = st.text("\n ab é?", min_size=1, max_size=60)


def model_for(tokenizer: Tokenizer) -> BigramModel:
    model = random_bigram_model(tokenizer.vocabulary_size)
    model.first = tokenizer.start
    return model


def uniform_for(tokenizer: Tokenizer) -> BigramModel:
    return uniform_model(tokenizer.vocabulary_size)


def scores_of_text(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str
) -> Iterator[TextScore]:
    """`score_text` in the form of the others."""
    yield score_text(model, tokenizer, chunks, name)


def score_lines(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> Iterator[LineScore]:
    for row in score_rows([model], tokenizer, chunks, name, by="line", exact=exact):
        assert isinstance(row, LineScore)
        yield row


def score_tokens(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> Iterator[TokenScore]:
    for row in score_rows([model], tokenizer, chunks, name, by="token", exact=exact):
        assert isinstance(row, TokenScore)
        yield row


def cut(text: str, size: int) -> Iterator[str]:
    for first in range(0, len(text), size):
        yield text[first : first + size]


@tokenizers
def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(tokenizer: Tokenizer) -> None:
    score = score_text(uniform_for(tokenizer), tokenizer, ["the cat\n" * 50], "t")

    assert score.perplexity == pytest.approx(tokenizer.vocabulary_size)
    assert score.nats_per_token == pytest.approx(math.log(tokenizer.vocabulary_size))


def test_all_figures_of_a_text_of_characters() -> None:
    score = score_text(uniform_for(CHARACTERS), CHARACTERS, ["a bé\n", "b"], "some.txt")

    nats = 6 * math.log(6)
    assert score.model == "uniform"
    assert score.text == "some.txt"
    assert (score.tokens, score.characters, score.bytes, score.words) == (6, 6, 7, 4)
    assert score.unknown_tokens == 0
    assert score.nats == pytest.approx(nats)
    assert score.nats_per_token == pytest.approx(math.log(6))
    assert score.perplexity == pytest.approx(6)
    assert score.perplexity_without_unknown == score.perplexity
    assert score.bits_per_character == pytest.approx(math.log2(6))
    assert score.bits_per_byte == pytest.approx(6 * math.log2(6) / 7)
    assert score.word_perplexity == pytest.approx(math.exp(nats / 4))
    assert score.note is None


def test_a_word_model_predicts_the_end_of_each_line_and_of_an_open_last_one() -> None:
    score = score_text(uniform_for(WORDS), WORDS, ["the cat\n\nthe"], "t")

    assert (score.tokens, score.words) == (6, 6)
    assert score.word_perplexity == pytest.approx(score.perplexity)
    assert score.bits_per_character == pytest.approx(6 * 2 / 12)


def test_unknown_tokens_are_counted_and_figures_per_character_withheld() -> None:
    """Known tokens cost 1 nat each, unknown ones 5."""
    table = np.full((4, 4), -1.0)
    table[:, WORDS.unknown] = -5
    score = score_text(BigramModel(table), WORDS, ["the dog saw the cat\n"], "t")

    assert (score.tokens, score.unknown_tokens) == (6, 2)
    assert score.nats == pytest.approx(14)
    assert score.perplexity == pytest.approx(math.exp(14 / 6))
    assert score.perplexity_without_unknown == pytest.approx(math.e)
    assert score.bits_per_character is None
    assert score.bits_per_byte is None
    assert score.note is not None
    assert "2 of 6 tokens are unknown" in score.note


def test_a_text_of_unknown_tokens_alone_has_no_perplexity_without_them() -> None:
    score = score_text(uniform_for(CHARACTERS), CHARACTERS, ["???"], "t")

    assert score.unknown_tokens == 3
    assert score.perplexity_without_unknown is None


def test_bytes_that_are_not_text_are_scored_and_counted() -> None:
    text = b"\xff\xfe\x00".decode("utf-8", "surrogateescape")
    score = score_text(uniform_for(BYTES), BYTES, [text], "t")

    assert (score.tokens, score.characters, score.bytes) == (3, 3, 3)
    assert score.bits_per_byte == pytest.approx(8)


def test_a_text_without_words_has_no_word_perplexity() -> None:
    assert score_text(uniform_for(CHARACTERS), CHARACTERS, ["   "], "t").word_perplexity is None


def test_a_word_perplexity_beyond_all_floats_is_infinite() -> None:
    assert score_text(uniform_for(CHARACTERS), CHARACTERS, ["a" * 1000], "t").word_perplexity == math.inf


@given(some_texts, st.integers(1, 70))
def test_a_score_does_not_depend_on_how_the_text_is_cut(text: str, size: int) -> None:
    model = model_for(CHARACTERS)

    assert score_text(model, CHARACTERS, cut(text, size), "t") == score_text(model, CHARACTERS, [text], "t")


@tokenizers
def test_models_compared_on_a_text_score_as_each_does_alone(tokenizer: Tokenizer) -> None:
    models = [model_for(tokenizer), uniform_for(tokenizer)]
    text = "the cat\nab é" * 500

    alone = [score_text(model, tokenizer, [text], "t") for model in models]

    assert compare_models(models, tokenizer, cut(text, 100), "t") == alone


def test_models_read_a_text_together_so_that_it_need_not_be_held() -> None:
    events: list[str] = []

    def chunks() -> Iterator[str]:
        for _ in range(3):
            events.append("read")
            yield "ab\n" * 20_000

    class Watched(BigramModel):
        def score(self, state: IdArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
            if events[-1] != self.name:
                events.append(self.name)
            return super().score(state, ids)

    table = uniform_for(CHARACTERS).table
    models = [Watched(table, name="one"), Watched(table, name="two")]
    compare_models(models, CHARACTERS, chunks(), "t", exact=True)

    assert events == ["read", *["one", "two"] * (60_000 // side_by_side.BLOCK_TOKENS + 1)] * 3


@tokenizers
@settings(max_examples=25)
@given(st.lists(some_texts, min_size=1, max_size=8).map("".join), st.integers(1, 40))
def test_each_line_scores_as_a_text_of_its_own(tokenizer: Tokenizer, text: str, size: int) -> None:
    model = model_for(tokenizer)
    lines = [line for line in text.replace("\n", "\n\0").split("\0") if line]

    scores = list(score_lines(model, tokenizer, cut(text, size), "t"))

    assert [score.line for score in scores] == list(range(1, len(lines) + 1))
    for line, score in zip(lines, scores, strict=True):
        alone = score_text(model, tokenizer, [line], "t")
        assert score.tokens == alone.tokens
        assert score.nats == pytest.approx(alone.nats)
        assert score.perplexity == pytest.approx(alone.perplexity)
        if not tokenizer.reads_lines:
            assert score.bits_per_character == pytest.approx(alone.bits_per_character)


@given(st.lists(st.sampled_from(["the", "cat", "the cat", ""]), min_size=1, max_size=5))
def test_the_end_of_a_line_is_a_character_whether_the_text_has_it_or_not(lines: list[str]) -> None:
    """For a model that predicts it."""
    text = "\n".join([*lines, "cat"])
    opened, closed = (list(score_lines(model_for(WORDS), WORDS, [each], "t")) for each in (text, text + "\n"))

    assert opened == closed
    [*_, last] = opened
    assert last.bits_per_character == pytest.approx(last.nats / math.log(2) / 4)


def test_lines_of_all_lengths_keep_their_order() -> None:
    lengths = np.random.default_rng(0).permutation(300).tolist()
    text = "".join("a" * length + "\n" for length in lengths)

    scores = list(score_lines(uniform_for(CHARACTERS), CHARACTERS, [text], "t"))

    assert [score.tokens for score in scores] == [length + 1 for length in lengths]


def test_the_first_of_many_lines_do_not_wait_for_the_others() -> None:
    lines = [f"{'ab' * (number % 7)}\n" for number in range(5000)]
    scored = 0

    class Counting(BigramModel):
        def score(self, state: IdArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
            nonlocal scored
            scored += ids.shape[1]
            return super().score(state, ids)

    scores = score_lines(Counting(model_for(CHARACTERS).table), CHARACTERS, ["".join(lines)], "t")

    assert next(scores).tokens == 1
    assert scored == FIRST_UNITS
    assert [score.tokens for score in scores] == list(map(len, lines[1:]))


def test_lines_of_a_vocabulary_without_a_line_end_are_lines() -> None:
    tokenizer = CharacterTokenizer("ab")  # the line end is unknown

    scores = score_lines(uniform_for(tokenizer), tokenizer, ["a\nab?\n\nb"], "t")

    assert [(score.tokens, score.bits_per_character is None) for score in scores] == [
        (2, True),
        (4, True),
        (1, True),
        (1, False),
    ]


def test_lines_are_scored_as_they_arrive() -> None:
    """A line that has been written is scored before the next one is."""
    arrived = 0

    def chunks() -> Iterator[str]:
        nonlocal arrived
        for line in ("a\n", "b\nab", "a\n"):
            arrived += 1
            yield line

    scores = score_lines(uniform_for(CHARACTERS), CHARACTERS, chunks(), "t")

    assert [(next(scores).line, arrived) for _ in range(3)] == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("rest", ["", "ab\n", "ab"])
@tokenizers
def test_a_line_longer_than_any_block_is_one_line(tokenizer: Tokenizer, rest: str) -> None:
    long_line = "ab a" * 200_000 + "\n"
    text = "b\n" + long_line + rest

    scores = list(score_lines(uniform_for(tokenizer), tokenizer, cut(text, 100_000), "t"))

    assert [score.line for score in scores] == list(range(1, 3 + bool(rest)))
    assert scores[1].tokens == len(tokenizer.encode(long_line))
    assert scores[1].perplexity == pytest.approx(tokenizer.vocabulary_size)


@tokenizers
@settings(max_examples=25)
@given(some_texts, st.integers(1, 40), st.booleans())
def test_tokens_add_up_to_the_text(tokenizer: Tokenizer, text: str, size: int, exact: bool) -> None:
    model = model_for(tokenizer)
    score = score_text(model, tokenizer, [text], "t", exact=exact)
    tokens = list(score_tokens(model, tokenizer, cut(text, size), "t", exact=exact))

    assert [token.index for token in tokens] == list(range(score.tokens))
    assert math.fsum(token.surprisal_bits for token in tokens) * math.log(2) == pytest.approx(score.nats)
    assert [token.offset for token in tokens] == sorted(token.offset for token in tokens)


@pytest.mark.slow
def test_tokens_say_where_they_are_and_how_they_are_spelled() -> None:
    """Beyond the first block, too: 20,000 lines are several."""
    text = "the cat\nthe dog" + "\nthe cat" * 50_000
    tokens = list(score_tokens(uniform_for(WORDS), WORDS, [text], "some.txt"))

    assert [(token.offset, token.token) for token in tokens[:6]] == [
        (0, "the"),
        (4, "cat"),
        (7, "</s>"),
        (8, "the"),
        (12, "<unk>"),
        (15, "</s>"),
    ]
    assert {token.text for token in tokens} == {"some.txt"}
    assert (tokens[-2].offset, tokens[-1].offset) == (len(text) - 3, len(text))
    assert all(text[token.offset :].startswith(token.token) for token in tokens if token.token.isalpha())


def test_tokens_are_escaped_and_ranked() -> None:
    table = np.log(np.tile([0.0625, 0.25, 0.125, 0.5, 0.03125, 0.03125], (6, 1)))
    tokens = list(score_tokens(BigramModel(table), CHARACTERS, ["a\n b?"], "t"))

    assert [token.token for token in tokens] == ["a", r"\n", "▁", "b", "<unk>"]
    assert [token.surprisal_bits for token in tokens] == pytest.approx([1, 2, 3, 5, 4])
    assert [token.rank for token in tokens] == [1, 2, 3, 5, 4]


@pytest.mark.parametrize("score", [scores_of_text, score_lines, score_tokens])
@pytest.mark.parametrize("chunks", [[], [""]])
@tokenizers
def test_nothing_to_score_is_an_error(score: Scorer, chunks: Sequence[str], tokenizer: Tokenizer) -> None:
    with pytest.raises(CorpusError, match=r"nothing to score: empty\.txt"):
        list(score(uniform_for(tokenizer), tokenizer, chunks, "empty.txt"))


@pytest.mark.parametrize(
    ("score", "where"),
    [
        (scores_of_text, r"^some\.txt: token 8 "),
        (score_lines, r"^some\.txt, after line 1: token 3 "),
        (score_tokens, r"^some\.txt: token 8 "),
    ],
)
def test_a_score_that_is_no_number_is_named_by_text_and_place(score: Scorer, where: str) -> None:
    table = uniform_for(CHARACTERS).table.copy()
    a, b = CHARACTERS.encode("ab")
    table[a, b] = np.nan

    with pytest.raises(NumericalError, match=where):
        list(score(BigramModel(table), CHARACTERS, ["aaaa\n", "aaab\n"], "some.txt"))


def test_memory_is_that_of_a_segment_not_of_the_text() -> None:
    """No block that is scored is larger than a segment, however the text comes."""
    sizes: list[int] = []

    def watched(
        model: LanguageModel, ids: Iterable[IdArray], *, exact: bool
    ) -> Iterator[side_by_side.ScoredBlock]:
        for block in scoring.score_ids(model, ids, exact=exact):
            sizes.append(len(block.ids))
            yield block

    model: LanguageModel = uniform_for(CHARACTERS)
    with patch("lmgen.evaluation.perplexity.score_ids", watched):
        score_text(model, CHARACTERS, ["ab\n" * 200_000], "t")

    assert sum(sizes) == 600_000
    assert max(sizes) <= scoring.STREAMS * scoring.STREAM_LENGTH


class Item:
    """Something that can be watched while it is there."""


def test_what_all_readings_have_read_is_let_go() -> None:
    """But not what one of them has still to read."""
    there: list[weakref.ref[Item]] = []

    def items() -> Iterator[Item]:
        for _ in range(100):
            item = Item()
            there.append(weakref.ref(item))
            yield item
            del item

    ahead, behind = readings(items(), 2)
    for _ in range(10):
        next(ahead)
    for _ in range(8):
        next(behind)

    assert [number for number, item in enumerate(there) if item() is not None] == [8, 9]
    assert (len(list(ahead)), len(list(behind))) == (90, 92)
