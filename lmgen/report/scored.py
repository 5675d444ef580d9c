"""Every token of a text under a network and its n-gram model: surprisal, rank and best guesses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, FloatArray, IdArray, Int64Array, in_short
from lmgen.errors import CorpusError
from lmgen.evaluation.side_by_side import Measure, joined, rank
from lmgen.evaluation.units import Part, UnitReader, UnknownTokens, score_parts
from lmgen.models.base import LanguageModel
from lmgen.report.subject import Piece
from lmgen.text.reading import read_stream
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer

GUESSES = 5
"""How many of the likeliest tokens are kept at each place."""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The tokens of a text, each array (N,)."""

    text: str
    """As it is shown: a line end in the place of each end of a record."""
    ids: Int64Array
    offsets: Int64Array
    """Where each begins, in characters."""
    units: Int64Array
    """The number of the unit that each is in, from 0."""
    scored: BoolArray
    """Whether it is scored: all are, unless only answers are."""

    __repr__ = in_short

    @property
    def ends(self) -> Int64Array:
        """Where each ends, in characters; of the bytes of a character all but the last are empty."""
        return np.append(self.offsets[1:], len(self.text))


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What one model makes of the tokens of a text."""

    model: str
    nats: Float64Array
    """(N,)."""
    ranks: Int64Array
    """1 if no token was likelier, (N,)."""
    guesses: Int64Array
    """The likeliest tokens, best first, (N, G)."""
    chances: Float64Array
    """Their probabilities, (N, G)."""

    __repr__ = in_short


def read_tokens(piece: Piece, tokenizer: Tokenizer) -> tuple[Tokens, list[Part]]:
    """
    Cut a text into tokens; returns them, and the parts in which models score them.

    Raises:
        CorpusError: there are none.
    """
    reader = UnitReader(tokenizer, tokenizer.unit, UnknownTokens(), offsets=True)
    chunks = piece.text.in_units(tokenizer.unit).chunks()
    parts = list(reader.parts(read_stream(chunks, tokenizer.reading)))
    ids = np.concatenate([part.ids for part in parts]).astype(np.int64)
    if not len(ids):
        raise CorpusError(f"{piece.text.name} has no tokens; give a text with at least one")
    begins = np.zeros(len(ids), np.int64)
    ends = np.concatenate([first + part.unit_ends for first, part in _placed(parts)]).astype(np.int64)
    np.add.at(begins, ends[ends < len(ids)], 1)
    scored = [np.ones(len(p.ids), np.bool_) if p.scored is None else p.scored.tokens for p in parts]
    tokens = Tokens(
        "".join(part.text for part in parts).replace(UNIT_END, "\n"),
        ids,
        np.concatenate([_offsets(part) for part in parts]),
        np.cumsum(begins),
        np.concatenate(scored),
    )
    return tokens, parts


def predicted_by(model: LanguageModel, parts: Iterable[Part]) -> Predicted:
    """
    Score every token, and find the likeliest ones in its place.

    Raises:
        NumericalError: a score is not a finite number.
    """
    count = min(GUESSES, model.vocabulary_size)
    measure: Measure = partial(_rank_and_guesses, count)
    block = joined(list(score_parts(model, parts, measure=measure)))
    assert block.measured is not None
    ranks, guesses, chances = np.split(block.measured, [1, 1 + count], axis=1)
    return Predicted(
        model.name,
        block.nats,
        ranks[:, 0].astype(np.int64),
        guesses.astype(np.int64),
        np.exp(chances),
    )


def _rank_and_guesses(count: int, predicted: FloatArray, ids: IdArray) -> Float64Array:
    """A `Measure`: the rank, then the likeliest tokens, then their log-probabilities, (B, 1 + 2G)."""
    best = np.argpartition(predicted, -count, axis=1)[:, -count:] if count < predicted.shape[1] else None
    if best is None:
        best = np.broadcast_to(np.arange(count), (len(predicted), count))
    best = np.sort(best, axis=1)  # equally likely ones by their ids
    order = np.argsort(-np.take_along_axis(predicted, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    chances = np.take_along_axis(predicted, best, axis=1)
    return np.concatenate([rank(predicted, ids), best, chances], axis=1, dtype=np.float64)


def _placed(parts: Sequence[Part]) -> list[tuple[int, Part]]:
    """Each part with the number of tokens before it."""
    firsts = np.cumsum([0, *(len(part.ids) for part in parts)])
    return list(zip(firsts.tolist(), parts, strict=False))


def _offsets(part: Part) -> Int64Array:
    """Where the tokens of a part begin in the whole text."""
    assert part.offsets is not None
    return (part.offsets + part.position).astype(np.int64)
