"""Count the characters, bytes, words and lines of a text: the units that scores are normalised by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lmgen.errors import CorpusError
from lmgen.text.units import UNIT_END


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounts:
    """The length of one text, or of several: counts can be added."""

    characters: int = 0
    """Unicode code points, line ends included."""

    bytes: int = 0
    """Length in UTF-8; an undecodable byte that surrogateescape let through counts as one byte."""

    words: int = 0
    """Words separated by white space, as in `str.split`."""

    line_ends: int = 0
    """Number of "\\n" characters."""

    open_lines: int = 0
    """Number of texts whose last line lacks its line end: 0 or 1 for a single text."""

    def __add__(self, other: "TextCounts") -> "TextCounts":
        return TextCounts(
            characters=self.characters + other.characters,
            bytes=self.bytes + other.bytes,
            words=self.words + other.words,
            line_ends=self.line_ends + other.line_ends,
            open_lines=self.open_lines + other.open_lines,
        )


class TextCounter:
    """Counts a text that arrives in chunks; a chunk may end anywhere, even inside a word."""

    def __init__(self) -> None:
        self._characters = self._bytes = self._words = self._line_ends = 0
        self._last = "\n"

    def add(self, chunk: str) -> None:
        """Count the next chunk of the text."""
        if not chunk:
            return
        if UNIT_END in chunk:  # the end of a record counts as a line end, as which it is written
            chunk = chunk.replace(UNIT_END, "\n")
        cut_word = not self._last.isspace() and not chunk[0].isspace()
        self._characters += len(chunk)
        self._bytes += byte_length(chunk)
        self._words += len(chunk.split()) - cut_word
        self._line_ends += chunk.count("\n")
        self._last = chunk[-1]

    def counting(self, chunks: Iterable[str]) -> Iterator[str]:
        """Yield the chunks unchanged, counting each as it passes."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    @property
    def counts(self) -> TextCounts:
        """The counts of the text so far."""
        return TextCounts(
            characters=self._characters,
            bytes=self._bytes,
            words=self._words,
            line_ends=self._line_ends,
            open_lines=int(self._last != "\n"),
        )


def count(chunks: Iterable[str]) -> TextCounts:
    """
    Count a whole text: `count(["one wo", "rd\\n"])` gives 2 words, 9 characters and 1 line end.
    """
    counter = TextCounter()
    for chunk in chunks:
        counter.add(chunk)
    return counter.counts


def byte_length(text: str) -> int:
    """Length of a text in UTF-8 bytes, without encoding it if it is ASCII; raises as `utf8_bytes` does."""
    return len(text) if text.isascii() else len(utf8_bytes(text))


def utf8_bytes(text: str) -> bytes:
    """
    Encode a text as UTF-8, restoring undecodable bytes that surrogateescape let through.

    Raises:
        CorpusError: the text has another lone surrogate, which UTF-8 cannot represent.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        where = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise CorpusError(f"{where} of the text is a lone surrogate, which UTF-8 cannot encode") from error
