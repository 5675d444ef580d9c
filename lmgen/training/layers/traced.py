"""
One recurrent layer of any cell over a window, on a CPU, by the programs of autodiff/.

With 16 streams what counts is the price of a call, and numpy's is a third of torch's. So all is left to numpy
but for the matrix products (products.py), and torch sees one function with several inputs.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lmgen.arrays import FloatArray
from lmgen.autodiff import BackwardPass, CellPrograms, Window, programs_of
from lmgen.models.network.cells import Cell, CellState
from lmgen.training.layers.products import Product, linear, repeated_product, weight_gradient


def programs_for(cell: Cell, parameters: Mapping[str, Tensor]) -> CellPrograms | None:
    """The programs of a cell of that size, or None if its equations cannot be traced."""
    hidden_size = len(parameters["bias"]) // len(cell.gates)
    return programs_of(cell, hidden_size, tuple((name, len(parameters[name])) for name in _vectors(cell)))


def run_programs(
    programs: CellPrograms,
    cell: Cell,
    parameters: Mapping[str, Tensor],
    values: Tensor,
    state: CellState,
    product_by: Callable[[Tensor], Product] | None = None,
) -> tuple[Tensor, CellState]:
    """
    A layer over a window (see `run_recurrent`) by its cell's programs, differentiable once.

    `product_by` gives the products with a matrix; None: `repeated_product`, for any number of streams.
    """
    x = linear(values, parameters["weight_input"], parameters["bias"])
    matrices = [parameters[name] for name in cell.recurrent]
    vectors = [parameters[name] for name in _vectors(cell)]
    product_by = product_by or partial(repeated_product, rows=values.shape[1])
    names = tuple(cell.recurrent)
    hidden, *last = _Recurrence.apply(programs, names, product_by, x, *matrices, *state, *vectors)  # type: ignore[no-untyped-call]
    return hidden, tuple(last)


def _vectors(cell: Cell) -> list[str]:
    """What a step may read beside x and the state."""
    return ["bias", *cell.vectors]


class _Recurrence(torch.autograd.Function):
    """A window as torch wants it: tensors in a row, and gradients in the same order."""

    @staticmethod
    def forward(
        ctx: Any,
        programs: CellPrograms,
        names: tuple[str, ...],
        product_by: Callable[[Tensor], Product],
        x: Tensor,
        *rest: Tensor,
    ) -> tuple[Tensor, ...]:
        matrices, others = rest[: len(names)], [_numpy(tensor) for tensor in rest[len(names) :]]
        parts = len(programs.before)
        window = Window.begin(programs, _numpy(x), others[:parts], others[parts:])
        named = dict(zip(names, matrices, strict=True))
        # Numbers that are not finite are for the caller to see, as with torch.
        with np.errstate(all="ignore"):
            window.run(lambda name: product_by(named[name]))
        hidden = torch.from_numpy(window.states[0][1:])
        ctx.programs, ctx.names, ctx.product_by = programs, names, product_by
        ctx.save_for_backward(*matrices, hidden, *map(torch.from_numpy, window.arrays))
        ctx.set_materialize_grads(False)
        return hidden, *(torch.from_numpy(part[-1].copy()) for part in window.states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, hidden: Tensor | None, *last: Tensor | None) -> tuple[Tensor | None, ...]:
        # torch complains here if somebody changed the hidden states, which are saved for that alone.
        saved = ctx.saved_tensors
        named = dict(zip(ctx.names, saved, strict=False))
        window = Window(ctx.programs, [_numpy(array) for array in saved[len(named) + 1 :]])
        back = BackwardPass(window, [None if part is None else _numpy(part) for part in last])
        with np.errstate(all="ignore"):
            back.run(
                lambda name: ctx.product_by(named[name].T),
                None if hidden is None else _numpy(hidden),
            )
            matrices: dict[str, Tensor] = {}
            for name, gradient, operand in back.products:
                rows = (torch.from_numpy(array).flatten(0, 1) for array in (gradient, operand))
                outer = weight_gradient(*rows)
                matrices[name] = matrices[name] + outer if name in matrices else outer
            others = [torch.from_numpy(array) for array in (*back.state, *back.vectors)]
            return (None, None, None, torch.from_numpy(back.x), *map(matrices.get, ctx.names), *others)


def _numpy(tensor: Tensor) -> FloatArray:
    """The same numbers in the same memory."""
    return tensor.detach().numpy()
