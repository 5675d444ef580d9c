r"""
What is one text: the whole document, each of its lines, or each of its records.

A document is one stream. Lines and records are texts of their own: each starts afresh, and its end is
predicted. A line ends in its line end. A record may have lines inside, so a stream of records marks each end
with UNIT_END: "Salad\noil", "Soup" is "Salad\noil\ud800Soup\ud800".
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Literal

Unit = Literal["document", "line", "record"]
"""What one text is. A record is one of a structured file, else a paragraph: the lines between blank lines."""

UNITS: tuple[Unit, ...] = ("document", "line", "record")

UNIT_END = "\ud800"
"""Ends each record in a stream of records: a lone surrogate, which no file and no record can contain."""

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_BEGINNING = re.compile(r"\n(?:[^\S\n]*\n)*")


def record_stream(groups: Iterable[list[str]]) -> Iterator[str]:
    r"""
    The stream of some records, without the line end that each may end in: `["a\n", "b"]` -> "a\ud800b\ud800".
    """
    for texts in groups:
        yield "".join(text.removesuffix("\n") + UNIT_END for text in texts)


def line_stream(groups: Iterable[list[str]]) -> Iterator[str]:
    r"""
    The same records as one document, each with a line end: `["a\n", "b"]` -> "a\nb\n".
    """
    for texts in groups:
        yield "".join(text if text.endswith("\n") else text + "\n" for text in texts)


class JsonLines:
    """Writes a stream of records as JSON Lines, `{"text": "Soup"}` each, as they come."""

    def __init__(self) -> None:
        self._is_open = self._ends_line = False

    def written(self, chunk: str) -> str:
        """What to write for the next chunk of the stream, which may end anywhere."""
        *complete, rest = chunk.split(UNIT_END)
        lines = [self._part(part) + self.finish() for part in complete]
        return "".join(lines) + (self._part(rest) if rest else "")

    def finish(self) -> str:
        """
        What to write at the end of a record; nothing if none has begun.

        A record that ends in a line end gets another one, since `record_stream` takes one away.
        """
        if not self._is_open:
            return ""
        end = '\\n"}\n' if self._ends_line else '"}\n'
        self._is_open = self._ends_line = False
        return end

    def _part(self, text: str) -> str:
        beginning, self._is_open = "" if self._is_open else '{"text": "', True
        self._ends_line = text.endswith("\n") if text else self._ends_line
        return beginning + json.dumps(text)[1:-1]


def paragraphs(chunks: Iterable[str]) -> Iterator[str]:
    r"""
    The stream of a text's paragraphs, which blank lines separate: "a\nb\n\n\nc\n" -> "a\nb\ud800c\ud800".

    Args:
        chunks: the text, in chunks that may end anywhere. A long paragraph is not held in memory.
    """
    held, is_open = "\n", False
    for chunk in chunks:
        text, held = held + chunk, ""
        if (end := text.find("\n", len(text.rstrip()))) >= 0:  # a blank line may follow here
            text, held = text[:end], text[end:]
        if text:
            yield _BLANK_LINES.sub(UNIT_END, text if is_open else _BEGINNING.sub("", text, count=1))
            is_open = True
    if is_open:
        yield UNIT_END
