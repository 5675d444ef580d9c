"""
Which way to compute a layer is the fastest: the one place that chooses.

For a recurrent layer on a CPU that is torch's fused kernel for the LSTM alone; all other cells are faster
traced. One stream alone spends its time on reading weights: a large LSTM is then traced too, with products
made for that. Elsewhere it is torch's kernel for a cell that has one. Autograd through the cell's equations
does for all others, and would for every layer. Torch's kernel of layer normalisation is faster than its
equation. A layer of another kind computes its `window`, attention with its contexts as banded products.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from lmgen.models.network import cells
from lmgen.models.network.attention import Attention
from lmgen.models.network.bidirectional import Bidirectional
from lmgen.models.network.cells import EPSILON, Cell, CellState
from lmgen.models.network.layer import Layer, LayerState
from lmgen.models.network.normalization import LayerNormalization
from lmgen.models.network.recurrent import Recurrent, run_equations
from lmgen.training.layers.attention import banded_contexts
from lmgen.training.layers.fused import FUSED
from lmgen.training.layers.products import single_product
from lmgen.training.layers.traced import programs_for, run_programs

FUSED_ON_CPU = {cells.lstm}

LARGE_WEIGHT = 1 << 19
"""Numbers of the recurrent weight that do not fit in a core's cache beside what else a step needs."""


def run_window(
    layer: Layer,
    arrays: Mapping[str, Tensor],
    values: Tensor,
    state: LayerState,
    passed: Tensor,
    order: Tensor | None = None,
    alone: bool = False,
) -> tuple[Tensor, LayerState]:
    """
    A layer of any kind over a window: what it gives, (T, B, m), and its last state.

    Args:
        layer: what to compute.
        arrays: its parameters, by their names without its prefix.
        values: what it reads, (T, B, n).
        state: before the window, each part (B, size).
        passed: the same as `values` before dropout: what a residual connection passes on.
        order: in which a layer that reads texts from their end takes the steps (`backward_order`).
        alone: whether a single stream is computed in a way of its own; results differ by rounding alone.
    """
    if isinstance(layer, Bidirectional):
        return layer.window(arrays, values, state, order, run_recurrent, passed)
    if isinstance(layer, Attention):
        return layer.window(arrays, values, state, banded_contexts)
    if isinstance(layer, LayerNormalization):
        return functional.layer_norm(
            values, values.shape[-1:], arrays["gain"], arrays["bias"], EPSILON
        ), state
    if not isinstance(layer, Recurrent):
        return layer.window(arrays, values, state)
    hidden, last = run_recurrent(layer.cell, arrays, values, state, alone=alone)
    return layer.connected(hidden, passed), last


def run_recurrent(
    cell: Cell, parameters: Mapping[str, Tensor], values: Tensor, state: CellState, *, alone: bool = False
) -> tuple[Tensor, CellState]:
    """
    A recurrent layer over a window: its hidden states, (T, B, H), and its last state.

    Args:
        cell: whose equations to compute.
        parameters: the layer's arrays by name: weight_input, bias, the recurrent matrices and vectors.
        values: what it reads, (T, B, I).
        state: before the window, each part (B, H).
        alone: as for `run_window`.
    """
    on_cpu = values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)
    alone = alone and on_cpu and values.shape[1] == 1
    if cell.step in FUSED and not (on_cpu and _is_traced(cell, parameters, alone=alone)):
        return FUSED[cell.step](parameters, values, state)
    programs = programs_for(cell, parameters) if on_cpu else None
    if programs is None:
        return run_equations(cell, parameters, values, state)
    return run_programs(programs, cell, parameters, values, state, single_product if alone else None)


def _is_traced(cell: Cell, parameters: Mapping[str, Tensor], *, alone: bool) -> bool:
    """Whether a cell that has a fused kernel is faster without it on a CPU."""
    is_large = alone and parameters["weight_recurrent"].numel() >= LARGE_WEIGHT
    return is_large or cell.step not in FUSED_ON_CPU
