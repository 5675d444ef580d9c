"""
How often tokens followed contexts, counted while a text is read.

For each context h and token w there are two counts: c(h w), how often w followed h; and a(h w), after how many
different tokens h w was seen, the continuation count that lower orders of Kneser-Ney smoothing use. Of all
tokens that followed h there are kept, for either count, its sum and how many tokens reached 1, 2 and 3: that
is all that the discounts of `modified` Kneser-Ney need (smoothing.py).

A block of tokens is counted at once, yet every token sees the counts of all tokens before it and none after:
occurrences of one key in the block are numbered by a stable sort.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lmgen.arrays import BoolArray, IdArray, Int64Array
from lmgen.models.ngram.growing.hash_table import HashTable, KeyArray, grown, mixed

PLAIN, CONTINUATION = 0, 1
KINDS = 2

REACHED = 3
"""Of a context's followers those are counted that reached a count of 1, 2, ... REACHED."""

STEPS = 5
"""In all of a table those that reached a count of 1, ... STEPS: discounts need the first four."""

_RADIX = np.uint64(0xD6E8FEB86659FD93)


class Seen(NamedTuple):
    """The counts of one kind before each of some tokens, or of all tokens that may follow some contexts."""

    follower: Int64Array
    """c or a of context and token."""
    total: Int64Array
    """Sum over all tokens that followed the context."""
    reached: Int64Array
    """Followers of the context whose count reached 1 .. REACHED, (REACHED, ...)."""
    table: Int64Array
    """Followers in the whole table that reached 1 .. STEPS, (STEPS, ...)."""


@dataclass(slots=True, eq=False)
class CountTable:
    """The counts of one context length, as far as one owner counted them."""

    contexts: HashTable = field(default_factory=HashTable)
    followers: HashTable = field(default_factory=HashTable)
    of_context: Int64Array = field(default_factory=lambda: np.zeros((1, KINDS, 1 + REACHED), np.int32))
    """By row of `contexts`: for each kind the total and the numbers that reached 1 .. REACHED."""
    of_follower: Int64Array = field(default_factory=lambda: np.zeros((1, KINDS), np.int32))
    """By row of `followers`: the count of each kind."""
    reached: Int64Array = field(default_factory=lambda: np.zeros((KINDS, STEPS), np.int64))
    """For each kind, how many followers reached a count of 1 .. STEPS."""


def follower_keys(contexts: KeyArray, ids: IdArray) -> KeyArray:
    """The key of each context with a token after it."""
    return mixed(contexts * _RADIX + ids.astype(np.uint64) + np.uint64(1))


def seen_before(tables: list[CountTable], contexts: KeyArray, ids: IdArray, kind: int) -> Seen:
    """
    The counts of one kind for tokens after contexts, summed over tables.

    Args:
        tables: that of the training text, and that of the text that is read.
        contexts: keys, of any shape that broadcasts with `ids`.
        ids: tokens.
        kind: PLAIN or CONTINUATION.
    """
    keys = follower_keys(contexts, ids)
    follower = sum(table.of_follower[table.followers.find(keys), kind] for table in tables)
    sums = sum(table.of_context[table.contexts.find(contexts), kind] for table in tables)
    total, *reached = np.moveaxis(np.asarray(sums, np.int64), -1, 0)
    everywhere = sum(table.reached[kind] for table in tables)
    return Seen(np.asarray(follower, np.int64), total, np.stack(reached), np.asarray(everywhere))


class Block:
    """Consecutive tokens of a text with their contexts of one length, to be counted in the last table."""

    def __init__(self, tables: list[CountTable], contexts: KeyArray, ids: IdArray) -> None:
        """
        Args:
            tables: that of the training text, if any, and that of the text that is read.
            contexts: the key of the context before each token, (T,).
            ids: the tokens, (T,).
        """
        self._tables = tables
        self._contexts, self._followers = _Groups(contexts), _Groups(follower_keys(contexts, ids))
        own = tables[-1]
        self._context_rows = own.contexts.add(self._contexts.keys)
        self._follower_rows = own.followers.add(self._followers.keys)
        own.of_context = grown(own.of_context, len(own.contexts))
        own.of_follower = grown(own.of_follower, len(own.followers))

    def count(self, kind: int, counted: BoolArray) -> Seen:
        """The counts of one kind before each token, (T,), while those tokens are added that are `counted`."""
        *others, own = self._tables
        of_follower = own.of_follower[self._follower_rows, kind]
        of_context = own.of_context[self._context_rows, kind]
        for table in others:
            of_follower = of_follower + table.of_follower[table.followers.find(self._followers.keys), kind]
            of_context = of_context + table.of_context[table.contexts.find(self._contexts.keys), kind]
        follower = self._followers.at_each(of_follower) + self._followers.earlier(counted)
        crossed = counted & (follower == np.arange(STEPS)[:, None])  # (STEPS, T): reaches 1, 2, ... now
        added = np.stack([counted, *crossed[:REACHED]])  # (1 + REACHED, T)
        total, *reached = self._contexts.at_each(of_context.T) + self._contexts.earlier(added)
        before = sum(table.reached[kind] for table in self._tables)
        own.of_follower[self._follower_rows, kind] += self._followers.sums(counted)
        own.of_context[self._context_rows, kind] += self._contexts.sums(added).T
        own.reached[kind] += crossed.sum(axis=1)
        everywhere = before[:, None] + np.cumsum(crossed, axis=1) - crossed
        return Seen(follower, total, np.stack(reached), everywhere)


class _Groups:
    """Places of equal keys among T keys."""

    def __init__(self, keys: KeyArray) -> None:
        places = np.arange(len(keys), dtype=np.uint64)
        low = np.uint64((1 << len(keys).bit_length()) - 1)
        # A key's upper bits and its place in one number: a plain sort is several times faster than a stable one.
        self._order = (np.sort((keys & ~low) | places) & low).astype(np.int64)
        ordered = keys[self._order]
        begins = np.append(True, ordered[1:] != ordered[:-1])[: len(keys)]
        self._begins = np.flatnonzero(begins)
        self._numbers = np.cumsum(begins) - 1
        self.keys = ordered[self._begins]
        """The distinct keys, (G,)."""

    def at_each(self, values: Int64Array) -> Int64Array:
        """A value of each distinct key, (..., G), at the places that have it, (..., T)."""
        found = np.empty((*values.shape[:-1], len(self._order)), np.int64)
        found[..., self._order] = values[..., self._numbers]
        return found

    def earlier(self, values: BoolArray) -> Int64Array:
        """For each place the sum of `values`, (..., T), over earlier places with its key."""
        ordered = values[..., self._order]
        sums = np.cumsum(ordered, axis=-1) - ordered
        found = np.empty_like(sums)
        found[..., self._order] = sums - sums[..., self._begins][..., self._numbers]
        return found

    def sums(self, values: BoolArray) -> Int64Array:
        """The sum of `values`, (..., T), over the places of each distinct key, (..., G)."""
        return np.add.reduceat(values[..., self._order], self._begins, axis=-1, dtype=np.int64)
