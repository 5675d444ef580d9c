"""Read prompts from an argument, a file or a pipe, and say what a model does not know in them."""

import re
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from lmgen.cli import report
from lmgen.cli.output import flushing
from lmgen.errors import CorpusError

if TYPE_CHECKING:
    from lmgen.text_model import TextModel

UNKNOWN_NAMED = 10
"""Maximum number of unknown characters or words that a note lists; it counts the others."""

UNKNOWN_SHOWN = 60
"""Maximum length of each in the note, in characters: a word can be as long as a text."""

LONGEST_PROMPT = 100_000_000
"""Maximum length in characters. A prompt is in memory as a whole, with up to 40 bytes per character."""

BYTE_ORDER_MARK = "\ufeff"
"""Some programs write it at the start of UTF-8 files; it is no part of the prompt."""

_NOT_UTF_8 = re.compile("[\udc80-\udcff]")

_FINAL_LINE_END = re.compile(r"\r?\n\Z")


def prompts(prompt: str | None, prompt_file: Path | None, *, lines: bool) -> Iterator[list[str]]:
    """Yield prompts in groups as they arrive; a single empty prompt if none is given."""
    if prompt_file is None and prompt != "-":
        text = (prompt or "").removeprefix(BYTE_ORDER_MARK)
        return _lines([text]) if lines and text else iter([[text]])
    name = str(prompt_file or "-")
    return _lines(_chunks(name)) if lines else iter([[read_prompt(name)]])


def read_prompt(name: str) -> str:
    """
    Read a prompt from a file or standard input (`-`), without its final line end.

    `echo` and editors add a line end that is not part of the prompt. Bytes that are not UTF-8 are accepted;
    most models read them as unknown.

    Raises:
        CorpusError: the prompt cannot be read, or is longer than `LONGEST_PROMPT`.
    """
    prompt = StringIO()
    for chunk in _chunks(name):
        _lengthen(prompt, chunk)
    return _FINAL_LINE_END.sub("", prompt.getvalue())


def noting_unknown(opened: "TextModel", groups: Iterable[list[str]]) -> Iterator[list[str]]:
    """Pass groups of prompts through; print one note, for the first prompt that does not fit the model."""
    noted = False
    for group in groups:
        for prompt in group:
            noted = noted or note_unknown(opened, prompt)
        yield group


def note_unknown(opened: "TextModel", prompt: str, *others: str, finished: bool = False) -> bool:
    """
    Print a note on a prompt with unknown parts, or in other line ends or letters than the model's text.

    Args:
        opened: the model.
        prompt: the prompt.
        others: texts that follow it.
        finished: the last words are not completed.

    Returns:
        Whether there was something to say.
    """
    from lmgen.evaluation.fit import mended
    from lmgen.generation.prompts import unknown_parts

    found = (
        part
        for text in (prompt, *others)
        for part in unknown_parts(opened.tokenizer, text, finished=finished)
    )
    parts = list(dict.fromkeys(found))
    misfit = mended(opened.model, opened.tokenizer, prompt)
    if not parts:
        if misfit:
            report.note(f"the prompt does not fit the model: {misfit.instead}")
        return misfit is not None
    named = ", ".join(repr(part[:UNKNOWN_SHOWN]) for part in parts[:UNKNOWN_NAMED])
    more = f" and {len(parts) - UNKNOWN_NAMED} more" if len(parts) > UNKNOWN_NAMED else ""
    better = _conversion(prompt, opened.tokenizer.reading.encoding) or (
        f"; {misfit.instead}" if misfit else ""
    )
    them = "it" if len(parts) == 1 else "them"
    report.note(f"the model never saw {named}{more} and reads {them} as unknown{better}")
    return True


def _conversion(prompt: str, usual: str) -> str:
    """
    How to convert a prompt that is not UTF-8; empty if it is.

    Args:
        prompt: decoded with surrogates in place of what is not UTF-8.
        usual: the encoding of the model's training text, which is taken to be that of such a prompt too.
    """
    from lmgen.text.encodings import UTF_8
    from lmgen.text.guessing import iconv_name, likely_encoding

    if not _NOT_UTF_8.search(prompt):
        return ""
    encoding = likely_encoding(prompt.encode("utf-8", "surrogateescape")) if usual == UTF_8 else usual
    source = f" -f {iconv_name(encoding)}" if encoding else ""
    return f"; it is not UTF-8: convert it with iconv{source} -t UTF-8"


def _chunks(name: str) -> Iterator[str]:
    """Read a text as it arrives, without a byte order mark; flush completions before waiting for more."""
    from lmgen.text.sources import source

    chunks = filter(None, flushing(source(name, errors="surrogateescape", once=True).chunks()))
    yield next(chunks, "").removeprefix(BYTE_ORDER_MARK)
    yield from chunks


def _lines(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Split chunks into lines without their ends, `\\n` or `\\r\\n`; yields groups as chunks arrive."""
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
    """Append to an unfinished prompt; raises CorpusError if it becomes too long."""
    prompt.write(part)
    if prompt.tell() > LONGEST_PROMPT:
        raise CorpusError(
            f"a prompt is longer than {LONGEST_PROMPT:,} characters; give its end alone (tail -c 1000000)"
        )
