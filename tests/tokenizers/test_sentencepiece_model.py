import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.sentencepiece_model import (
    BYTE,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Piece,
    model_of,
    read_pieces,
    read_settings,
)


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_pieces_are_those_that_sentencepiece_reads(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    from sentencepiece import SentencePieceProcessor

    model = base64.b64decode(tokenizers[name].to_json()["model"])
    rival = SentencePieceProcessor(model_proto=model)

    pieces = read_pieces(model)

    assert [piece.text for piece in pieces] == [rival.id_to_piece(i) for i in range(rival.get_piece_size())]
    assert [piece.score for piece in pieces] == [rival.get_score(i) for i in range(rival.get_piece_size())]
    assert [piece.kind for piece in pieces] == [
        UNKNOWN,
        USER_DEFINED,
        *[BYTE] * 256,
        *[NORMAL] * (len(pieces) - 258),
    ]


def test_a_message_worked_out_by_hand() -> None:
    piece = b"\x0a\x03abc" + b"\x15\x00\x00\x80\x3f"  # field 1: "abc"; field 2: the score 1.0
    unknown = b"\x0a\x01?" + b"\x18\x02"  # field 3: the type 2

    assert read_pieces(b"\x0a\x0a" + piece + b"\x0a\x05" + unknown + b"\x10\x96\x01") == [
        Piece("abc", NORMAL, 1.0),
        Piece("?", UNKNOWN),
    ]


@pytest.mark.parametrize("name", ["bpe", "unigram"])
@given(text=st.text(st.sampled_from("theca sonm.é日本▁\n\0"), max_size=60))
def test_pieces_alone_encode_as_the_whole_model(
    name: str, tokenizers: dict[str, Tokenizer], text: str
) -> None:
    from sentencepiece import SentencePieceProcessor

    model = base64.b64decode(tokenizers[name].to_json()["model"])
    rival = SentencePieceProcessor(model_proto=model)
    alone = SentencePieceProcessor(model_proto=model_of(read_pieces(model), read_settings(model)))

    assert alone.encode(text) == rival.encode(text)


@given(st.binary())
def test_other_bytes_are_refused_or_hold_no_pieces(data: bytes) -> None:
    try:
        read_pieces(data)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05ab", b"\x08" + b"\xff" * 11, b"\x0b", b"\x08\x01", b"\x0a\x03\x0a\x01\xff"]
)
def test_a_damaged_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"truncated|a number where|unknown|decode"):
        read_pieces(data)
