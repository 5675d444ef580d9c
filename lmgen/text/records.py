"""
Extract the texts of the records of structured files: JSON Lines, JSON, CSV and TSV.

    .jsonl, .ndjson   a JSON object a line; its text is in the field `text` unless another is named
    .json             an array of objects or of strings; also objects one after another
    .csv, .tsv        rows of cells below a header that names the fields

A new format is one function and one entry in `RECORD_FORMATS`.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from lmgen.errors import CorpusError

DEFAULT_FIELD = "text"
"""The field of JSON Lines that holds the text of a record, unless another is named."""

LARGEST_RECORD = 1 << 28
"""Maximum length of a cell, or of an element of an array, in characters: what is never closed is long."""

NAMES_SHOWN = 20
"""Maximum number of fields that an error message names."""

FIELD_END = "\ud801"
"""Between the fields of a record of which several are read: a lone surrogate, which no record can contain."""

Field = str | tuple[str, ...] | None
"""The field of a record that is read; several are joined by FIELD_END; None: none was named."""

Reader = Callable[[Iterable[str], Field, str], Iterator[list[str]]]
"""
Yields the texts of the records that each chunk of a file completes, if any.

Takes the file's content in chunks that may end anywhere, the field of a record that holds its text, if one
was named, and the name of the file for error messages. Raises a CorpusError that names the line or record.
"""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_QUOTED = re.compile('"[^"]*"')
_BLANK = re.compile(r"[ \t\n\r]*")

_DELIMITER_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

_NEAR_END = 16
"""An error at most so many characters before the end of what was read may be due to what was not."""


def json_lines(chunks: Iterable[str], field: Field, where: str) -> Iterator[list[str]]:
    """The texts in a file with one JSON object on each line; blank lines are skipped (see `Reader`)."""
    number = 0
    for lines in _line_groups(chunks):
        numbered = enumerate(lines, number + 1)
        texts = [
            _text(_parsed(line, f"{where}, line {i}"), field or DEFAULT_FIELD, f"{where}, line {i}")
            for i, line in numbered
            if line.strip()
        ]
        number += len(lines)
        if texts:
            yield texts


def json_array(chunks: Iterable[str], field: Field, where: str) -> Iterator[list[str]]:
    """
    The texts in a JSON array, whose elements are objects or strings, or in objects one after another.

    No more of the file is in memory than one chunk and one element (see `Reader`).
    """
    number = 0
    for values in _elements(chunks, where):
        numbered = enumerate(values, number + 1)
        texts = [_text(value, field, f"{where}, record {i:,}", texts_alone=True) for i, value in numbered]
        number += len(values)
        if texts:
            yield texts


def csv_rows(chunks: Iterable[str], field: Field, where: str) -> Iterator[list[str]]:
    """
    The cells of one column of a CSV file (see `Reader`).

    Cells are separated by commas, or by semicolons or tabs if the header has those and no comma. A row that
    repeats the header, as in files that were put together, is skipped, and so are blank lines.
    """
    return _rows(chunks, field, where, ",;\t")


def tsv_rows(chunks: Iterable[str], field: Field, where: str) -> Iterator[list[str]]:
    """As `csv_rows`, for cells that are separated by tabs."""
    return _rows(chunks, field, where, "\t")


RECORD_FORMATS: Mapping[str, Reader] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_array,
    ".csv": csv_rows,
    ".tsv": tsv_rows,
}
"""How to read the records of a file, by the end of its name."""

HAVE_DEFAULT_FIELD = (".jsonl", ".ndjson")
"""Those of which no field has to be named."""


def _text(
    value: object, field: Field, where: str, *, texts_alone: bool = False, advice: str = " with --field"
) -> str:
    """The text of a record: a field of an object, or with `texts_alone` a string itself."""
    if isinstance(field, tuple):
        return FIELD_END.join(_text(value, name, where, advice="") for name in field)
    text = value
    if not (texts_alone and isinstance(value, str)):
        if not isinstance(value, dict):
            needed = "an object or a string" if texts_alone else "an object"
            raise CorpusError(f"{where}: JSON, but not {needed}")
        names = [name for name, text in value.items() if isinstance(text, str)]
        if field is None:
            raise _field_needed(where, names)
        text = value.get(field)
        if not isinstance(text, str):
            raise _no_field(where, field, names, advice)
    assert isinstance(text, str)
    if _LONE_SURROGATE.search(text):
        raise CorpusError(f"{where}: a lone surrogate (\\ud800 to \\udfff) is not a character; remove it")
    return text


def _field_needed(where: str, names: Sequence[str]) -> CorpusError:
    return CorpusError(f"{where}: name the field that holds the text with --field: {_named(names)}")


def _no_field(where: str, field: str, names: Sequence[str], advice: str) -> CorpusError:
    others = f"choose another{advice}: {_named(names)}" if names else "no other field holds text"
    return CorpusError(f"{where}: no text in the field {field!r}; {others}")


def _named(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > NAMES_SHOWN else ""
    return ", ".join(name[:80] for name in names[:NAMES_SHOWN]) + more or "there is none that holds text"


def _parsed(line: str, where: str) -> object:
    """The value of a line of JSON Lines."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not JSON ({error}); each line has to be one JSON object") from error
    if not isinstance(value, dict):
        raise CorpusError(f"{where}: JSON, but not an object; each line has to be one JSON object")
    return value


