"""
The contexts that a growing n-gram model counts followers of, each as a 64-bit key.

    lengths 0 .. N-1      the last n tokens; those of one sentence or unit alone
    words 1 .. 3          the word so far; with the word before it; with the two words before it

Contexts of words are for tokens that are parts of words: characters, bytes, sub-words. What a token adds to
the word so far is a number, so that `The` and `the` can be one word.

Keys of all tokens of a block are computed at once. That of a word so far, v_0 .. v_k, is the polynomial
v_0 r^k + ... + v_k modulo 2^64, which differences of running sums give for every place.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lmgen.arrays import BoolArray, IdArray, Int64Array
from lmgen.models.ngram.growing.hash_table import KeyArray, mixed

WORD_CONTEXTS = 3

NOTHING = -1
"""Stands for a token before the start of a text."""

_ONE, _RADIX = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_RADIX), -1, 1 << 64))


@dataclass(frozen=True, slots=True, eq=False)
class WordRule:
    """How tokens make up words."""

    values: KeyArray
    """What each token adds to the word so far, (V,); 0: nothing."""
    resets: BoolArray
    """Whether the word before ends where a token begins, (V,)."""


class Place(NamedTuple):
    """All that contexts depend on at a place in a text."""

    recent: Int64Array
    """The last N - 1 tokens, at least one, the oldest first; NOTHING before a text or sentence begins."""
    words: tuple[int, int, int]
    """Keys of the word so far and of the two words before; 0 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """The contexts of a model of order N."""

    order: int
    """N; at least 1."""
    sentence_end: int | None
    """The id after which no context goes back; None for a text without such an end."""
    words: WordRule | None = None
    _offsets: KeyArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_offsets", mixed(np.arange(1, self.count + 1, dtype=np.uint64)))

    @property
    def count(self) -> int:
        """F: how many there are at each place."""
        return self.order + (WORD_CONTEXTS if self.words else 0)

    @property
    def _kept(self) -> int:
        """How many of the last tokens a place has: contexts of words begin with the last one at any order."""
        return max(self.order - 1, 1)

    def start(self) -> Place:
        """The place before the first token of a text."""
        return Place(np.full(self._kept, NOTHING), (0, 0, 0))

    def keys(self, place: Place, ids: IdArray) -> tuple[KeyArray, Place]:
        """
        Keys of the contexts before each of the next T tokens and after the last, (F, T + 1); the place there.
        """
        places = len(ids) + 1
        found = np.full((self.count, places), _RADIX)
        seen = np.concatenate([place.recent, ids.astype(np.int64)])
        known = self._known(seen)[self._kept :]  # (T + 1,)
        for n in range(1, self.order):
            first = self._kept - n
            previous = np.where(n <= known, seen[first : first + places], NOTHING)
            found[n] = mixed(found[n - 1] * _RADIX + previous.astype(np.uint64))
        recent = seen[len(ids) :].copy()
        recent[: max(len(recent) - int(known[-1]), 0)] = NOTHING
        words = place.words
        if self.words is not None:
            so_far, words = _words(place.words, self.words.values[ids], self.words.resets[ids])
            last = np.where(known > 0, seen[self._kept - 1 :], NOTHING).astype(np.uint64)
            for number, word in enumerate(so_far):
                last = mixed(last * _RADIX + word)
                found[self.order + number] = last
        return mixed(found * _RADIX + self._offsets[:, None]), Place(recent, words)

    def keys_side_by_side(self, recent: Int64Array, words: KeyArray) -> KeyArray:
        """
        Keys of the contexts of S streams, (F, S), as `keys` gives them for each alone.

        Args:
            recent: the last N - 1 tokens of each stream, at least one, the last one first; NOTHING for none.
            words: the word so far and the two before it, (3, S); 0 for none.
        """
        found = np.full((self.count, recent.shape[1]), _RADIX)
        for n in range(1, self.order):
            found[n] = mixed(found[n - 1] * _RADIX + recent[n - 1].astype(np.uint64))
        if self.words is not None:
            last = recent[0].astype(np.uint64)
            for number, word in enumerate(words):
                last = mixed(last * _RADIX + word)
                found[self.order + number] = last
        return mixed(found * _RADIX + self._offsets[:, None])

    def words_after(self, words: KeyArray, ids: IdArray) -> KeyArray:
        """The word so far and the two before it of S streams, (3, S), after a token of each, (S,)."""
        if self.words is None:
            return words
        ends = self.words.resets[ids]
        words = np.where(ends & (words[0] != 0), np.roll(words, 1, axis=0), words)
        words[0] = np.where(ends, np.uint64(0), words[0] * _RADIX) + self.words.values[ids]
        return words

    def _known(self, seen: Int64Array) -> Int64Array:
        """How many tokens back a context may go at each place of a text that begins anywhere, (len + 1,)."""
        ends = (seen == NOTHING) | (seen == (NOTHING if self.sentence_end is None else self.sentence_end))
        places = np.arange(len(seen) + 1)
        last = np.concatenate([[0], np.where(ends, places[1:], 0)])
        return places - np.maximum.accumulate(last)


def _words(
    before: tuple[int, int, int], values: KeyArray, resets: BoolArray
) -> tuple[list[KeyArray], tuple[int, int, int]]:
    """
    The word so far and the two words before it, before each of T tokens and after the last.

    Returns:
        Three arrays, (T + 1,), and their last values.
    """
    count = len(values)
    powers = np.cumprod(np.concatenate([[_ONE], np.full(count, _RADIX)]))  # r^0 .. r^T
    inverses = np.cumprod(np.concatenate([[_ONE], np.full(count, _INVERSE)]))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(values * inverses[:count])])
    begins = np.maximum.accumulate(np.where(resets, np.arange(count), NOTHING))
    carried = np.where(begins == NOTHING, np.uint64(before[0]) * powers[1:], np.uint64(0))
    word = powers[:count] * (sums[1:] - sums[np.maximum(begins, 0)]) + carried
    word = np.concatenate([np.array([before[0]], np.uint64), word])
    ends = np.flatnonzero(resets & (word[:count] != 0))
    done = np.concatenate([np.array([before[2], before[1]], np.uint64), word[ends]])
    number = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=count)[:count])]).astype(np.int64)
    all_three = [word, done[number + 1], done[number]]
    return all_three, (int(word[-1]), int(done[number[-1] + 1]), int(done[number[-1]]))
