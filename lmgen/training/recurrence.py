"""
One recurrent layer of any cell over a window, and its gradients, on a CPU.

What takes the time is done in few large products: that of the inputs before the first step (by the caller),
that of the weight's gradient after the last. In between, each step forward and each step back is a product
with the recurrent weight and a few passes over the gates. numpy makes these passes, on torch's memory: with
16 streams what counts is the price of a call, and numpy's is a third of torch's.

On the way back derivatives.py turns a cell's equations into factors, computed for several steps at once, and
what is left for each step is mostly to multiply gradients by them.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lmgen.models.cells import Cell, CellState
from lmgen.training.derivatives import after_step, gradients_of
from lmgen.training.products import product, repeated_product

FACTOR_SIZE = 1 << 15
"""How many numbers a factor may hold: those of more steps at once take fewer calls, but leave the cache."""

Array = npt.NDArray[np.floating[Any]]


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
    hidden, *last = _Recurrence.apply(cell, tuple(vectors), x, weight, *state, *vectors.values())  # type: ignore[no-untyped-call]
    return hidden, tuple(last)


class _Recurrence(torch.autograd.Function):
    """`run_recurrence`, with its tensors in a row as torch wants them."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, names: tuple[str, ...], x: Tensor, weight: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        state, vectors = rest[: len(cell.states)], rest[len(cell.states) :]
        window = _run(cell, x, weight, dict(zip(names, vectors, strict=True)), state)
        ctx.cell, ctx.names = cell, names
        ctx.save_for_backward(x, weight, *vectors, *window.states, *window.products)
        ctx.set_materialize_grads(False)
        return (window.states[0][1:], *(part[-1].clone() for part in window.states))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, hidden: Tensor | None, *last: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, *rest = ctx.saved_tensors
        vectors, rest = rest[: len(ctx.names)], rest[len(ctx.names) :]
        states, products = rest[: len(last)], rest[len(last) :]
        window = _Window(ctx.cell, x, weight, dict(zip(ctx.names, vectors, strict=True)), states, products)
        return (None, None, *_gradients(window, hidden, last))


class _Window(NamedTuple):
    """What went into the steps of a window, and what came of them."""

    cell: Cell
    x: Tensor
    weight: Tensor
    vectors: Mapping[str, Tensor]
    states: Sequence[Tensor]
    """Each part of the state, (T + 1, B, H), from before the first step to after the last."""
    products: Sequence[Tensor]
    """U h of each step, (B, G*H)."""


def _run(
    cell: Cell, x: Tensor, weight: Tensor, vectors: Mapping[str, Tensor], state: Sequence[Tensor]
) -> _Window:
    """All steps, one after the other."""
    states = [part.new_empty(len(x) + 1, *part.shape) for part in state]
    for stack, part in zip(states, state, strict=True):
        stack[0] = part
    xs, stored = _numpy(x), [_numpy(part) for part in states]
    read = {name: _numpy(vector) for name, vector in vectors.items()}
    multiply = repeated_product(weight, x.shape[1])
    products = []
    now: CellState = tuple(array[0] for array in stored)
    with np.errstate(all="ignore"):  # numbers that are not finite are for the caller to see, as with torch
        for step, h in enumerate(states[0][:-1]):
            r = multiply(h)
            products.append(r)
            now = cell.step(xs[step], r.numpy(), now, read)
            for array, part in zip(stored, now, strict=True):
                array[step + 1] = part
    return _Window(cell, x, weight, vectors, states, products)


