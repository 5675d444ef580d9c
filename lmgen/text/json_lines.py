"""Extract the text from the records of a JSON Lines file, which has one record per line."""

import json
import re
from collections.abc import Iterable, Iterator

from lmgen.errors import CorpusError

DEFAULT_FIELD = "text"
"""The field that holds the text of a record, unless another is named."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def record_texts(chunks: Iterable[str], field: str, where: str) -> Iterator[list[str]]:
    """
    Yield the texts of the records that each chunk completes, if any; skip blank lines.

    Args:
        chunks: the file's content, in chunks that may end anywhere.
        field: the field of a record that holds its text.
        where: the name of the file, for error messages.

    Raises:
        CorpusError: a line is not a JSON object or has no string in `field`; the message names the line.
    """
    number = 0
    for lines in _line_groups(chunks):
        numbered = enumerate(lines, number + 1)
        texts = [_text(line, field, f"{where}, line {i}") for i, line in numbered if line.strip()]
        number += len(lines)
        if texts:
            yield texts


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


def _text(line: str, field: str, where: str) -> str:
    text = _record(line, where).get(field)
    if not isinstance(text, str):
        raise CorpusError(f"{where}: no text in the field {field!r}; {_other_fields(line)}")
    if _LONE_SURROGATE.search(text):
        raise CorpusError(f"{where}: a lone surrogate (\\ud800 to \\udfff) is not a character; remove it")
    return text


def _record(line: str, where: str) -> dict[str, object]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not JSON ({error}); each line has to be one JSON object") from error
    if not isinstance(record, dict):
        raise CorpusError(f"{where}: JSON, but not an object; each line has to be one JSON object")
    return record


def _other_fields(line: str) -> str:
    """Advice for an error message: which other fields of the record hold text."""
    fields = [name for name, value in json.loads(line).items() if isinstance(value, str)]
    return f"choose another with --field: {', '.join(fields)}" if fields else "no other field holds text"
