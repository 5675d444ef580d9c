"""Extract the text from the records of a JSON Lines file, which has one record per line."""

import json
import re
from collections.abc import Iterable, Iterator

from lmgen.errors import CorpusError

DEFAULT_FIELD = "text"
"""The field that holds the text of a record, unless another is named."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def record_texts(chunks: Iterable[str], field: str, where: str) -> Iterator[str]:
    """
    Yield the text of the records, adding a line end to each that lacks one; skip blank lines.

    `{"text": "one"}` and `{"text": "two\\n"}` give "one\\ntwo\\n".

    Args:
        chunks: the file's content, in chunks that may end anywhere.
        field: the field of a record that holds its text.
        where: the name of the file, for error messages.

    Raises:
        CorpusError: a line is not a JSON object or has no string in `field`; the message names the line.
    """
    number = 0
    for lines in _line_groups(chunks):
        texts = [_text(line, field, f"{where}, line {number + i}") for i, line in enumerate(lines, 1)]
        number += len(lines)
        if text := "".join(texts):
            yield text


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
    if not line.strip():
        return ""
    text = _record(line, where).get(field)
    if not isinstance(text, str):
        raise CorpusError(f"{where}: no text in the field {field!r}; {_other_fields(line)}")
    if _LONE_SURROGATE.search(text):
        raise CorpusError(f"{where}: a lone surrogate (\\ud800 to \\udfff) is not a character; remove it")
    return text if text.endswith("\n") else text + "\n"


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
