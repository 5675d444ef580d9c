"""
Reads the pieces out of a SentencePiece model, without SentencePiece.

A model is a protocol buffer: fields, each a number, a wire type and a value (protobuf.dev, "Encoding").
`ModelProto` has the pieces as field 1; a piece has its text as field 1 and its type as field 3.
"""

from collections.abc import Iterator

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""The types of pieces."""

_VARINT, _EIGHT_BYTES, _LENGTH_DELIMITED, _FOUR_BYTES = 0, 1, 2, 5


def read_pieces(model: bytes) -> list[tuple[str, int]]:
    """
    The pieces in the order of their ids, each with its type.

    Raises:
        ValueError: this is no protocol buffer, or not one of pieces.
    """
    return [_read_piece(value) for number, value in _fields(model) if number == 1]


def _read_piece(message: int | bytes) -> tuple[str, int]:
    """The text and type of one piece."""
    text, kind = b"", NORMAL
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            text = value
        elif number == 3 and isinstance(value, int):
            kind = value
    return text.decode("utf-8"), kind


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
