"""Texts with the line ends and in the normal form that are asked for (config.py); ends of records stay."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lmgen.text.chunks import line_blocks
from lmgen.text.config import ReadingConfig
from lmgen.text.forms import OTHER_LINE_END, in_form, normalized
from lmgen.text.sources import Text


def read_text(text: str, reading: ReadingConfig) -> str:
    """A text with the line ends and in the normal form that are asked for; ends of records stay."""
    return in_form(text, reading.newlines, reading.normalize)


def read_stream(chunks: Iterable[str], reading: ReadingConfig) -> Iterable[str]:
    """As `read_text`, for a text in chunks that may end anywhere."""
    if reading.newlines == "lf":
        chunks = _with_line_feeds(chunks)
    if reading.normalize == "none":
        return chunks
    return (normalized(block, reading.normalize) for block in line_blocks(chunks))


def read_alike(text: Text, reading: ReadingConfig) -> Text:
    """A text with the line ends and in the normal form that are asked for, its records too."""
    if reading.newlines == "keep" and reading.normalize == "none":
        return text
    records = text.records
    return replace(
        text,
        chunks=lambda: iter(read_stream(text.chunks(), reading)),
        records=records and (lambda: iter(read_stream(records(), reading))),
    )


def _with_line_feeds(chunks: Iterable[str]) -> Iterator[str]:
    r"""Chunks with \r\n and \r as \n, even where a chunk ends between the two."""
    held = ""
    for chunk in chunks:
        text = held + chunk
        held = "\r" if text.endswith("\r") else ""
        if text := OTHER_LINE_END.sub("\n", text.removesuffix(held) if held else text):
            yield text
    if held:
        yield "\n"