def _gradients(
    window: _Window, hidden: Tensor | None, last: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """
    The gradients of x, the weight, the state before the window, and the vectors.

    Args:
        window: to go back through.
        hidden: the gradient of its hidden states, (T, B, H), where they were used.
        last: that of each part of its last state, (B, H), likewise.
    """
    way = _WayBack(window)
    multiply = repeated_product(window.weight.T, window.x.shape[1])
    zeros = np.zeros_like(_numpy(window.states[0][0]))
    state = [zeros if part is None else _numpy(part) for part in last]
    above = [zeros] * len(window.x) if hidden is None else _numpy(hidden)
    with np.errstate(all="ignore"):
        for step, r in reversed(list(enumerate(way.r))):
            beside = way.step([state[0] + above[step], *state[1:]], step)
            through = multiply(r).numpy()
            state = [zeros if part is None else part for part in beside]
            state[0] = through if beside[0] is None else beside[0] + through
    before = window.states[0][:-1]
    of_weight = product(before.flatten(0, 1).T, way.r.flatten(0, 1).T).T.contiguous()
    of_state = [torch.from_numpy(part.copy()) for part in state]  # parts may share memory
    return (way.x, of_weight, *of_state, *way.vectors())


class _WayBack:
    """How gradients pass a cell's equations, step by step: all that is not a matrix product."""

    def __init__(self, window: _Window) -> None:
        lengths = tuple((name, len(vector)) for name, vector in window.vectors.items())
        self._window = window
        self._gradients = gradients_of(window.cell, window.weight.shape[1], lengths)
        self._arrays = _arrays(window, self._gradients.reads)
        self._factors: list[Array] = []
        self._first = len(window.x)
        """The step that the factors begin with."""
        self.r = torch.empty_like(window.x)
        """The gradients of the products U h, (T, B, G*H)."""
        blocks = self._gradients.blocks
        shared = blocks["x"] == blocks["r"]  # where the equations know no more than x + r
        self.x = self.r if shared else torch.empty_like(window.x)
        """The gradient of x."""
        self._sums = {
            name: vector.new_zeros(window.x.shape[1], len(vector)) for name, vector in window.vectors.items()
        }
        self._written = self._blocks("r", self.r)
        if not shared:
            self._written += self._blocks("x", self.x)
        self._added = [block for name, array in self._sums.items() for block in self._blocks(name, array)]
        self._state = [[block.place for block in blocks[name]] for name in window.cell.states]

    def step(self, gradients: Sequence[Array], step: int) -> list[Array | None]:
        """
        Pass one step, and write its part of the gradients of r and x.

        Args:
            gradients: of the parts of the state after the step, each (B, H).
            step: which; the last of the window comes first.

        Returns:
            Those of the parts of the state before, as far as the equations read them beside U h.
        """
        if step < self._first:
            self._compute_factors(step + 1)
        values = self._gradients.step(gradients, self._factors, step - self._first)
        for place, block in self._written:
            block[step] = values[place]
        for place, total in self._added:
            total += values[place]
        return [values[places[0]] if places else None for places in self._state]

    def vectors(self) -> list[Tensor]:
        """The gradients of the vectors, once the first step is passed."""
        return [array.sum(0) for array in self._sums.values()]

    def _blocks(self, name: str, gradient: Tensor) -> list[tuple[int, Array]]:
        """Which value of a step goes to which columns of a gradient; the others are zero."""
        array = _numpy(gradient)
        blocks = self._gradients.blocks[name]
        if sum(block.end - block.first for block in blocks) < array.shape[-1]:
            gradient.zero_()
        return [(block.place, array[..., block.first : block.end]) for block in blocks]

    def _compute_factors(self, end: int) -> None:
        """Those of some steps before `end`."""
        window = self._window
        first = self._first = max(0, end - max(1, FACTOR_SIZE // window.states[0][0].numel()))
        arrays = {
            name: array if name in window.vectors else array[first:end]
            for name, array in self._arrays.items()
        }
        if "r" in self._gradients.reads:
            arrays["r"] = _numpy(torch.stack(list(window.products[first:end])))
        self._factors = self._gradients.factors(arrays)


def _arrays(window: _Window, names: Container[str]) -> dict[str, Array]:
    """Those of a window's arrays that are named; the products are in no array."""
    tensors = {"x": window.x, **window.vectors}
    for name, part in zip(window.cell.states, window.states, strict=True):
        tensors |= {name: part[:-1], after_step(name): part[1:]}
    return {name: _numpy(tensor) for name, tensor in tensors.items() if name in names}


def _numpy(tensor: Tensor) -> Array:
    """The same numbers in the same memory."""
    return tensor.detach().numpy()
