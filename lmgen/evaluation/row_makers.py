"""The rows that scores of a text are given in: how each kind is found, measured, and made of its sums."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from math import isfinite
from typing import Literal

import numpy as np

from lmgen.arrays import Float64Array
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
from lmgen.evaluation.scoring import Measure, ScoredBlock, rank
from lmgen.evaluation.units import Part
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
        return cls(cutter, None, False, _LineMaker)

    def cut(self, part: Part) -> tuple[Part, Segments]:
        """The next part, marked, and its rows."""
        segments = self.cutter.cut(part)
        if self.measure is not None and not self.of_all:
            part = replace(part, marked=segments.measured)
        return part, segments


class _LineMaker(RowMaker):
    """Lines and records."""

    def __init__(self, model: str, text: str) -> None:
        super().__init__(model, text)
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
            line=next(self._numbers),
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
                index=next(self._indices),
                offset=offset,
                token=self._spelled(token),
                surprisal_bits=nats / NATS_PER_BIT,
                rank=int(place),
                unit=unit,
                log10=log10_of(nats),
                matched=matched,
            )
            for offset, token, nats, place, unit, matched in zip(
                (part.offsets + part.position).tolist(),
                part.ids.tolist(),
                block.nats.tolist(),
                block.measured[:, 0].tolist(),
                units[segments.first].tolist(),
                [None] * len(part.ids) if block.matched is None else block.matched.tolist(),
                strict=True,
            )
        ]
