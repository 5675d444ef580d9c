"""
Read the pieces and settings of a SentencePiece model without SentencePiece, and write a model of given ones.

A model is a protocol buffer: a sequence of fields, each with a number, a wire type and a value (protobuf.dev,
"Encoding"). In `ModelProto`, field 1 is a piece, whose field 1 is its text, field 2 its score and field 3 its
type; field 2 is a `TrainerSpec`, field 3 a `NormalizerSpec`. SentencePiece never gets a saved model itself,
but a new one with the pieces and settings that were read and checked, so that nothing damaged or malicious
reaches it.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""The types of pieces, as numbered in SentencePiece's `ModelProto`."""

_VARINT, _EIGHT_BYTES, _LENGTH_DELIMITED, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types of protocol buffers."""

_SCORE = struct.Struct("<f")
"""A score is a little-endian 32-bit float."""

_PLAIN_PIECE = re.compile(rb"\x0a[\0-\x7f](.*)\x15(.{4})", re.DOTALL)
"""The usual encoding of an ordinary piece: a text of less than 128 bytes, a score, no type."""

UNIGRAM, BPE, WORD, CHAR = range(1, 5)
"""The types of models, as numbered in `TrainerSpec`."""

_SPECS = {
    2: {
        "model_type": 3,
        "whitespace_as_suffix": 24,
        "whitespace_pieces": 26,
        "byte_fallback": 35,
        "unknown_text": 44,
        "end_piece": 47,
    },
    3: {"charsmap": 2, "add_dummy_prefix": 3, "remove_extra_blanks": 4, "escape_blanks": 5},
}
"""The fields of the settings in `TrainerSpec` (field 2 of a model) and `NormalizerSpec` (field 3)."""


class Piece(NamedTuple):
    """A piece of a SentencePiece model."""

    text: str
    kind: int
    """Its type, such as NORMAL or BYTE."""
    score: float = 0.0
    """unigram: its log-probability; bpe: minus the rank of its merge."""


class Settings(NamedTuple):
    """The settings of a model that encoding and decoding depend on, with SentencePiece's own defaults."""

    model_type: int = UNIGRAM
    whitespace_as_suffix: bool = False
    """The blank between two words belongs to the first."""
    whitespace_pieces: bool = False
    byte_fallback: bool = False
    """Characters without a piece are spelled by their bytes."""
    unknown_text: str = " \u2047 "
    """What the unknown token is decoded to."""
    end_piece: str = "</s>"
    charsmap: bytes = b""
    """The replacements of the normalisation, see charsmap.py."""
    add_dummy_prefix: bool = True
    """Each text gets a blank in front, so that its first word is spelled as any other."""
    remove_extra_blanks: bool = True
    escape_blanks: bool = True


def read_pieces(model: bytes) -> list[Piece]:
    """
    Read the pieces of a model, in the order of their ids.

    Raises:
        ValueError: `model` is not a valid protocol buffer, or has something else where its pieces should be.
    """
    return [_read_piece(value) for number, value in _fields(model) if number == 1]


def read_settings(model: bytes) -> Settings:
    """
    Read the settings of a model.

    Raises:
        ValueError: `model` is not a valid protocol buffer, or a setting is of the wrong kind.
    """
    read: dict[str, int | bytes] = {}
    for number, value in _fields(model):
        if number in _SPECS:
            spec = dict(_fields(value))
            read |= {name: spec[field] for name, field in _SPECS[number].items() if field in spec}
    return Settings(**{name: _as_setting(name, value) for name, value in read.items()})


def model_of(pieces: Iterable[Piece], settings: Settings) -> bytes:
    """Write a model with these pieces and settings."""
    encoded = [_field(1, _encoded(piece)) for piece in pieces]
    for number, names in _SPECS.items():
        spec = [_setting(field, getattr(settings, name)) for name, field in names.items()]
        encoded.append(_field(number, b"".join(spec)))
    return b"".join(encoded)


def processor_of(pieces: Iterable[Piece], settings: Settings) -> Any:
    """
    SentencePiece with a model of these pieces and settings, which have been checked.

    Raises:
        ValueError: it refuses them.
    """
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_proto=model_of(pieces, settings))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"SentencePiece cannot read it: {error}") from error


def tokens_of(encoded: bytes) -> tuple[list[int], list[int]]:
    """The ids of an encoded text, a `SentencePieceText`; and where in it each token begins, in bytes."""
    tokens = [_token(value) for number, value in _fields(encoded) if number == 2]
    return [token for token, _ in tokens], [begin for _, begin in tokens]


def _token(message: int | bytes) -> tuple[int, int]:
    """The id (field 2) and the beginning (field 4) of a token, whose text and surface are fields 1 and 3."""
    if isinstance(message, bytes) and message[0] == 1 << 3 | _LENGTH_DELIMITED and message[1] < 0x80:
        token, position = _varint(message, 3 + message[1])
        if message[position] == 3 << 3 | _LENGTH_DELIMITED and message[position + 1] < 0x80:
            position += 2 + message[position + 1]
        if message[position] == 4 << 3:  # so it is for nearly all tokens, which is three times as fast
            return token, _varint(message, position + 1)[0]
    fields = dict(_fields(message))
    return int(fields.get(2, 0)), int(fields.get(4, 0))


def _as_setting(name: str, value: int | bytes) -> Any:
    """The value of a setting; raises ValueError if it is of another type."""
    default = Settings._field_defaults[name]
    if isinstance(default, int) != isinstance(value, int):
        raise ValueError(f"its setting {name} is of the wrong type")
    if isinstance(default, str):
        return bytes(value).decode("utf-8")
    return bool(value) if isinstance(default, bool) else value


def _setting(number: int, value: Any) -> bytes:
    """Encode a field that holds a setting."""
    if isinstance(value, int):
        return _varint_of(number << 3 | _VARINT) + _varint_of(value)
    return _field(number, value.encode("utf-8") if isinstance(value, str) else value)


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
    """Encode a field that holds bytes."""
    return _varint_of(number << 3 | _LENGTH_DELIMITED) + _varint_of(len(value)) + value


def _varint_of(number: int) -> bytes:
    """Encode a number in groups of seven bits, lowest first."""
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


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
