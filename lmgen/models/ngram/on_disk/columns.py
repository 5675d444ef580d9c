"""
Columns of numbers on disk that take little memory and leave nothing behind.

Their files have no names where the system allows that (elsewhere the system deletes them when they are
closed), so that nothing is left of a process that is killed. They are read and written in blocks, not mapped:
pages read through a map would count as memory of the process.
"""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]


class Scratch(ExitStack):
    """
    Where columns are kept while a model is estimated, and how many numbers are in memory at a time.

    All are closed at the end of a `with` block; what was mapped can still be read.
    """

    def __init__(self, folder: Path | None, block: int) -> None:
        super().__init__()
        self.folder = folder
        self.block = block

    def column(self, kind: npt.DTypeLike) -> "Column":
        """A new, empty column of numbers of one type."""
        made = Column(self.folder, np.dtype(kind))
        self.callback(made.close)
        return made


class Column:
    """
    A list of numbers of one type, on disk.

    Every method raises OSError where the disk is full or fails.
    """

    def __init__(self, folder: Path | None, kind: np.dtype[Any]) -> None:
        self.kind = kind
        self._file: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, values: Numbers) -> None:
        """Write numbers after the last one."""
        self.write(self._length, values)

    def write(self, first: int, values: Numbers) -> None:
        """Write numbers from index `first` on; those before it that were never written are 0."""
        if not len(values):
            return
        rest = np.ascontiguousarray(values, self.kind).view(np.uint8).data
        self._file.seek(first * self.kind.itemsize)
        while len(rest):  # a full disk takes a part, and refuses the next
            rest = rest[self._file.write(rest) :]
        self._length = max(self._length, first + len(values))

    def read(self, first: int, end: int) -> Numbers:
        """The numbers from `first` to before `end`."""
        values = np.empty(max(min(end, self._length) - first, 0), self.kind)
        if len(values):
            rest = values.view(np.uint8).data
            self._file.seek(first * self.kind.itemsize)
            while len(rest):
                rest = rest[self._file.readinto(rest) :]
        return values

    def blocks(self, size: int) -> Iterator[Numbers]:
        """All numbers, `size` at a time."""
        for first in range(0, self._length, size):
            yield self.read(first, first + size)

    def mapped(self) -> Numbers:
        """All numbers as one read-only array, mapped into memory; the column itself is closed."""
        values = np.empty(0, self.kind)
        if self._length:
            size = self._length * self.kind.itemsize
            values = np.frombuffer(mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ), self.kind)
        self.close()
        return values

    def close(self) -> None:
        """Give the space back."""
        self._file.close()
