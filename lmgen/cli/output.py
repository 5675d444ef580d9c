"""Text that a model wrote, on its way out: exact in a pipe, harmless on a terminal."""

import re
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]")
"""What a terminal might obey instead of showing it, and bytes that are no characters; not tab and newline."""


class TextOutput:
    """
    stdout for text that a model wrote.

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
    """A control character, or a byte that is none, as `\\x` and two digits."""
    return f"\\x{ord(control[0]) & 0xFF:02x}"
