"""
Several texts under one model side by side, their tokens in blocks that fit into memory.

    streams of ids, longest first          blocks, (T, B)          scores

    a b c d e f g                          a b | c d | e f | g
    h i j k                         ──►    h i | j k |       |     ──►  a `ScoredBlock` for each stream
    l m n                                  l m | n · |       |

T and B are as large as memory for the numbers that a model holds at once allows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lmgen.arrays import BoolArray, Float64Array, FloatArray, IdArray, Int64Array, in_short
from lmgen.models.base import LanguageModel, State, nats_of, score_width
from lmgen.processors import stop_if_abandoned

Number = TypeVar("Number", bound=np.generic)

BLOCK_TOKENS = 4096
"""The most tokens, of all streams together, that a model is given at once (T * B)."""

BLOCK_FLOATS = 4_000_000
"""The most numbers that a model may have to hold at once (T * B * V, if it compares all tokens)."""

Measure = Callable[[FloatArray, IdArray], Float64Array]
"""
Gives K numbers on each of B next tokens, (B, K), from all their log-probabilities.

It is called with the log-probabilities of all V tokens, (B, V), and the ids of the tokens that follow, (B,).
"""


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """Consecutive tokens of a text with their scores, each array (N,)."""

    ids: IdArray
    nats: Float64Array
    """Negative log-probability of each token given all before it."""
    measured: Float64Array | None = None
    """What was measured of each token, (N, K); NaN where it was not."""
    matched: Int64Array | None = None
    """Length of the longest n-gram that the model has at each token, (N,); None if it has no n-grams."""

    __repr__ = in_short

    def part(self, first: int, end: int) -> "ScoredBlock":
        """Its tokens from `first` up to but not including `end`."""
        return self._at(slice(first, end))

    def only(self, chosen: BoolArray) -> "ScoredBlock":
        """The chosen ones of its tokens, (N,)."""
        return self._at(chosen)

    def _at(self, places: slice | BoolArray) -> "ScoredBlock":
        return ScoredBlock(
            self.ids[places],
            self.nats[places],
            None if self.measured is None else self.measured[places],
            None if self.matched is None else self.matched[places],
        )


def rank(predicted: FloatArray, ids: IdArray) -> Float64Array:
    """A `Measure`: 1 for the most likely token, (B, 1); equally likely tokens share the better rank."""
    chosen = predicted[np.arange(len(ids)), ids]
    likelier: Float64Array = (predicted > chosen[:, None]).sum(axis=1, keepdims=True, dtype=np.float64)
    return likelier + 1


def joined(blocks: Sequence[ScoredBlock]) -> ScoredBlock:
    """Blocks of one model, at least one, as one block."""
    if len(blocks) == 1:
        return blocks[0]
    measured = [block.measured for block in blocks if block.measured is not None]
    matched = [block.matched for block in blocks if block.matched is not None]
    return ScoredBlock(
        np.concatenate([block.ids for block in blocks]),
        np.concatenate([block.nats for block in blocks]),
        np.concatenate(measured) if measured else None,
        np.concatenate(matched) if matched else None,
    )


def most_streams(model: LanguageModel, measure: Measure | None, best: int) -> int:
    """The best number, or fewer if one step would be too many numbers; 1 if read in order."""
    return 1 if model.reads_in_order else max(min(best, BLOCK_FLOATS // _width(model, measure)), 1)


def _width(model: LanguageModel, measure: Measure | None) -> int:
    """Numbers that scoring holds for each token: what is measured is measured of all log-probabilities."""
    return score_width(model) if measure is None else model.vocabulary_size


def score_side_by_side(
    model: LanguageModel,
    state: State,
    streams: Sequence[IdArray],
    measure: Measure | None = None,
    marked: Sequence[BoolArray] | None = None,
) -> tuple[list[ScoredBlock], State]:
    """
    Score B streams at once, T tokens of each at a time.

    Args:
        model: any language model.
        state: of the B streams, each before its first token.
        streams: the ids of each, longest first. A stream that ends is padded to the end of the T tokens,
            then dropped.
        measure: what to measure, too.
        marked: the tokens of each stream to measure; None: all.

    Returns:
        The scores of each stream, and the state after the longest ones.
    """
    lengths = np.array([len(stream) for stream in streams])
    shape = (int(lengths[0]), len(streams))
    nats = np.zeros(shape)
    measured: list[Float64Array] = []  # (T, B, K) each
    matched: list[Int64Array] = []  # (T, B) each
    ngrams = None if measure is None else model.as_ngrams()
    steps = max(min(BLOCK_TOKENS, BLOCK_FLOATS // _width(model, measure)) // len(streams), 1)
    running = len(streams)
    for first in range(0, len(nats), steps):
        stop_if_abandoned()
        going_on = int((lengths > first).sum())
        if going_on < running:
            running = going_on
            state = model.select(state, range(running))
        block = _padded([stream[first : first + steps] for stream in streams[:running]])  # (T, B)
        part = np.s_[first : first + len(block), :running]
        if measure is None:
            log_probabilities, state = model.score(state, block)
            nats[part] = nats_of(log_probabilities)
            continue
        if ngrams is not None:
            matched.append(_as_wide(ngrams.matched(state, block), len(streams)))
        chosen = None
        if marked is not None:
            chosen = _padded([each[first : first + steps] for each in marked[:running]]).astype(np.bool_)
        nats[part], numbers, state = _measure(model, state, block, measure, chosen)
        measured.append(_as_wide(numbers, len(streams)))
    numbers_of_all = np.concatenate(measured) if measured else None
    lengths_of_all = np.concatenate(matched) if matched else None
    blocks = [
        ScoredBlock(
            ids,
            nats[: len(ids), stream],
            None if numbers_of_all is None else numbers_of_all[: len(ids), stream],
            None if lengths_of_all is None else lengths_of_all[: len(ids), stream],
        )
        for stream, ids in enumerate(streams)
    ]
    return blocks, state


def _measure(
    model: LanguageModel, state: State, ids: IdArray, measure: Measure, marked: BoolArray | None
) -> tuple[Float64Array, Float64Array, State]:
    """Nats of each of `ids`, (T, B), what is measured of those that are marked, (T, B, K), and the state."""
    nats = np.zeros(ids.shape)
    numbers: list[Float64Array] = []
    for step, row in enumerate(ids):
        if marked is None:
            predicted = model.predict(state)  # (B, V)
            nats[step] = nats_of(predicted[np.arange(len(row)), row])
            numbers.append(measure(predicted, row))
            state = model.advance(state, row[None])
            continue
        chosen = np.flatnonzero(marked[step])
        values = measure(_predict_some(model, state, chosen, len(row)), row[chosen])  # (B', K)
        numbers.append(np.full((len(row), values.shape[1]), np.nan))
        numbers[-1][chosen] = values
        log_probabilities, state = model.score(state, row[None])
        nats[step] = nats_of(log_probabilities[0])
    return nats, np.stack(numbers), state


def _predict_some(model: LanguageModel, state: State, chosen: IdArray, streams: int) -> FloatArray:
    """Log-probabilities of the next token of the chosen ones of B streams, (B', V)."""
    if not len(chosen):
        return np.empty((0, model.vocabulary_size))
    return model.predict(state if len(chosen) == streams else model.select(state, chosen.tolist()))


def _as_wide(values: npt.NDArray[Number], streams: int) -> npt.NDArray[Number]:
    """Values of the first streams, (T, B', ...), with zeros for the others, (T, B, ...)."""
    wide = np.zeros((len(values), streams, *values.shape[2:]), values.dtype)
    wide[:, : values.shape[1]] = values
    return wide


def advance(model: LanguageModel, state: State, ids: IdArray) -> State:
    """The state after reading `ids`, (T, B), a bounded number of them at a time."""
    steps = max(BLOCK_TOKENS // ids.shape[1], 1)
    for first in range(0, len(ids), steps):
        state = model.advance(state, ids[first : first + steps])
    return state


def _padded(streams: Sequence[IdArray] | Sequence[BoolArray]) -> Int64Array:
    """Streams as the columns of one array, (T, B), T the longest's length; others are padded with 0."""
    block = np.zeros((len(streams[0]), len(streams)), np.int64)
    for stream, ids in enumerate(streams):
        block[: len(ids), stream] = ids
    return block
