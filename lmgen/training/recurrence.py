"""
One recurrent layer of any cell over a window, and its gradients, on a CPU.

What takes the time is done in few large products: that of the inputs before the first step (by the caller),
that of the weight's gradient after the last. In between, each step forward and each step back is a product
with the recurrent weight and a few passes over the gates. numpy makes these passes, on torch's memory: with
16 streams what counts is the price of a call, and numpy's is a third of torch's.

On the way back derivatives.py turns a cell's equations into factors, computed for several steps at once, and
what is left for each step is to multiply gradients by them. A cell that mixes units (layer normalisation) has
no such factors: torch differentiates its equations step by step.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lmgen.models.cells import Cell, CellState
from lmgen.training.derivatives import Derivatives, Source, after_step, derivatives_of
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
    way = _way_back(window)
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
    return (way.x(), of_weight, *map(torch.from_numpy, state), *way.vectors())


class _WayBack(Protocol):
    """How gradients pass a cell's equations: all that is not a matrix product."""

    r: Tensor
    """The gradients of the products U h, (T, B, G*H)."""

    def step(self, gradients: Sequence[Array], step: int) -> Sequence[Array | None]:
        """
        Pass one step and write its part of `r`.

        Args:
            gradients: of the parts of the state after the step, each (B, H).
            step: which; the last of the window comes first.

        Returns:
            Those of the parts of the state before, as far as the equations read them beside U h.
        """

    def x(self) -> Tensor:
        """The gradient of x, (T, B, G*H), once the first step is passed."""

    def vectors(self) -> Sequence[Tensor | None]:
        """Those of the vectors, likewise."""


def _way_back(window: _Window) -> _WayBack:
    lengths = tuple((name, len(vector)) for name, vector in window.vectors.items())
    derivatives = derivatives_of(window.cell, window.weight.shape[1], lengths)
    return _ByAutograd(window) if derivatives is None else _ByFactors(window, derivatives)


_Terms = tuple[tuple[int, int], ...]
"""A sum of products: of the gradient of which part of the state, with which derivative."""


