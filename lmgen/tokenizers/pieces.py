r"""
Escape tokens so that each fits in one column or line, without white space or invisible characters.

A space becomes `▁`, a line end `\n`, a tab `\t`, a carriage return `\r`, and a backslash `\\`. All other
characters that are not printable (control and format characters, other white space), and `▁` itself, become
`\xNN` below U+0080, then `\uNNNN` or `\UNNNNNNNN`. A byte that is not a whole character (a surrogate escape)
becomes `\x80` to `\xff`. An ordinary token that is spelled like a special token gets a backslash in front:
`\<unk>`.

Different tokens are always escaped differently.
"""

import re

SPECIAL_PIECES = ("<unk>", "<s>", "</s>")
"""The names of special tokens, which are written without a backslash."""

_ESCAPES = {" ": "▁", "\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\"}
_BY_ESCAPE = {written: character for character, written in _ESCAPES.items()}
_ESCAPED_CHARACTER = re.compile(r"▁|\\(?:[ntr\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})|[^▁\\]")


def escape(piece: str) -> str:
    r"""
    Escape the spelling of an ordinary token: `" a\n"` -> `"▁a\\n"`.
    """
    if piece in SPECIAL_PIECES:
        return "\\" + piece
    if piece.isascii() and piece.isalnum():
        return piece
    return "".join(map(_escaped_character, piece))


def _escaped_character(character: str) -> str:
    """Escape one character; a printable one is returned unchanged."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable() and character != "▁":
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unescape(written: str) -> str:
    r"""
    The spelling that `escape` turned into `written`: `"▁a\\n"` -> `" a\n"`.

    Raises:
        ValueError: `written` has a backslash or code point that `escape` never writes.
    """
    if written.startswith("\\") and written[1:] in SPECIAL_PIECES:
        return written[1:]
    parts = _ESCAPED_CHARACTER.findall(written)
    if sum(map(len, parts)) < len(written):
        raise ValueError(f"unknown backslash escape in {written!r}")
    return "".join(map(_unescaped_character, parts))


def _unescaped_character(written: str) -> str:
    """The character that `escape` wrote as `written`."""
    if written in _BY_ESCAPE or len(written) == 1:
        return _BY_ESCAPE.get(written, written)
    code = int(written[2:], 16)
    if code > 0x10FFFF:
        raise ValueError(f"there is no character {written}")
    return chr(0xDC00 + code) if written[1] == "x" and code >= 0x80 else chr(code)
