r"""
Where the rows of a text begin, and what the tokens of each row add up to.

A row covers a unit that is read afresh, a line within such a unit, or a word. With "the cat\n" as a unit:

    blanks with the next word        |the| cat|\n|
    blanks with the previous word    |the |cat|\n|

The end of a unit, or of a line that the model predicts, is a row of its own, with the white space before it.
White space at the beginning of a unit is counted with its first word.

A token may belong to two rows, as the sub-word " cat" does where blanks are counted with the previous word.
The first row then gets the probability of all tokens that begin with " ", the second the rest (words.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, IdArray, Int64Array
from lmgen.evaluation.side_by_side import ScoredBlock
from lmgen.evaluation.units import Part
from lmgen.evaluation.words import SharedTokens
from lmgen.text.units import UNIT_END, Unit
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.characters import CODE_POINTS, code_points

BlankWith = Literal["next", "previous"]
"""The word that white space is counted with."""

LONGEST_WORD = 1 << 18
"""A longer word is given in several rows, so that memory does not grow with it."""

WHITE_SPACE_BELOW = 0x3001
"""All white space is below this code point."""


class Segments(NamedTuple):
    """The rows of a part: row 0 goes on from the part before it, rows 1 .. R begin here."""

    starts: IdArray
    """Where each begins in the part's text, in characters, (R,)."""
    units: IdArray
    """The number of the unit of each, from 1, (R,)."""
    first: IdArray
    """The row in which each token begins, (N,)."""
    last: IdArray
    """The row in which each token ends, (N,)."""
    entered: IdArray
    """The row of the word that each token spells, or that its blank is for, (N,)."""

    @property
    def begins(self) -> Int64Array:
        """The first token of each of the rows 0 .. R; N for a row without one, (R + 1,)."""
        rows = np.arange(len(self.starts) + 1)
        begins = np.searchsorted(self.entered, rows)
        entered = np.append(self.entered, -1)[begins]
        return np.where(entered == rows, begins, len(self.entered))

    @property
    def measured(self) -> BoolArray:
        """The tokens with which a row begins, (N,)."""
        marked = np.zeros(len(self.entered) + 1, np.bool_)
        marked[self.begins] = True
        return marked[:-1]


class RowSum(NamedTuple):
    """What the tokens of a row add up to."""

    unit: int
    text: str
    """Empty unless it was asked for."""
    characters: int
    tokens: int
    unknown: int
    nats: float
    unigram_bits: float
    entropy_bits: float | None


class Cutter(ABC):
    """Finds the rows of a text, part by part."""

    def __init__(self) -> None:
        self._units = 0
        self._fresh = True

    def cut(self, part: Part) -> Segments:
        """The rows of the next part."""
        begins = part.text_ends[part.text_ends < len(part.text)]
        if self._fresh and part.text:
            begins = np.concatenate([[0], begins])
        starts, first, last = self._rows(part, begins)
        units = 1 + self._units + np.searchsorted(part.text_ends, starts, side="right")
        self._units += len(part.unit_ends)
        self._fresh = len(part.unit_ends) > 0 or (self._fresh and not part.text)
        return Segments(starts, units, first, last, self._entered(part, first, last))

    def _entered(self, part: Part, first: IdArray, last: IdArray) -> IdArray:  # noqa: ARG002
        """See `Segments.entered`."""
        return last

    @abstractmethod
    def _rows(self, part: Part, begins: IdArray) -> tuple[IdArray, IdArray, IdArray]:
        """The starts, first and last of a part's segments; units begin at the characters `begins`."""


class UnitCutter(Cutter):
    """A row is a unit."""

    def _rows(self, part: Part, begins: IdArray) -> tuple[IdArray, IdArray, IdArray]:
        """Tokens by the ends of their units."""
        tokens = np.arange(len(part.ids))
        first = np.searchsorted(part.unit_ends, tokens, side="right") + int(len(begins) > 0)
        return begins, first, first


