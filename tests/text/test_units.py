"""Records and paragraphs as streams of str, wherever the text is cut."""

import json

from hypothesis import given
from hypothesis import strategies as st

from lmgen.text.units import UNIT_END, JsonLines, paragraphs, record_stream

CUT = st.integers(1, 5)


def cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def paragraphs_by_line(text: str) -> list[str]:
    """The same by another way: line by line."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


@given(st.text("ab \t\n\r"), CUT)
def test_blank_lines_separate_paragraphs(text: str, size: int) -> None:
    assert "".join(paragraphs(cut(text, size))) == "".join(
        part + UNIT_END for part in paragraphs_by_line(text)
    )


@given(st.lists(st.text()), CUT)
def test_json_lines_hold_the_records(records: list[str], size: int) -> None:
    lines = JsonLines()
    stream = "".join(record + UNIT_END for record in records)

    written = "".join(map(lines.written, cut(stream, size)))

    read = [json.loads(line)["text"] for line in written.splitlines()]
    assert "".join(record_stream([read])) == stream
    assert lines.finish() == ""


def test_an_open_record_is_closed() -> None:
    lines = JsonLines()

    assert lines.written("a" + UNIT_END + 'b"') + lines.finish() == '{"text": "a"}\n{"text": "b\\""}\n'
