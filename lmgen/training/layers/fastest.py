"""
Which way to compute a recurrent layer is the fastest: the one place that chooses.

On a CPU that is torch's fused kernel for the LSTM alone; all other cells are faster traced. Elsewhere it is
torch's kernel for a cell that has one. Autograd through the equations does for all others, and would for
every layer.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lmgen.models.network import cells
from lmgen.models.network.cells import Cell, CellState
from lmgen.training.layers.equations import run_equations
from lmgen.training.layers.fused import FUSED
from lmgen.training.layers.traced import programs_for, run_programs

FUSED_ON_CPU = {cells.lstm}


def run_recurrent(
    cell: Cell, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """
    One layer over a window: its hidden states, (T, B, H), and its last state.

    Args:
        cell: whose equations to compute.
        parameters: the layer's arrays by name: weight_input, bias, the recurrent matrices and vectors.
        values: what it reads, (T, B, I).
        state: before the window, each part (B, H).
    """
    on_cpu = values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)
    if cell.step in FUSED and (cell.step in FUSED_ON_CPU or not on_cpu):
        return FUSED[cell.step](parameters, values, state)
    programs = programs_for(cell, parameters) if on_cpu else None
    if programs is None:
        return run_equations(cell, parameters, values, state)
    return run_programs(programs, cell, parameters, values, state)
