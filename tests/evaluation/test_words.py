"""Scores by word and by record: they sum to the units, which do not depend on each other."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.evaluation import rows, units
from lmgen.evaluation.perplexity import compare_models, score_rows, score_text, unit_of
from lmgen.evaluation.results import LineScore, TokenScore, WordScore
from lmgen.evaluation.row_makers import RowKind
from lmgen.evaluation.rows import BlankWith
from lmgen.evaluation.units import UnknownTokens
from lmgen.evaluation.words import SharedTokens, unigram_bits
from lmgen.models.base import LanguageModel
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.sources import Text
from lmgen.text.units import Unit
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.reading import ReadingTokenizer
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import WordTokenizer
from tests.fakes import BigramModel, random_bigram_model

TRAINING = "the cat sat on the mat\nthe dog, the cat and  the end\na cat can't sit\n" * 30


def subwords(name: str, size: int) -> Tokenizer:
    return train_tokenizer(lambda: [TRAINING], TokenizerConfig(tokenizer=name, vocab_size=size))


DOCUMENTS: list[Tokenizer] = [
    CharacterTokenizer("\n abcdehnost,'é"),
    CharacterTokenizer("abcde"),  # without blank and line end
    ByteTokenizer(),
    WordTokenizer(["the", "cat", "sat"]),
    WordTokenizer(["the", "cat", "\t,", "sat"], split_punctuation=True),
    subwords("bpe", 280),
    subwords("unigram", 278),
]

TOKENIZERS = [
    *DOCUMENTS,
    *(ReadingTokenizer(inner, ReadingConfig(unit="line")) for inner in DOCUMENTS),
    *(ReadingTokenizer(inner, ReadingConfig(unit="record")) for inner in DOCUMENTS),
]

tokenizers = pytest.mark.parametrize(
    "tokenizer", TOKENIZERS, ids=lambda each: f"{each.name}-{each.vocabulary_size}-{each.unit}"
)
conventions = pytest.mark.parametrize("blank_with", ["next", "previous"])
some_texts = st.lists(
    st.sampled_from(
        ["the", "cat", " cat", " ", "  ", "\t", "\n", "\n\n", "é", "?", "s,", "漢字", "sat", "</s>"]
    ),
    min_size=1,
    max_size=30,
).map("".join)


def model_for(tokenizer: Tokenizer) -> BigramModel:
    """A bigram model that begins afresh after the end of a unit, as all models do."""
    model = random_bigram_model(tokenizer.vocabulary_size)
    model.first = tokenizer.start
    return model


def cut(text: str, size: int) -> Iterator[str]:
    for first in range(0, len(text), size):
        yield text[first : first + size]


def stream(text: str, tokenizer: Tokenizer, unit: Unit) -> Text:
    """The text as `lmgen perplexity` reads it for a unit."""
    own = tokenizer.unit if unit == "document" else unit
    return Text("t", lambda: iter([text])).in_units(own)


def by_unit(words: Iterable[WordScore | TokenScore]) -> dict[int, float]:
    sums: dict[int, float] = defaultdict(float)
    for word in words:
        sums[word.unit] += word.surprisal_bits * math.log(2)
    return sums


def score(
    tokenizer: Tokenizer, text: str, by: RowKind, unit: Unit | None = None, size: int = 10**9, **how: object
) -> list[object]:
    unit = unit or unit_of(by, tokenizer)
    chunks = (piece for chunk in stream(text, tokenizer, unit).chunks() for piece in cut(chunk, size))
    model = model_for(tokenizer)
    return list(score_rows([model], tokenizer, chunks, "t", by=by, unit=unit, **how))  # type: ignore[arg-type]


def words_of(tokenizer: Tokenizer, text: str, **how: object) -> list[WordScore]:
    return score(tokenizer, text, "word", **how)  # type: ignore[return-value, arg-type]


@tokenizers
@conventions
@settings(max_examples=15, deadline=None)
@given(text=some_texts, size=st.integers(1, 20), exact=st.booleans())
def test_the_words_of_a_line_sum_to_the_line(
    tokenizer: Tokenizer, blank_with: BlankWith, text: str, size: int, exact: bool
) -> None:
    lines = score(tokenizer, text, "line")
    words = words_of(tokenizer, text, blank_with=blank_with, size=size, exact=exact)
    sums = by_unit(words)

    assert len(sums) == len(lines)
    for line, (number, nats) in zip(lines, sums.items(), strict=True):
        assert isinstance(line, LineScore)
        assert line.line == number
        assert nats == pytest.approx(line.nats, abs=1e-6)
        assert all(word.surprisal_bits >= 0 for word in words)
        of_line = [word for word in words if word.unit == number]
        assert [word.index for word in of_line] == list(range(len(of_line)))
        assert sum(word.log10 for word in of_line) == pytest.approx(line.log10, abs=1e-6)
        assert any(word.unknown for word in of_line) == (line.unknown_tokens > 0)


@tokenizers
@settings(max_examples=15, deadline=None)
@given(text=some_texts, size=st.integers(1, 20))
def test_the_words_are_those_between_white_space(tokenizer: Tokenizer, text: str, size: int) -> None:
    words = words_of(tokenizer, text, size=size)
    spelled = [word for word in words if word.length]

    assert [word.word.removeprefix("\\") for word in spelled] == text.split()
    assert [word.length for word in spelled] == [len(word) for word in text.split()]
    ends = [word for word in words if word.word == "</s>"]
    assert len(ends) == text.count("\n") + (tokenizer.sentence_end is not None and text[-1] != "\n")


@tokenizers
@conventions
def test_a_line_is_what_it_is_alone(tokenizer: Tokenizer, blank_with: BlankWith) -> None:
    lines = ["the cat\n", " sat  on,\n", "\n", "漢字 the"]
    together = words_of(tokenizer, "".join(lines), blank_with=blank_with)

    for number, line in enumerate(lines, 1):
        alone = words_of(tokenizer, line, blank_with=blank_with)
        of_line = [word for word in together if word.unit == number]
        assert [(word.index, word.word) for word in of_line] == [(word.index, word.word) for word in alone]
        for word, other in zip(of_line, alone, strict=True):
            assert word.surprisal_bits == pytest.approx(other.surprisal_bits, abs=1e-6)
            assert word.entropy_bits == pytest.approx(other.entropy_bits, abs=1e-6)


@tokenizers
@pytest.mark.parametrize("by", ["word", "token", "line"])
@pytest.mark.parametrize("unit", ["document", "line", "record"])
@settings(max_examples=5, deadline=None)
@given(text=some_texts.filter(str.strip), size=st.integers(1, 20))
def test_rows_of_every_size_sum_to_the_text(
    tokenizer: Tokenizer, by: RowKind, unit: Unit, text: str, size: int
) -> None:
    chunks = stream(text, tokenizer, unit).chunks()
    [whole] = compare_models([model_for(tokenizer)], tokenizer, chunks, "t", unit=unit)
    parts = score(tokenizer, text, by, unit, size)

    nats = [
        part.nats if isinstance(part, LineScore) else part.surprisal_bits * math.log(2)  # type: ignore[attr-defined]
        for part in parts
    ]
    assert math.fsum(nats) == pytest.approx(whole.nats, abs=1e-6)


@tokenizers
def test_a_record_is_scored_alone_whatever_stands_around_it(tokenizer: Tokenizer) -> None:
    records = ["the cat\nsat", "on", "the mat\n\t\nthe cat"]
    [first, second, *_] = score(tokenizer, "\n\n".join(records[:2]) + "\n", "record")
    turned = score(tokenizer, "\n\n\n".join(reversed(records[:2])), "record")

    assert isinstance(first, LineScore)
    assert isinstance(second, LineScore)
    assert [row.nats for row in turned] == pytest.approx([second.nats, first.nats], abs=1e-6)  # type: ignore[attr-defined]
    chunks = stream(records[0], tokenizer, "record").chunks()
    text = chunks if tokenizer.unit == "record" else [f"{records[0]}\n"]
    assert first.nats == pytest.approx(score_text(model_for(tokenizer), tokenizer, text, "t").nats, abs=1e-6)
    assert first.tokens + second.tokens == sum(len(tokenizer.encode(f"{record}\n")) for record in records[:2])


@tokenizers
def test_a_line_costs_the_same_without_its_line_end_where_the_end_is_predicted(tokenizer: Tokenizer) -> None:
    if tokenizer.sentence_end is None:
        pytest.skip("its end is a character like any other")
    closed = score(tokenizer, "the cat\n", "line")
    opened = score(tokenizer, "the cat", "line")

    assert closed == opened
    assert words_of(tokenizer, "the cat \n") == words_of(tokenizer, "the cat ")


def test_words_by_hand() -> None:
    """Each token costs what it costs wherever it is: a 1 bit, b 2, blank 3, line end 4."""
    tokenizer = CharacterTokenizer("\n ab")  # <unk>, line end, blank, a, b
    bits = np.array([8, 4, 3, 1, 2])
    rest = 1 - (0.5**bits).sum()
    table = np.tile(np.log(np.append(0.5**bits, rest)), (6, 1))[:, :5]
    words: dict[str, list[WordScore]] = {}
    for blank_with in ("next", "previous"):
        chunks = [" ab  b \nb?\na "]
        models = [BigramModel(table)]
        scored = score_rows(models, tokenizer, chunks, "t", by="word", blank_with=blank_with)
        words[blank_with] = list(scored)  # type: ignore[arg-type]

    def shown(convention: str) -> list[tuple[int, int, str, float]]:
        return [
            (word.unit, word.index, word.word, round(word.surprisal_bits, 6)) for word in words[convention]
        ]

    assert shown("next") == [
        (1, 0, "ab", 6),
        (1, 1, "b", 8),
        (1, 2, "</s>", 7),
        (2, 0, "b?", 10),
        (2, 1, "</s>", 4),
        (3, 0, "a", 1),
        (3, 1, "", 3),
    ]
    assert shown("previous") == [
        (1, 0, "ab", 12),
        (1, 1, "b", 5),
        (1, 2, "</s>", 4),
        (2, 0, "b?", 10),
        (2, 1, "</s>", 4),
        (3, 0, "a", 4),
    ]
    entropy = float((bits * 0.5**bits).sum())
    assert [word.entropy_bits for word in words["next"]] == pytest.approx([entropy] * 7)
    assert [word.unknown for word in words["next"]] == [False, False, False, True, False, False, False]
    assert {word.unigram_bits for word in words["next"]} == {None}


class Pieces(CharacterTokenizer):
    """Sub-words of a vocabulary small enough to work out by hand: the longest piece first."""

    name = "pieces"

    def __init__(self, pieces: list[str]) -> None:
        super().__init__("\n")
        self._all = pieces
        self.vocabulary_size = len(pieces)
        self.special_ids = frozenset()
        self.unknown = None
        self.line_end = pieces.index("\n")

    def encode_with_offsets(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        ids, offsets, place = [], [], 0
        while place < len(text):
            piece = max((each for each in self._all if text.startswith(each, place)), key=len)
            ids.append(self._all.index(piece))
            offsets.append(place)
            place += len(piece)
        return np.array(ids, np.int64), np.array(offsets, np.int64)

    def encode(self, text: str) -> np.ndarray:
        return self.encode_with_offsets(text)[0]

    def piece(self, token: int) -> str:
        return self._all[token]


def words_in_pieces(pieces: dict[str, float], text: str, blank_with: BlankWith) -> list[tuple[str, Any]]:
    tokenizer = Pieces(list(pieces))
    model = BigramModel(np.log(np.tile(list(pieces.values()), (len(pieces), 1))))
    rows = score_rows([model], tokenizer, [text], "t", by="word", blank_with=blank_with)
    return [(row.word, 2**-row.surprisal_bits) for row in rows if isinstance(row, WordScore)]


def test_a_piece_that_begins_with_a_blank_is_cut_where_the_blank_goes_with_the_word_before() -> None:
    pieces = {"\n": 0.1, " a": 0.2, " b": 0.2, " ": 0.1, "a": 0.3, "b": 0.1}
    blank = 0.2 + 0.2 + 0.1

    assert words_in_pieces(pieces, "a bb a\n", "next") == [
        ("a", pytest.approx(0.3)),
        ("bb", pytest.approx(0.2 * 0.1)),
        ("a", pytest.approx(0.2)),
        ("</s>", pytest.approx(0.1)),
    ]
    assert words_in_pieces(pieces, "a bb a\n", "previous") == [
        ("a", pytest.approx(0.3 * blank)),
        ("bb", pytest.approx(0.2 / blank * 0.1 * blank)),
        ("a", pytest.approx(0.2 / blank)),
        ("</s>", pytest.approx(0.1)),
    ]


def test_a_blank_on_its_own_is_cut_too_for_the_word_might_be_spelled_with_it() -> None:
    pieces = {"\n": 0.1, " a": 0.4, " ": 0.1, "a": 0.3, "b": 0.1}

    assert words_in_pieces(pieces, "a b\n", "previous") == [
        ("a", pytest.approx(0.3 * 0.5)),
        ("b", pytest.approx(0.1 / 0.5 * 0.1)),
        ("</s>", pytest.approx(0.1)),
    ]


def test_a_piece_that_ends_in_a_blank_is_cut_where_the_blank_goes_with_the_next_word() -> None:
    pieces = {"\n": 0.1, "a ": 0.2, "ab": 0.1, "a": 0.3, "b": 0.3}

    assert words_in_pieces(pieces, "a b\n", "previous")[0] == ("a", pytest.approx(0.2))
    assert words_in_pieces(pieces, "a b\n", "next") == [
        ("a", pytest.approx(0.6)),
        ("b", pytest.approx(0.2 / 0.6 * 0.3)),
        ("</s>", pytest.approx(0.1)),
    ]


@conventions
def test_the_entropy_of_a_word_in_pieces_that_end_in_a_blank_is_that_before_its_piece(
    blank_with: BlankWith,
) -> None:
    pieces = ["\n", "a ", "ab ", "a"]
    model = random_bigram_model(len(pieces), seed=1)
    tokenizer = Pieces(pieces)
    text = "ab a ab \n"
    scored = score_rows([model], tokenizer, [text], "t", by="word", blank_with=blank_with)
    entropies = [row.entropy_bits for row in scored if isinstance(row, WordScore)]

    expected, state = [], model.start(1)
    for token in tokenizer.encode(text).tolist():
        log_p = np.asarray(model.predict(state)[0], np.float64)
        expected.append(-float(np.exp(log_p) @ log_p) / math.log(2))
        state = model.advance(state, np.array([[token]]))
    assert entropies == pytest.approx(expected)


def test_a_piece_of_several_words_is_shared_and_sums() -> None:
    pieces = {"\n": 0.1, "a b a": 0.2, "a": 0.3, "b": 0.4}

    for blank_with in ("next", "previous"):
        words = words_in_pieces(pieces, "a b a\n", blank_with)
        assert [word for word, _ in words] == ["a", "b", "a", "</s>"]
        assert math.prod(p for _, p in words) == pytest.approx(0.2 * 0.1)


def test_the_vocabulary_knows_which_pieces_belong_to_two_words() -> None:
    tokenizer = Pieces(["\n", " ", "  ", " a", "a", "a b", "b "])

    assert SharedTokens(tokenizer, "next").cut.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert SharedTokens(tokenizer, "previous").cut.tolist() == [0, 1, 0, 1, 0, 2, 0]


def test_a_long_line_is_scored_by_word_as_its_model_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts that it comes in."""
    monkeypatch.setattr(units, "BLOCK_TOKENS", 7)
    text = "the cat  sat\t漢字 é " * 400
    for tokenizer in DOCUMENTS:
        for blank_with in ("next", "previous"):
            whole = words_of(tokenizer, text + "\n", blank_with=blank_with)
            pieces = words_of(tokenizer, text + "\n", blank_with=blank_with, size=100)
            assert [word.word for word in whole] == [word.word for word in pieces]
            if tokenizer.name in ("bpe", "unigram"):
                continue  # they may spell a line otherwise that is cut
            for word, other in zip(whole, pieces, strict=True):
                assert word.surprisal_bits == pytest.approx(other.surprisal_bits, abs=1e-6)


