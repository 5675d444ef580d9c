r"""
How tokens are written where each has to stand in one column or line: nothing blank, nothing invisible.

A blank becomes `▁`; a line end `\n`, a tab `\t`, a return `\r`, a backslash `\\`. Whatever else has no ink of
its own (control and format characters, other white space), and `▁` itself, becomes `\xNN` below U+0080, then
`\uNNNN` or `\UNNNNNNNN`. A byte that is not a whole character, held as Python's surrogateescape holds it, is
`\x80` to `\xff`. An ordinary token that is spelled like a special one has a backslash before it: `\<unk>`.

No two spellings are written alike.
"""

import re

SPECIAL_PIECES = ("<unk>", "<s>", "</s>")
"""The names of special tokens, which stand unescaped."""

_NAMED = {" ": "▁", "\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\"}
_MEANT = {written: character for character, written in _NAMED.items()}
_WRITTEN = re.compile(r"▁|\\(?:[ntr\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})|[^▁\\]")


def escape(piece: str) -> str:
    r"""
    Write an ordinary token without white space and control characters: `" a\n"` -> `"▁a\\n"`.
    """
    if piece in SPECIAL_PIECES:
        return "\\" + piece
    if piece.isascii() and piece.isalnum():
        return piece
    return "".join(map(_escaped_character, piece))


def _escaped_character(character: str) -> str:
    """One character as `escape` writes it."""
    if character in _NAMED:
        return _NAMED[character]
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
    Undo `escape`: `"▁a\\n"` -> `" a\n"`.

    Raises:
        ValueError: `escape` writes nothing like it.
    """
    if written.startswith("\\") and written[1:] in SPECIAL_PIECES:
        return written[1:]
    parts = _WRITTEN.findall(written)
    if sum(map(len, parts)) < len(written):
        raise ValueError(f"a backslash in {written!r} begins nothing that is known")
    return "".join(map(_meant_character, parts))


def _meant_character(written: str) -> str:
    """One character from what `escape` writes for it."""
    if written in _MEANT or len(written) == 1:
        return _MEANT.get(written, written)
    code = int(written[2:], 16)
    if code > 0x10FFFF:
        raise ValueError(f"there is no character {written}")
    return chr(0xDC00 + code) if written[1] == "x" and code >= 0x80 else chr(code)
