"""
A window of steps, forward and backward, by the programs of a cell.

What takes the time is done in few large products: that of the inputs before the first step, those of the
matrices' gradients after the last, both by the caller. In between, each step forward and each step backward
is a product with each recurrent matrix, and a few passes over the gates.

Recurrent matrices are multiplied by functions of the caller, who may know a faster library than numpy.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import FloatArray
from lmgen.autodiff.cell_programs import CellPrograms, Stage, matrix_of
from lmgen.autodiff.formulas import Blocks, Columns, Formula
from lmgen.autodiff.programs import Row, routine_for, slice_of

FACTOR_SIZE = 1 << 15
"""How many numbers a factor may hold: those of more steps at once take fewer calls, but leave the cache."""

Multiply = Callable[[FloatArray], FloatArray]
"""Values v, (B, I) -> W v of each stream, (B, O). What it returns holds until it is called again."""

Multiplier = Callable[[str], Multiply]
"""The name of a matrix -> a new function that multiplies by it."""


def multiplier(matrices: Mapping[str, FloatArray], *, transposed: bool = False) -> Multiplier:
    """Products by numpy with matrices, each (O, I), or with their transposes."""
    turned = {name: matrix if transposed else matrix.T for name, matrix in matrices.items()}
    return lambda name: lambda values: values @ turned[name]


class Window:
    """The arrays of a window: what its steps read, and what they leave for the backward pass."""

    def __init__(self, programs: CellPrograms, arrays: Sequence[FloatArray]) -> None:
        """
        Say what each array is.

        Args:
            programs: of the cell.
            arrays: x, (T, B, G*H); each part of the state from before the first step to after the last,
                (T + 1, B, H); the residuals, (T, B, ...); the vectors, for each stream.
        """
        self.programs = programs
        self.arrays = arrays
        self.x, *others = arrays
        self.length, self.streams, _ = self.x.shape
        states, residuals = len(programs.before), len(programs.residuals)
        self.states = others[:states]
        before, after = [part[:-1] for part in self.states], [part[1:] for part in self.states]
        self._residuals = dict(zip(programs.residuals, others[states : states + residuals], strict=True))
        self._values = dict(zip(programs.after, after, strict=True)) | self._residuals
        given = zip(
            [*programs.before, *programs.vectors], [*before, *others[states + residuals :]], strict=True
        )
        self._values |= {**dict(given), programs.x: self.x}

    @classmethod
    def begin(
        cls,
        programs: CellPrograms,
        x: FloatArray,
        state: Sequence[FloatArray],
        vectors: Sequence[FloatArray],
    ) -> Self:
        """A window before its first step: x is (T, B, G*H), each part of the state (B, H)."""
        length, streams, _ = x.shape
        states = [np.empty((length + 1, *part.shape), x.dtype) for part in state]
        for steps, part in zip(states, state, strict=True):
            steps[0] = part
        residuals = [np.empty((length, streams, formula.width), x.dtype) for formula in programs.residuals]
        # numpy is faster with rows that are there than with one to repeat.
        rows = [np.tile(vector, (streams, 1)) for vector in vectors]
        return cls(programs, [x, *states, *residuals, *rows])

    def run(self, multiplier: Multiplier) -> None:
        """
        Compute all steps, one after the other.

        Args:
            multiplier: of the recurrent matrices.
        """
        stages = self.programs.forward
        step = _Step(stages, self.streams, self.x.dtype, multiplier)
        known = self._values | step.between
        rows = []
        for stage in stages:
            states = [part[1:] for part in self.states] if stage is stages[-1] else []
            residuals = [self._residuals[formula] for formula in stage.program.written[len(states) :]]
            given = [_each_step(_known(formula, known)) for formula in stage.others]
            rows.append(stage.program.rows(given, [*states, *residuals]))
        operands = _rows(self.array(p.operands[0]) for p in step.products)
        for values, *row in zip(operands, *rows, strict=False):
            step(values, row)
        step.forget()

    def array(self, formula: Formula, steps: slice = slice(None)) -> FloatArray:
        """What a formula is in some steps: (steps, B, width), or (B, width) if it is the same in all."""
        array = _known(formula, self._values)
        return array if formula.is_fixed else array[steps]


class BackwardPass:
    """The gradients that go back through a window."""

    def __init__(self, window: Window, last: Sequence[FloatArray | None]) -> None:
        """
        Begin after the last step.

        Args:
            window: after its run.
            last: the gradient with respect to each part of the last state, (B, H), where it was used.
        """
        self._window, self._programs = window, window.programs
        self._written = {
            name: _empty((window.length, window.streams, width), blocks, window.x.dtype)
            for name, (width, blocks) in self._programs.written.items()
        }
        self.state = [np.zeros_like(part[0]) for part in window.states]
        """With respect to each part of the state before the steps that have been done."""
        for part, gradient in zip(self.state, last, strict=True):
            if gradient is not None:
                part[:] = gradient
        self._direct = [np.zeros_like(part) for part in self.state]
        """The same without what comes through products of the state."""
        self._vectors = [
            np.zeros((window.streams, vector.width), window.x.dtype) for vector in self._programs.vectors
        ]

    def run(self, multiplier: Multiplier, hidden: FloatArray | None) -> None:
        """
        Go through all steps, the last one first.

        Args:
            multiplier: of the transposed recurrent matrices.
            hidden: the gradient with respect to the hidden states, (T, B, H), where they were used.
        """
        programs = self._programs
        step = _Step(programs.backward, self._window.streams, self._window.x.dtype, multiplier)
        sums = list(_pairs(self._vectors, programs.vector_gradients))
        direct = list(_pairs(self._direct, programs.state_gradients))
        first: dict[int, tuple[int, Multiply]] = {}
        further: list[tuple[int, Multiply, FloatArray]] = []
        for place, (p, part) in enumerate(programs.into_states, len(step.products)):
            multiply = multiplier(matrix_of(p))
            if part in first:
                further.append((place, multiply, self.state[part]))
            else:
                first[part] = place, multiply
        joined = [(*first[part], self._direct[part], self.state[part]) for part in first]
        alone = [pair for n, pair in enumerate(zip(self._direct, self.state, strict=True)) if n not in first]
        above = repeat(0.0) if hidden is None else hidden[::-1]
        for from_above, (values, *row) in zip(above, self._rows(step), strict=False):
            self.state[0] += from_above
            step(values, row)
            for total, formula in sums:
                total += step[formula]
            for gradient, formula in direct:
                gradient[:] = step[formula]
            for place, multiply, unmultiplied, gradient in joined:
                np.add(multiply(values[place]), unmultiplied, gradient)
            for place, multiply, gradient in further:
                gradient += multiply(values[place])
            for unmultiplied, gradient in alone:
                gradient[:] = unmultiplied
        step.forget()

    @property
    def x(self) -> FloatArray:
        """The gradient with respect to x, (T, B, G*H)."""
        return self._written[self._programs.gradient_of(self._programs.x)]

    @property
    def vectors(self) -> list[FloatArray]:
        """The gradient with respect to each vector."""
        return [gradient.sum(0) for gradient in self._vectors]

    @property
    def products(self) -> Iterator[tuple[str, FloatArray, FloatArray]]:
        """
        What the gradients with respect to the matrices are made of.

        Of each product the name of its matrix, the gradient with respect to it, (T, B, O), and its operand,
        (T, B, H); T is 1 for an operand that is the same at all steps. The gradient with respect to the
        matrix is the sum of the outer products.
        """
        for p in self._programs.products:
            gradient, values = self._written[self._programs.gradient_of(p)], self._window.array(p.operands[0])
            if values.ndim == 2:
                gradient, values = gradient.sum(0, keepdims=True), values[None]
            yield matrix_of(p), gradient, values

    def matrices(self) -> dict[str, FloatArray]:
        """The gradient with respect to each matrix that was used, by numpy."""
        found: dict[str, FloatArray] = {}
        for name, gradient, values in self.products:
            outer = gradient.reshape(-1, gradient.shape[-1]).T @ values.reshape(-1, values.shape[-1])
            found[name] = found[name] + outer if name in found else outer
        return found

    def _rows(self, step: "_Step") -> Iterator[tuple[Any, ...]]:
        """
        For each step, from the last to the first: the operands of the products, and a row for each stage.

        The step's number follows, for equations whose rows never end since they are the same in all steps.
        """
        window, programs = self._window, self._programs
        operands = [*step.products, *(p for p, _ in programs.into_states)]
        size = max(1, FACTOR_SIZE // self.state[0].size)
        for end in range(window.length, 0, -size):
            steps = slice(max(0, end - size), end)
            shape = (steps.stop - steps.start, window.streams)
            factors = routine_for(programs.factors, shape, window.x.dtype)
            factors([window.array(formula, steps) for formula in programs.factors.given])
            known = dict(zip(programs.incoming, self.state, strict=True)) | step.between
            known |= {
                formula: factors[formula] if formula.is_fixed else factors[formula][::-1]
                for formula in programs.factors.kept
            }
            factors.forget()
            written = {name: array[steps][::-1] for name, array in self._written.items()}
            rows = []
            for stage, places in zip(programs.backward, programs.written_by, strict=True):
                given = [_each_step(_known(formula, known)) for formula in stage.others]
                blocks = [columns.of(written[name]) for name, columns in places]
                rows.append(stage.program.rows(given, blocks))
                known = dict(zip(stage.program.written, blocks, strict=True)) | known
            values = _rows(written[programs.gradient_of(p)] for p in operands)
            yield from zip(values, *rows, range(steps.start, end), strict=False)


class _Step:
    """The stages of a step, with the products between them."""

    def __init__(
        self, stages: Sequence[Stage], streams: int, dtype: npt.DTypeLike, multiplier: Multiplier
    ) -> None:
        self.products = [p for stage in stages for p in stage.products]
        """In the order in which they are made."""
        self._routines = [routine_for(stage.program, (streams,), dtype) for stage in stages]
        self.between = {
            formula: routine[formula]
            for stage, routine in zip(stages[:-1], self._routines, strict=False)
            for formula in stage.program.kept
        }
        """What stages leave in memory of their own for those that follow, (B, width)."""
        self._stages = [
            (
                [multiplier(matrix_of(p)) for p in stage.products],
                [(number, _index(formula)) for number, formula in stage.fresh],
                routine,
            )
            for stage, routine in zip(stages, self._routines, strict=True)
        ]

    def __call__(self, operands: Sequence[FloatArray], rows: Sequence[Row]) -> None:
        """
        Compute one step.

        Args:
            operands: of the products, in their order.
            rows: for each stage what its program is given and writes, after the slices of products.
        """
        products: list[FloatArray] = []
        for (multiplies, fresh, routine), row in zip(self._stages, rows, strict=False):
            for multiply in multiplies:
                products.append(multiply(operands[len(products)]))
            slices = []
            for number, index in fresh:
                slices.append(products[number] if index is None else products[number][index])
            routine((*slices, *row))  # a comprehension above would take 0.2 µs more

    def __getitem__(self, formula: Formula) -> FloatArray:
        """What a formula that the last stage keeps was in the last step."""
        return self._routines[-1][formula]

    def forget(self) -> None:
        """Let go of the arrays of the window."""
        for routine in self._routines:
            routine.forget()


def _known(formula: Formula, arrays: Mapping[Formula, FloatArray]) -> FloatArray:
    """What a formula is that is known, or a slice of one that is."""
    return arrays[formula] if formula in arrays else slice_of(formula, arrays[formula.root])


def _index(formula: Formula) -> tuple[Any, slice] | None:
    """Where in its root a slice is."""
    first, part = 0, formula
    while isinstance(part.function, Columns):
        first += part.function.first
        (part,) = part.operands
    return None if part is formula else (..., slice(first, first + formula.width))


def _each_step(array: FloatArray) -> Iterable[FloatArray]:
    """An array (T, B, width) step by step; one that is the same at all steps, (B, width), again and again."""
    return repeat(array) if array.ndim == 2 else array


def _rows(arrays: Iterable[FloatArray]) -> Iterator[Row]:
    """Several arrays, step by step."""
    columns = [_each_step(array) for array in arrays]
    return zip(*columns, strict=False) if columns else repeat(())


def _empty(shape: tuple[int, ...], blocks: Iterable[Columns], dtype: npt.DTypeLike) -> FloatArray:
    """An array with zeros where no block of columns is, and nothing yet in the others."""
    covered = sum(columns.end - columns.first for columns in blocks)
    return (np.empty if covered == shape[-1] else np.zeros)(shape, dtype)


def _pairs(arrays: Iterable[FloatArray], gradients: Iterable[Blocks]) -> Iterator[tuple[FloatArray, Formula]]:
    """The blocks of arrays, and the formulas that say what these are."""
    for array, blocks in zip(arrays, gradients, strict=True):
        for columns, formula in blocks.items():
            yield columns.of(array), formula