def test_a_word_without_end_is_given_in_several_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LONGEST_WORD", 1000)
    monkeypatch.setattr(units, "BLOCK_TOKENS", 500)
    words = words_of(DOCUMENTS[0], "a" * 100_000)
    closed = words_of(DOCUMENTS[0], "a" * 100_000 + "\n", size=50_000)

    assert [word.word for word in closed if not word.length] == ["</s>"]
    assert sum(word.length for word in closed) == 100_000
    assert sum(word.length for word in words) == 100_000
    assert max(word.length for word in words) <= 2000
    assert all(word.length for word in words)


def test_lines_in_context_are_read_on() -> None:
    """By line with a record or the document as the unit."""
    tokenizer = CharacterTokenizer("\n ab")
    model = random_bigram_model(5)
    text = "a\nb\n\nab\na"

    def nats(unit: Unit) -> list[float]:
        chunks = stream(text, tokenizer, unit).chunks()
        scored = score_rows([model], tokenizer, chunks, "t", by="line", unit=unit)
        return [row.nats for row in scored if isinstance(row, LineScore)]

    def of(line: str, before: str) -> float:
        ids = [int(each) for each in tokenizer.encode(before + line)]
        context = [0, *ids][: len(ids)]
        pairs = list(zip(context, ids, strict=True))[len(before) :]
        return -sum(float(model.table[pair]) for pair in pairs)

    assert nats("document") == pytest.approx(
        [of("a\n", ""), of("b\n", "\n"), of("\n", "\n"), of("ab\n", "\n"), of("a", "\n")]
    )
    assert nats("line") == pytest.approx([of(line, "") for line in ("a\n", "b\n", "\n", "ab\n", "a")])
    assert nats("record") == pytest.approx([of("a\n", ""), of("b\n", "\n"), of("ab\n", ""), of("a\n", "\n")])


