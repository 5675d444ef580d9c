r"""
How tokens are written where each has to stand in one column or line: nothing blank, nothing invisible.

A blank becomes `▁`; a line end `\n`, a tab `\t`, a return `\r`, a backslash `\\`. Whatever else has no ink of
its own (control and format characters, other white space), and `▁` itself, becomes `\xNN` below U+0080, then
`\uNNNN` or `\UNNNNNNNN`. A byte that is not a whole character, held as Python's surrogateescape holds it, is
`\x80` to `\xff`. An ordinary token that is spelled like a special one has a backslash before it: `\<unk>`.
"""

import re

from lmgen.errors import CorpusError

SPECIAL_PIECES = ("<unk>", "<s>", "</s>")
"""The names of special tokens, which stand unescaped."""

_NAMED = {" ": "▁", "\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\"}
_CHARACTER_OF = {escaped: character for character, escaped in _NAMED.items()} | {r"\<": "<"}
_ESCAPED = re.compile(
    r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U00(?:0[0-9a-f]|10)[0-9a-f]{4}|\\[ntr\\]|^\\<|[^\\]", re.DOTALL
)


def escape(piece: str) -> str:
    r"""
    Write an ordinary token without white space and control characters: `" a\n"` -> `"▁a\\n"`.
    """
    if piece in SPECIAL_PIECES:
        return "\\" + piece
    if piece.isascii() and piece.isalnum():
        return piece
    return "".join(map(_escaped_character, piece))


def unescape(escaped: str) -> str:
    r"""
    Undo `escape`: `"▁a\\n"` -> `" a\n"`.

    Raises:
        CorpusError: a backslash is followed by something that `escape` does not write.
    """
    parts = _ESCAPED.findall(escaped)
    if sum(map(len, parts)) != len(escaped):
        raise CorpusError(f"{escaped!r} is not an escaped token; a backslash itself is written twice")
    return "".join(map(_unescaped_character, parts))


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


def _unescaped_character(part: str) -> str:
    """The character that one match of `_ESCAPED` stands for."""
    if part in _CHARACTER_OF:
        return _CHARACTER_OF[part]
    if len(part) == 1:
        return part
    code = int(part[2:], 16)
    return chr(0xDC00 + code if part[1] == "x" and code >= 0x80 else code)