def _line_groups(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines that each chunk completes, without line ends, then an unfinished last line."""
    waiting: list[str] = []
    for chunk in chunks:
        lines, line_end, rest = chunk.rpartition("\n")
        if line_end:
            yield "".join([*waiting, lines]).split("\n")
            waiting = []
        waiting.append(rest)
    if last := "".join(waiting):
        yield [last]


def _elements(chunks: Iterable[str], where: str) -> Iterator[list[object]]:
    """The elements of an array, or values one after another, in groups that each chunk completes."""
    scan = json.JSONDecoder(parse_int=float).raw_decode  # a number of many digits is no error
    number, needed, waiting = 0, 0, ""
    state = "start"  # then "value", "comma" and "end" in an array, or "values"
    for chunk in chain(chunks, [None]):
        waiting += chunk or ""
        if chunk is not None and len(waiting) < needed:  # so that a long element is not read again and again
            continue
        values: list[object] = []
        place = 0
        while (place := _blank_end(waiting, place)) < len(waiting):
            character = waiting[place]
            if state == "start":
                state = "value" if character == "[" else "values"
                place += character == "["
            elif character == "]" and (state == "comma" or (state == "value" and not number)):
                state, place = "end", place + 1
            elif state == "comma" and character == ",":
                state, place = "value", place + 1
            elif state in ("comma", "end"):
                what = "',' or ']'" if state == "comma" else "nothing"
                raise CorpusError(f"{where}: not JSON (expecting {what} after record {number:,})")
            else:
                try:
                    value, place = scan(waiting, place)
                except (ValueError, RecursionError) as error:
                    if chunk is not None and _may_be_incomplete(error, waiting):
                        break
                    why = getattr(error, "msg", error)  # its line and column are not those of the file
                    raise CorpusError(f"{where}, record {number + 1:,}: not JSON ({why})") from error
                values.append(value)
                number += 1
                state = "comma" if state == "value" else state
        waiting = waiting[place:]
        needed = 2 * len(waiting)
        yield values
    if state in ("value", "comma"):
        raise CorpusError(f"{where} is not whole: its array does not end after record {number:,}")


def _blank_end(text: str, place: int) -> int:
    """The first place from `place` on that is no white space of JSON."""
    blank = _BLANK.match(text, place)
    assert blank
    return blank.end()


def _may_be_incomplete(error: Exception, waiting: str) -> bool:
    """Whether the text that could not be parsed may only lack its end."""
    if not isinstance(error, json.JSONDecodeError) or len(waiting) > LARGEST_RECORD:
        return False
    unterminated = error.msg.startswith("Unterminated string")
    return unterminated or error.pos >= len(waiting.rstrip()) - _NEAR_END


class _Lines:
    """The lines of a file with their ends, which knows where a chunk ends."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._groups = _kept_lines(chunks)
        self._lines: list[str] = []
        self._next = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at_end_of_chunk:
            self._lines, self._next = next(self._groups), 0
        self._next += 1
        return self._lines[self._next - 1]

    @property
    def at_end_of_chunk(self) -> bool:
        """Whether the next line has to be waited for."""
        return self._next == len(self._lines)

    def skip_blank(self) -> int:
        """Go on to the first line that is not empty; how many there are before it."""
        skipped = 0
        while self.peek() and not self.peek().strip("\r\n"):
            next(self)
            skipped += 1
        return skipped

    def peek(self) -> str:
        """The next line, without going on; "" at the end."""
        if self.at_end_of_chunk:
            self._lines, self._next = next(self._groups, [""]), 0
        return self._lines[self._next]


def _rows(chunks: Iterable[str], field: Field, where: str, delimiters: str) -> Iterator[list[str]]:
    csv.field_size_limit(LARGEST_RECORD)
    lines = _Lines(chunks)
    blank = lines.skip_blank()
    first = _QUOTED.sub("", lines.peek())
    delimiter = next((mark for mark in delimiters if mark in first), delimiters[0])
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    columns: list[int] = []
    texts: list[str] = []
    while True:
        line = blank + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CorpusError(
                f"{where}, line {blank + reader.line_num}: not CSV ({error}) in the row that begins in line "
                f"{line}; cells with quotes in them need quotes around them, and theirs doubled"
            ) from error
        if row is None:
            break
        if row and not header:
            names, advice = (field, "") if isinstance(field, tuple) else ((field,), " with --field")
            header, columns = row, [_column(row, name, f"{where}, line {line}", advice) for name in names]
        elif row and row != header:
            if len(row) < len(header) or any(row[len(header) :]):
                raise CorpusError(
                    f"{where}, line {line}: the header has {len(header)} cells, but this row has {len(row)}; "
                    f"a cell with {_DELIMITER_NAMES[delimiter]} or a line end in it needs quotes around it"
                )
            texts.append(FIELD_END.join(row[column] for column in columns))
        if texts and lines.at_end_of_chunk:
            yield texts
            texts = []
    if texts:
        yield texts


def _column(header: Sequence[str], field: str | None, where: str, advice: str) -> int:
    """The place of the column that holds the text."""
    names = [name.strip() for name in header]
    if field is None:
        raise _field_needed(where, names)
    if names.count(field.strip()) != 1:
        problem = "two columns have the name" if field in names else "no column has the name"
        raise CorpusError(f"{where}: {problem} {field!r}; choose{advice}: {_named(names)}")
    return names.index(field.strip())


def _kept_lines(chunks: Iterable[str]) -> Iterator[list[str]]:
    r"""Yield the lines that each chunk completes, with their ends (`\n`, `\r\n` or `\r`), then the rest."""
    waiting: list[str] = []
    for chunk in chunks:
        held = waiting.pop() if waiting and waiting[-1] == "\r" else ""
        text = held + chunk
        rest = "\r" if text.endswith("\r") else ""  # a \n may follow
        text = text.removesuffix("\r")
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if end:
            yield _LINE.findall("".join([*waiting, text[:end]]))
            waiting = []
        waiting += [part for part in (text[end:], rest) if part]
    if last := "".join(waiting):
        yield [last]
