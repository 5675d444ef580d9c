r"""
The parser of ARPA files: words and numbers, or an error that names the line.

    \data\
    ngram 1=13
    ngram 2=23

    \1-grams:
    log10 P(w)          w                   log10 backoff(w)
    \2-grams:
    log10 P(w | v)      v w
    \end\

Columns are separated by blanks or tabs. A missing backoff is 0. Text before `\data\` is a comment, except for
the lines in which lmgen keeps the tokenizer. arpa.py makes a model of the result.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float32Array, Float64Array, IdArray, Int64Array
from lmgen.errors import ModelError
from lmgen.text.raw import file_blocks

LOG10_OF_ZERO = -99.0
"""SRILM's log10 of 0; IRSTLM's `-inf` is read as this too."""

MARK = "# lmgen "
"""Begins the lines with the tokenizer. KenLM skips lines that begin with #, SRILM any before `\\data\\`."""

MARK_CHARACTERS = 1000
"""The most characters of the tokenizer in one line: some toolkits limit the length of lines."""

PREAMBLE_BYTES = 1 << 24
"""The most bytes that are searched for `\\data\\`."""

LONGEST_LINE_BYTES = 1 << 24
"""The longest line that is read."""

HIGHEST_ORDER = 100
"""The highest order that is read: the work of adding missing contexts grows with its third power."""

LARGEST = 1e5
"""A log10 below the negative of this is read as that of 0; one above it is an error."""

_END_OF_LINE = b"\0"
"""Replaces line ends, to check that all lines of a block have the same number of columns."""

_COUNT = re.compile(rb"ngram\s+(\d{1,4})\s*=\s*(\d{1,15})")

_WHAT_ELSE = {
    b"\x1f\x8b": "it looks like gzip; give it a name that ends in .gz",
    b"BZh": "it looks like bzip2; give it a name that ends in .bz2",
    b"\xfd7zXZ": "it looks like xz; give it a name that ends in .xz",
    b"\x28\xb5\x2f\xfd": "it looks like Zstandard; give it a name that ends in .zst",
    b"PK\x03\x04": "it looks like a zip archive; unpack it first",
    b"\xff\xfe": "it looks like UTF-16; convert it with iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "it looks like UTF-16; convert it with iconv -f UTF-16 -t UTF-8",
    b"mmap lm ": "it is a binary of KenLM's build_binary; give the ARPA file that it was built from",
    b"SRILM_BINARY": "it is a binary of SRILM; write it as text first (ngram -lm FILE -write-lm FILE.arpa)",
    b"blmt": "it is a binary of IRSTLM; write it as text first (compile-lm --text=yes FILE FILE.arpa)",
    b"Qblmt": "it is a binary of IRSTLM, and quantized; make an ARPA file without quantize-lm",
    b"iARPA": "it is an IRSTLM iARPA file; make ARPA of it first (compile-lm --text=yes FILE FILE.arpa)",
    b"qARPA": "it is a quantized IRSTLM file; make an ARPA file without quantize-lm",
    b"<!doctype": "it is an HTML page; was a web page saved in place of the file?",
    b"<html": "it is an HTML page; was a web page saved in place of the file?",
}
"""What another file probably is, by its first bytes (HTML in lower case)."""


