"""
A random order of n things in constant memory, for any n: a permutation that is computed, not stored.

A Feistel network (Luby and Rackoff 1988) permutes the numbers of 2h bits: it halves a number, and in each of
its rounds exchanges the halves and adds to one of them a random function of the other, which can be undone. A
number that it sends beyond n is sent on until it comes back below n (cycle walking: Black and Rogaway 2002);
2h is the least even number of bits for n, so that this takes less than four steps on average.
"""

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Int64Array

ROUNDS = 8

_Words = npt.NDArray[np.uint64]


class Permutation:
    """A permutation of 0 .. n - 1, determined by n and its seeds."""

    def __init__(self, n: int, *seeds: int) -> None:
        """
        Args:
            n: how many numbers are permuted, at least 1, below 2^62.
            seeds: not negative.
        """
        self._n = np.uint64(n)
        self._half = np.uint64(max(-(-(n - 1).bit_length() // 2), 1))
        self._low = (np.uint64(1) << self._half) - np.uint64(1)
        self._keys = np.random.default_rng(seeds).integers(2**64, size=ROUNDS, dtype=np.uint64)

    def __call__(self, numbers: Int64Array) -> Int64Array:
        """The numbers that some numbers below n are sent to."""
        places = self._sent(numbers.astype(np.uint64))
        while len(beyond := np.flatnonzero(places >= self._n)):
            places[beyond] = self._sent(places[beyond])
        return places.astype(np.int64)

    def _sent(self, numbers: _Words) -> _Words:
        """Where the network sends numbers of 2h bits, once."""
        left, right = numbers >> self._half, numbers & self._low
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & self._low)
        sent: _Words = (left << self._half) | right
        return sent


def _mixed(words: _Words) -> _Words:
    """Words whose bits each depend on all bits: the last step of SplitMix64 (Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: _Words = words ^ (words >> np.uint64(31))
    return mixed
