r"""
How a text is read before a tokenizer splits it: its line ends, its normal form, and what one text is.

`ReadingTokenizer` wraps any tokenizer. With units it knows the token that ends each of them, spelled </s>:

    line      the tokenizer's own line end (without one, an id of its own)
    record    an id of its own, V, where the text has UNIT_END (text/units.py); the line ends inside are text

Where units have answers (`ReadingConfig.answers_after`), the first mark in each is a token with an id of its
own, too, which no other text has. The inner tokenizer gets a line end in its place, so that no token crosses
it: the question before it is split as a line, and the answer after it as the next one.

A plain document, read as it is, needs no wrapper.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import BoolArray, IdArray
from lmgen.errors import ConfigError
from lmgen.settings import from_mapping
from lmgen.text.chunks import line_blocks
from lmgen.text.config import ReadingConfig
from lmgen.text.reading import read_stream, read_text
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Chunks, Decoder, EncodedBlock, Encoding, Tokenizer, damaged, plain_ids
from lmgen.tokenizers.characters import code_points
from lmgen.tokenizers.edges import Edge, Rest
from lmgen.tokenizers.pieces import escape

END_PIECE = "</s>"
"""The spelling of the token that ends a unit."""

RECORD_END_SHOWN = "\n\n"
"""What stands between two records where they are decoded to one text."""

ANSWER = "\ud801"
"""Stands for the first mark of a unit here: a lone surrogate, which no text contains."""

ALIKE = r"\2"
"""Added to the mark where another token is spelled alike; no escape looks like this, and no ARPA word."""


class ReadingTokenizer(Tokenizer):
    """Tokenizer that first reads a text as `ReadingConfig` says, and that knows where a unit ends."""

    format_version = 4

    def __init__(
        self, inner: Tokenizer, reading: ReadingConfig, end: int | None = None, mark: int | None = None
    ) -> None:
        """
        Args:
            inner: splits what was read.
            reading: its `field` does not matter here.
            end: the id that ends a record, if it is not the first one that `inner` leaves free.
            mark: the id of the mark before an answer, if it is not the first one left free after that.
        """
        self.inner = inner
        self.reading = reading
        self.name = inner.name
        self.reading_errors = inner.reading_errors
        self.notes = inner.notes
        self._ending = UNIT_END if self.unit == "record" else "\n"
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
        own_end = [] if self.end in (None, inner.line_end) else [self.end]
        self._mark = reading.answers_after or ""
        if self._mark:
            self.answer_mark = inner.vocabulary_size + len(own_end) if mark is None else mark
            self.vocabulary_size += 1
        own = [*own_end, self.answer_mark] if self._mark else own_end
        self._own_ids = sorted(token for token in own if token is not None)
        """The ids that `inner` does not have: of the end of a unit, and of the mark."""

    @property
    def start(self) -> int:
        """The end of the unit before; in a document that of the inner tokenizer."""
        return self.inner.start if self.end is None else self.end

    def encode(self, text: str) -> IdArray:
        """The ids of a text; at each end of a unit the id `end`."""
        text = read_text(text, self.reading)
        if self._is_plain(text):
            return self._outer(self.inner.encode(text))
        return self._encode_units(text)[0]

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; positions are those in the text as it is read."""
        text = read_text(text, self.reading)
        if self._is_plain(text):
            ids, offsets = self.inner.encode_with_offsets(text)
            return self._outer(ids), offsets
        return self._encode_units(text)

    def edge(self, text: str) -> Edge:
        """As the inner tokenizer has it; of a text in units only the last unit, which begins afresh."""
        text = read_text(text, self.reading)
        question, mark, text = self._at_mark(text if self.end is None else text.rpartition(self._ending)[2])
        edge = self.inner.edge(text)
        if not self._own_ids:
            return edge
        rest = None if edge.rest is None else _OuterRest(edge.rest, self)
        ids = self._outer(edge.ids)
        if mark:
            ids = np.concatenate([self.encode(question + mark), ids])
        return Edge(ids, rest, edge.after_blank)

    def answer_characters(self, text: str) -> npt.NDArray[np.bool_]:
        """Which characters of whole units are scored, (N,): those of answers, and the ends after them."""
        if not self._mark:
            return super().answer_characters(text)
        scored = np.zeros(len(text), np.bool_)
        begin = 0
        for unit in text.split(self._ending):
            _, mark, answer = self._at_mark(unit)
            end = begin + len(unit) + 1
            if mark:
                scored[end - 1 - len(answer) : end] = True
            begin = end
        return scored

    def unknown_among(self, text: str, ids: IdArray) -> npt.NDArray[np.bool_]:
        """As the inner tokenizer has it; the end of a unit is known."""
        text = read_text(text, self.reading)
        plain = _lines_for_units(self._with_answers(text))
        unknown = self.inner.unknown_among(plain, self._inner(ids))
        for token in (self.end, self.answer_mark):
            if token is not None:
                unknown[ids == token] = False
        return unknown

    def encode_blocks(
        self, chunks: Iterable[str], encoding: Encoding | None = None
    ) -> Iterator[EncodedBlock]:
        """As every tokenizer; the blocks are those of the text as it is read."""
        return super().encode_blocks(read_stream(chunks, self.reading), encoding)

    def _blocks(self, chunks: Iterable[str]) -> Iterator[str]:
        """Blocks of whole units, for only the first mark of each counts."""
        blocks = super()._blocks(chunks)
        return whole_units(blocks, self._ending) if self._mark else blocks

    def missing(self, chunks: Chunks) -> dict[str, int]:
        """The counts of tokens that are not in the vocabulary."""
        return self.inner.missing(training_chunks(chunks, self.reading))

    def extended(self, tokens: Sequence[str]) -> Self:
        """A copy with more tokens; the end of a unit keeps its id, and so does the mark."""
        return type(self)(self.inner.extended(tokens), self.reading, self.end, self.answer_mark)

    def limited_to(self, words: Set[str]) -> tuple[Self, BoolArray]:
        """As the inner tokenizer, of words that are read as the text is; the end and the mark are kept."""
        inner, of_inner = self.inner.limited_to(set(read_text("\n".join(words), self.reading).split()))
        kept = np.ones(self.vocabulary_size, np.bool_)
        kept[self._outer(np.arange(len(of_inner)))] = of_inner
        end, mark = (
            None if token is None else int(np.count_nonzero(kept[:token]))
            for token in (self.end, self.answer_mark)
        )
        return type(self)(inner, self.reading, end, mark), kept

    def escaped_piece(self, token: int) -> str:
        """As every tokenizer; a mark that another token is spelled like ends in ALIKE."""
        escaped = super().escaped_piece(token)
        return escaped + ALIKE if token == self.answer_mark and self._mark_is_a_piece else escaped

    @cached_property
    def _mark_is_a_piece(self) -> bool:
        """Whether a token of the inner tokenizer is spelled like the mark."""
        written = escape(self._mark)
        return any(self.inner.escaped_piece(token) == written for token in range(self.inner.vocabulary_size))

    def piece(self, token: int) -> str:
        r"""The spelling of a token; of the end of a unit </s>, and of a line end within a record \n."""
        if token == self.end:
            return END_PIECE
        if token == self.answer_mark:
            return self._mark
        if self.unit == "record" and token == self.line_end:
            return "\n"
        return self.inner.piece(int(self._inner(np.array([token]))[0]))

    def decoder(self) -> Decoder:
        """A decoder that writes the end of a line as such, and that of a record as a blank line."""
        if not self._own_ids:
            return self.inner.decoder()
        return _UnitDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """What the inner tokenizer saves, and `reading`."""
        reading: dict[str, Any] = self.reading.to_json()
        if self.end not in (None, self.inner.line_end):
            reading["end"] = self.end
        if self.answer_mark is not None:
            reading["mark"] = self.answer_mark
        return {**self.inner.to_json(), "reading": reading}

    @classmethod
    def around(cls, inner: Tokenizer, saved: dict[str, Any]) -> Self:
        """
        Rebuild a tokenizer from an inner one and what `to_json` saved as `reading`.

        Raises:
            ModelError: a value is missing or wrong.
        """
        values = dict(saved)
        end, mark = values.pop("end", None), values.pop("mark", None)
        try:
            reading = from_mapping(ReadingConfig, values, "reading")
        except ConfigError as error:
            raise damaged(str(error)) from error
        needs_end = reading.unit == "record" or (reading.unit == "line" and inner.line_end is None)
        if needs_end != (type(end) is int and 0 <= end <= inner.vocabulary_size):
            raise damaged("the id that ends a unit is missing or wrong")
        largest = inner.vocabulary_size + (end is not None)
        if (reading.answers_after is not None) != (
            type(mark) is int and 0 <= mark <= largest and mark != end
        ):
            raise damaged("the id of the mark before an answer is missing or wrong")
        return cls(inner, reading, end, mark)

    def _encode_units(self, text: str) -> tuple[IdArray, IdArray]:
        """
        The ids and offsets of a text with ends of units, or marks, that have an id of their own.

        The inner tokenizer gets line ends in their place, each of which is a token of its own.
        """
        text = self._with_answers(text)
        ids, offsets = self.inner.encode_with_offsets(_lines_for_units(text))
        ids, codes = self._outer(ids), code_points(text)
        if self.end is not None:
            ids[codes[offsets] == ord(self._ending)] = self.end
        if self.answer_mark is not None:
            marks = np.flatnonzero(codes == ord(ANSWER))
            ids[codes[offsets] == ord(ANSWER)] = self.answer_mark
            offsets = offsets + (len(self._mark) - 1) * np.searchsorted(marks, offsets)
        return ids, offsets

    def _is_plain(self, text: str) -> bool:
        """Whether nothing in a text has an id that the inner tokenizer lacks."""
        has_own_end = self.end not in (None, self.inner.line_end) and self._ending in text
        return not has_own_end and not (self._mark and self._mark in text)

    def _at_mark(self, unit: str) -> tuple[str, str, str]:
        """A unit as its question, the mark and the answer; without a mark all of it is the answer."""
        if self._mark and self._mark in unit:
            return unit.partition(self._mark)
        return "", "", unit

    def _with_answers(self, text: str) -> str:
        """A text with ANSWER in place of the first mark of each unit."""
        if not self._mark or self._mark not in text:
            return text
        units = text.split(self._ending)
        return self._ending.join(unit.replace(self._mark, ANSWER, 1) for unit in units)

    def _outer(self, ids: IdArray) -> IdArray:
        """Ids of the inner tokenizer as ids of this one: those from an own id on move up by one."""
        for own in self._own_ids:
            ids = ids + (ids >= own)
        return ids

    def _inner(self, ids: IdArray) -> IdArray:
        """Ids of this tokenizer as ids of the inner one; an own id, which it lacks, as any other."""
        if not self._own_ids:
            return ids
        for own in reversed(self._own_ids):
            ids = ids - (ids > own)
        return np.minimum(ids, self.inner.vocabulary_size - 1)


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
        return ReadingTokenizer(tokenizer.inner, other, tokenizer.end, tokenizer.answer_mark)
    return ReadingTokenizer(tokenizer, other)


