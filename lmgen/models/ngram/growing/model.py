"""
Kneser-Ney models of several orders whose counts include what has just been read.

It is no model by itself but gives several opinions on each token, one for each of its highest orders and
contexts of words, and how often each context was seen: models/gated.py mixes them.

    lengths 0 .. N-1        P of length n: plain counts over the continuation counts of lengths n-1, ..., 0
    words 1 .. 3            plain counts over the opinion of one length, then over one another

A state may be advanced only once without cost: what is counted is counted in place. If an older state is
advanced, what was read before it is counted again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from lmgen.arrays import BoolArray, IdArray
from lmgen.models.ngram.growing.contexts import Contexts, Place
from lmgen.models.ngram.growing.counts import (
    CONTINUATION,
    PLAIN,
    Block,
    CountTable,
    Seen,
    seen_so_far,
    with_block,
)
from lmgen.models.ngram.growing.hash_table import KeyArray
from lmgen.models.ngram.growing.smoothing import smoothed
from lmgen.models.opinions import Opinions

BLOCK = 4096
"""The most tokens that are counted at once."""

SMALL_BLOCK = 32
"""The same where all tokens are wanted that may come before each: work grows with the square."""

SHORTEST = 2
"""Length of the shortest context with an opinion of its own, if the order allows it."""

WORDS_OVER = 5
"""Length of the context whose opinion those of words are smoothed with."""

FAMILIAR = 4.0
"""Logarithms of how often contexts were seen are divided by this, so that they are about 1."""


@dataclass(slots=True, eq=False)
class _Counted:
    """What one stream has read, in place."""

    table: CountTable
    blocks: list[IdArray] = field(default_factory=list)
    tokens: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class StreamState:
    """One stream after some tokens."""

    counted: _Counted
    tokens: int
    """How many tokens of what was counted this state has read."""
    place: Place


class GrowingCounts:
    """The counts of a training text, and of what is read after it."""

    def __init__(self, contexts: Contexts, vocabulary_size: int, training: IdArray | None = None) -> None:
        """
        Args:
            contexts: what is counted.
            vocabulary_size: V.
            training: ids of a text to begin from, (N,); None: nothing has been counted.
        """
        self.contexts = contexts
        self.vocabulary_size = vocabulary_size
        self._training: tuple[CountTable, ...] = ()
        if training is not None and len(training):
            self._training = (self._after(self.start(1)[0], training).counted.table,)

    def begun_after(self, state: Sequence[StreamState]) -> "GrowingCounts":
        """Counts that begin from what the one stream of a state has read."""
        [stream] = state
        found = GrowingCounts(self.contexts, self.vocabulary_size)
        found._training = (*self._training, self._current(stream).counted.table)
        return found

    @property
    def experts(self) -> int:
        """K: opinions on each token."""
        return self.contexts.count - shortest_of(self.contexts.order)

    @property
    def signals(self) -> int:
        """F: numbers that tell how far to trust them."""
        return self.experts

    def start(self, streams: int) -> tuple[StreamState, ...]:
        """The state before the first token of a text, for B streams."""
        return tuple(StreamState(self._nothing(), 0, self.contexts.start()) for _ in range(streams))

    def opinions(self, state: Sequence[StreamState]) -> Opinions:
        """On all tokens that may come next: (B, V, K); signals (B, F)."""
        each = [self._opinions_on_all(self._current(stream)) for stream in state]
        return Opinions(*map(np.stack, zip(*each, strict=True)))

    def score(self, state: Sequence[StreamState], ids: IdArray) -> tuple[Opinions, tuple[StreamState, ...]]:
        """On each of `ids`, (T, B): (T, B, K) and signals (T, B, F); the state after them."""
        each, after = [], []
        for stream, column in zip(state, ids.T, strict=True):
            parts = [Opinions(np.zeros((0, self.experts)), np.zeros((0, self.signals)))]
            reached = stream
            for block in _blocks(column):
                seen, reached = self._read(reached, block)
                parts.append(self._opinions(seen))
            each.append(Opinions(*map(np.concatenate, zip(*parts, strict=True))))
            after.append(reached)
        return Opinions(*(np.stack(parts, axis=1) for parts in zip(*each, strict=True))), tuple(after)

    def opinions_each(
        self, state: Sequence[StreamState], ids: IdArray
    ) -> tuple[Opinions, tuple[StreamState, ...]]:
        """On all tokens before each of `ids`, (T, B): (T, B, V, K), signals (T, B, F); the state after."""
        each, after = [], []
        for stream, column in zip(state, ids.T, strict=True):
            parts = [Opinions(np.zeros((0, self.vocabulary_size, self.experts)), np.zeros((0, self.signals)))]
            reached = stream
            for block in _blocks(column, SMALL_BLOCK):
                seen, reached = self._read_all(reached, block)
                found = self._opinions(seen)
                parts.append(found._replace(signals=found.signals[:, 0]))
            each.append(Opinions(*map(np.concatenate, zip(*parts, strict=True))))
            after.append(reached)
        return Opinions(*(np.stack(parts, axis=1) for parts in zip(*each, strict=True))), tuple(after)

    def follow(self, state: Sequence[StreamState], ids: IdArray) -> tuple[StreamState, ...]:
        """The state after tokens, (T, B), that are context only and are not counted."""
        columns = zip(state, ids.T, strict=True)
        return tuple(replace(each, place=self.contexts.keys(each.place, own)[1]) for each, own in columns)

    def restart(self, state: Sequence[StreamState], streams: int) -> tuple[StreamState, ...]:  # noqa: ARG002
        """The state before the first token of other texts, with what was counted so far."""
        return tuple(replace(each, place=self.contexts.start()) for each in state)

    def select(self, state: Sequence[StreamState], streams: Sequence[int]) -> tuple[StreamState, ...]:
        """The state of the listed streams, in that order; one may be listed twice."""
        return tuple(state[stream] for stream in streams)

    def advance(self, state: Sequence[StreamState], ids: IdArray) -> tuple[StreamState, ...]:
        """The state after reading `ids`, (T, B)."""
        return tuple(self._after(stream, column) for stream, column in zip(state, ids.T, strict=True))

    def _nothing(self) -> _Counted:
        return _Counted(CountTable.empty(self.contexts.count))

    def _current(self, stream: StreamState) -> StreamState:
        """The same state, with counts of its own if a later state has gone on with them."""
        counted = stream.counted
        if counted.tokens == stream.tokens:
            return stream
        read = np.concatenate(counted.blocks)[: stream.tokens]
        return replace(self._after(self.start(1)[0], read), place=stream.place)

    def _after(self, stream: StreamState, ids: IdArray) -> StreamState:
        """A stream after it has read tokens, (T,)."""
        for block in _blocks(ids):
            _, stream = self._read(stream, block)
        return stream

    def _read(self, stream: StreamState, block: IdArray) -> tuple["Both", StreamState]:
        """Count the tokens of a block, (T,)."""
        stream = self._current(stream)
        own = stream.counted
        keys, place = self.contexts.keys(stream.place, block)
        tables = (*self._training, own.table)
        seen = counted(tables, keys[:, :-1], block, self.contexts.order)
        own.blocks.append(block)
        own.tokens += len(block)
        return seen, StreamState(own, own.tokens, place)

    def _read_all(self, stream: StreamState, block: IdArray) -> tuple["Both", StreamState]:
        """Count the tokens of a block, (T,); the counts of all V tokens before each, (F, T, V)."""
        stream = self._current(stream)
        tables = (*self._training, stream.counted.table)
        keys = self.contexts.keys(stream.place, block)[0][:, :-1]
        before = seen_so_far(tables, keys, self.vocabulary_size)
        chosen, after = self._read(stream, block)
        novel = novel_of(chosen.plain, self.contexts.order)
        counted = np.ones_like(novel), novel
        return (
            Both(
                *(
                    with_block(own, seen, keys, block, added)
                    for own, seen, added in zip(before, chosen, counted, strict=True)
                )
            ),
            after,
        )

    def _opinions_on_all(self, stream: StreamState) -> Opinions:
        """On all V tokens, (V, K), and signals (F,)."""
        keys, _ = self.contexts.keys(stream.place, np.zeros(0, np.int64))
        seen = seen_so_far((*self._training, stream.counted.table), keys[:, 0], self.vocabulary_size)
        opinions = self._opinions(Both(seen[PLAIN], seen[CONTINUATION]))
        return Opinions(opinions.probabilities, opinions.signals[0])

    def _opinions(self, seen: "Both") -> Opinions:
        """Of T tokens, (T, K), with signals (T, F) or (1, F)."""
        return opinions_of(seen, self.contexts.order, self.vocabulary_size)


def _blocks(ids: IdArray, size: int = BLOCK) -> Iterator[IdArray]:
    """Tokens, (T,), in blocks that can be counted at once."""
    return (np.array(ids[first : first + size], np.int64) for first in range(0, len(ids), size))


class Both(NamedTuple):
    """Counts of both kinds."""

    plain: Seen
    continuation: Seen


def counted(tables: Sequence[CountTable], keys: KeyArray, ids: IdArray, order: int) -> Both:
    """
    Count tokens, (T,), in the last table; what was counted before each.

    Args:
        tables: those of training texts, and that of the text that is read.
        keys: of the contexts before each token, (F, T).
        ids: the tokens.
        order: N; contexts of N lengths come first.
    """
    counting = Block(tables, keys, ids)
    plain = counting.count(PLAIN, np.ones(keys.shape, np.bool_))
    return Both(plain, counting.count(CONTINUATION, novel_of(plain, order)))


def novel_of(plain: Seen, order: int) -> BoolArray:
    """Which tokens add to the continuation counts of their contexts, (F, T), given their plain counts."""
    novel = np.zeros_like(plain.follower, np.bool_)
    novel[: order - 1] = plain.follower[1:order] == 0  # of the context that is one token longer
    return novel


def opinions_of(seen: Both, order: int, vocabulary_size: int) -> Opinions:
    """
    Opinions on T tokens, (T, K), with signals (T, F) or (1, F): lengths first, then words.

    Of S streams side by side (S, V, K), with signals (S, 1, F).
    """
    plain, continuation = smoothed(seen.plain), smoothed(seen.continuation)
    shortest = shortest_of(order)
    lower = np.full(plain.own.shape[1:], 1 / vocabulary_size)
    found = []
    for n in range(order):
        if n >= shortest:
            found.append(plain.own[n] + plain.left[n] * lower)
        lower = continuation.own[n] + continuation.left[n] * lower
    over = found[min(WORDS_OVER, order - 1) - shortest]
    for n in range(order, len(plain.own)):
        over = plain.own[n] + plain.left[n] * over
        found.append(over)
    often = np.log1p(seen.plain.total[shortest:]) / FAMILIAR
    return Opinions(np.stack(found, axis=-1), np.moveaxis(often, 0, -1))


def shortest_of(order: int) -> int:
    """Length of the shortest context with an opinion of its own."""
    return min(SHORTEST, order - 1)
