"""The mark before an answer: one token, in every tokenizer, and its text again when it is decoded."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lmgen.errors import ConfigError, ModelError
from lmgen.models.ngram.arpa import read_arpa, write_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.reading import ReadingTokenizer
from lmgen.tokenizers.registry import tokenizer_from_json, train_tokenizer

KINDS = ("char", "byte", "word", "bpe", "unigram")
MARKS = ("=", "\t", " -> ", "->", "of")
UNITS = ("line", "record")


def text_of(mark: str, unit: str) -> str:
    end = "\n" if unit == "line" else UNIT_END
    units = [
        f"12 + 3{mark}15",
        f"the cat{mark}die Katze",
        f"a{mark}b{mark}c",
        f"éé{mark}ü",
        "no answer",
        f"{mark}x",
        f"x{mark}",
        "",
    ]
    return "".join(each + end for each in units)


def trained(kind: str, mark: str, unit: str, text: str | None = None) -> Tokenizer:
    written = (text or text_of(mark, unit)) * 20
    config = TokenizerConfig(tokenizer=kind)
    return train_tokenizer(lambda: [written], config, ReadingConfig(unit=unit, answers_after=mark))


CASES = list(product(KINDS, MARKS, UNITS))


@pytest.mark.parametrize(("kind", "mark", "unit"), CASES)
def test_the_first_mark_of_each_unit_is_a_token_of_its_own(kind: str, mark: str, unit: str) -> None:
    tokenizer = trained(kind, mark, unit)
    ids = tokenizer.encode(text_of(mark, unit))

    units = np.split(ids, np.flatnonzero(ids == tokenizer.end) + 1)
    marks = [int((each == tokenizer.answer_mark).sum()) for each in units]
    assert marks == [1, 1, 1, 1, 0, 1, 1, 0, 0]
    assert tokenizer.piece(tokenizer.answer_mark or 0) == mark


@pytest.mark.parametrize(("kind", "mark", "unit"), CASES)
def test_texts_come_back(kind: str, mark: str, unit: str) -> None:
    tokenizer = trained(kind, mark, unit)
    text = text_of(mark, unit).removesuffix("\n" if unit == "line" else UNIT_END)
    ids = tokenizer.encode(text)

    expected = text.replace(UNIT_END, "\n\n")
    if kind == "word":
        expected = expected.replace(f"b{mark}c", " ".join(f"b{mark}c".split()))
    assert tokenizer.decode(ids) == expected
    decoder = tokenizer.decoder()
    assert "".join(decoder.push([token]) for token in ids.tolist()) + decoder.finish() == expected


@pytest.mark.parametrize(("kind", "mark", "unit"), CASES)
def test_tokens_begin_where_they_are_in_the_text(kind: str, mark: str, unit: str) -> None:
    tokenizer = trained(kind, mark, unit)
    text = text_of(mark, unit)
    ids, offsets = tokenizer.encode_with_offsets(text)

    assert np.array_equal(ids, tokenizer.encode(text))
    marked = offsets[ids == tokenizer.answer_mark].tolist()
    assert all(text.startswith(mark, offset) for offset in marked)
    ends = np.append(offsets[1:], len(text))
    for token, begin, end in zip(ids.tolist(), offsets.tolist(), ends.tolist(), strict=True):
        if token not in (tokenizer.end, tokenizer.answer_mark) and kind in ("char", "word"):
            assert text[begin:end].strip() == tokenizer.piece(token).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_split_as_a_line_is(kind: str) -> None:
    """So no token spans the mark, and what is before it does not matter to what is after it."""
    tokenizer = trained(kind, "of", "line", "one of two\nof of of\nnow of off\n")
    inner = tokenizer.inner  # type: ignore[attr-defined]
    ids = tokenizer.encode("now of off")
    [place] = np.flatnonzero(ids == tokenizer.answer_mark)

    assert inner.decode(tokenizer._inner(ids[:place])).strip() == "now"  # type: ignore[attr-defined]
    assert inner.decode(tokenizer._inner(ids[place + 1 :])).strip() == "off"  # type: ignore[attr-defined]
    assert np.array_equal(ids[place + 1 :], tokenizer.encode("of off")[1:])


@pytest.mark.parametrize(("kind", "unit"), list(product(KINDS, UNITS)))
def test_a_text_in_chunks_gives_the_same_tokens(kind: str, unit: str) -> None:
    tokenizer = trained(kind, " -> ", unit)
    text = text_of(" -> ", unit) * 3
    for size in (1, 2, 7, 1000):
        chunks = (text[first : first + size] for first in range(0, len(text), size))
        assert np.array_equal(np.concatenate(list(tokenizer.encode_stream(chunks))), tokenizer.encode(text))


@pytest.mark.parametrize("unit", UNITS)
def test_only_the_first_mark_of_a_very_long_unit_counts(unit: str) -> None:
    tokenizer = trained("char", "=", unit, "a=b=c\n" if unit == "line" else f"a=b=c{UNIT_END}")
    separator = "" if unit == "line" else "\n"
    text = separator.join(["a" * 200_000 + "=" + "b" * 1000] * 4)
    ids = np.concatenate(list(tokenizer.encode_stream([text])))

    assert np.flatnonzero(ids == tokenizer.answer_mark).tolist() == [200_000]


@pytest.mark.parametrize(("kind", "unit"), list(product(KINDS, UNITS)))
def test_it_is_saved_and_extended_with_its_ids(kind: str, unit: str) -> None:
    tokenizer = trained(kind, "\t", unit)
    saved = tokenizer.to_json()
    again = tokenizer_from_json(saved)

    assert saved["reading"]["answers_after"] == "\t"
    assert again.to_json() == saved
    assert np.array_equal(again.encode("a\tb"), tokenizer.encode("a\tb"))
    if kind in ("char", "word"):
        more = tokenizer.extended(["Z", "Q"])
        assert (more.answer_mark, more.end) == (tokenizer.answer_mark, tokenizer.end)
        ids = more.encode("Z\tQ")
        assert len(set(ids.tolist())) == 3
        assert more.decode(ids) == "Z\tQ"
        assert tokenizer_from_json(more.to_json()).decode(ids) == "Z\tQ"


@pytest.mark.parametrize("wrong", [None, -1, 99, "3", True])
def test_a_damaged_id_of_the_mark_is_refused(wrong: object) -> None:
    saved = trained("char", "=", "line").to_json()
    saved["reading"]["mark"] = wrong
    with pytest.raises(ModelError, match="mark before an answer"):
        tokenizer_from_json(saved)


@pytest.mark.parametrize(("kind", "mark"), list(product(KINDS, MARKS)))
def test_the_edge_of_a_prompt_with_its_mark_is_all_certain(kind: str, mark: str) -> None:
    tokenizer = trained(kind, mark, "line")
    edge = tokenizer.edge(f"x\nthe cat{mark}")

    assert edge.rest is None
    assert np.array_equal(edge.ids, tokenizer.encode(f"the cat{mark}"))
    assert edge.ids[-1] == tokenizer.answer_mark


@pytest.mark.parametrize("kind", KINDS)
def test_the_edge_of_a_begun_answer_is_that_of_the_answer(kind: str) -> None:
    tokenizer = trained(kind, "=", "line")
    inner = tokenizer.inner  # type: ignore[attr-defined]
    edge, alone = tokenizer.edge("the cat=die Ka"), inner.edge("die Ka")

    assert edge.after_blank == alone.after_blank
    assert (edge.rest is None) == (alone.rest is None)
    if edge.rest is not None:
        assert edge.rest.spelling == alone.rest.spelling
    before = tokenizer.encode("the cat=")
    assert np.array_equal(edge.ids, [*before, *tokenizer._outer(alone.ids)])  # type: ignore[attr-defined]


def test_the_mark_is_spelled_unlike_another_token() -> None:
    tokenizer = trained("char", "=", "line")
    pieces = [tokenizer.escaped_piece(token) for token in range(tokenizer.vocabulary_size)]

    assert len(set(pieces)) == len(pieces)
    assert pieces[tokenizer.answer_mark or 0] == r"=\2"
    assert trained("char", "=", "line", "a=b\n").escaped_piece(4) == "="


def test_characters_of_answers_are_those_after_the_first_mark_with_the_ends_of_their_units() -> None:
    tokenizer = trained("char", "->", "line")
    scored = tokenizer.answer_characters("ab->c->d\nno\n->x\ny->")

    marked = "".join("x" if each else "." for each in scored)
    assert marked == "....xxxxx" + "..." + "..xx" + "..."


@pytest.mark.parametrize(("kind", "mark", "unit"), CASES)
def test_an_arpa_file_has_the_mark(tmp_path: Path, kind: str, mark: str, unit: str) -> None:
    tokenizer = trained(kind, mark, unit)
    ids = np.concatenate(list(tokenizer.encode_stream([text_of(mark, unit)])))
    model = NgramModel.fit(
        ids,
        order=2,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
    )
    write_arpa(tmp_path / "a.arpa", model, tokenizer)
    read, again = read_arpa(tmp_path / "a.arpa")

    assert again.to_json() == tokenizer.to_json()
    assert not [note for note in read.notes if "the file has no" in note and "<unk>" not in note]
    state, other = model.start(1), read.start(1)
    assert np.allclose(model.score(state, ids[:, None])[0], read.score(other, ids[:, None])[0], atol=1e-5)


def test_normal_forms_hold_for_the_mark_too() -> None:
    reading = ReadingConfig(unit="line", answers_after="e\u0301", normalize="nfc")
    tokenizer = train_tokenizer(lambda: ["ae\u0301b\n"], TokenizerConfig(tokenizer="char"), reading)

    assert tokenizer.answer_mark in tokenizer.encode("a\u00e9b")
    assert tokenizer.answer_mark in tokenizer.encode("ae\u0301b")


@pytest.mark.parametrize(
    ("unit", "mark", "message"),
    [
        ("line", "", "at least one character"),
        ("document", "=", "--unit line or --unit record"),
        ("line", "\n", "--unit record"),
        ("line", "\ud801", "UTF-8"),
    ],
)
def test_marks_that_cannot_be(unit: str, mark: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ReadingConfig(unit=unit, answers_after=mark)


def test_without_a_mark_nothing_is_saved_of_it() -> None:
    tokenizer = train_tokenizer(lambda: ["a=b\n"], TokenizerConfig(), ReadingConfig(unit="line"))

    assert isinstance(tokenizer, ReadingTokenizer)
    assert tokenizer.answer_mark is None
    assert set(tokenizer.to_json()["reading"]) == {"unit", "encoding", "newlines", "normalize"}
