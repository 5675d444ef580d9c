"""
Formulas computed by numpy, in memory that is set aside once and serves all steps of a window.

A step of 16 streams is a dozen calls of a microsecond each, so it counts what stands between them: where each
finds its operands and leaves its result is settled before the first step.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from threading import get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import FloatArray
from lmgen.autodiff.formulas import Columns, Formula, Function, parts_of
from lmgen.autodiff.printing import Names, assignments

Row = tuple[FloatArray, ...]


class Program:
    """
    How some formulas are computed from others.

    A row is the arrays that are given, and those of the caller that results are written to, for one step or
    for several together. Other results stay in memory of the program. `print` shows what is computed.
    """

    def __init__(
        self,
        given: Sequence[Formula],
        written: Sequence[Formula],
        kept: Sequence[Formula] = (),
        *,
        names: Names | None = None,
        results: Mapping[str, Formula] | None = None,
    ) -> None:
        """
        Put in order what has to be computed.

        Args:
            given: what is there from the start; slices of it have to be given too, where they are needed.
            written: results that go to arrays of the caller, in the order of the row.
            kept: results that stay here until the next row.
            names: of formulas, for printing.
            results: what to call some results when printing.
        """
        self.given = given
        self.written = written
        self.names = Names(f.root for f in given if f.root.function is None) if names is None else names
        self.results = results or {}
        known = set(given)
        self.kept = set(kept)
        self.computed = [f for f in parts_of([*written, *kept], lambda f: f not in known) if f not in known]
        """Operands first."""
        computed = set(self.computed)
        self.direct = {
            formula: len(given) + place
            for place, formula in reversed(list(enumerate(written)))
            if formula in computed and not formula.is_slice
        }
        """The place in the row of each result that is computed right where it is wanted."""
        self.slices = [f for f in self.computed if f.is_slice and f.root in self.direct]

    def __str__(self) -> str:
        """A line for each thing that is computed."""
        return "\n".join(assignments(self.computed, self.results, self.names))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.computed or self.written)

    def rows(self, given: Iterable[Iterable[FloatArray]], written: Sequence[FloatArray]) -> Iterator[Row]:
        """
        Row after row, without end if nothing in them changes.

        Args:
            given: for each array that is given, what it is in each step. The first ones may be missing, if
                whoever calls the routine puts them before the row.
            written: the same for results; these are arrays (T, ...).
        """
        whole = {root: written[place - len(self.given)] for root, place in self.direct.items()}
        slices = [slice_of(formula, whole[formula.root]) for formula in self.slices]
        columns = [*given, *written, *slices]
        return zip(*columns, strict=False) if columns else repeat(())


def slice_of(formula: Formula, root: FloatArray) -> FloatArray:
    """A slice, or a slice of a slice, of the array that its root is."""
    if not isinstance(formula.function, Columns):
        return root
    array: FloatArray = formula.function.of(slice_of(formula.operands[0], root))
    return array


class Routine:
    """A program with the memory that it needs for arrays of some shape."""

    def __init__(self, program: Program, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """
        Set memory aside for all results that the caller does not take.

        Args:
            program: what to compute.
            shape: of all arrays, without their last axis.
            dtype: of all arrays.
        """
        first_slice = len(program.given) + len(program.written)
        self._length = first_slice + len(program.slices)
        self._values: list[Any] = [None] * self._length
        self._places = {formula: place for place, formula in enumerate(program.given)}
        self._places |= program.direct
        self._places |= {formula: place for place, formula in enumerate(program.slices, first_slice)}
        self._calls: list[tuple[Function, Callable[[list[Any]], Row]]] = []
        memory = _Memory(program, shape, dtype)
        for formula in program.computed:
            if formula.is_number:
                self._put(formula, np.array(formula.operands[0], dtype))
            elif isinstance(formula.function, Columns):
                if formula not in self._places:
                    self._put(formula, formula.function.of(self._values[self._places[formula.operands[0]]]))
            elif callable(formula.function):
                memory.free_before(formula)
                if formula not in self._places:
                    self._put(formula, memory.take(formula))
                operands = [self._places[operand] for operand in formula.operands]
                self._calls.append((formula.function, itemgetter(*operands, self._places[formula])))
        for place, formula in enumerate(program.written, len(program.given)):
            if self._places[formula] != place:
                self._calls.append((np.copyto, itemgetter(place, self._places[formula])))

    def __call__(self, row: Sequence[FloatArray]) -> None:
        """Compute everything for one row."""
        values = self._values
        values[: self._length] = row
        for function, operands in self._calls:
            function(*operands(values))

    def __getitem__(self, formula: Formula) -> FloatArray:
        """What a formula was for the last row: one that is kept or given."""
        return self._values[self._places[formula]]  # type: ignore[no-any-return]

    def forget(self) -> None:
        """Let go of the arrays of the last row, which are a whole window's."""
        self._values[: self._length] = [None] * self._length

    def _put(self, formula: Formula, array: FloatArray) -> None:
        self._places[formula] = len(self._values)
        self._values.append(array)


def routine_for(program: Program, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Routine:
    """A `Routine`, the same one every time in this thread."""
    return _routine(program, shape, np.dtype(dtype), get_ident())


@lru_cache(maxsize=64)
def _routine(program: Program, shape: tuple[int, ...], dtype: npt.DTypeLike, _thread: int) -> Routine:
    return Routine(program, shape, dtype)


class _Memory:
    """Arrays for what nobody outside wants, used again as soon as possible, so that few fill the cache."""

    def __init__(self, program: Program, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._shape, self._dtype = shape, dtype
        self._taken: dict[Formula, FloatArray] = {}
        self._free: dict[tuple[int, ...], list[FloatArray]] = {}
        last_used = {
            operand.root: formula
            for formula in program.computed
            for operand in formula.operands
            if isinstance(operand, Formula)
        }
        self._ends: dict[Formula, list[Formula]] = {}
        wanted = {formula.root for formula in [*program.written, *program.kept]}
        for root, formula in last_used.items():
            if root not in wanted:
                self._ends.setdefault(formula, []).append(root)

    def free_before(self, formula: Formula) -> None:
        """What is used there for the last time: its result may take that place."""
        for root in self._ends.get(formula, []):
            if root in self._taken:
                array = self._taken.pop(root)
                self._free.setdefault(array.shape, []).append(array)

    def take(self, formula: Formula) -> FloatArray:
        """An array for a result."""
        shape = (*self._shape, formula.width)
        free = self._free.get(shape)
        array = self._taken[formula] = free.pop() if free else np.empty(shape, self._dtype)
        return array
