"""
Read files of word vectors: word2vec (text and binary), GloVe, and fastText's `.vec`.

    word2vec, fastText   a header, `WORDS NUMBERS`, then a line a word: `the 0.418 0.2497 -0.4124`
    word2vec, binary     the same header, then each word, a blank, and its numbers as float32
    GloVe                lines without a header; a word may have blanks in it (`. . . 0.418 0.2497`)

A file is read once, from its start to its end. Where only some words are wanted, memory grows with these,
whatever the file's size and whatever its header says. Each entry's length is checked, but the
numbers only of those that are kept.
"""

import codecs
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.errors import CorpusError
from lmgen.settings import shown
from lmgen.text.raw import file_blocks, readable

LARGEST_SIZE = 100_000
"""Limit on the numbers of a vector, to reject damaged headers."""

LONGEST_LINE = 1 << 22
"""Limit on the bytes of a line, which is read into memory whole."""

LONGEST_WORD = 10_000
"""Limit on the bytes of a word in a binary file."""

SNIFFED_BYTES = 1 << 12
"""Bytes at the beginning of a file, and after its header, that its format is told from."""

_HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})[ \t]*(?:\r?\n|\Z)")
_NUMBERS = re.compile(rb"[\d.eE+\-naifNAIF \t\r]+(?:\n|\Z)")
_BINARY_NAME = re.compile(r"\.bin(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml")

_PACKED = "it is compressed: give it a name that ends in {}"
_OTHER_FORMATS = {
    b"\x1f\x8b": _PACKED.format(".gz"),
    b"BZh": _PACKED.format(".bz2"),
    b"\xfd7zXZ": _PACKED.format(".xz"),
    b"\x28\xb5\x2f\xfd": _PACKED.format(".zst"),
    b"PK\x03\x04": "it is a zip archive: unpack it (unzip) and name one of the files in it",
    b"\xba\x16\x4f\x2f": "it is a model of fastText, not its vectors: name the file that ends in .vec",
    b"\x93NUMPY": "it is an array of NumPy, which has no words",
    b"\x80": "it is a pickle of Python: save the vectors in word2vec's format",
    b"version https://git-lfs": "it stands for a file that Git LFS has not fetched: git lfs pull",
}
"""What to say of a file that holds no vectors, by its first bytes."""

_FORMATS = "lmgen reads word2vec (text and binary), GloVe and fastText's .vec"


@dataclass(frozen=True, slots=True)
class WordVectors:
    """The vectors of the wanted words that a file has."""

    exact: Mapping[str, Float32Array]
    """By wanted words that the file spells as they are."""
    other_case: Mapping[str, Float32Array]
    """By wanted words that are the lower case of a word of the file, the first such word's."""
    notes: tuple[str, ...] = ()
    """What of the file was passed over."""


def vector_size(path: Path) -> int:
    """
    Count the numbers of a vector, by the beginning of a file.

    Raises:
        CorpusError: the file cannot be read, or it does not begin like a file of vectors.
    """
    return _Layout.of(_Stream(path)).size


def has_binary_name(path: Path) -> bool:
    """Whether a file's name says that it is binary: `vectors.bin`, `vectors.bin.gz`."""
    return _BINARY_NAME.search(path.name) is not None


def read_vectors(
    path: Path, wanted: Collection[str] | None = None, size: int | None = None, *, any_case: bool = False
) -> WordVectors:
    """
    Read the vectors of some words.

    Args:
        path: the file; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.
        wanted: the words, a set; None: all of the file, in its order.
        size: the numbers that each vector has to have; None: any.
        any_case: also find wanted words that are the lower case of the file's words.

    Raises:
        CorpusError: the file cannot be read, is cut off, or is no file of such vectors; it says where.
    """
    stream = _Stream(path)
    layout = _Layout.of(stream)
    if size is not None and layout.size != size:
        raise CorpusError(f"{path} has vectors of {layout.size} numbers, but {size} are needed")
    exact: dict[str, Float32Array] = {}
    other_case: dict[str, Float32Array] = {}
    passed_over = _PassedOver()
    for number, spelling, values in layout.entries(stream):
        try:
            word = spelling.decode()
        except UnicodeDecodeError:
            passed_over.add_not_utf8(number)
            continue
        if wanted is None or word in wanted:
            if word in exact:
                passed_over.add_repeated(word, number)
            else:
                exact[word] = layout.vector(values, number, word)
        elif any_case and (lower := word.lower()) in wanted and lower not in other_case:
            other_case[lower] = layout.vector(values, number, word)
    return WordVectors(exact, other_case, tuple(passed_over.notes(layout)))


