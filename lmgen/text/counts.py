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

    def __init__(self, counted: TextCounts | None = None, last: str = "\n") -> None:
        """
        Args:
            counted: the counts of the text so far; None: it begins.
            last: its last character.
        """
        counted = counted or TextCounts()
        self._characters, self._bytes = counted.characters, counted.bytes
        self._words, self._line_ends = counted.words, counted.line_ends
        self.last = last
        """The last character so far, a line end in the place of the end of a record."""

    def add(self, chunk: str) -> None:
        """Count the next chunk of the text."""
        self.add_counted(chunk, counts_of(chunk))

    def add_counted(self, chunk: str, counts: TextCounts) -> None:
        """Add the next chunk of the text, whose own counts are known (`counts_of`)."""
        if not chunk:
            return
        cut_word = not self.last.isspace() and not _as_line_end(chunk[0]).isspace()
        self._characters += counts.characters
        self._bytes += counts.bytes
        self._words += counts.words - cut_word
        self._line_ends += counts.line_ends
        self.last = _as_line_end(chunk[-1])

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
            open_lines=int(self.last != "\n"),
        )


def count(chunks: Iterable[str]) -> TextCounts:
    """
    Count a whole text: `count(["one wo", "rd\\n"])` gives 2 words, 9 characters and 1 line end.
    """
    counter = TextCounter()
    for chunk in chunks:
        counter.add(chunk)
    return counter.counts


def counts_of(chunk: str) -> TextCounts:
    """The counts of one chunk by itself; whether its last line is open does not matter to a `TextCounter`."""
    if UNIT_END in chunk:  # the end of a record counts as a line end, as which it is written
        chunk = chunk.replace(UNIT_END, "\n")
    return TextCounts(
        characters=len(chunk),
        bytes=byte_length(chunk),
        words=len(chunk.split()),
        line_ends=chunk.count("\n"),
    )


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


def _as_line_end(character: str) -> str:
    return "\n" if character == UNIT_END else character