def test_tokens_carry_the_number_of_their_unit_and_begin_afresh() -> None:
    tokenizer = CharacterTokenizer("\n ab")
    text = "ab\n\na"
    model = random_bigram_model(5)
    rows = list(score_rows([model], tokenizer, [text], "t", by="token", unit="line"))

    assert [row.unit for row in rows if isinstance(row, TokenScore)] == [1, 1, 1, 2, 3]
    assert [row.index for row in rows if isinstance(row, TokenScore)] == [0, 1, 2, 3, 4]
    assert [row.offset for row in rows if isinstance(row, TokenScore)] == [0, 1, 2, 3, 4]
    ids = tokenizer.encode(text)
    before = [0, ids[0], ids[1], 0, 0]
    expected = [-model.table[a, b] / math.log(2) for a, b in zip(before, ids, strict=True)]
    assert [row.surprisal_bits for row in rows if isinstance(row, TokenScore)] == pytest.approx(expected)


def test_the_length_of_the_ngram_that_matched() -> None:
    """After "ab ab": <s>a, <s>ab, then a context that was never seen, down to the unigram."""
    tokenizer = CharacterTokenizer(" ab")
    model = NgramModel.fit(tokenizer.encode("ab ab ab"), order=3, vocabulary_size=4)
    rows = score_rows([model], tokenizer, ["ab ab b?a"], "t", by="token")

    assert [row.matched for row in rows if isinstance(row, TokenScore)] == [2, 3, 3, 3, 3, 3, 1, 1, 1]
    [none, *_] = score_rows([random_bigram_model(4)], tokenizer, ["ab"], "t", by="token")
    assert isinstance(none, TokenScore)
    assert none.matched is None