def training_chunks(chunks: Chunks, reading: ReadingConfig) -> Chunks:
    """The text that the inner tokenizer is trained on: read, with line ends for record ends and marks."""
    if reading.answers_after is None:
        return lambda: (chunk.replace(UNIT_END, "\n") for chunk in read_stream(chunks(), reading))
    mark, end = reading.answers_after, UNIT_END if reading.unit == "record" else "\n"

    def lines() -> Iterator[str]:
        for block in whole_units(line_blocks(read_stream(chunks(), reading)), end):
            yield _lines_for_units(end.join(unit.replace(mark, "\n", 1) for unit in block.split(end)))

    return lines


def whole_units(blocks: Iterable[str], end: str) -> Iterator[str]:
    """A text in blocks of whole units; `end` is the character after each. A unit is held in memory."""
    held: list[str] = []
    for block in blocks:
        units, found, rest = block.rpartition(end)
        if found:
            yield "".join([*held, units, found])
            held = [rest] if rest else []
        else:
            held.append(block)
    if held:
        yield "".join(held)


def _lines_for_units(text: str) -> str:
    """A text with line ends in place of ends of records and of ANSWER."""
    return text.replace(UNIT_END, "\n").replace(ANSWER, "\n")


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
        """As the inner tokenizer has it, and the ids that it lacks where any token may come."""
        outer = self._tokenizer._outer(self._inner.beyond(position, self._inner_id(previous)))
        return outer if self.spelling else np.append(outer, self._tokenizer._own_ids)

    def spelling_of(self, token: int) -> bytes:
        """As the inner tokenizer has it."""
        return self._inner.spelling_of(int(self._tokenizer._inner(np.array([token]))[0]))

    def _inner_id(self, token: int | None) -> int | None:
        return None if token is None else int(self._tokenizer._inner(np.array([token]))[0])


class _UnitDecoder(Decoder):
    """Decoder of records, and of questions and answers: each starts anew."""

    def __init__(self, tokenizer: ReadingTokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.inner.decoder()

    def push(self, ids: Iterable[int]) -> str:
        """The text that these ids complete."""
        tokenizer, written = self._tokenizer, []
        plain = np.array(plain_ids(ids, tokenizer.vocabulary_size), np.int64)
        ends = np.flatnonzero(np.isin(plain, tokenizer._own_ids))
        for number, part in enumerate(np.split(plain, ends + 1)):
            closed = number < len(ends)
            inner = tokenizer._inner(part[:-1] if closed else part)
            written.append(self._decoder.push(inner))
            if closed:
                shown = tokenizer._mark if part[-1] == tokenizer.answer_mark else RECORD_END_SHOWN
                written.append(self._decoder.finish() + shown)
                self._decoder = tokenizer.inner.decoder()
        return "".join(written)

    def finish(self) -> str:
        """The rest of the last record, or answer."""
        return self._decoder.finish()
