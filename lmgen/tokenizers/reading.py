r"""
How a text is read before a tokenizer splits it: its line ends, its normal form, and what one text is.

`ReadingTokenizer` wraps any tokenizer. With units it knows the token that ends each of them, spelled </s>:

    line      the tokenizer's own line end (without one, an id of its own)
    record    an id of its own, V, where the text has UNIT_END (text/units.py); the line ends inside are text

A plain document, read as it is, needs no wrapper.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import IdArray
from lmgen.errors import ConfigError
from lmgen.settings import from_mapping
from lmgen.text.config import ReadingConfig
from lmgen.text.reading import read_stream, read_text
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Chunks, Decoder, EncodedBlock, Tokenizer, damaged, plain_ids
from lmgen.tokenizers.characters import code_points
from lmgen.tokenizers.edges import Edge, Rest

END_PIECE = "</s>"
"""The spelling of the token that ends a unit."""

RECORD_END_SHOWN = "\n\n"
"""What stands between two records where they are decoded to one text."""


class ReadingTokenizer(Tokenizer):
    """Tokenizer that first reads a text as `ReadingConfig` says, and that knows where a unit ends."""

    format_version = 4

    def __init__(self, inner: Tokenizer, reading: ReadingConfig, end: int | None = None) -> None:
        """
        Args:
            inner: splits what was read.
            reading: its `field` does not matter here.
            end: the id that ends a record, if it is not the first one that `inner` leaves free.
        """
        self.inner = inner
        self.reading = reading
        self.name = inner.name
        self.reading_errors = inner.reading_errors
        self.notes = inner.notes
        self._mark = UNIT_END if self.unit == "record" else "\n"
        self.unknown, self.line_end = inner.unknown, inner.line_end
        self.vocabulary_size = inner.vocabulary_size
        self.special_ids = inner.special_ids
        self.reads_lines, self.tokens_are_words = inner.reads_lines, inner.tokens_are_words
        if self.unit == "line" and inner.line_end is not None:
            self.end = inner.line_end
        elif self.unit != "document":
            self.end = inner.vocabulary_size if end is None else end
            self.vocabulary_size += 1
            self.special_ids -= {inner.line_end} - {None}
        if self.end is not None:
            self.special_ids |= {self.end}

    @property
    def start(self) -> int:
        """The end of the unit before; in a document that of the inner tokenizer."""
        return self.inner.start if self.end is None else self.end

    def encode(self, text: str) -> IdArray:
        """The ids of a text; at each end of a unit the id `end`."""
        text = read_text(text, self.reading)
        if self.end in (None, self.inner.line_end) or self._mark not in text:
            return self._outer(self.inner.encode(text))
        return self._encode_units(text)[0]

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; positions are those in the text as it is read."""
        text = read_text(text, self.reading)
        if self.end in (None, self.inner.line_end) or self._mark not in text:
            ids, offsets = self.inner.encode_with_offsets(text)
            return self._outer(ids), offsets
        return self._encode_units(text)

    def edge(self, text: str) -> Edge:
        """As the inner tokenizer has it; of a text in units only the last unit, which begins afresh."""
        text = read_text(text, self.reading)
        edge = self.inner.edge(text if self.end is None else text.rpartition(self._mark)[2])
        if self.end in (None, self.inner.line_end):
            return edge
        rest = None if edge.rest is None else _OuterRest(edge.rest, self)
        return Edge(self._outer(edge.ids), rest, edge.after_blank)

    def unknown_among(self, text: str, ids: IdArray) -> npt.NDArray[np.bool_]:
        """As the inner tokenizer has it; the end of a unit is known."""
        text = read_text(text, self.reading)
        unknown = self.inner.unknown_among(text.replace(UNIT_END, "\n"), self._inner(ids))
        unknown[ids == self._end_or(-1)] = False
        return unknown

    def encode_blocks(self, chunks: Iterable[str]) -> Iterator[EncodedBlock]:
        """As every tokenizer; the blocks are those of the text as it is read."""
        return super().encode_blocks(read_stream(chunks, self.reading))

    def missing(self, chunks: Chunks) -> dict[str, int]:
        """The counts of tokens that are not in the vocabulary."""
        return self.inner.missing(training_chunks(chunks, self.reading))

    def extended(self, tokens: Sequence[str]) -> Self:
        """A copy with more tokens; the end of a unit keeps its id."""
        return type(self)(self.inner.extended(tokens), self.reading, self.end)

    def piece(self, token: int) -> str:
        r"""The spelling of a token; of the end of a unit </s>, and of a line end within a record \n."""
        if token == self.end:
            return END_PIECE
        if self.unit == "record" and token == self.line_end:
            return "\n"
        return self.inner.piece(int(self._inner(np.array([token]))[0]))

    def decoder(self) -> Decoder:
        """A decoder that writes the end of a line as such, and that of a record as a blank line."""
        if self.end in (None, self.inner.line_end):
            return self.inner.decoder()
        return _UnitDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """What the inner tokenizer saves, and `reading`."""
        reading: dict[str, Any] = self.reading.to_json()
        if self.end not in (None, self.inner.line_end):
            reading["end"] = self.end
        return {**self.inner.to_json(), "reading": reading}

    @classmethod
    def around(cls, inner: Tokenizer, saved: dict[str, Any]) -> Self:
        """
        Rebuild a tokenizer from an inner one and what `to_json` saved as `reading`.

        Raises:
            ModelError: a value is missing or wrong.
        """
        values = dict(saved)
        end = values.pop("end", None)
        try:
            reading = from_mapping(ReadingConfig, values, "reading")
        except ConfigError as error:
            raise damaged(str(error)) from error
        needs_end = reading.unit == "record" or (reading.unit == "line" and inner.line_end is None)
        if needs_end != (type(end) is int and 0 <= end <= inner.vocabulary_size):
            raise damaged("the id that ends a unit is missing or wrong")
        return cls(inner, reading, end)

    def _encode_units(self, text: str) -> tuple[IdArray, IdArray]:
        """
        The ids and offsets of a text with ends of units that have an id of their own.

        The inner tokenizer gets line ends in their place, each of which is a token of its own.
        """
        ids, offsets = self.inner.encode_with_offsets(text.replace(UNIT_END, "\n"))
        ids = self._outer(ids)
        ids[code_points(text)[offsets] == ord(self._mark)] = self._end_or(-1)
        return ids, offsets

    def _outer(self, ids: IdArray) -> IdArray:
        """Ids of the inner tokenizer as ids of this one: those from `end` on move up by one."""
        if self.end in (None, self.inner.line_end):
            return ids
        return ids + (ids >= self._end_or(0))

    def _inner(self, ids: IdArray) -> IdArray:
        """Ids of this tokenizer as ids of the inner one; `end` itself, which it lacks, as any other."""
        if self.end in (None, self.inner.line_end):
            return ids
        return np.minimum(ids - (ids > self._end_or(0)), self.inner.vocabulary_size - 1)

    def _end_or(self, default: int) -> int:
        return default if self.end is None else self.end


