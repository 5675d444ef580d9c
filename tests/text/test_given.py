"""Texts that a program gives in place of files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError
from lmgen.text.given import BLOCK_CHARACTERS, opened, text_of, texts_of
from lmgen.text.sources import Text, source
from lmgen.text.units import record_stream

RECORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1).filter(any)


@settings(deadline=None)
@given(RECORDS)
def test_texts_are_read_again_as_they_were_from_a_list_and_from_an_iterator(records: list[str]) -> None:
    """As records, and as a document in which each ends in a line end."""
    stream = "".join(record_stream([records]))
    lines = "".join(text if text.endswith("\n") else text + "\n" for text in records)
    for texts in (texts_of(records, "texts"), texts_of(iter(records), "texts")):
        for _ in range(2):
            assert "".join(texts.chunks()) == lines
            assert "".join(texts.in_units("record").chunks()) == stream


def test_an_iterator_is_taken_once_and_only_as_far_as_it_is_read() -> None:
    taken = []

    def endless() -> Iterator[str]:
        while True:
            taken.append("x" * 1000)
            yield taken[-1]

    text = texts_of(endless(), "texts")
    assert taken == []
    assert next(iter(text.chunks())).startswith("xxx")
    before = len(taken)
    assert next(iter(text.chunks())).startswith("xxx")
    assert len(taken) == before < 1000


def test_blocks_may_end_inside_a_character_or_an_end_of_a_record() -> None:
    records = ["é€𝄞" * 50_000, "\n", "ü"] * 3

    assert "".join(texts_of(iter(records), "t").record_chunks()) == "".join(record_stream([records]))


def test_a_str_with_a_line_end_is_a_text_and_any_other_is_a_name() -> None:
    for text in ("one\n", "one\rtwo", "\r\n", "a\n" * BLOCK_CHARACTERS):
        found = opened(text, "text")
        assert isinstance(found, Text)
        assert "".join(found.chunks()) == text
    assert opened("one", "text") == "one"
    assert opened(Path("a\nb"), "text") == "a\nb"


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "marked.txt").write_text("\ufeffone\n", encoding="utf-8")
    from_file, from_python = source(str(tmp_path / "marked.txt")), text_of("\ufeffone\n", "text")

    assert list(from_file.chunks()) == list(from_python.chunks()) == ["one\n"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"one\n", r"it is bytes, but has to be a str: decode it \(\.decode\(\)\), or name its file"),
        (None, "it is None; give a text"),
        (5, "it is 5; give a text"),
        ("", "it is an empty str"),
        (["one"], r"it is \['one'\]; give many texts as texts=\.\.\."),
        (iter(["one"]), "it is <list_iterator .*; give many texts as texts="),
    ],
)
def test_what_is_no_text_is_named(wrong: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(wrong, "it")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("one\n", ConfigError, r"it is 'one\\n', but has to be a list or an iterator"),
        (Path("one"), ConfigError, "but has to be a list or an iterator"),
        (5, ConfigError, "it is 5, but has to be a list or an iterator"),
        ([], CorpusError, "it is empty"),
        (["", ""], CorpusError, "it is empty"),
        (["a", b"b"], ConfigError, "it: text 2 is b'b', but has to be a str"),
        (["a", "b\ud800"], CorpusError, r"U\+D800 at character 1 of it: text 2 is a lone sur"),
    ],
)
def test_what_are_no_texts_is_named(wrong: Any, error: type[Exception], message: str) -> None:
    """At once for a list; an iterator of the same says it while it is read."""
    with pytest.raises(error, match=message):
        texts_of(wrong, "it")
    if isinstance(wrong, list):
        with pytest.raises(error, match=message):
            list(texts_of(iter(wrong), "it").chunks())


def test_a_lone_surrogate_is_found_however_long_the_text_is() -> None:
    with pytest.raises(CorpusError, match=rf"U\+DCFF at character {BLOCK_CHARACTERS + 1:,} of"):
        text_of("\n" * BLOCK_CHARACTERS + "a\udcff", "text")
