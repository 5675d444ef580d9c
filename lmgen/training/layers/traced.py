"""
One recurrent layer of any cell over a window, and its gradients, on a CPU.

What takes the time is done in few large products: that of the inputs before the first step (by the caller),
that of the weight's gradient after the last. In between, each step forward and each step back is a product
with the recurrent weight and a few passes over the gates. numpy makes these passes: with 16 streams what
counts is the price of a call, and numpy's is a third of torch's.

Which passes these are, cell_programs.py finds from the cell's equations.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lmgen.autodiff.cell_programs import CellPrograms, programs_of
from lmgen.autodiff.formulas import Columns, Formula
from lmgen.autodiff.programs import Row, routine_for, slice_of
from lmgen.models.base import FloatArray
from lmgen.models.network.cells import Cell, CellState
from lmgen.training.layers.products import repeated_product, weight_gradient

FACTOR_SIZE = 1 << 15
"""How many numbers a factor may hold: those of more steps at once take fewer calls, but leave the cache."""


def run_recurrence(
    cell: Cell, x: Tensor, weight: Tensor, vectors: Mapping[str, Tensor], state: CellState
) -> tuple[Tensor, CellState]:
    """
    The hidden states of a window, (T, B, H), and the last state; differentiable once.

    Args:
        cell: whose equations to follow.
        x: W v + b, (T, B, G*H), float32 or float64, on the CPU.
        weight: U, (G*H, H).
        vectors: what the step may read beside these, by name.
        state: before the window, each part (B, H).
    """
    lengths = tuple((name, len(vector)) for name, vector in vectors.items())
    programs = programs_of(cell, weight.shape[1], lengths)
    hidden, *last = _Recurrence.apply(programs, x, weight, *state, *vectors.values())  # type: ignore[no-untyped-call]
    return hidden, tuple(last)


class _Recurrence(torch.autograd.Function):
    """`run_recurrence`, with its tensors in a row as torch wants them."""

    @staticmethod
    def forward(
        ctx: Any, programs: CellPrograms, x: Tensor, weight: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        state, vectors = rest[: len(programs.before)], rest[len(programs.before) :]
        window = _Window.begin(programs, x, state, vectors)
        # Numbers that are not finite are for the caller to see, as with torch.
        with np.errstate(all="ignore"):
            window.run(weight)
        hidden = torch.from_numpy(window.states[0][1:])
        ctx.programs = programs
        ctx.save_for_backward(weight, hidden, *map(torch.from_numpy, window.arrays))
        ctx.set_materialize_grads(False)
        return hidden, *(torch.from_numpy(part[-1].copy()) for part in window.states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, hidden: Tensor | None, *last: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, _, *saved = ctx.saved_tensors  # torch complains here if somebody changed the hidden states
        way = _WayBack(_Window(ctx.programs, [_numpy(array) for array in saved]), last)
        with np.errstate(all="ignore"):
            way.run(weight, hidden)
            return (None, *way.gradients())


class _Window:
    """The arrays of a window: what its steps read, and what they leave for the way back."""

    def __init__(self, programs: CellPrograms, arrays: Sequence[FloatArray]) -> None:
        """
        Name them.

        Args:
            programs: of the cell.
            arrays: x, (T, B, G*H); each part of the state from before the first step to after the last,
                (T + 1, B, H); what the steps leave behind, (T, B, ...); the vectors, for each stream.
        """
        self.programs = programs
        self.arrays = arrays
        self.x, *others = arrays
        self.length, self.streams, _ = self.x.shape
        states, left = len(programs.before), len(programs.left)
        self.states, self.left = others[:states], others[states : states + left]
        before, after = [part[:-1] for part in self.states], [part[1:] for part in self.states]
        formulas = [*programs.after, *programs.left, *programs.before, *programs.vectors, programs.x]
        values = [*after, *self.left, *before, *others[states + left :], self.x]
        self._values = dict(zip(formulas, values, strict=True))

    @classmethod
    def begin(
        cls, programs: CellPrograms, x: Tensor, state: Sequence[Tensor], vectors: Sequence[Tensor]
    ) -> Self:
        """A window before its first step: x is (T, B, G*H), each part of the state (B, H)."""
        length, streams, _ = x.shape
        dtype = _numpy(x).dtype
        states = [np.empty((length + 1, *part.shape), dtype) for part in state]
        for stack, part in zip(states, state, strict=True):
            stack[0] = _numpy(part)
        left = [np.empty((length, streams, formula.width), dtype) for formula in programs.left]
        # numpy is faster with rows that are there than with one to repeat.
        rows = [np.tile(_numpy(vector), (streams, 1)) for vector in vectors]
        return cls(programs, [_numpy(x), *states, *left, *rows])

    def run(self, weight: Tensor) -> None:
        """All steps, one after the other. `weight` is U, (G*H, H)."""
        program, products = self.programs.forward, self.programs.products
        given = [_each_step(formula, self.array(formula)) for formula in program.given[len(products) :]]
        written = [*(part[1:] for part in self.states), *self.left]
        step = routine_for(program, (self.streams,), self.x.dtype)
        multiply = repeated_product(weight, self.streams)
        for h, row in zip(self.states[0][:-1], program.rows(given, written), strict=True):
            r = multiply(h)
            step((*[slice_of(formula, r) for formula in products], *row))
        step.forget()

    def array(self, formula: Formula, steps: slice = slice(None)) -> FloatArray:
        """What a formula is in some steps: (steps, B, width), or (B, width) if it is the same in all."""
        array = slice_of(formula, self._values[formula.root])
        return array if formula.is_fixed else array[steps]


class _WayBack:
    """How gradients go back through a window."""

    def __init__(self, window: _Window, last: Sequence[Tensor | None]) -> None:
        """
        Stand after the last step.

        Args:
            window: after its run.
            last: the gradient of each part of the last state, (B, H), where it was used.
        """
        programs = window.programs
        self._window = window
        self._written = [_empty(window.x, blocks) for blocks in programs.written]
        self._of_r, self._of_x = self._written[0], self._written[-1]
        self._of_state = [np.zeros_like(part[0]) for part in window.states]
        for part, gradient in zip(self._of_state, last, strict=True):
            if gradient is not None:
                part[:] = _numpy(gradient)
        self._beside = [np.zeros_like(part) for part in self._of_state]
        """The gradients of the state before a step, as far as its equations read it beside U h."""
        self._of_vectors = [
            np.zeros((window.streams, vector.width), window.x.dtype) for vector in programs.vectors
        ]

    def run(self, weight: Tensor, hidden: Tensor | None) -> None:
        """
        All steps, the last one first.

        Args:
            weight: U, (G*H, H).
            hidden: the gradient of the hidden states, (T, B, H), where they were used.
        """
        window, programs = self._window, self._window.programs
        step = routine_for(programs.back, (window.streams,), window.x.dtype)
        multiply = repeated_product(weight.T, window.streams)
        sums = list(_pairs(self._of_vectors, programs.of_vectors))
        beside = list(_pairs(self._beside, programs.of_state))
        above = repeat(0.0) if hidden is None else _numpy(hidden)[::-1]
        for from_above, of_r, row in zip(above, self._of_r[::-1], self._rows(), strict=False):
            self._of_state[0] += from_above
            step(row)
            for total, formula in sums:
                total += step[formula]
            for gradient, formula in beside:
                gradient[:] = step[formula]
            np.add(multiply(of_r), self._beside[0], self._of_state[0])
            for after, before in zip(self._of_state[1:], self._beside[1:], strict=True):
                after[:] = before
        step.forget()

    def gradients(self) -> list[Tensor]:
        """Those of x, the weight, the state before the window and the vectors, after all steps."""
        before = torch.from_numpy(self._window.states[0][:-1]).flatten(0, 1)
        of_r = torch.from_numpy(self._of_r).flatten(0, 1)
        of_weight = weight_gradient(of_r, before)
        of_vectors = [total.sum(0) for total in self._of_vectors]
        others = [torch.from_numpy(array) for array in (*self._of_state, *of_vectors)]
        return [torch.from_numpy(self._of_x), of_weight, *others]

    def _rows(self) -> Iterator[Row]:
        """What `back` is given in each step, the last one first."""
        window, programs = self._window, self._window.programs
        written = [block for block, _ in _pairs(self._written, programs.written)]
        size = max(1, FACTOR_SIZE // self._of_state[0].size)
        for end in range(window.length, 0, -size):
            steps = slice(max(0, end - size), end)
            shape = (steps.stop - steps.start, window.streams)
            factors = routine_for(programs.factors, shape, window.x.dtype)
            factors([window.array(formula, steps) for formula in programs.factors.given])
            given = [
                _each_step(formula, factors[formula], -1)
                for formula in programs.back.given[len(self._of_state) :]
            ]
            factors.forget()
            blocks = [block[steps][::-1] for block in written]
            yield from programs.back.rows([*map(repeat, self._of_state), *given], blocks)


def _empty(like: FloatArray, blocks: Iterable[Columns]) -> FloatArray:
    """An array as large as another, with zeros where no block of columns is."""
    covered = sum(columns.end - columns.first for columns in blocks)
    return np.empty_like(like) if covered == like.shape[-1] else np.zeros_like(like)


def _pairs(
    arrays: Iterable[FloatArray], blocks: Iterable[Mapping[Columns, Formula]]
) -> Iterator[tuple[FloatArray, Formula]]:
    """The blocks of arrays, and the formulas that say what these are."""
    for array, formulas in zip(arrays, blocks, strict=True):
        for columns, formula in formulas.items():
            yield columns.of(array), formula


def _each_step(formula: Formula, array: FloatArray, order: int = 1) -> Iterable[FloatArray]:
    """What a formula is in some steps, one after the other; -1 is from the last to the first."""
    return repeat(array) if formula.is_fixed else array[::order]


def _numpy(tensor: Tensor) -> FloatArray:
    """The same numbers in the same memory."""
    return tensor.detach().numpy()