def is_plain(reading: ReadingConfig) -> bool:
    """Whether a text is read as it is, as one document."""
    return reading.to_json() == ReadingConfig().to_json()


def with_reading(tokenizer: Tokenizer, reading: ReadingConfig) -> Tokenizer:
    """The same tokens of texts that are read with other line ends, or in another normal form."""
    known = tokenizer.reading
    other = replace(known, newlines=reading.newlines, normalize=reading.normalize)
    if other == known:
        return tokenizer
    if isinstance(tokenizer, ReadingTokenizer):
        return ReadingTokenizer(tokenizer.inner, other, tokenizer.end)
    return ReadingTokenizer(tokenizer, other)


def training_chunks(chunks: Chunks, reading: ReadingConfig) -> Chunks:
    """The text that the inner tokenizer is trained on: read, and with line ends in place of record ends."""
    return lambda: (chunk.replace(UNIT_END, "\n") for chunk in read_stream(chunks(), reading))


class _OuterRest(Rest):
    """The end of a text, in ids of a `ReadingTokenizer`."""

    def __init__(self, inner: Rest, tokenizer: ReadingTokenizer) -> None:
        self.spelling = inner.spelling
        self.ids = tokenizer._outer(inner.ids)
        self._inner, self._tokenizer = inner, tokenizer

    def within(self, position: int, previous: int | None) -> list[tuple[int, int]]:
        """As the inner tokenizer has it."""
        pairs = self._inner.within(position, self._inner_id(previous))
        outer = self._tokenizer._outer(np.array([token for token, _ in pairs], np.int64))
        return [(token, end) for token, (_, end) in zip(outer.tolist(), pairs, strict=True)]

    def beyond(self, position: int, previous: int | None) -> IdArray:
        """As the inner tokenizer has it, and the end of the unit where any token may come."""
        outer = self._tokenizer._outer(self._inner.beyond(position, self._inner_id(previous)))
        return outer if self.spelling else np.append(outer, self._tokenizer._end_or(0))

    def spelling_of(self, token: int) -> bytes:
        """As the inner tokenizer has it."""
        return self._inner.spelling_of(int(self._tokenizer._inner(np.array([token]))[0]))

    def _inner_id(self, token: int | None) -> int | None:
        return None if token is None else int(self._tokenizer._inner(np.array([token]))[0])


class _UnitDecoder(Decoder):
    """Decoder of records: each starts anew."""

    def __init__(self, tokenizer: ReadingTokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.inner.decoder()

    def push(self, ids: Iterable[int]) -> str:
        """The text that these ids complete."""
        tokenizer, written = self._tokenizer, []
        plain = np.array(plain_ids(ids, tokenizer.vocabulary_size), np.int64)
        ends = np.flatnonzero(plain == tokenizer.end)
        for number, part in enumerate(np.split(plain, ends + 1)):
            closed = number < len(ends)
            inner = tokenizer._inner(part[:-1] if closed else part)
            written.append(self._decoder.push(inner))
            if closed:
                written.append(self._decoder.finish() + RECORD_END_SHOWN)
                self._decoder = tokenizer.inner.decoder()
        return "".join(written)

    def finish(self) -> str:
        """The rest of the last record."""
        return self._decoder.finish()
