"""
How often tokens followed contexts, counted while a text is read.

For each context h and token w there are two counts: c(h w), how often w followed h; and a(h w), after how
many different tokens h w was seen, the continuation count that lower orders of Kneser-Ney smoothing use. Of
all tokens that followed h there are kept, for either count, its sum and how many tokens reached 1, 2 and 3:
that is all that modified Kneser-Ney smoothing needs (smoothing.py).

A block of tokens is counted at once, yet every token sees the counts of all tokens before it and none after:
occurrences of one key in the block are numbered by a stable sort.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lmgen.arrays import BoolArray, IdArray, Int64Array
from lmgen.models.ngram.growing.hash_table import HashTable, KeyArray, grown, mixed

PLAIN, CONTINUATION = 0, 1
KINDS = 2

REACHED = 3
"""Of a context's followers those are counted that reached a count of 1, 2, ... REACHED."""

STEPS = 5
"""In all of a table those that reached a count of 1, ... STEPS: discounts need the first four."""

CountArray = npt.NDArray[np.signedinteger[Any]]
"""Counts: exact in whatever integers they are."""

_RADIX = np.uint64(0xD6E8FEB86659FD93)
_STEPS = np.arange(STEPS)[:, None, None]


class Seen(NamedTuple):
    """
    The counts of one kind, of F contexts, before each of T tokens or for all that may come next.

    The latter may be of S streams side by side: (F, S, V) stands for (F, T), and (F, S, 1) for (F, 1).
    """

    follower: CountArray
    """c or a of context and token, (F, T)."""
    total: CountArray
    """Sum over all tokens that followed the context, (F, T) or (F, 1)."""
    reached: CountArray
    """Followers of the context whose count reached 1 .. REACHED, (REACHED, F, T) or (REACHED, F, 1)."""
    everywhere: CountArray
    """Followers of all contexts of that length that reached 1 .. STEPS, (STEPS, F, T) or (STEPS, F, 1)."""


@dataclass(slots=True, eq=False)
class CountTable:
    """All counts of a text."""

    reached: Int64Array
    """For each kind and context, how many followers reached a count of 1 .. STEPS, (KINDS, STEPS, F)."""
    contexts: HashTable = field(default_factory=HashTable)
    followers: HashTable = field(default_factory=HashTable)
    of_context: npt.NDArray[np.int32] = field(
        default_factory=lambda: np.zeros((1, KINDS, 1 + REACHED), np.int32)
    )
    """By row of `contexts`: for each kind the total and the numbers that reached 1 .. REACHED."""
    of_follower: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((1, KINDS), np.int32))
    """By row of `followers`: the count of each kind."""

    @classmethod
    def empty(cls, contexts: int) -> "CountTable":
        """Of nothing, for F = `contexts` contexts of each token."""
        return cls(np.zeros((KINDS, STEPS, contexts), np.int64))


def follower_keys(contexts: KeyArray, ids: IdArray) -> KeyArray:
    """The key of each context with a token after it."""
    return mixed(contexts * _RADIX + ids.astype(np.uint64) + np.uint64(1))


def seen_so_far(tables: Sequence[CountTable], contexts: KeyArray, vocabulary_size: int) -> list[Seen]:
    """
    The counts of each kind for all V tokens that may come next, summed over tables.

    Args:
        tables: that of the training text, and that of the text that is read.
        contexts: the keys of the contexts, (F,), or of those of S streams, (F, S).
        vocabulary_size: V.
    """
    keys = follower_keys(contexts[..., None], np.arange(vocabulary_size))
    follower: Any = sum(table.of_follower[table.followers.find(keys)] for table in tables)
    of_context: Any = sum(table.of_context[table.contexts.find(contexts)] for table in tables)
    everywhere: Any = sum(table.reached for table in tables)
    return [
        Seen(
            follower[..., kind],
            of_context[..., kind, :1],
            np.moveaxis(of_context[..., kind, 1:], -1, 0)[..., None],
            everywhere[kind].reshape(STEPS, -1, *(1,) * contexts.ndim),
        )
        for kind in range(KINDS)
    ]


