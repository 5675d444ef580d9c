"""How long a text is, in each of the units that scores are given per."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lmgen.errors import CorpusError


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounts:
    """The length of a text, or of several: counts can be added."""

    characters: int = 0
    """Unicode code points, line ends among them."""

    bytes: int = 0
    """Of the UTF-8 text; a byte that was no text and came in by surrogateescape is one byte."""

    words: int = 0
    """What stands between white space, as `str.split` sees it."""

    line_ends: int = 0
    """Occurrences of "\\n"."""

    open_lines: int = 0
    """Texts whose last line does not end in a line end: 0 or 1 for one text."""

    def __add__(self, other: "TextCounts") -> "TextCounts":
        return TextCounts(
            characters=self.characters + other.characters,
            bytes=self.bytes + other.bytes,
            words=self.words + other.words,
            line_ends=self.line_ends + other.line_ends,
            open_lines=self.open_lines + other.open_lines,
        )


class TextCounter:
    """Counts a text that comes in pieces cut anywhere, inside words too."""

    def __init__(self) -> None:
        self._characters = self._bytes = self._words = self._line_ends = 0
        self._last = "\n"

    def add(self, chunk: str) -> None:
        """Count the next piece of the text."""
        if not chunk:
            return
        cut_word = not self._last.isspace() and not chunk[0].isspace()
        self._characters += len(chunk)
        self._bytes += byte_length(chunk)
        self._words += len(chunk.split()) - cut_word
        self._line_ends += chunk.count("\n")
        self._last = chunk[-1]

    def counting(self, chunks: Iterable[str]) -> Iterator[str]:
        """Pass a text on as it comes, counting it."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    @property
    def counts(self) -> TextCounts:
        """The counts of what has come so far."""
        return TextCounts(
            characters=self._characters,
            bytes=self._bytes,
            words=self._words,
            line_ends=self._line_ends,
            open_lines=int(self._last != "\n"),
        )


def count(chunks: Iterable[str]) -> TextCounts:
    """
    Count a whole text: `count(["one wo", "rd\\n"])` has 2 words, 9 characters and 1 line end.
    """
    counter = TextCounter()
    for chunk in chunks:
        counter.add(chunk)
    return counter.counts


def byte_length(text: str) -> int:
    """Length in UTF-8, without encoding what is ASCII; errors as in `utf8_bytes`."""
    return len(text) if text.isascii() else len(utf8_bytes(text))


def utf8_bytes(text: str) -> bytes:
    """
    The UTF-8 of a text, with the bytes that surrogateescape hid in it.

    Raises:
        CorpusError: the text holds another lone surrogate, which stands for nothing.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        where = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise CorpusError(f"{where} of the text is half a surrogate pair; UTF-8 cannot spell it") from error
