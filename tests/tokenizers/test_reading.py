"""Texts that are read in units, with other line ends, or in a normal form, before they are split."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TOKENIZER_NAMES, TokenizerConfig
from lmgen.tokenizers.registry import tokenizer_from_json, train_tokenizer

NAMES = "Fendell\nLoran\nHesdell\nMara\n" * 40
RECORDS = ("Salad\n\noil\nsalt" + UNIT_END + "Soup\nonion" + UNIT_END) * 40


def trained(text: str, name: str = "char", **reading: str) -> Tokenizer:
    config = TokenizerConfig(tokenizer=name, vocab_size=270 if name in ("bpe", "unigram") else None)
    return train_tokenizer(lambda: iter([text]), config, ReadingConfig(**reading))


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
def test_every_line_ends_in_the_end_token(name: str) -> None:
    tokenizer = trained(NAMES, name, unit="line")

    ids = np.concatenate(list(tokenizer.encode_stream(["Mara\nLor", "an"])))

    assert tokenizer.end is not None
    assert np.count_nonzero(ids == tokenizer.end) == 2
    assert ids[-1] == tokenizer.end == tokenizer.start
    assert tokenizer.piece(tokenizer.end) == "</s>"
    assert tokenizer.decode(ids) == "Mara\nLoran\n"


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
def test_the_end_of_a_record_is_no_line_end(name: str) -> None:
    tokenizer = trained(RECORDS, name, unit="record")

    ids = np.concatenate(list(tokenizer.encode_stream(["Soup\nsalt" + UNIT_END + "Salad"])))

    assert tokenizer.end not in (None, tokenizer.line_end)
    assert np.count_nonzero(ids == tokenizer.end) == 2
    assert tokenizer.line_end is not None
    assert np.count_nonzero(ids == tokenizer.line_end) == 1
    assert tokenizer.piece(tokenizer.line_end) == "\n"
    assert tokenizer.decode(ids) == "Soup\nsalt\n\nSalad\n\n"


@pytest.mark.parametrize("unit", ["line", "record"])
@pytest.mark.parametrize("name", TOKENIZER_NAMES)
def test_it_comes_back_from_its_json(name: str, unit: str) -> None:
    text = RECORDS if unit == "record" else NAMES
    tokenizer = trained(text, name, unit=unit, normalize="nfc", newlines="lf", encoding="cp1252")

    loaded = tokenizer_from_json(tokenizer.to_json())

    assert loaded.reading == tokenizer.reading
    assert loaded.to_json() == tokenizer.to_json()
    np.testing.assert_array_equal(loaded.encode(text), tokenizer.encode(text))


@given(
    st.lists(st.sampled_from(["a\u0301", "\r", "\n", "é ", "x" + UNIT_END, "e", "\u0301"])), st.integers(1, 3)
)
def test_a_text_reads_alike_wherever_it_is_cut(parts: list[str], size: int) -> None:
    tokenizer = trained("a\u0301é x\ne", unit="record", normalize="nfc", newlines="lf")
    text = "".join(parts)
    chunks = [text[i : i + size] for i in range(0, len(text), size)]

    ids = np.concatenate([np.zeros(0, np.int64), *tokenizer.encode_stream(chunks)])
    whole = np.concatenate([np.zeros(0, np.int64), *tokenizer.encode_stream([text] if text else [])])

    np.testing.assert_array_equal(ids, whole)


def test_decomposed_text_is_known_in_its_normal_form() -> None:
    plain, composed = trained("café\n"), trained("café\n", normalize="nfc")
    text = unicodedata.normalize("NFD", "café")

    assert plain.unknown_among(text, plain.encode(text)).sum() == 2
    assert composed.unknown_among(text, composed.encode(text)).sum() == 0


def test_line_ends_of_other_systems_are_read_as_line_feeds() -> None:
    tokenizer = trained("a\nb\n", newlines="lf")

    np.testing.assert_array_equal(tokenizer.encode("a\r\nb\ra\n"), tokenizer.encode("a\nb\na\n"))


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
@pytest.mark.parametrize("reading", [{"newlines": "lf"}, {"normalize": "nfc"}, {"encoding": "cp1252"}])
def test_a_document_that_is_read_in_another_way_is_split_as_any(name: str, reading: dict[str, str]) -> None:
    np.testing.assert_array_equal(
        trained(NAMES, name, **reading).encode(NAMES), trained(NAMES, name).encode(NAMES)
    )


def test_new_words_do_not_change_the_end_of_a_record() -> None:
    tokenizer = trained("one two" + UNIT_END, "word", unit="record")

    extended = tokenizer.extended(["three"])

    assert extended.end == tokenizer.end
    text = "one three" + UNIT_END
    assert extended.decode(extended.encode(text)) == "one three\n\n"
    assert extended.unknown_among(text, extended.encode(text)).sum() == 0