class _ByFactors:
    """The way back through equations that leave each unit to itself: products with their derivatives."""

    def __init__(self, window: _Window, derivatives: Derivatives) -> None:
        self._window = window
        self._derivatives = derivatives
        self._factors: dict[int, Array] = {}
        self._first = len(window.x)
        """The step that the factors begin with."""
        self._arrays = _arrays(window, derivatives.reads)
        self.r = torch.empty_like(window.x)
        self._written = self._blocks("r", self.r)
        self._shared = self._shared_columns()
        self._x = self.r
        if len(self._shared) < len(window.cell.gates):
            self._x = torch.empty_like(window.x)
            self._written += self._blocks("x", self._x, self._shared)
        self._vectors = {
            name: vector.new_zeros(window.x.shape[1], len(vector)) for name, vector in window.vectors.items()
        }
        self._summed = [block for name, array in self._vectors.items() for block in self._blocks(name, array)]
        self._state = [self._terms(Source(name, 0)) for name in window.cell.states]

    def step(self, gradients: Sequence[Array], step: int) -> Sequence[Array | None]:
        """See `_WayBack`."""
        if step < self._first:
            self._compute_factors(step + 1)
        index = step - self._first
        for terms, block in self._written:
            self._sum(terms, gradients, index, out=block[step])
        for terms, total in self._summed:
            total += self._sum(terms, gradients, index)
        return [self._sum(terms, gradients, index) if terms else None for terms in self._state]

    def x(self) -> Tensor:
        """See `_WayBack`."""
        if self._x is not self.r:
            for columns in self._shared:
                self._x[..., columns] = self.r[..., columns]
        return self._x

    def vectors(self) -> Sequence[Tensor | None]:
        """See `_WayBack`."""
        return [array.sum(0) for array in self._vectors.values()]

    def _columns(self, width: int) -> list[slice]:
        """The blocks of H columns in an array."""
        size = self._window.weight.shape[1]
        return [slice(column, column + size) for column in range(0, width, size)]

    def _terms(self, source: Source) -> _Terms:
        """What the gradient of a source is made of."""
        partials = enumerate(self._derivatives.partials)
        return tuple((part, derivatives[source]) for part, derivatives in partials if source in derivatives)

    def _shared_columns(self) -> list[slice]:
        """Where the equations know no more than x + r, so that both have the same gradients."""
        return [
            columns
            for columns in self._columns(self._window.x.shape[-1])
            if self._terms(Source("x", columns.start)) == self._terms(Source("r", columns.start))
        ]

    def _blocks(
        self, name: str, gradient: Tensor, excepted: Sequence[slice] = ()
    ) -> list[tuple[_Terms, Array]]:
        """The blocks of a gradient and what each is made of; those of nothing are set to zero."""
        blocks = []
        for columns in self._columns(gradient.shape[-1]):
            block, terms = _numpy(gradient)[..., columns], self._terms(Source(name, columns.start))
            if not terms:
                block[...] = 0
            elif columns not in excepted:
                blocks.append((terms, block))
        return blocks

    def _compute_factors(self, end: int) -> None:
        """Those of some steps before `end`."""
        window = self._window
        shape = window.states[0][0].shape
        first = self._first = max(0, end - max(1, FACTOR_SIZE // shape.numel()))
        arrays = {
            name: array if name in window.vectors else array[first:end]
            for name, array in self._arrays.items()
        }
        if "r" in self._derivatives.reads:
            arrays["r"] = _numpy(torch.stack(list(window.products[first:end])))
        values = self._derivatives.compute(arrays)
        for number in self._derivatives.results:
            self._factors[number] = _filling((end - first, *shape), values[number])

    def _sum(self, terms: _Terms, gradients: Sequence[Array], index: int, out: Array | None = None) -> Array:
        """A gradient, at the step that is the factors' `index`-th."""
        (part, number), *others = terms
        total: Array = np.multiply(gradients[part], self._factors[number][index], out=out)
        for part, number in others:
            total += gradients[part] * self._factors[number][index]
        return total


class _ByAutograd:
    """The way back through any equations: torch differentiates one step after the other."""

    def __init__(self, window: _Window) -> None:
        self._window = window
        self._read = {name: vector.detach().requires_grad_() for name, vector in window.vectors.items()}
        self._vectors: list[Tensor | None] = [None] * len(window.vectors)
        self._x = torch.zeros_like(window.x)
        self.r = torch.zeros_like(window.x)

    def step(self, gradients: Sequence[Array], step: int) -> Sequence[Array | None]:
        """See `_WayBack`."""
        window = self._window
        arrays = window.x[step], window.products[step], *(part[step] for part in window.states)
        x, r, *state = (array.detach().requires_grad_() for array in arrays)
        with torch.enable_grad():
            after = window.cell.step(x, r, tuple(state), self._read)
        of_x, of_r, *rest = torch.autograd.grad(
            after,
            [x, r, *state, *self._read.values()],
            [torch.from_numpy(gradient) for gradient in gradients],
            allow_unused=True,
        )
        for gradient, block in ((of_x, self._x[step]), (of_r, self.r[step])):
            if gradient is not None:
                block.copy_(gradient)
        self._vectors = [
            _added(total, gradient) for total, gradient in zip(self._vectors, rest[len(state) :], strict=True)
        ]
        return [None if part is None else _numpy(part) for part in rest[: len(state)]]

    def x(self) -> Tensor:
        """See `_WayBack`."""
        return self._x

    def vectors(self) -> Sequence[Tensor | None]:
        """See `_WayBack`."""
        return self._vectors


def _arrays(window: _Window, names: Container[str]) -> dict[str, Array]:
    """Those of a window's arrays that are named; the products are in no array."""
    tensors = {"x": window.x, **window.vectors}
    for name, part in zip(window.cell.states, window.states, strict=True):
        tensors |= {name: part[:-1], after_step(name): part[1:]}
    return {name: _numpy(tensor) for name, tensor in tensors.items() if name in names}


def _filling(shape: tuple[int, ...], values: Array | float) -> Array:
    """The values, repeated where they do not fill the shape."""
    return values if np.shape(values) == shape else np.broadcast_to(values, shape)  # type: ignore[return-value]


def _added(total: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    return total if gradient is None else gradient if total is None else total + gradient


def _numpy(tensor: Tensor) -> Array:
    """The same numbers in the same memory."""
    return tensor.detach().numpy()