class LineCutter(Cutter):
    """A row is a line of a unit."""

    def __init__(self) -> None:
        super().__init__()
        self._after_end = True

    def _rows(self, part: Part, begins: IdArray) -> tuple[IdArray, IdArray, IdArray]:
        """A row begins after each line end."""
        codes = code_points(part.text)
        end = (codes == ord("\n")) | (codes == ord(UNIT_END))
        start = np.append(self._after_end, end)[:-1] if len(end) else end
        self._after_end = bool(end[-1]) if len(end) else self._after_end
        start[begins] = True
        starts = np.flatnonzero(start)
        first = _rows_at(starts, part)
        return starts, first, first


class WordCutter(Cutter):
    """A row is a word between white space."""

    def __init__(self, tokenizer: Tokenizer, unit: Unit, blank_with: BlankWith, shared: SharedTokens) -> None:
        """
        Args:
            tokenizer: the model's.
            unit: what is read afresh.
            blank_with: the word that white space is counted with.
            shared: the tokens that may belong to two words.
        """
        super().__init__()
        self._with_next = blank_with == "next"
        self._shared = shared
        predicts_lines = tokenizer.sentence_end is not None and tokenizer.unit != "record"
        self.ends = UNIT_END + ("\n" if unit == "line" or predicts_lines else "")
        self._is_space = _white_space(self.ends)
        self._is_end = np.zeros_like(self._is_space)
        self._is_end[code_points(self.ends)] = True
        self._after_space = self._after_end = self._after_word = False

    def _rows(self, part: Part, begins: IdArray) -> tuple[IdArray, IdArray, IdArray]:
        """A row begins at a word, or at the white space before it; and at each end."""
        starts = np.flatnonzero(self._starts(code_points(part.text), begins)) if part.text else begins
        first = _rows_at(starts, part)
        last = first.copy()
        cuts = self._shared.cut[part.ids]
        for token in np.flatnonzero(cuts).tolist():
            piece = self._shared.pieces[part.ids[token]]
            assert part.offsets is not None
            begin = int(part.offsets[token])
            end = begin + max(cuts[token], len(piece) - 1)  # a blank is cut after its end
            if part.text.startswith(piece, begin) and end < len(part.text) and piece not in self.ends:
                last[token] = np.searchsorted(starts, end, side="right")
        return starts, first, last

    def _entered(self, part: Part, first: IdArray, last: IdArray) -> IdArray:
        """The first row of a token with its blank at the end; the last of one with it at the beginning."""
        return np.where(self._shared.begins_with_blank[part.ids], last, first)

    def _starts(self, codes: IdArray, begins: IdArray) -> BoolArray:
        """Whether a row begins at each character."""
        space: BoolArray = self._is_space[codes]
        end: BoolArray = self._is_end[codes]
        after_space = np.append(self._after_space, space[:-1])
        fresh = np.append(self._after_end, end[:-1])
        fresh[begins] = True
        # Words, or parts of one, before each character; and before the line or unit that it is in.
        words = np.append(0, np.cumsum(~space)) + self._after_word
        before = np.maximum.accumulate(np.where(fresh, words[:-1], 0))
        after_word = words[:-1] > before
        self._after_space, self._after_end = bool(space[-1]), bool(end[-1])
        self._after_word = bool(words[-1] > before[-1])
        if self._with_next:
            return np.asarray(fresh | (space & ~after_space))
        return np.asarray(fresh | (after_word & ((~space & after_space) | end)))


