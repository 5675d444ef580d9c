"""
Reads the pieces out of a SentencePiece model, without SentencePiece, and writes one of nothing but pieces.

A model is a protocol buffer: fields, each a number, a wire type and a value (protobuf.dev, "Encoding").
`ModelProto` has the pieces as field 1; a piece has its text as field 1, its score as field 2 and its type as
field 3. What else it says, and damage might change, SentencePiece is never shown.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""The types of pieces."""

_VARINT, _EIGHT_BYTES, _LENGTH_DELIMITED, _FOUR_BYTES = 0, 1, 2, 5


_SCORE = struct.Struct("<f")

_PLAIN_PIECE = re.compile(rb"\x0a[\0-\x7f](.*)\x15(.{4})", re.DOTALL)
"""Its text, which is short, its score, and no type: an ordinary piece."""

_SETTINGS = bytes.fromhex("98 02 01") + b"".join(
    bytes.fromhex(field) + b"\xff" * 9 + b"\x01" for field in ("c8 02", "d0 02", "d8 02")
)
"""Of the `TrainerSpec`: byte_fallback (35) is true; bos_id, eos_id and pad_id (41 to 43) are -1, for none."""

_AS_IT_STANDS = b"\x0a\x08identity" + bytes.fromhex("18 00 20 00")
"""A `NormalizerSpec` by which text stays as it is: no blank is added (3), none taken away (4)."""


class Piece(NamedTuple):
    """A piece of a SentencePiece model."""

    text: str
    kind: int
    score: float = 0.0


def read_pieces(model: bytes) -> list[Piece]:
    """
    The pieces in the order of their ids.

    Raises:
        ValueError: this is no protocol buffer, or not one of pieces.
    """
    return [_read_piece(value) for number, value in _fields(model) if number == 1]


def model_of(pieces: Iterable[Piece], *, unigram: bool) -> bytes:
    """A model of these pieces that encodes as those do which subwords.py trains."""
    kind = bytes([3 << 3, 1 if unigram else 2])  # model_type
    written = [_field(1, _written(piece)) for piece in pieces]
    return b"".join([*written, _field(2, kind + _SETTINGS), _field(3, _AS_IT_STANDS)])


def _read_piece(message: int | bytes) -> Piece:
    if isinstance(message, bytes) and (plain := _PLAIN_PIECE.fullmatch(message)):
        text, score = plain.groups()
        if len(text) == message[1]:  # as nearly all are written; this is ten times as fast
            return Piece(text.decode("utf-8"), NORMAL, *_SCORE.unpack(score))
    text, kind, score = b"", NORMAL, 0.0
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            text = value
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            [score] = _SCORE.unpack(value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text.decode("utf-8"), kind, score)


def _written(piece: Piece) -> bytes:
    score = _SCORE.pack(piece.score)
    return b"%b\x15%b\x18%c" % (_field(1, piece.text.encode("utf-8")), score, piece.kind)


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes, whose number is below 16."""
    size, length = len(value), b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return b"%c%b%c%b" % (number << 3 | _LENGTH_DELIMITED, length, size, value)


def _fields(message: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers and values of a message's fields."""
    if isinstance(message, int):
        raise ValueError("a number where a message should be")
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire_type == _LENGTH_DELIMITED:
            size, position = _varint(message, position)
        elif wire_type in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire_type == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire_type} is unknown")
        if position + size > len(message):
            raise ValueError("a field is cut short")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the position after it."""
    number = 0
    for shift in range(0, 64 + 6, 7):
        if position == len(message):
            break
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number is cut short or too long")
