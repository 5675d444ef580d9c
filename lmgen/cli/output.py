"""
Output of untrusted text: exact in a pipe, harmless on a terminal.

A model's text, a corpus, file names and the contents of a model file may all contain control characters,
which a terminal would obey instead of showing.
"""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""
Control characters except tab and newline, and bytes that are not UTF-8 (as surrogates).

Includes the control characters of ASCII and ISO 6429, and those that change the direction of writing.
"""


def print_result(text: str) -> None:
    """Write a result to stdout."""
    with TextOutput() as output:
        output.write(text)


def counted(number: int, what: str) -> str:
    """Say how many there are: `1 text`, `1,200 texts`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def visible(name: str) -> str:
    """Escape line ends, tabs and other unprintable characters in a name, a message or a cell of a table."""
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in name)


class TextOutput:
    """
    stdout for untrusted text.

    A pipe or a file receives it byte for byte, in blocks. A terminal receives each piece at once, with
    control characters escaped, and a final line end if the text has none.
    """

    def __init__(self) -> None:
        self._file = sys.stdout.buffer
        self._terminal = sys.stdout.isatty()
        self._line_is_open = False

    @property
    def columns(self) -> int | None:
        """The width of the terminal; None for a pipe or a file, whose lines may have any length."""
        return shutil.get_terminal_size().columns if self._terminal else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._line_is_open:
            self.write("\n")
        self._file.flush()

    def write(self, text: str) -> None:
        """Write a piece of text, escaped on a terminal."""
        if text:
            self._line_is_open = not text.endswith("\n")
        if self._terminal:
            text = CONTROL.sub(lambda control: _escaped(control[0]), text)
        self._file.write(text.encode("utf-8", "surrogateescape"))
        if self._terminal:
            self._file.flush()

    def rule(self, title: str) -> None:
        """Draw a faint line with a title across a terminal; a pipe or a file does not get it."""
        if not self._terminal:
            return
        from rich.console import Console  # takes a while to load
        from rich.rule import Rule
        from rich.text import Text

        Console().print(Rule(Text(title, style="dim"), align="left", style="dim"))
        sys.stdout.flush()


def flushing(chunks: Iterable[str]) -> Iterator[str]:
    """Pass chunks through, and flush stdout before waiting for the next one."""
    for chunk in chunks:
        yield chunk
        sys.stdout.flush()


def json_line(record: dict[str, Any]) -> str:
    """Format one line of JSON, with bytes that are not UTF-8 as JSON escapes."""
    import json

    line = json.dumps(record, ensure_ascii=False) + "\n"
    return line.encode("utf-8", "backslashreplace").decode("utf-8")


def _escaped(letter: str) -> str:
    r"""Escape a character as Python spells it: `\n`, `\x1b`, `\u202e`; a stray byte as `\x80` to `\xff`."""
    code = ord(letter)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(letter)[1:-1]
