"""
How far each place in a sample goes on as somewhere in a text: the longest match from there on.

    text     t h e c a t s a t
    sample   a c a t n a p
             1 3 2 1 0 1 0        "c a t" is the longest match; n and p are not in the text

The n-gram at a place is in the text if the match there has n symbols or more, so these lengths say of every n
which n-grams are new; and the longest of them are the passages that were copied.

Found by sorting: the suffixes of the text and of the sample are put in one order, in which the best match of
a suffix is its neighbour. Suffixes are sorted by their first k symbols, then by 2k (Manber and Myers 1993;
Larsson and Sadakane 2007), as many symbols at first as one integer holds. Only suffixes of the text that
still share all k symbols with one of the sample need be told apart further: in most texts soon very few. A
long text is taken in blocks, so memory does not grow with it beyond the text itself.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lmgen.arrays import BoolArray, IdArray, Int64Array

BLOCK = 1 << 20
"""Symbols of the text that are sorted together with the sample."""

LONGEST = 1 << 16
"""Longer matches are counted as this long. Blocks of the text overlap by it, or by less for short samples."""

BREAK = 0
"""A symbol that matches nothing: between samples, and in place of what the text or the sample lacks."""

COMPARED = 64
"""Symbols of a passage that are looked for one by one; of longer ones the rest is by fingerprints."""

KEYS_COMPARED = 16
"""Keys of two suffixes that are compared one by one; fingerprints say how much more they have in common."""

REMAINDERS = ((2**31 - 1, 1_220_703_125), (2**31 - 19, 48_271_391))
"""Primes and bases of fingerprints."""

KEY_BITS = 62
"""Bits of an integer that holds the first symbols of a suffix."""


def match_lengths(text: IdArray, samples: Sequence[IdArray], *, block: int = BLOCK) -> list[Int64Array]:
    """
    The length of the longest match at each place of each sample, (M,) each, up to LONGEST.

    Args:
        text: symbols from 0 on, (N,); a memory map will do.
        samples: symbols, (M,) each; a negative one matches nothing. No match reaches from one to the next.
        block: how many symbols of the text are sorted at once.
    """
    sizes = [len(sample) for sample in samples]
    ends = np.cumsum([size + 1 for size in sizes], dtype=np.int64)  # each with a BREAK behind it
    joined = np.full(int(ends[-1]) if len(ends) else 0, -1, np.int64)
    for end, sample in zip(ends.tolist(), samples, strict=True):
        joined[end - 1 - len(sample) : end - 1] = sample
    symbols = np.unique(joined[joined >= 0])
    own = np.where(joined < 0, BREAK, np.searchsorted(symbols, joined) + 1)
    left = _up_to_break(own)
    reach = min(int(left.max(initial=0)), LONGEST)
    lengths = np.zeros(len(own), np.int64)
    if reach:
        renumbered = _Renumbered(symbols)
        for first in range(0, len(text), block):
            part = renumbered(text[first : first + block + reach - 1])
            lengths = np.maximum(lengths, _longest(part, own, len(symbols), reach))
    lengths = np.minimum(lengths, np.minimum(left, reach))
    return [lengths[end - 1 - size : end - 1] for end, size in zip(ends.tolist(), sizes, strict=True)]


def occurrences(text: IdArray, passage: IdArray, *, block: int = BLOCK) -> Iterator[int]:
    """Where a passage of one symbol or more begins in a text, (N,), in order."""
    size = len(passage)
    for first in range(0, len(text), block):
        part = np.asarray(text[first : first + block + size - 1])
        starts = np.flatnonzero(part[: max(len(part) - size + 1, 0)] == passage[0])
        for place in range(1, min(size, COMPARED)):
            starts = starts[part[starts + place] == passage[place]]
        if size > COMPARED and len(starts):
            both = Fingerprints(np.concatenate([np.asarray(part, np.int64), passage]))
            starts = starts[both.same(starts, np.full(len(starts), len(part)), size)]
        yield from (starts + first).tolist()


class _Renumbered:
    """Symbols of a text as 1, 2, ... for those that the sample has, and BREAK for all others."""

    def __init__(self, symbols: Int64Array) -> None:
        self._table = np.zeros(int(symbols[-1]) + 2, np.int64)  # the last stands for all beyond it
        self._table[symbols] = np.arange(1, len(symbols) + 1)

    def __call__(self, part: IdArray) -> Int64Array:
        found: Int64Array = self._table[np.minimum(np.asarray(part, np.int64), len(self._table) - 1)]
        return found


def _up_to_break(symbols: Int64Array) -> Int64Array:
    """How many symbols there are from each place up to the next BREAK, (M,)."""
    places = np.arange(len(symbols))
    breaks = np.where(symbols == BREAK, places, len(symbols))
    after: Int64Array = np.minimum.accumulate(breaks[::-1])[::-1]
    return after - places


def _longest(part: Int64Array, own: Int64Array, symbols: int, reach: int) -> Int64Array:
    """
    The longest match of each suffix of the sample in a part of the text, (M,), or as far as `reach` or more.

    Breaks are compared like any symbol, so matches may seem to go on beyond them.

    Args:
        part: the part of the text, renumbered.
        own: the samples, renumbered, with a BREAK behind each.
        symbols: how many symbols there are besides BREAK.
        reach: how far matches are of interest.
    """
    whole = np.concatenate([part, [BREAK], own])
    keys, packed = _packed(whole, symbols)
    is_own = np.arange(len(whole)) > len(part)
    order = _sorted(keys, is_own, packed, reach)
    sorted_own = is_own[order]
    here = np.flatnonzero(sorted_own)
    places = np.arange(len(order))
    before = np.maximum.accumulate(np.where(sorted_own, -1, places))[here]
    after = np.minimum.accumulate(np.where(sorted_own, len(order), places)[::-1])[::-1][here]
    suffixes = order[here]
    longest = np.zeros(len(here), np.int64)
    for beside in (before, after):
        there = np.flatnonzero((beside >= 0) & (beside < len(order)))
        common = _common(whole, keys, packed, suffixes[there], order[beside[there]], reach)
        longest[there] = np.maximum(longest[there], common)
    found = np.zeros(len(own), np.int64)
    found[suffixes - len(part) - 1] = longest
    return found


def _packed(whole: Int64Array, symbols: int) -> tuple[Int64Array, int]:
    """The first symbols of each suffix as one integer, (N,), in their order; and how many they are."""
    bits = int(symbols).bit_length()
    keys, packed = whole.copy(), 1
    while 2 * packed * bits <= KEY_BITS:
        keys <<= packed * bits
        keys[:-packed] |= keys[packed:] >> (packed * bits)
        packed *= 2
    return keys, packed


def _sorted(keys: Int64Array, is_own: BoolArray, k: int, reach: int) -> Int64Array:
    """
    The suffixes in order, (N,), so far as the text's nearest one to each of the sample's takes it.

    Args:
        keys: the first k symbols of each.
        is_own: which of them are the sample's.
        k: symbols that are compared in `keys`.
        reach: suffixes that have this many symbols in common need no order.
    """
    order = np.argsort(keys)
    ranks = np.empty(len(keys), np.int64)  # the place of the first suffix with the same first k symbols
    ranks[order] = _first_of_equal(keys[order])
    while k < reach:
        of_both = _members(ranks, is_own) & _members(ranks, ~is_own)
        unsure = np.flatnonzero(of_both[ranks])
        if not len(unsure):
            break
        further = np.minimum(unsure + k, len(ranks) - 1)
        following = np.where(unsure + k < len(ranks), ranks[further] + 1, 0)
        pairs = ranks[unsure] * (len(ranks) + 1) + following
        among = np.argsort(pairs)
        groups, subgroups = ranks[unsure[among]], _first_of_equal(pairs[among])
        ranks[unsure[among]] = groups + subgroups - _first_of_equal(groups)
        k *= 2
    return np.argsort(ranks)


def _members(ranks: Int64Array, chosen: BoolArray) -> BoolArray:
    """Which ranks the chosen suffixes have, (N,)."""
    found = np.zeros(len(ranks), np.bool_)
    found[ranks[chosen]] = True
    return found


def _first_of_equal(values: Int64Array) -> Int64Array:
    """For each of some sorted values the place of the first that equals it, (N,)."""
    places = np.arange(len(values))
    begins = np.append(True, values[1:] != values[:-1]) if len(values) else np.zeros(0, np.bool_)
    first: Int64Array = np.maximum.accumulate(np.where(begins, places, 0))
    return first


def _common(
    whole: Int64Array, keys: Int64Array, packed: int, one: Int64Array, other: Int64Array, reach: int
) -> Int64Array:
    """How many symbols the suffixes at `one` and at `other`, (K,), have in common, up to about `reach`."""
    common = np.zeros(len(one), np.int64)
    going_on = np.arange(len(one))
    for _ in range(min(KEYS_COMPARED, -(-reach // packed))):
        going_on = going_on[_same(keys, one[going_on] + common[going_on], other[going_on] + common[going_on])]
        common[going_on] += packed
    if len(going_on) and packed * KEYS_COMPARED < reach:
        further = Fingerprints(whole)
        begins = one[going_on] + common[going_on], other[going_on] + common[going_on]
        common[going_on] += further.common(*begins, reach)
    return common + _common_within(whole, one + common, other + common, packed)


def _same(values: Int64Array, first: Int64Array, second: Int64Array) -> BoolArray:
    """Whether the values at two places are the same, (K,); beyond the end they are not."""
    inside = np.maximum(first, second) < len(values)
    last = len(values) - 1
    same: BoolArray = inside & (values[np.minimum(first, last)] == values[np.minimum(second, last)])
    return same


def _common_within(whole: Int64Array, first: Int64Array, second: Int64Array, most: int) -> Int64Array:
    """How many symbols, up to `most`, are the same from two places on, (K,)."""
    common = np.zeros(len(first), np.int64)
    going_on = np.arange(len(first))
    for place in range(most):
        going_on = going_on[_same(whole, first[going_on] + place, second[going_on] + place)]
        common[going_on] += 1
    return common


class Fingerprints:
    """
    Tells in one step whether two passages of a text are the same, however long (Karp and Rabin 1987).

    Two different passages have the same two remainders about once in 4e18 times.
    """

    def __init__(self, symbols: IdArray) -> None:
        """Args: symbols, (N,), each below 2^31 - 19."""
        self._size = len(symbols)
        self._modulo = [self._prefixes(np.asarray(symbols, np.int64), *each) for each in REMAINDERS]

    def _prefixes(self, symbols: Int64Array, prime: int, base: int) -> tuple[int, Int64Array, Int64Array]:
        """The prime, the powers of the base, and what all before each place comes to."""
        powers = np.ones(1, np.int64)
        while len(powers) <= len(symbols):
            powers = np.concatenate([powers, powers * pow(base, len(powers), prime) % prime])
        terms = (symbols + 1) * powers[: len(symbols)] % prime
        return prime, powers, np.concatenate([[0], np.cumsum(terms) % prime])

    def same(self, first: Int64Array, second: Int64Array, size: int) -> BoolArray:
        """Whether the passages of a size that begin at two places are the same, (K,); inside of the text."""
        equal = np.ones(len(first), np.bool_)
        for prime, powers, sums in self._modulo:
            one = (sums[first + size] - sums[first]) % prime * powers[second] % prime
            other = (sums[second + size] - sums[second]) % prime * powers[first] % prime
            equal &= one == other
        return equal

    def common(self, first: Int64Array, second: Int64Array, reach: int) -> Int64Array:
        """How many symbols are the same from two places on, (K,), up to `reach` or more."""
        found = np.zeros(len(first), np.int64)
        step = 1 << int(reach).bit_length()
        while step := step >> 1:
            fits = np.flatnonzero(np.maximum(first, second) + found + step <= self._size)
            if len(fits):
                same = self.same(first[fits] + found[fits], second[fits] + found[fits], step)
                found[fits[same]] += step
        return found
