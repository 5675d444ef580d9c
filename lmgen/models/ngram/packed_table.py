"""
The n-grams of one order as a model file has them, so that a large file is mapped instead of read.

Where `NgramTable` has a key for each n-gram, to be found by one search, this has only the last token, and for
each context the number of n-grams that begin with it. The place of every context follows from that; a sum for
every few contexts is kept in memory.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import BoolArray, Float32Array, IdArray, Int64Array, in_short, let_go
from lmgen.errors import ModelError
from lmgen.models.ngram.table import NO_ROW, NgramTable, RowArray

CONTEXTS_OF_SUM = 16
"""For so many contexts one sum is kept: half a byte of memory a context."""

SUMMED = 1 << 22
"""Contexts that are summed up at a time, a multiple of the number above."""

FOUND = 1 << 16
"""n-grams that are looked for at a time."""

LARGEST = 1e6
"""The largest absolute value of a logarithm that is read."""


class Begun:
    """Where the n-grams begin that begin with each context, in a table sorted by context."""

    def __init__(self, followers: npt.NDArray[Any]) -> None:
        """Take the number of n-grams of each context, unsigned, (R,); may be mapped."""
        self.followers = followers
        sums = [np.zeros(1, np.int64)]
        for first in range(0, len(followers), SUMMED):
            block = followers[first : first + SUMMED]
            sums.append(np.add.reduceat(block, np.arange(0, len(block), CONTEXTS_OF_SUM), dtype=np.int64))
            let_go(followers)
        self._sums = np.cumsum(np.concatenate(sums))
        self.total = int(self._sums[-1])

    def rows(self, contexts: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The first row of each context, (Q,), and the one after its last; none for NO_ROW."""
        if not len(self.followers):
            return np.zeros_like(contexts), np.zeros_like(contexts)
        group, place = np.divmod(contexts, CONTEXTS_OF_SUM)
        steps = np.arange(CONTEXTS_OF_SUM)
        beside = self.followers.take(group[:, None] * CONTEXTS_OF_SUM + steps, mode="clip")
        before = np.where(steps < place[:, None], beside, 0).sum(axis=1, dtype=np.int64)
        first = self._sums[group] + before
        end = first + np.take_along_axis(beside, place[:, None], axis=1)[:, 0]
        none = contexts == NO_ROW
        first[none] = end[none] = 0
        return first, end

    def contexts(self, rows: Int64Array) -> Int64Array:
        """The context that the n-gram in each row begins with, (Q,)."""
        group = np.searchsorted(self._sums, rows, side="right") - 1
        steps = np.arange(CONTEXTS_OF_SUM)
        beside = self.followers.take(group[:, None] * CONTEXTS_OF_SUM + steps, mode="clip")
        ends = self._sums[group][:, None] + beside.cumsum(axis=1, dtype=np.int64)
        contexts: Int64Array = group * CONTEXTS_OF_SUM + (ends <= rows[:, None]).sum(axis=1)
        return contexts


@dataclass(frozen=True, slots=True, eq=False)
class PackedTable:
    """All n-grams of one order, R rows, with the methods of `NgramTable`; any array may be mapped."""

    vocabulary_size: int
    """V."""

    log_probs: Float32Array
    """log P(last token | context), (R,)."""

    backoffs: Float32Array
    """log backoff(n-gram), (R,); (0,) for the highest order."""

    last_ids: npt.NDArray[Any] = field(default_factory=lambda: np.empty(0, np.uint8))
    """Last token, unsigned, (R,), ascending for each context; (0,) for order 1, whose rows are the ids."""

    begun: Begun = field(default_factory=lambda: Begun(np.empty(0, np.uint8)))
    """Where the n-grams of each context are; of no contexts for order 1."""

    __repr__ = in_short

    def __len__(self) -> int:
        return len(self.log_probs)

    def find(self, contexts: RowArray, ids: RowArray) -> RowArray:
        """As `NgramTable.find`."""
        contexts, wanted = np.broadcast_arrays(contexts, ids)
        flat, wanted = contexts.reshape(-1), wanted.reshape(-1)
        rows = np.empty(len(flat), np.int64)
        for first in range(0, len(flat), FOUND):
            part = slice(first, first + FOUND)
            rows[part] = self._find(flat[part].astype(np.int64), wanted[part])
        return rows.reshape(contexts.shape)

    def _find(self, contexts: Int64Array, ids: RowArray) -> Int64Array:
        """Search the last tokens of all contexts by halves, at once."""
        first, end = self.begun.rows(contexts)
        low, high = first.copy(), end.copy()
        searched = np.flatnonzero(low < high)
        while len(searched):
            middle = (low[searched] + high[searched]) // 2
            found, before = self.last_ids[middle], self.last_ids[middle - 1]
            self._check(found, (before >= found) & (middle > first[searched]))
            below = found < ids[searched]
            low[searched[below]] = middle[below] + 1
            high[searched[~below]] = middle[~below]
            searched = searched[low[searched] < high[searched]]
        rows = np.full(len(contexts), NO_ROW)
        inside = np.flatnonzero(low < end)
        same = inside[self.last_ids[low[inside]] == ids[inside]]
        rows[same] = low[same]
        return rows

    def followers(self, contexts: RowArray) -> tuple[RowArray, RowArray, RowArray]:
        """As `NgramTable.followers`."""
        first, end = self.begun.rows(contexts.astype(np.int64))
        lengths = end - first
        streams = np.repeat(np.arange(len(contexts)), lengths)
        rows = np.arange(len(streams)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        ids = self.last_ids[rows].astype(np.int64)
        self._check(ids, (ids[1:] <= ids[:-1]) & (streams[1:] == streams[:-1]))
        return streams, ids, rows

    def split(self, rows: RowArray) -> tuple[RowArray, RowArray]:
        """As `NgramTable.split`."""
        contexts, ids = self.begun.contexts(rows.astype(np.int64)), self.last_ids[rows].astype(np.int64)
        is_next = (contexts[1:] == contexts[:-1]) & (rows[1:] > rows[:-1])
        self._check(ids, is_next & (ids[1:] <= ids[:-1]))
        return contexts, ids

    def log_prob(self, rows: RowArray) -> Float32Array:
        """As `NgramTable.log_prob`."""
        return _checked(self.log_probs[rows], 0)

    def backoff(self, rows: RowArray) -> Float32Array:
        """As `NgramTable.backoff`."""
        values = np.zeros(rows.shape, np.float32)
        found = rows != NO_ROW
        values[found] = _checked(self.backoffs[rows[found]], LARGEST)
        return values

    def _check(self, ids: IdArray, out_of_order: BoolArray) -> None:
        """
        Look at last tokens that were read.

        Raises:
            ModelError: the vocabulary has no such token, or one is out of order: the file is damaged, which
                is not looked for when it is mapped.
        """
        if ids.max(initial=0) >= self.vocabulary_size or out_of_order.any():
            raise ModelError(
                "the model file is damaged: its n-grams are out of order, or have tokens that do not exist"
            )


AnyTable = NgramTable | PackedTable


def _checked(values: Float32Array, most: float) -> Float32Array:
    """
    The values that were read, if they are logarithms.

    Raises:
        ModelError: they are not: the file is damaged, which is not looked for when it is mapped.
    """
    if not -LARGEST <= values.min(initial=0) <= values.max(initial=0) <= most:
        raise ModelError("the model file is damaged: its logarithms are not finite, or too large")
    return values
