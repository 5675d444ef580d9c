"""
Numbers sorted into ranges of rows that fit in memory, and results for them back in the old order.

What belongs to rows of a table is asked for in the order of a text, or of another table: one row here, the
next anywhere. With tables beyond memory, each such step would be a read of the disk. So the questions are
first written down by ranges of rows; each range is then answered alone, in memory; and the answers are read
in the order of the questions, for within a range that order is kept.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Int64Array
from lmgen.models.ngram.on_disk.columns import Column, Numbers, Scratch
from lmgen.models.ngram.table import RowArray


class Ranges:
    """Consecutive ranges of rows, and where a column has the numbers that belong to each."""

    def __init__(self, bounds: Int64Array, rooms: Int64Array, shift: int | None = None) -> None:
        """
        Ranges with no numbers yet.

        Args:
            bounds: range k has the rows from bounds[k] to before bounds[k + 1].
            rooms: how many numbers belong to each range, at most.
            shift: where all ranges have 2**shift rows, the last perhaps fewer; None elsewhere.
        """
        self.bounds = bounds
        self._shift = shift
        self._first = np.cumsum(rooms) - rooms
        self._filled = np.zeros(len(rooms), np.int64)
        self._taken = np.zeros(len(rooms), np.int64)
        self._kind = np.min_scalar_type(len(rooms))

    def __len__(self) -> int:
        return len(self._filled)

    def put(self, rows: RowArray, columns: Sequence[tuple[Column, Numbers]]) -> None:
        """Write numbers that belong to rows: each a column and the numbers for it."""
        order, counts = self._by_range(rows)
        ordered = [(column, values if order is None else values[order]) for column, values in columns]
        for begin, end, k in _pieces(counts):
            for column, values in ordered:
                column.write(int(self._first[k] + self._filled[k]), values[begin:end])
            self._filled[k] += end - begin

    def take(self, rows: RowArray, column: Column) -> Numbers:
        """The numbers that a column now has for rows, which are asked for block by block as they were put."""
        order, counts = self._by_range(rows)
        ordered = np.empty(len(rows), column.kind)
        for begin, end, k in _pieces(counts):
            at = int(self._first[k] + self._taken[k])
            ordered[begin:end] = column.read(at, at + end - begin)
            self._taken[k] += end - begin
        if order is None:
            return ordered
        values = np.empty_like(ordered)
        values[order] = ordered
        return values

    def places(self, k: int) -> tuple[int, int]:
        """Where a column has the numbers of range k: the first index, and the one after the last."""
        return int(self._first[k]), int(self._first[k] + self._filled[k])

    def chunks(self, k: int, size: int) -> Iterator[tuple[int, int]]:
        """The places of range k, at most `size` numbers at a time."""
        begin, end = self.places(k)
        for first in range(begin, end, size):
            yield first, min(first + size, end)

    def _by_range(self, rows: RowArray) -> tuple[npt.NDArray[Any] | None, Int64Array]:
        """The order that sorts rows by range, None if there is but one; and how many each range has."""
        if len(self) == 1:
            return None, np.array([len(rows)])
        if self._shift is None:
            which = np.searchsorted(self.bounds[1:-1].astype(rows.dtype), rows, side="right")
        else:
            which = rows >> self._shift
        which = which.astype(self._kind)
        # Of numbers this small, a stable sort takes time in proportion to how many there are.
        return np.argsort(which, kind="stable"), np.bincount(which, minlength=len(self))


def _pieces(counts: Int64Array) -> Iterator[tuple[int, int, int]]:
    """Where the numbers of each range begin and end among numbers sorted by range, and its index."""
    ends = np.cumsum(counts)
    for k in np.flatnonzero(counts).tolist():
        yield int(ends[k] - counts[k]), int(ends[k]), k


def balanced_ranges(numbers: Iterator[RowArray], most: int) -> Ranges:
    """
    Ranges to which about the same number of numbers belong each, at most `most`.

    A row to which more belong is a range of its own, the only case of more than `most`.

    Args:
        numbers: how many belong to each row, at most, in blocks.
        most: see above.
    """
    bounds, rooms = [0], []
    room = row = 0
    for block in numbers:
        totals = np.cumsum(block, dtype=np.int64)
        done = at = 0
        while at < len(block):
            fit = int(np.searchsorted(totals, done + most - room, side="right"))
            if fit > at:
                room += int(totals[fit - 1]) - done
                done, at = int(totals[fit - 1]), fit
            if at == len(block):
                break
            if row + at > bounds[-1]:
                bounds.append(row + at)
                rooms.append(room)
                room = 0
            if block[at] > most:
                bounds.append(row + at + 1)
                rooms.append(int(block[at]))
                done, at = int(totals[at]), at + 1
        row += len(block)
    if row > bounds[-1]:
        bounds.append(row)
        rooms.append(room)
    return Ranges(np.array(bounds), np.array(rooms))


class Questions:
    """For each row of one table, a row of another that is asked for, sorted by ranges of the other."""

    def __init__(self, asked: Column, rows: int, scratch: Scratch) -> None:
        """
        Sort what is asked for.

        Args:
            asked: a row of the other table for each row of the one.
            rows: how many the other table has.
            scratch: where to keep it.
        """
        self._scratch = scratch
        shift = max(scratch.block.bit_length() - 1, 0)
        rooms = np.zeros(max(-(-rows >> shift), 1), np.int64)
        for block in asked.blocks(scratch.block):
            rooms += np.bincount(block >> shift, minlength=len(rooms))
        bounds = np.minimum(np.arange(len(rooms) + 1) << shift, rows)
        self.ranges = Ranges(bounds, rooms, shift)
        self._sorted = scratch.column(asked.kind)
        for block in asked.blocks(scratch.block):
            self.ranges.put(block, [(self._sorted, block)])

    def counts(self) -> Iterator[Int64Array]:
        """How often each row of the other table is asked for, a range at a time."""
        for k, (low, high) in enumerate(zip(self.ranges.bounds[:-1], self.ranges.bounds[1:], strict=True)):
            counts = np.zeros(high - low, np.int64)
            for first, end in self.ranges.chunks(k, self._scratch.block):
                counts += np.bincount(self._sorted.read(first, end) - low, minlength=len(counts))
            yield counts

    def answered(self, values: Column) -> Column:
        """What stands in the asked-for rows of a column, for `ranges.take`."""
        answers = self._scratch.column(values.kind)
        for k, (low, high) in enumerate(zip(self.ranges.bounds[:-1], self.ranges.bounds[1:], strict=True)):
            own = values.read(int(low), int(high))
            for first, end in self.ranges.chunks(k, self._scratch.block):
                answers.write(first, own[self._sorted.read(first, end) - low])
        self._sorted.close()
        return answers
