import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.tokenizers.pieces import escape

ANY_STRING = st.text(st.characters(exclude_categories=()))

ESCAPED = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\[ntr\\]|^\\<|[^\\]", re.DOTALL)
CHARACTER_OF = {"▁": " ", r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\\": "\\", r"\<": "<"}


def unescape(escaped: str) -> str:
    """Read the escapes from left to right; that this can be done shows that no two pieces share one."""
    parts = ESCAPED.findall(escaped)
    assert "".join(parts) == escaped
    return "".join(map(unescaped_character, parts))


def unescaped_character(part: str) -> str:
    if part in CHARACTER_OF or len(part) == 1:
        return CHARACTER_OF.get(part, part)
    code = int(part[2:], 16)
    return chr(0xDC00 + code if part[1] == "x" and code >= 0x80 else code)


@given(ANY_STRING)
def test_what_is_escaped_can_be_read_back(piece: str) -> None:
    assert unescape(escape(piece)) == piece


@given(ANY_STRING)
def test_an_escaped_piece_stands_in_one_column(piece: str) -> None:
    escaped = escape(piece)

    assert escaped.isprintable()
    assert " " not in escaped
    assert "\ufeff" not in escaped


@pytest.mark.parametrize(
    ("piece", "escaped"),
    [
        (" the", "▁the"),
        ("\n", r"\n"),
        ("\t,", r"\t,"),
        ("\r", r"\r"),
        ("a\\b", r"a\\b"),
        ("▁", r"\u2581"),
        ("\0", r"\x00"),
        ("\x7f", r"\x7f"),
        ("\x85", r"\u0085"),
        ("\udc85", r"\x85"),  # a byte that is no character
        ("\ud800", r"\ud800"),
        ("\u202e", r"\u202e"),  # a bidi control
        ("\u200d", r"\u200d"),
        ("\U000e0041", r"\U000e0041"),
        ("é日👩", "é日👩"),
        ("<unk>", r"\<unk>"),
        ("</s>", r"\</s>"),
        (r"\<unk>", r"\\<unk>"),
        ("<unk> ", "<unk>▁"),
    ],
)
def test_worked_examples(piece: str, escaped: str) -> None:
    assert escape(piece) == escaped
    assert unescape(escaped) == piece
