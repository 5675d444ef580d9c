"""
What others wrote, on its way out: exact in a pipe, harmless on a terminal.

A model's text, a corpus, names of files, what a model file says of itself: all of it may hold characters that
a terminal obeys instead of showing.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""
What a terminal might obey instead of showing it, and bytes that are no characters; not tab and newline.

Beyond ASCII's controls these are those of ISO 6429, and the ones that turn the direction of writing.
"""


def print_result(text: str) -> None:
    """Write a result to stdout."""
    with TextOutput() as output:
        output.write(text)


def visible(name: str) -> str:
    """A name, or a message, in one line: without line ends, tabs and other characters that have no ink."""
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


class TextOutput:
    """
    stdout for text that others wrote.

    A pipe or a file gets it byte for byte, in blocks. A terminal gets each piece at once, escaped where it
    might obey instead of showing, and a line end after the last piece if that has none.
    """

    def __init__(self) -> None:
        self._file = sys.stdout.buffer
        self._terminal = sys.stdout.isatty()
        self._line_is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._line_is_open:
            self.write("\n")
        self._file.flush()

    def write(self, text: str) -> None:
        """Write a piece of text."""
        if text:
            self._line_is_open = not text.endswith("\n")
        if self._terminal:
            text = CONTROL.sub(_shown, text)
        self._file.write(text.encode("utf-8", "surrogateescape"))
        if self._terminal:
            self._file.flush()


def flushing(chunks: Iterable[str]) -> Iterator[str]:
    """Pass on a text that arrives; all that has been printed is flushed before more of it is waited for."""
    for chunk in chunks:
        yield chunk
        sys.stdout.flush()


def json_line(record: dict[str, Any]) -> str:
    """One line of JSON; what is no whole character (bytes that are not UTF-8) stands as a JSON escape."""
    import json

    line = json.dumps(record, ensure_ascii=False) + "\n"
    return line.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(control: re.Match[str]) -> str:
    """A control character, or a byte that is none, as `\\x` and two digits; others as `\\u` and four."""
    code = ord(control[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte in disguise
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