@dataclass(slots=True)
class _PassedOver:
    """Counts of entries that were not used, each with the first one."""

    not_utf8: int = 0
    first_not_utf8: int = 0
    repeated: int = 0
    first_repeated: tuple[str, int] = ("", 0)

    def add_not_utf8(self, number: int) -> None:
        self.first_not_utf8 = self.first_not_utf8 or number
        self.not_utf8 += 1

    def add_repeated(self, word: str, number: int) -> None:
        if not self.repeated:
            self.first_repeated = word, number
        self.repeated += 1

    def notes(self, layout: "_Layout") -> Iterator[str]:
        if self.not_utf8:
            yield (
                f"{layout.path}: {_counted(self.not_utf8, 'word is', 'words are')} not UTF-8 and passed "
                f"over, the first in {layout.place(self.first_not_utf8)}"
            )
        if self.repeated:
            word, number = self.first_repeated
            yield (
                f"{layout.path}: {_counted(self.repeated, 'vector is', 'vectors are')} of a word that has "
                f"one already, and passed over, the first of {shown(word)} in {layout.place(number)}"
            )


class _Stream:
    """The content of a file, from its start to its end, by lines or by numbers of bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blocks = _checked_blocks(path)
        self._buffer = b""
        self._place = 0

    def peek(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end, and stay before them."""
        parts = [self._buffer[self._place :]]
        size = len(parts[0])
        while size < count and (block := next(self._blocks, b"")):
            parts.append(block)
            size += len(block)
        self._buffer, self._place = b"".join(parts), 0
        return self._buffer[:count]

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end, and move past them."""
        if len(self._buffer) - self._place < count:
            self.peek(count)
        taken = self._buffer[self._place : self._place + count]
        self._place += len(taken)
        return taken

    def until(self, mark: bytes, most: int) -> tuple[bytes, bool]:
        """
        Return what comes before the next `mark`, a single byte, and move past the mark.

        Also returns whether there is one: not at the end of the file, and not within the next `most` bytes.
        """
        searched = 0
        while (end := self._buffer.find(mark, self._place + searched)) < 0:
            searched = len(self._buffer) - self._place
            if searched > most or not (block := next(self._blocks, b"")):
                rest = self._buffer[self._place :]
                self._place = len(self._buffer)
                return rest, False
            self._buffer, self._place = self._buffer[self._place :] + block, 0
        found = self._buffer[self._place : end]
        self._place = end + 1
        return found, True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How a file of vectors is read."""

    path: Path
    size: int
    """Numbers of a vector."""
    count: int | None
    """Vectors that the header states; None: there is no header, as in GloVe's files."""
    binary: bool
    first: tuple[bytes, ...] = ()
    """The first line, where it had to be read to find the size."""

    @classmethod
    def of(cls, stream: _Stream) -> "_Layout":
        """
        Tell the format from the beginning of a file, and move past the header.

        Raises:
            CorpusError: it is none of the formats.
        """
        path = stream.path
        head = stream.peek(SNIFFED_BYTES)
        _refuse_other_formats(path, head)
        if head.startswith(codecs.BOM_UTF8):
            head = head.removeprefix(stream.take(len(codecs.BOM_UTF8)))
        if header := _HEADER.match(head):
            stream.take(header.end())
            count, size = int(header[1]), int(header[2])
            if not count or not size:
                raise CorpusError(f"{path} says in its first line that it has no vectors ({count} {size})")
            if size > LARGEST_SIZE:
                raise CorpusError(
                    f"{path} says in its first line that its vectors have {size:,} numbers; no more than "
                    f"{LARGEST_SIZE:,} are read: is the file damaged?"
                )
            return cls(path=path, size=size, count=count, binary=_is_binary(path, stream.peek(SNIFFED_BYTES)))
        line, _ = stream.until(b"\n", LONGEST_LINE)
        fields = line.split()
        numbers = sum(1 for _ in takewhile(_is_number, reversed(fields)))
        size = min(numbers, len(fields) - 1)  # the word may be a number, too, or have blanks
        if not 0 < size <= LARGEST_SIZE:
            raise CorpusError(
                f"{path}, line 1: {_shown(line)} is no word with its numbers, nor a header; {_FORMATS}"
            )
        return cls(path=path, size=size, count=None, binary=False, first=(line,))

    def entries(self, stream: _Stream) -> Iterator[tuple[int, bytes, bytes]]:
        """
        Yield each entry of the file: the number that `place` names, the word, and its numbers.

        Raises:
            CorpusError: an entry is of another length, or there are not as many as the header states.
        """
        return self._binary_entries(stream) if self.binary else self._text_entries(stream)

    def place(self, number: int) -> str:
        """Name the place of an entry."""
        return f"{'entry' if self.binary else 'line'} {number:,}"

    def vector(self, values: bytes, number: int, word: str) -> Float32Array:
        """
        The numbers of an entry.

        Raises:
            CorpusError: one of them is no finite number.
        """
        if self.binary:
            vector = np.frombuffer(values, "<f4").astype(np.float32)
            if not np.isfinite(vector).all():
                raise self._wrong(number, word, str(vector[~np.isfinite(vector)][0]))
            return vector
        fields = values.split()
        if len(fields) != self.size:  # `_split` counts the blanks of a line, and here are two in a row
            raise self._wrong_length(number, word.encode(), len(fields))
        if all(map(_is_number, fields)):
            with np.errstate(over="ignore"):
                vector = np.array(list(map(float, fields))).astype(np.float32)
            finite = np.isfinite(vector)
        else:
            finite = np.array(list(map(_is_number, fields)))
        if not finite.all():
            raise self._wrong(number, word, _shown(fields[int(np.argmin(finite))]))
        return vector

    def _wrong_length(self, number: int, word: bytes, found: int) -> CorpusError:
        cut_off = "; is the file cut off?" if found < self.size else ""
        return CorpusError(
            f"{self.path}, {self.place(number)}: {_shown(word)} is followed by {found} numbers, not "
            f"{self.size}{cut_off}"
        )

    def _wrong(self, number: int, word: str, value: str) -> CorpusError:
        return CorpusError(
            f"{self.path}, {self.place(number)}: the vector of {shown(word)} has {value} in it, which is no "
            "finite number; get or make the file again"
        )

    def _text_entries(self, stream: _Stream) -> Iterator[tuple[int, bytes, bytes]]:
        begun = 1 if self.count is None else 2
        found = 0
        for number, line in enumerate(chain(self.first, _lines(stream, begun + len(self.first))), begun):
            if not line or line.isspace():
                continue
            found += 1
            if self.count is not None and found > self.count:
                raise self._goes_on()
            yield number, *self._split(line.rstrip(), number)
        self._check_count(found)

    def _split(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        """Split a line into its word and its numbers."""
        word, values = (b"", line) if line[:1].isspace() else ([*line.split(None, 1), b""])[:2]
        if values.count(b" ") == self.size - 1:
            return word, values
        fields = values.split()
        more = len(fields) - self.size
        if more == 0:
            return word, values
        if more > 0 and self.count is None and not any(map(_is_number, fields[:more])):
            return b" ".join([word, *fields[:more]]), b" ".join(fields[more:])
        raise self._wrong_length(number, word, len(fields))

    def _binary_entries(self, stream: _Stream) -> Iterator[tuple[int, bytes, bytes]]:
        assert self.count is not None
        for number in range(1, self.count + 1):
            word, found = stream.until(b" ", LONGEST_WORD)
            if len(word) > LONGEST_WORD:
                raise CorpusError(
                    f"{self.path}, entry {number:,}: no word of less than {LONGEST_WORD:,} bytes begins "
                    "here; the file is damaged, or no binary word2vec"
                )
            values = stream.take(4 * self.size)
            if not found or len(values) < 4 * self.size:
                self._check_count(number - 1)
            yield number, word.lstrip(b"\n"), values
        if stream.peek(SNIFFED_BYTES).strip():
            raise self._goes_on()

    def _check_count(self, found: int) -> None:
        """Refuse a file with fewer entries than its header states."""
        if self.count is not None and found < self.count:
            raise CorpusError(
                f"{self.path} ends after {found:,} of the {self.count:,} vectors that its first line states: "
                "it is cut off; get or make it again"
            )

    def _goes_on(self) -> CorpusError:
        return CorpusError(
            f"{self.path} goes on after the {self.count:,} vectors that its first line states; get or make "
            "it again"
        )


def _checked_blocks(path: Path) -> Iterator[bytes]:
    """The content of a regular file; others cannot be read twice, for the size and for the vectors."""
    with readable(path):
        if path.exists() and not path.is_file():
            raise CorpusError(f"{path} is no regular file; name a file of word vectors")
    yield from file_blocks(path)


def _refuse_other_formats(path: Path, head: bytes) -> None:
    """Refuse an empty file, and formats that are known by their first bytes."""
    if not head.strip():
        raise CorpusError(f"{path} is empty; {_FORMATS}")
    if head.lstrip().lower().startswith(_MARKUP):
        raise CorpusError(
            f"{path} is a web page that was saved in place of word vectors; download them again"
        )
    for magic, advice in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise CorpusError(f"{path} holds no word vectors: {advice}")


def _is_binary(path: Path, sample: bytes) -> bool:
    """
    Whether entries are binary, by the file's name and what comes after the header.

    They are text if a line of numbers follows the first word. Otherwise control characters, and what is not
    UTF-8, show that they are binary.
    """
    _, blank, rest = sample.partition(b" ")
    if not blank or _NUMBERS.match(rest):
        return False
    if has_binary_name(path) or _CONTROL.search(rest):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(rest)
    except UnicodeDecodeError:
        return True
    return False


def _lines(stream: _Stream, number: int) -> Iterator[bytes]:
    """The rest of the lines; `number` is that of the next."""
    found = True
    while found:
        line, found = stream.until(b"\n", LONGEST_LINE)
        if len(line) > LONGEST_LINE:
            raise CorpusError(
                f"{stream.path}, line {number:,} is longer than {LONGEST_LINE:,} bytes: it is no line of a "
                "file of word vectors"
            )
        yield line
        number += 1


def _is_number(field: bytes) -> bool:
    """Whether a field is a number, NaN and infinity among them."""
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field


def _shown(content: bytes) -> str:
    return shown(content[:200].decode("utf-8", "replace"))


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
