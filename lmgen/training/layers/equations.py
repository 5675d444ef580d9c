"""One recurrent layer of any cell over a window, anywhere: its equations, differentiated by torch."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lmgen.models.network.cells import Cell, CellState


def run_equations(
    cell: Cell, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """A layer over a window (see `run_recurrent`), step by step."""
    inputs = values @ parameters["weight_input"].T + parameters["bias"]  # (T, B, G*H)
    hidden = []
    for x in inputs:
        state = cell.step(x, state, lambda name, operand: operand @ parameters[name].T, parameters)
        hidden.append(state[0])
    return torch.stack(hidden), state
