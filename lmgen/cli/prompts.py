"""The texts that go on: typed, in a file, or arriving in a pipe; and a note on what is unknown in them."""

import re
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from lmgen.cli import report
from lmgen.cli.output import flushing
from lmgen.errors import CorpusError

if TYPE_CHECKING:
    from lmgen.tokenizers.base import Tokenizer

UNKNOWN_NAMED = 10
"""So many unknown characters or words are named in a note; of more than that, how many there are."""

UNKNOWN_SHOWN = 60
"""Of each so many characters: a word may be as long as a text."""

LONGEST_PROMPT = 100_000_000
"""In characters. A prompt is held in memory as a whole, with its tokens up to 40 bytes a character."""

_FINAL_LINE_END = re.compile(r"\r?\n\Z")


def prompts(prompt: str | None, prompt_file: Path | None, *, lines: bool) -> Iterator[list[str]]:
    """The prompts, as many together as have arrived; an empty one if none is given."""
    if prompt_file is None and prompt != "-":
        text = prompt or ""
        return _lines([text]) if lines and text else iter([[text]])
    name = str(prompt_file or "-")
    return _lines(_chunks(name)) if lines else iter([[read_prompt(name)]])


def read_prompt(name: str) -> str:
    """
    The text of a file or of standard input (`-`), without a line end at its very end.

    `echo text |` and editors add one that is not meant to be completed. Bytes that are not UTF-8 pass; for
    most models they are unknown.

    Raises:
        CorpusError: it cannot be read, or is longer than `LONGEST_PROMPT`.
    """
    prompt = StringIO()
    for chunk in _chunks(name):
        _lengthen(prompt, chunk)
    return _FINAL_LINE_END.sub("", prompt.getvalue())


def noting_unknown(tokenizer: "Tokenizer", groups: Iterable[list[str]]) -> Iterator[list[str]]:
    """Pass prompts on; a note says what is unknown in the first of them that has something unknown."""
    noted = False
    for group in groups:
        for prompt in group:
            noted = noted or note_unknown(tokenizer, prompt)
        yield group


def note_unknown(tokenizer: "Tokenizer", prompt: str) -> bool:
    """Tell the user what in a prompt the model does not know; whether there is anything."""
    from lmgen.generation.prompts import unknown_parts

    parts = unknown_parts(tokenizer, prompt)
    if not parts:
        return False
    named = ", ".join(repr(part[:UNKNOWN_SHOWN]) for part in parts[:UNKNOWN_NAMED])
    more = f" and {len(parts) - UNKNOWN_NAMED} more" if len(parts) > UNKNOWN_NAMED else ""
    report.note(f"the model never saw {named}{more} and reads it as unknown")
    return True


def _chunks(name: str) -> Iterator[str]:
    """A text as it arrives; completions that are done are flushed before more of it is waited for."""
    from lmgen.text.sources import source

    return flushing(source(name, errors="surrogateescape", once=True).chunks())


def _lines(chunks: Iterable[str]) -> Iterator[list[str]]:
    """The lines of a text without their line ends, `\\n` or `\\r\\n`; the last may have none."""
    line = StringIO()
    for chunk in chunks:
        rest, *others = chunk.split("\n")
        _lengthen(line, rest)
        lines = []
        for other in others:
            lines.append(line.getvalue().removesuffix("\r"))
            line = StringIO()
            _lengthen(line, other)
        if lines:
            yield lines
    if last := line.getvalue():
        yield [last]


def _lengthen(prompt: StringIO, part: str) -> None:
    """Add to a prompt that has not ended yet."""
    prompt.write(part)
    if prompt.tell() > LONGEST_PROMPT:
        raise CorpusError(
            f"a prompt is longer than {LONGEST_PROMPT:,} characters; give its end alone (tail -c 1000000)"
        )
