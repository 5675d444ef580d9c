import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.tokenizers.pieces import escape, unescape

ANY_STRING = st.text(st.characters(exclude_categories=()))


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


@pytest.mark.parametrize("written", ["\\", r"a\q", r"\x4", r"\uXYZW", r"\U00110000", r"\<", r"\1"])
def test_what_escape_never_writes_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"backslash|no character"):
        unescape(written)
