import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError
from lmgen.tokenizers.bytes import ByteTokenizer, character_of_each_byte
from lmgen.tokenizers.config import TokenizerConfig

BYTE = ByteTokenizer()


@given(st.binary())
def test_any_bytes_come_back_exactly(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")

    assert BYTE.encode(text).tolist() == list(data)
    assert BYTE.decode(BYTE.encode(text)) == text
    assert BYTE.decode(list(data)).encode("utf-8", "surrogateescape") == data


@given(st.binary(), st.data())
def test_decoding_in_parts_gives_the_same_text_and_whole_characters(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=5)))
    decoder = BYTE.decoder()

    parts = [decoder.push(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    assert "".join(parts) + decoder.finish() == data.decode("utf-8", "surrogateescape")


def test_a_character_waits_for_its_last_byte() -> None:
    decoder = BYTE.decoder()

    assert [decoder.push([byte]) for byte in "€".encode()] == ["", "", "€"]
    assert decoder.push([0xE2, 0x82]) == ""
    assert decoder.finish() == "\udce2\udc82"


@given(st.binary())
def test_each_byte_knows_its_character(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")

    expected = [
        position
        for position, character in enumerate(text)
        for _ in character.encode("utf-8", "surrogateescape")
    ]

    assert character_of_each_byte(text).tolist() == expected


def test_half_a_surrogate_pair_is_named() -> None:
    with pytest.raises(CorpusError, match=r"U\+D800 at character 1 of the text"):
        BYTE.encode("a\ud800")


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(CorpusError, match="the training text is empty"):
        ByteTokenizer.train(lambda: [""], TokenizerConfig(tokenizer="byte"))


def test_pieces_are_characters_where_a_byte_is_one() -> None:
    assert [BYTE.escaped_piece(byte) for byte in [65, 10, 32, 0x80, 0xFF]] == [
        "A",
        r"\n",
        "▁",
        r"\x80",
        r"\xff",
    ]