def with_block(before: Seen, block: Seen, contexts: KeyArray, ids: IdArray, counted: BoolArray) -> Seen:
    """
    The counts of one kind for all V tokens that may come, before each of the T tokens of a block.

    Args:
        before: those before the block, (F, T, V).
        block: those of the tokens that come, before each, (F, T).
        contexts: keys of the contexts before each token, (F, T).
        ids: the tokens, (T,).
        counted: which of them are counted, (F, T).
    """
    T = len(ids)
    follower = before.follower.copy()
    earlier = np.tri(T, k=-1, dtype=np.bool_)
    same = (contexts[:, :, None] == contexts[:, None, :]) & earlier & counted[:, None, :]
    context, place, came = np.nonzero(same)
    np.add.at(follower, (context, place, ids[came]), 1)
    return Seen(follower, block.total[..., None], block.reached[..., None], block.everywhere[..., None])


class Block:
    """Consecutive tokens of a text with their contexts, to be counted in the last table."""

    def __init__(self, tables: Sequence[CountTable], contexts: KeyArray, ids: IdArray) -> None:
        """
        Args:
            tables: that of the training text, if any, and that of the text that is read.
            contexts: the keys of the contexts before each token, (F, T).
            ids: the tokens, (T,).
        """
        self._tables = tables
        self._contexts, self._followers = _Groups(contexts), _Groups(follower_keys(contexts, ids))
        own = tables[-1]
        self._context_rows = own.contexts.add(self._contexts.keys)
        self._follower_rows = own.followers.add(self._followers.keys)
        own.of_context = grown(own.of_context, len(own.contexts))
        own.of_follower = grown(own.of_follower, len(own.followers))
        self._earlier = [
            (
                table,
                table.contexts.find(self._contexts.keys),
                table.followers.find(self._followers.keys),
            )
            for table in tables[:-1]
        ]

    def count(self, kind: int, counted: BoolArray) -> Seen:
        """The counts of one kind before each token, while those are added that are `counted`, (F, T)."""
        own = self._tables[-1]
        of_follower = own.of_follower[self._follower_rows, kind]
        of_context = own.of_context[self._context_rows, kind]
        for table, context_rows, follower_rows in self._earlier:
            of_follower = of_follower + table.of_follower[follower_rows, kind]
            of_context = of_context + table.of_context[context_rows, kind]
        follower, added = self._followers.running(of_follower, counted)
        own.of_follower[self._follower_rows, kind] += added
        crossed = counted & (follower == _STEPS)  # (STEPS, F, T): reaches 1, 2, ... now
        both = np.concatenate([counted[None], crossed[:REACHED]])  # (1 + REACHED, F, T)
        in_context, added = self._contexts.running(of_context.T, both)
        own.of_context[self._context_rows, kind] += added.T
        everywhere = np.cumsum(crossed, axis=-1, dtype=np.int32)
        in_block = everywhere[..., -1].copy()
        everywhere -= crossed
        for table in self._tables:
            everywhere += table.reached[kind][..., None].astype(np.int32)
        own.reached[kind] += in_block
        return Seen(follower, in_context[0], in_context[1:], everywhere)


class _Groups:
    """Places of equal keys among keys of one or more dimensions, (...)."""

    def __init__(self, keys: KeyArray) -> None:
        self._shape = keys.shape
        flat = keys.ravel()
        places = np.arange(len(flat), dtype=np.uint64)
        low = np.uint64((1 << len(flat).bit_length()) - 1)
        # A key's upper bits and its place in one number: a plain sort is many times faster than a stable one.
        self._order = (np.sort((flat & ~low) | places) & low).astype(np.int64)
        ordered = flat[self._order]
        begins = np.append(True, ordered[1:] != ordered[:-1])[: len(flat)]
        first = np.flatnonzero(begins)
        self._ends = np.append(first[1:], len(flat)) - 1
        self._numbers = np.cumsum(begins) - 1
        self._places = np.empty_like(self._order)
        self._places[self._order] = places
        self.keys = ordered[first]
        """The distinct keys, (G,)."""

    def running(self, begun: CountArray, values: BoolArray) -> tuple[CountArray, CountArray]:
        """
        Sums that run through the places of each distinct key.

        Args:
            begun: what each key's sum begins with, (..., G).
            values: what is added at each place, (..., *shape).

        Returns:
            The sum before each place, (..., *shape); and what was added in all to that of each key, (..., G).
        """
        outer = values.shape[: values.ndim - len(self._shape)]
        ordered = np.take(values.reshape(*outer, -1), self._order, axis=-1)
        sums = np.cumsum(ordered, axis=-1, dtype=np.int32)
        ends = sums[..., self._ends]
        added = np.diff(ends, axis=-1, prepend=np.int32(0))
        sums -= ordered
        sums += np.take(begun - (ends - added), self._numbers, axis=-1)
        return np.take(sums, self._places, axis=-1).reshape(values.shape), added
