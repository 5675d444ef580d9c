"""
A hash table of 64-bit keys in numpy arrays, so that thousands of keys are found or added at once.

It gives each key a row, 1, 2, 3, ... in the order of their first appearance; row 0 stands for every key that
is not in the table. Counts are kept in arrays by row beside it. Open addressing with linear probing: a key's
home is its upper bits, so keys have to be mixed well (`mixed`).
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Int64Array

KeyArray = npt.NDArray[np.uint64]

Number = TypeVar("Number", bound=np.generic)

ABSENT = 0
"""The row of every key that is not in a table."""

FULLEST = 0.4
"""Share of the slots in use before their number is doubled."""

SMALLEST_BITS = 8

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def mixed(keys: KeyArray) -> KeyArray:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads keys evenly."""
    keys = (keys ^ (keys >> _SHIFTS[0])) * _FIRST
    keys = (keys ^ (keys >> _SHIFTS[1])) * _SECOND
    return keys ^ (keys >> _SHIFTS[2])


class HashTable:
    """Rows of distinct keys."""

    def __init__(self) -> None:
        self._keys = np.zeros(1, np.uint64)
        self._used = 1
        self._make_slots(SMALLEST_BITS)

    def __len__(self) -> int:
        """Number of rows, row 0 among them."""
        return self._used

    def find(self, keys: KeyArray) -> Int64Array:
        """The row of each key, of any shape; ABSENT for those that were never added."""
        flat = keys.ravel()
        slots = self._home(flat)
        rows = self._rows[slots]
        missed = np.flatnonzero((rows != ABSENT) & (self._keys[rows] != flat))
        while len(missed):  # on to the next slot, those whose slot another key has
            slots[missed] = (slots[missed] + 1) & self._last
            rows[missed] = found = self._rows[slots[missed]]
            missed = missed[(found != ABSENT) & (self._keys[found] != flat[missed])]
        return rows.reshape(keys.shape)

    def add(self, keys: KeyArray) -> Int64Array:
        """The row of each of some distinct keys, (N,), those of new keys included."""
        rows = self.find(keys)
        new = np.flatnonzero(rows == ABSENT)
        if len(new):
            rows[new] = self._append(keys[new])
        return rows

    def _append(self, keys: KeyArray) -> Int64Array:
        """Give rows to distinct keys that are not in the table."""
        begin, end = self._used, self._used + len(keys)
        self._keys = grown(self._keys, end)
        self._keys[begin:end] = keys
        self._used = end
        rows = np.arange(begin, end)
        if end > FULLEST * len(self._rows):
            self._make_slots(int(np.ceil(np.log2(end / FULLEST))) + 1)
        else:
            self._place(rows)
        return rows

    def _make_slots(self, bits: int) -> None:
        """Make 2^bits slots for the rows that there are."""
        self._shift = np.uint64(64 - bits)
        self._last = (1 << bits) - 1
        self._rows = np.full(1 << bits, ABSENT)
        self._place(np.arange(1, self._used))

    def _place(self, rows: Int64Array) -> None:
        """Find a slot for each of some rows. Where several want one, one gets it and the others go on."""
        slots = self._home(self._keys[rows])
        while len(rows):
            free = self._rows[slots] == ABSENT
            self._rows[slots[free]] = rows[free]
            waiting = self._rows[slots] != rows
            rows, slots = rows[waiting], (slots[waiting] + 1) & self._last

    def _home(self, keys: KeyArray) -> Int64Array:
        return (keys >> self._shift).astype(np.int64)


def grown(values: npt.NDArray[Number], length: int) -> npt.NDArray[Number]:
    """An array of at least `length` rows that begins with `values`; room doubles, and new rows are 0."""
    if length <= len(values):
        return values
    larger = np.zeros((max(length, 2 * len(values)), *values.shape[1:]), values.dtype)
    larger[: len(values)] = values
    return larger
