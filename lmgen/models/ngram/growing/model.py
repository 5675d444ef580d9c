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

from lmgen.arrays import Float64Array, IdArray
from lmgen.models.ngram.growing.contexts import Contexts, Place
from lmgen.models.ngram.growing.counts import CONTINUATION, PLAIN, Block, CountTable, Seen, seen_before
from lmgen.models.ngram.growing.smoothing import interpolated

BLOCK = 4096
"""The most tokens that are counted at once."""

SHORTEST = 2
"""Length of the shortest context with an opinion of its own, if the order allows it."""

WORDS_OVER = 5
"""Length of the context whose opinion those of words are smoothed with."""

FAMILIAR = 4.0
"""Logarithms of how often contexts were seen are divided by this, so that they are about 1."""


class Opinions(NamedTuple):
    """What a member of a gated mixture says of next tokens."""

    probabilities: Float64Array
    """Of K experts, (..., K)."""
    signals: Float64Array
    """What tells how far to trust them, (..., F), known before the token; numbers about 0 to 2."""


@dataclass(slots=True, eq=False)
class _Counted:
    """What one stream has read, in place."""

    tables: list[CountTable]
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
        self._training: list[CountTable] | None = None
        if training is not None and len(training):
            [state] = self.start(1)
            for _, state in self._read(state, training):
                pass
            self._training = state.counted.tables

    @property
    def experts(self) -> int:
        """K: opinions on each token."""
        return self.contexts.count - self._shortest

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

    def score(
        self, state: Sequence[StreamState], ids: IdArray
    ) -> tuple[Opinions, tuple[StreamState, ...]]:
        """On each of `ids`, (T, B): (T, B, K) and signals (T, B, F); the state after them."""
        each, after = [], []
        for stream, column in zip(state, ids.T, strict=True):
            blocks = [Opinions(np.zeros((0, self.experts)), np.zeros((0, self.signals)))]
            for seen, stream in self._read(stream, column):
                blocks.append(self._opinions(seen))
            each.append(Opinions(*map(np.concatenate, zip(*blocks, strict=True))))
            after.append(stream)
        return Opinions(*(np.stack(parts, axis=1) for parts in zip(*each, strict=True))), tuple(after)

    def advance(self, state: Sequence[StreamState], ids: IdArray) -> tuple[StreamState, ...]:
        """The state after reading `ids`, (T, B)."""
        after = []
        for stream, column in zip(state, ids.T, strict=True):
            for _, stream in self._read(stream, column):
                pass
            after.append(stream)
        return tuple(after)

    @property
    def _shortest(self) -> int:
        return min(SHORTEST, self.contexts.order - 1)

    def _nothing(self) -> _Counted:
        return _Counted([CountTable() for _ in range(self.contexts.count)])

    def _tables(self, counted: _Counted) -> list[list[CountTable]]:
        """For each context the tables whose counts are added up."""
        own = [[table] for table in counted.tables]
        if self._training is None:
            return own
        return [[first, *rest] for first, rest in zip(self._training, own, strict=True)]

    def _current(self, stream: StreamState) -> StreamState:
        """The same state, with counts of its own if a later state has gone on with them."""
        counted = stream.counted
        if counted.tokens == stream.tokens:
            return stream
        read = np.concatenate(counted.blocks)[: stream.tokens]
        [again] = self.start(1)
        for _, again in self._read(again, read):
            pass
        return replace(again, place=stream.place)

    def _read(self, stream: StreamState, ids: IdArray) -> Iterator[tuple["_SeenOf", StreamState]]:
        """Count tokens, (T,), block by block."""
        stream = self._current(stream)
        for first in range(0, len(ids), BLOCK):
            block = np.array(ids[first : first + BLOCK], np.int64)
            keys, place = self.contexts.keys(stream.place, block)
            counted = stream.counted
            blocks = [
                Block(tables, each[:-1], block)
                for tables, each in zip(self._tables(counted), keys, strict=True)
            ]
            seen = self._count(blocks, len(block))
            counted.blocks.append(block)
            counted.tokens += len(block)
            stream = StreamState(counted, counted.tokens, place)
            yield seen, stream

    def _count(self, blocks: list[Block], tokens: int) -> "_SeenOf":
        """Count the tokens of a block after each of their contexts."""
        every = np.ones(tokens, np.bool_)
        order = self.contexts.order
        plain = {n: blocks[n].count(PLAIN, every) for n in range(self._shortest, len(blocks))}
        continuation = {}
        novel = plain[order - 1].follower == 0
        for n in reversed(range(order - 1)):
            continuation[n] = blocks[n].count(CONTINUATION, novel)
            novel = (plain[n] if n in plain else blocks[n].count(PLAIN, every)).follower == 0
        return _SeenOf(plain, continuation)

    def _opinions_on_all(self, stream: StreamState) -> Opinions:
        """On all V tokens, (V, K), and signals (F,)."""
        keys, _ = self.contexts.keys(stream.place, np.zeros(0, np.int64))
        ids = np.arange(self.vocabulary_size)
        tables = self._tables(stream.counted)
        lengths = self.contexts.order - 1
        plain = {
            n: seen_before(tables[n], keys[n], ids, PLAIN)
            for n in range(self._shortest, self.contexts.count)
        }
        continuation = {n: seen_before(tables[n], keys[n], ids, CONTINUATION) for n in range(lengths)}
        opinions = self._opinions(_SeenOf(plain, continuation))
        return Opinions(opinions.probabilities, opinions.signals[0])

    def _opinions(self, seen: "_SeenOf") -> Opinions:
        """Smooth counts, lengths first, then words."""
        lower = np.full(seen.plain[self.contexts.order - 1].follower.shape, 1 / self.vocabulary_size)
        found = []
        for n in range(self.contexts.order):
            if n in seen.plain:
                found.append(interpolated(seen.plain[n], lower))
            if n in seen.continuation:
                lower = interpolated(seen.continuation[n], lower)
        over = found[min(WORDS_OVER, self.contexts.order - 1) - self._shortest]
        for n in range(self.contexts.order, self.contexts.count):
            over = interpolated(seen.plain[n], over)
            found.append(over)
        often = [np.log1p(counts.total) / FAMILIAR for counts in seen.plain.values()]
        shape = found[0].shape
        return Opinions(
            np.stack(found, axis=-1), np.stack([np.broadcast_to(each, shape) for each in often], axis=-1)
        )


@dataclass(frozen=True, slots=True, eq=False)
class _SeenOf:
    """The counts of each context, by its number, in their order."""

    plain: dict[int, Seen]
    continuation: dict[int, Seen]
