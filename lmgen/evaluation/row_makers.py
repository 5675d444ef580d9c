"""The rows that scores of a text are given in: how each kind is found, measured, and made of its sums."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count, islice
from math import isfinite
from typing import Literal

import numpy as np

from lmgen.arrays import BoolArray, Float64Array
from lmgen.evaluation.results import (
    NATS_PER_BIT,
    LineScore,
    TokenScore,
    WordScore,
    log10_of,
    perplexity_of,
)
from lmgen.evaluation.rows import (
    BlankWith,
    Cutter,
    LineCutter,
    RowSum,
    RowSums,
    Segments,
    UnitCutter,
    WordCutter,
)
from lmgen.evaluation.side_by_side import Measure, ScoredBlock, rank
from lmgen.evaluation.units import Part, ScoredPart
from lmgen.evaluation.words import SharedTokens
from lmgen.text.units import Unit
from lmgen.tokenizers.base import Tokenizer

RowKind = Literal["record", "line", "word", "token"]
"""What one score covers, if it is not the whole text."""

RowScore = LineScore | WordScore | TokenScore

END = "</s>"
"""The word that stands for the end of a unit."""


class RowMaker(ABC):
    """Makes the rows of one model."""

    def __init__(self, model: str, text: str) -> None:
        """`model` and `text` are names, which every row has."""
        self._model, self._text = model, text

    @abstractmethod
    def rows(self, part: Part, segments: Segments, block: ScoredBlock) -> Sequence[RowScore]:
        """The rows that end in the next part of the text."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One kind of row of a text."""

    cutter: Cutter
    measure: Measure | None
    """What has to be measured of tokens."""
    of_all: bool
    """Whether of all tokens, not only where a row begins."""
    maker: Callable[[str, str], RowMaker]
    """Makes a RowMaker of the names of a model and of the text."""

    @classmethod
    def of(
        cls,
        kind: RowKind,
        tokenizer: Tokenizer,
        unit: Unit,
        blank_with: BlankWith,
        unigram_bits: Float64Array | None,
    ) -> "Rows":
        """The kind of row by its name. Arguments are those of `score_rows` (perplexity.py)."""
        if kind == "token":
            return cls(UnitCutter(), rank, True, lambda model, text: _TokenMaker(model, text, tokenizer))
        if kind == "word":
            shared = SharedTokens(tokenizer, blank_with)
            words = WordCutter(tokenizer, unit, blank_with, shared)
            return cls(
                words,
                shared.measure,
                False,
                lambda model, text: _WordMaker(
                    model, text, RowSums(unigram_bits, texts=True, shared=shared), words.ends
                ),
            )
        cutter = LineCutter() if kind == "line" and unit != "line" else UnitCutter()
        by_unit = tokenizer.answer_mark is not None and kind == unit
        return cls(cutter, None, False, lambda model, text: _LineMaker(model, text, by_unit=by_unit))

    def cut(self, part: Part) -> "CutPart":
        """The next part, marked, and the rows of what is scored of it."""
        answers = part.answers()
        segments = self.cutter.cut(answers)
        if self.measure is not None and not (self.of_all and part.scored is None):
            marked = np.ones(len(answers.ids), np.bool_) if self.of_all else segments.measured
            part = replace(part, marked=_spread(marked, part.scored))
        return CutPart(part, answers, segments)


@dataclass(frozen=True, slots=True, eq=False)
class CutPart:
    """A part of a text with its rows."""

    part: Part
    """All of it, which models read."""
    answers: Part
    """What of it is scored, which the rows cover; the same where all is."""
    segments: Segments

    def scored(self, block: ScoredBlock) -> ScoredBlock:
        """The scores of what is scored."""
        return block if self.part.scored is None else block.only(self.part.scored.tokens)


def _spread(marked: BoolArray, scored: ScoredPart | None) -> BoolArray:
    """Marks of what is scored of a part, as marks of all its tokens."""
    if scored is None:
        return marked
    spread = np.zeros(len(scored.tokens), np.bool_)
    spread[scored.tokens] = marked
    return spread


class _LineMaker(RowMaker):
    """Lines and records."""

    def __init__(self, model: str, text: str, *, by_unit: bool) -> None:
        """`by_unit`: a row has the number of its unit, for there are units without a row."""
        super().__init__(model, text)
        self._by_unit = by_unit
        self._sums = RowSums(None, texts=False, shared=None)
        self._numbers = count(1)

    def rows(self, part: Part, segments: Segments, block: ScoredBlock) -> list[LineScore]:
        return [self._line(row) for row in self._sums.add(part, segments, block)]

    def _line(self, row: RowSum) -> LineScore:
        bits = None
        if not row.unknown and row.characters:
            bits = row.nats / NATS_PER_BIT / row.characters
        return LineScore(
            model=self._model,
            text=self._text,
            line=row.unit if self._by_unit else next(self._numbers),
            tokens=row.tokens,
            nats=row.nats,
            perplexity=perplexity_of(row.nats, row.tokens),
            bits_per_character=bits,
            log10=log10_of(row.nats),
            unknown_tokens=row.unknown,
        )


class _WordMaker(RowMaker):
    def __init__(self, model: str, text: str, sums: RowSums, ends: str) -> None:
        super().__init__(model, text)
        self._sums = sums
        self._ends = ends
        self._unit = self._index = 0

    def rows(self, part: Part, segments: Segments, block: ScoredBlock) -> list[WordScore]:
        return [self._word(row) for row in self._sums.add(part, segments, block)]

    def _word(self, row: RowSum) -> WordScore:
        self._index = self._index + 1 if row.unit == self._unit else 0
        self._unit = row.unit
        is_end = row.text[-1:] in self._ends
        word = "" if is_end else row.text.strip()
        return WordScore(
            model=self._model,
            text=self._text,
            unit=row.unit,
            index=self._index,
            word=END if is_end else "\\" + word if word == END else word,
            surprisal_bits=row.nats / NATS_PER_BIT,
            log10=log10_of(row.nats),
            entropy_bits=row.entropy_bits,
            unigram_bits=row.unigram_bits if isfinite(row.unigram_bits) else None,
            length=len(word),
            unknown=row.unknown > 0,
        )


class _TokenMaker(RowMaker):
    def __init__(self, model: str, text: str, tokenizer: Tokenizer) -> None:
        super().__init__(model, text)
        self._spelled = cache(tokenizer.escaped_piece)
        self._indices = count()
        self._unit = 0

    def rows(self, part: Part, segments: Segments, block: ScoredBlock) -> list[TokenScore]:
        if not len(part.ids):
            return []
        assert part.offsets is not None
        assert block.measured is not None
        units = np.append(self._unit, segments.units)
        self._unit = int(units[-1])
        return [
            TokenScore(
                model=self._model,
                text=self._text,
                index=index,
                offset=offset,
                token=self._spelled(token),
                surprisal_bits=nats / NATS_PER_BIT,
                rank=int(place),
                unit=unit,
                log10=log10_of(nats),
                matched=matched,
            )
            for index, offset, token, nats, place, unit, matched in zip(
                islice(self._indices, len(part.ids)) if part.numbers is None else part.numbers.tolist(),
                (part.offsets + part.position if part.places is None else part.places).tolist(),
                part.ids.tolist(),
                block.nats.tolist(),
                block.measured[:, 0].tolist(),
                units[segments.first].tolist(),
                [None] * len(part.ids) if block.matched is None else block.matched.tolist(),
                strict=True,
            )
        ]