@dataclass(frozen=True, slots=True)
class Entries:
    """The n-grams of one order, R of them, as the file lists them."""

    ids: IdArray
    """(R, n); the id of a word is its place among the 1-grams."""
    log_probs: Float32Array
    """Natural logarithms, (R,)."""
    backoffs: Float32Array
    """Natural logarithms, (R,)."""
    lines: Int64Array
    """Line number of each in the file, from 1, (R,)."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ArpaText:
    """The contents of an ARPA file."""

    words: list[str]
    """The words of the 1-grams, in their order."""
    orders: list[Entries]
    """The n-grams of order 1 .. N."""
    tokenizer: dict[str, Any] | None
    """The saved tokenizer, if lmgen wrote the file; without a vocabulary that the 1-grams list."""


def parse_arpa(path: Path) -> ArpaText:
    """
    Read an ARPA file; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.

    Raises:
        CorpusError: it cannot be read, or is compressed and damaged.
        ModelError: it is another kind of file, cut short, or damaged; the message gives the line.
    """
    lines = _Lines(path)
    tokenizer = _read_preamble(lines)
    counts, heading = _read_counts(lines)
    words: list[str] = []
    word_ids: dict[bytes, int] = {}
    orders = []
    for n, count in enumerate(counts, start=1):
        if count or heading == _heading(n):
            _check_heading(lines, heading, n)
            orders.append(_read_entries(lines, n, words, word_ids))
            heading = lines.next_heading()
            _check_count(lines, n, count, len(orders[-1]), heading)
        else:
            orders.append(_joined([], n))
    if heading is None:
        lines.fail(
            f"it ends here, without \\end\\ after the {len(counts)}-grams: it is cut short; get it again"
        )
    if heading != b"\\end\\":
        lines.fail(f"{_shown(heading)} stands where \\end\\ should: \\data\\ announces no more n-grams")
    return ArpaText(words, orders, tokenizer)


class _Lines:
    """Reads a file line by line, or many lines at a time, and counts lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        """Number of the last line that was read."""
        self._blocks = file_blocks(path)
        self._text = b""
        self._position = 0

    def head(self, size: int) -> bytes:
        """The first bytes of the file; to be called before any line is read."""
        while len(self._text) < size and self._read_on():
            pass
        return self._text[:size]

    def next(self) -> bytes | None:
        """One line without its end; None after the last."""
        while (end := self._text.find(b"\n", self._position)) < 0:
            if not self._read_on():
                end = len(self._text)
                break
        line = self._text[self._position : end]
        if end == len(self._text) and not line:
            return None
        self._position = min(end + 1, len(self._text))
        self.number += 1
        return line

    def next_heading(self) -> bytes | None:
        """The next line that is not blank, without blanks around it; None after the last."""
        while (line := self.next()) is not None:
            if line := line.strip():
                return line
        return None

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Blocks of lines up to the next that begins with a backslash, with the number of the first."""
        while self._position < len(self._text) or self._read_on():
            if self._text.startswith(b"\\", self._position):
                return
            end = self._text.find(b"\n\\", self._position) + 1 or self._text.rfind(b"\n", self._position) + 1
            if end <= self._position:  # not one whole line
                if self._read_on():
                    continue
                self.number += 1
                self.fail("it ends in the middle of this line: it is cut short; get it again")
            block = self._text[self._position : end]
            first = self.number + 1
            self._position = end
            self.number += block.count(b"\n")
            yield first, block

    def fail(self, what: str, line: int | None = None) -> NoReturn:
        """Raise an error that names the file and a line; None: the last line that was read."""
        raise ModelError(f"{self.path}, line {self.number if line is None else line}: {what}")

    def _read_on(self) -> bool:
        if len(self._text) - self._position > LONGEST_LINE_BYTES:
            self.fail("this line is too long for an ARPA file; is it a binary?", self.number + 1)
        block = next(self._blocks, b"")
        self._text = self._text[self._position :] + block
        self._position = 0
        return bool(block)


def _read_preamble(lines: _Lines) -> dict[str, Any] | None:
    r"""Read up to `\data\`; return the tokenizer that lmgen wrote before it, if any."""
    _check_head(lines.path, lines.head(512))
    marks: list[bytes] = []
    read = 0
    while read < PREAMBLE_BYTES and (line := lines.next()) is not None:
        if line.strip().removeprefix(b"\xef\xbb\xbf") == b"\\data\\":
            return _marked_tokenizer(lines, marks)
        if line.startswith(MARK.encode()):
            marks.append(line.removeprefix(MARK.encode()).rstrip(b"\r"))
        read += len(line) + 1
    raise ModelError(f"{lines.path} is not an ARPA file: no line in it is \\data\\")


def _check_head(path: Path, head: bytes) -> None:
    if not head:
        raise ModelError(f"{path} is empty; give an ARPA file")
    if head[8:10] == b'{"' and head[5:8] == b"\0\0\0":
        raise ModelError(f"{path} is not an ARPA file: it is a .safetensors file; use it as a MODEL")
    start = head.lstrip()[:16]
    for wanted, what in _WHAT_ELSE.items():
        if start.startswith(wanted) or start.lower().startswith(wanted):
            raise ModelError(f"{path} is not an ARPA file: {what}")


def _marked_tokenizer(lines: _Lines, marks: Sequence[bytes]) -> dict[str, Any] | None:
    if not marks:
        return None
    try:
        tokenizer = json.loads(b"".join(marks))
    except (ValueError, RecursionError):
        tokenizer = None
    if not isinstance(tokenizer, dict):
        lines.fail(f"the lines above that begin with {MARK.strip()!r} are damaged; export the model again")
    return tokenizer


def _read_counts(lines: _Lines) -> tuple[list[int], bytes | None]:
    r"""The counts that follow `\data\`, and the heading after them."""
    counts: list[int] = []
    while (line := lines.next_heading()) is not None and not line.startswith(b"\\"):
        match = _COUNT.fullmatch(line)
        if not match:
            lines.fail(f"{_shown(line)} stands where the numbers of n-grams should, such as ngram 1=1000")
        if int(match[1]) != len(counts) + 1:
            lines.fail(
                f"the number of {int(match[1])}-grams, where that of {len(counts) + 1}-grams should be"
            )
        if len(counts) == HIGHEST_ORDER:
            lines.fail(f"n-grams of an order above {HIGHEST_ORDER} are not read")
        counts.append(int(match[2]))
    if not counts:
        lines.fail("nothing says how many n-grams there are, such as ngram 1=1000")
    return counts, line


def _heading(n: int) -> bytes:
    return b"\\%d-grams:" % n


def _check_heading(lines: _Lines, heading: bytes | None, n: int) -> None:
    if heading is None:
        lines.fail(f"it ends before the {n}-grams: it is cut short; get it again")
    if heading != _heading(n):
        lines.fail(f"{_shown(heading)} stands where \\{n}-grams: should")


def _check_count(lines: _Lines, n: int, announced: int, found: int, heading: bytes | None) -> None:
    if heading is None and found < announced:
        lines.fail(
            f"it ends in the {n}-grams, after {found:,} of {announced:,}: it is cut short; get it again"
        )
    if announced != found:
        lines.fail(f"there are {found:,} {n}-grams above, but \\data\\ announces {announced:,}")


def _read_entries(lines: _Lines, n: int, words: list[str], word_ids: dict[bytes, int]) -> Entries:
    """The n-grams of one order; those of order 1 make the vocabulary."""
    parts = []
    for first, block in lines.blocks():
        columns = _split(lines, first, block, n)
        if not columns:
            continue
        if n == 1:
            _add_words(lines, columns, words, word_ids)
        parts.append(_entries(lines, columns, word_ids))
    return _joined(parts, n)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of some lines, all of the same length."""

    log_probs: list[bytes]
    words: list[list[bytes]]
    backoffs: list[bytes] | None
    lines: Int64Array


def _split(lines: _Lines, first: int, block: bytes, n: int) -> _Columns | None:
    """Split lines into columns, at once if all have the same number of columns; None if all are blank."""
    if _END_OF_LINE in block:
        lines.fail("there is a NUL byte in or after it: this is not text", first)
    block = block.rstrip()
    if not block:
        return None
    fields = (block.replace(b"\n", b" " + _END_OF_LINE + b" ") + b" " + _END_OF_LINE).split()
    rows = block.count(b"\n") + 1
    numbers = np.arange(first, first + rows)
    for width in (n + 2, n + 1):
        if len(fields) == rows * (width + 1) and fields[width :: width + 1].count(_END_OF_LINE) == rows:
            break
    else:
        fields, numbers = _split_one_by_one(lines, first, block, n)
        width = n + 2
    return _Columns(
        log_probs=fields[0 :: width + 1],
        words=[fields[place :: width + 1] for place in range(1, n + 1)],
        backoffs=fields[n + 1 :: width + 1] if width == n + 2 else None,
        lines=numbers,
    )


def _split_one_by_one(lines: _Lines, first: int, block: bytes, n: int) -> tuple[list[bytes], Int64Array]:
    """As if each line had a backoff, and lines that are blank were not there."""
    fields: list[bytes] = []
    numbers = []
    for number, line in enumerate(block.split(b"\n"), start=first):
        columns = line.split()
        if not columns:
            continue
        if len(columns) == n + 1:
            columns.append(b"0")
        if len(columns) != n + 2:
            lines.fail(
                f"{_shown(line)} has {len(columns)} columns, where a {n}-gram has {n + 1}, or {n + 2} with "
                "its backoff",
                number,
            )
        fields += columns
        fields.append(_END_OF_LINE)
        numbers.append(number)
    return fields, np.array(numbers, np.int64)


def _add_words(lines: _Lines, columns: _Columns, words: list[str], word_ids: dict[bytes, int]) -> None:
    for number, word in zip(columns.lines, columns.words[0], strict=True):
        if word in word_ids:
            lines.fail(f"the 1-gram {_shown(word)} is there a second time", number)
        word_ids[word] = len(words)
        try:
            words.append(word.decode())
        except UnicodeDecodeError:
            lines.fail(
                f"the word {_shown(word)} is not UTF-8; convert the file (iconv -f LATIN1 -t UTF-8)", number
            )


def _entries(lines: _Lines, columns: _Columns, word_ids: dict[bytes, int]) -> Entries:
    rows = len(columns.lines)
    ids = np.empty((rows, len(columns.words)), np.int32)
    for place, column in enumerate(columns.words):
        try:
            ids[:, place] = np.fromiter(map(word_ids.__getitem__, column), np.int32, rows)
        except KeyError:
            row = next(row for row, word in enumerate(column) if word not in word_ids)
            lines.fail(f"the word {_shown(column[row])} is not among the 1-grams", int(columns.lines[row]))
    log_probs = _numbers(lines, columns.log_probs, columns.lines)
    _refuse(
        lines,
        columns,
        columns.log_probs,
        log_probs > 0,
        "is a probability above 1: its logarithm is positive",
    )
    backoffs = np.zeros(rows)
    if columns.backoffs is not None:
        backoffs = _numbers(lines, columns.backoffs, columns.lines)
        _refuse(lines, columns, columns.backoffs, backoffs > LARGEST, "is no backoff")
    return Entries(ids, _natural(log_probs), _natural(backoffs), columns.lines)


def _numbers(lines: _Lines, column: list[bytes], numbers: Int64Array) -> Float64Array:
    """A column of numbers; minus infinity and values below -LARGEST become SRILM's log10 of 0."""
    try:
        values = np.fromiter(map(float, column), np.float64, len(column))
    except ValueError:
        row = next(row for row, field in enumerate(column) if not _is_number(field))
        lines.fail(f"{_shown(column[row])} is not a number", int(numbers[row]))
    if np.isnan(values).any():
        row = int(np.isnan(values).argmax())
        lines.fail(f"{_shown(column[row])} is not a number", int(numbers[row]))
    values[values < -LARGEST] = LOG10_OF_ZERO
    return values


def _refuse(
    lines: _Lines, columns: _Columns, column: list[bytes], wrong: npt.NDArray[np.bool_], what: str
) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        lines.fail(f"{_shown(column[row])} {what}", int(columns.lines[row]))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _natural(log10: Float64Array) -> Float32Array:
    natural: Float32Array = (log10 * np.log(10)).astype(np.float32)
    return natural


def _joined(parts: Sequence[Entries], n: int) -> Entries:
    if not parts:
        none = np.empty(0, np.float32)
        return Entries(np.empty((0, n), np.int32), none, none, np.empty(0, np.int64))
    return Entries(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.log_probs for part in parts]),
        np.concatenate([part.backoffs for part in parts]),
        np.concatenate([part.lines for part in parts]),
    )


def _shown(text: bytes) -> str:
    """Bytes of a file, quoted and shortened for a one-line message."""
    return repr(text.decode("utf-8", "replace").strip()[:60])