def test_models_side_by_side_give_row_after_row() -> None:
    tokenizer = DOCUMENTS[0]
    models: list[LanguageModel] = [model_for(tokenizer), random_bigram_model(tokenizer.vocabulary_size, 1)]
    models[1].name = "other"  # type: ignore[misc]
    rows = list(score_rows(models, tokenizer, cut("the cat\nsat\n", 5), "t", by="word"))

    assert [row.model for row in rows] == ["bigram", "other"] * 5
    assert rows[::2] == list(score_rows(models[:1], tokenizer, ["the cat\nsat\n"], "t", by="word"))


def test_unigram_surprisal_is_that_of_the_training_tokens() -> None:
    tokenizer = CharacterTokenizer("\n ab")
    bits = unigram_bits(tokenizer.encode("aaab"), 5)

    assert bits[tokenizer.encode("ab")].tolist() == pytest.approx([-math.log2(0.75), 2])
    rows = score_rows([model_for(tokenizer)], tokenizer, ["ab b"], "t", by="word", unigram_bits=bits)
    assert [row.unigram_bits for row in rows if isinstance(row, WordScore)] == [
        pytest.approx(2 - math.log2(0.75)),
        None,  # the blank is not in the training text
    ]


def test_unknown_tokens_are_named_by_their_spelling_most_frequent_first() -> None:
    unknown = UnknownTokens()
    tokenizer = WordTokenizer(["the"])
    text = "the zebra\nyak zebra  the x\u200b\n" + " ".join(
        "qwertyuiopasdfghjklzxcvbnmqwertyuiop" for _ in "12"
    )
    list(score_rows([model_for(tokenizer)], tokenizer, [text], "t", by="line", unknown=unknown))

    assert (unknown.unknown, unknown.tokens) == (6, 11)
    assert unknown.named() == (
        "`qwertyuiopasdfghjklzxcvbnmqwer…` (2), `zebra` (2), `x\\u200b` (1), `yak` (1)"
    )


@pytest.mark.parametrize("by", ["line", "word", "token"])
def test_unknown_tokens_are_counted_once_and_in_bounded_memory(
    by: RowKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "MOST_SPELLINGS", 20)
    unknown = UnknownTokens()
    tokenizer = CharacterTokenizer("\n a")
    text = "".join(chr(0x4E00 + number) for number in range(100)) + "\n" + chr(0x4E00) * 5
    list(score_rows([model_for(tokenizer)] * 2, tokenizer, [text], "t", by=by, unknown=unknown))

    assert unknown.unknown == 105
    assert unknown.named().startswith("`\u4e00` (6), `\u4e01` (1), ")
    assert unknown.named().endswith("15 or more others")
