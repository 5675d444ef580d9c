"""
Read the pieces of a SentencePiece model without SentencePiece, and write a model with given pieces.

A model is a protocol buffer: a sequence of fields, each with a number, a wire type and a value (protobuf.dev,
"Encoding"). In `ModelProto`, field 1 is a piece, whose field 1 is its text, field 2 its score and field 3 its
type. Only the pieces are read from a saved model; SentencePiece gets a new model written from them, so that
damaged or malicious settings never reach it.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""The types of pieces, as numbered in SentencePiece's `ModelProto`."""

_VARINT, _EIGHT_BYTES, _LENGTH_DELIMITED, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types of protocol buffers."""

_SCORE = struct.Struct("<f")
"""A score is a little-endian 32-bit float."""

_PLAIN_PIECE = re.compile(rb"\x0a[\0-\x7f](.*)\x15(.{4})", re.DOTALL)
"""The usual encoding of an ordinary piece: a text of less than 128 bytes, a score, no type."""

_SETTINGS = bytes.fromhex("98 02 01") + b"".join(
    bytes.fromhex(field) + b"\xff" * 9 + b"\x01" for field in ("c8 02", "d0 02", "d8 02")
)
"""Part of a `TrainerSpec`: byte_fallback (35) is true; bos_id, eos_id, pad_id (41 to 43) are -1, none."""

_IDENTITY_NORMALIZER = b"\x0a\x08identity" + bytes.fromhex("18 00 20 00")
"""A `NormalizerSpec` that leaves the text unchanged: no space is added (3) or removed (4)."""


class Piece(NamedTuple):
    """A piece of a SentencePiece model."""

    text: str
    kind: int
    """Its type, such as NORMAL or BYTE."""
    score: float = 0.0
    """unigram: its log-probability; bpe: minus the rank of its merge."""


def read_pieces(model: bytes) -> list[Piece]:
    """
    Read the pieces of a model, in the order of their ids.

    Raises:
        ValueError: `model` is not a valid protocol buffer, or has something else where its pieces should be.
    """
    return [_read_piece(value) for number, value in _fields(model) if number == 1]


def model_of(pieces: Iterable[Piece], *, unigram: bool) -> bytes:
    """Write a model with these pieces and the settings with which subwords.py trains."""
    kind = bytes([3 << 3, 1 if unigram else 2])  # model_type
    encoded = [_field(1, _encoded(piece)) for piece in pieces]
    return b"".join([*encoded, _field(2, kind + _SETTINGS), _field(3, _IDENTITY_NORMALIZER)])


def _read_piece(message: int | bytes) -> Piece:
    if isinstance(message, bytes) and (plain := _PLAIN_PIECE.fullmatch(message)):
        text, score = plain.groups()
        if len(text) == message[1]:  # the fast path for nearly all pieces, ten times as fast
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


def _encoded(piece: Piece) -> bytes:
    score = _SCORE.pack(piece.score)
    return b"%b\x15%b\x18%c" % (_field(1, piece.text.encode("utf-8")), score, piece.kind)


def _field(number: int, value: bytes) -> bytes:
    """Encode a field that holds bytes; its number is below 16."""
    size, length = len(value), b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return b"%c%b%c%b" % (number << 3 | _LENGTH_DELIMITED, length, size, value)


def _fields(message: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field of a message. Values are ints, or bytes not yet decoded."""
    if isinstance(message, int):
        raise ValueError("a number where a message is expected")
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
            raise ValueError(f"unknown wire type {wire_type}")
        if position + size > len(message):
            raise ValueError("a field is truncated")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Decode a number stored in groups of seven bits, lowest first; return it and the position after it."""
    number = 0
    for shift in range(0, 64 + 6, 7):
        if position == len(message):
            break
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number is truncated or too long")