class RowSums:
    """Adds up the tokens of each row, for one model; a row may go on from part to part."""

    def __init__(
        self, unigram_bits: Float64Array | None, *, texts: bool, shared: SharedTokens | None
    ) -> None:
        """
        Args:
            unigram_bits: of each id, (V,), to be added up; None: the sums are infinite.
            texts: keep the text of each row.
            shared: the tokens that may belong to two words.
        """
        self._unigram_bits = unigram_bits
        self._texts = texts
        self._shared = shared
        self._open: RowSum | None = None

    def add(self, part: Part, segments: Segments, block: ScoredBlock) -> list[RowSum]:
        """The rows that end in the next part."""
        rows = self._rows_of(part, segments, block)
        if self._open is None:
            del rows[0]
        else:
            rows[0] = _added(self._open, rows[0])
        self._open = None
        if rows and not len(part.unit_ends):
            self._open = rows.pop()
            if len(self._open.text) > LONGEST_WORD:
                rows.append(self._open)
                self._open = RowSum(self._open.unit, "", 0, 0, 0, 0.0, 0.0, None)
        return [row for row in rows if row.characters or row.tokens]

    def _rows_of(self, part: Part, segments: Segments, block: ScoredBlock) -> list[RowSum]:
        """The sums over this part of row 0, which may be nothing, and of those that begin here."""
        count = len(segments.starts) + 1
        first, last = segments.first, segments.last
        shares = _first_shares(segments, block)
        nats = _sums_of(first, count, shares) + _sums_of(last, count, block.nats - shares)
        home = first
        if self._shared is not None:
            home = np.where(self._shared.spells_last[part.ids], last, first)
        bounds = [0, *segments.starts.tolist(), len(part.text)]
        spans = list(pairwise(bounds))
        unigram = [np.inf] * count
        if self._unigram_bits is not None:
            unigram = _sums_of(home, count, self._unigram_bits[part.ids]).tolist()
        return [
            RowSum(*row)
            for row in zip(
                [0, *segments.units.tolist()],
                [part.text[begin:end] for begin, end in spans] if self._texts else [""] * count,
                [end - begin for begin, end in spans],
                np.bincount(home, minlength=count).tolist(),
                np.bincount(home[part.unknown], minlength=count).tolist(),
                nats.tolist(),
                unigram,
                _entropies(segments, block),
                strict=True,
            )
        ]


def _rows_at(starts: IdArray, part: Part) -> IdArray:
    """The row in which each token of a part begins."""
    assert part.offsets is not None
    return np.searchsorted(starts, part.offsets, side="right")


def _sums_of(rows: IdArray, count: int, values: Float64Array) -> Float64Array:
    """The sums of the values of each row, (count,)."""
    return np.bincount(rows, values, count).astype(np.float64, copy=False)


def _first_shares(segments: Segments, block: ScoredBlock) -> Float64Array:
    """The nats of each token that belong to the row in which it begins, (N,); the rest goes to its last."""
    if block.measured is None:
        return block.nats
    share = np.clip(block.measured[:, 1], 0, block.nats)
    return np.where(segments.first == segments.last, block.nats, share)


def _entropies(segments: Segments, block: ScoredBlock) -> Sequence[float | None]:
    """The entropy at the first token of each row; None without one."""
    if block.measured is None:
        return [None] * (len(segments.starts) + 1)
    values = np.append(block.measured[:, 0], np.nan)[segments.begins]
    return [None if np.isnan(value) else value for value in values.tolist()]


def _added(begun: RowSum, rest: RowSum) -> RowSum:
    """A row that goes on in the next part."""
    return RowSum(
        begun.unit,
        begun.text + rest.text,
        begun.characters + rest.characters,
        begun.tokens + rest.tokens,
        begun.unknown + rest.unknown,
        begun.nats + rest.nats,
        begun.unigram_bits + rest.unigram_bits,
        rest.entropy_bits if begun.entropy_bits is None else begun.entropy_bits,
    )


@cache
def _white_space(ends: str) -> BoolArray:
    """Whether each code point is white space; the ends of units are."""
    is_space = np.zeros(CODE_POINTS, np.bool_)
    is_space[[code for code in range(WHITE_SPACE_BELOW) if chr(code).isspace()]] = True
    is_space[code_points(ends)] = True
    return is_space
