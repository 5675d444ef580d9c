"""The text inside the records of a JSON Lines file, one record a line."""

import json
import re
from collections.abc import Iterable, Iterator

from lmgen.errors import CorpusError

DEFAULT_FIELD = "text"

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


def record_texts(chunks: Iterable[str], field: str, where: str) -> Iterator[str]:
    """
    The text of each record, each ending in a line end; empty lines are passed over.

    `{"text": "one"}` and `{"text": "two\\n"}` give "one\\ntwo\\n".

    Raises:
        CorpusError: a line is not a JSON object or has no text in `field`; `where` and the line are named.
    """
    number = 0
    for lines in _line_groups(chunks):
        texts = [_text(line, field, f"{where}, line {number + i}") for i, line in enumerate(lines, 1)]
        number += len(lines)
        if text := "".join(texts):
            yield text


def _line_groups(chunks: Iterable[str]) -> Iterator[list[str]]:
    """The lines that each chunk completes, without their line ends; the last line may be open."""
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
        raise CorpusError(f"{where}: no text in the field {field!r}; {_choice(line)}")
    if _HALF_A_CHARACTER.search(text):
        raise CorpusError(f"{where}: half a surrogate pair (\\ud800 to \\udfff) is no character; remove it")
    return text if text.endswith("\n") else text + "\n"


def _record(line: str, where: str) -> dict[str, object]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not JSON ({error}); each line has to be one JSON object") from error
    if not isinstance(record, dict):
        raise CorpusError(f"{where}: JSON, but not an object; each line has to be one JSON object")
    return record


def _choice(line: str) -> str:
    """Which fields of a record do hold text, for an error message."""
    fields = [name for name, value in json.loads(line).items() if isinstance(value, str)]
    return f"choose another with --field: {', '.join(fields)}" if fields else "no other field holds text"
