"""
How a recurrent layer is computed for training, by whatever is fastest.

On a CPU that is torch's fused kernel for the LSTM alone; all other cells are faster through traced.py.
Elsewhere it is torch's kernel for a cell that has one, and autograd through its equations for the others.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lmgen.models.network.cells import CellState, cell_named
from lmgen.models.network.layer import Layer, LayerState
from lmgen.models.network.recurrent import Recurrent
from lmgen.training.layers.products import linear
from lmgen.training.layers.traced import run_recurrence

Runner = Callable[[Mapping[str, Tensor], Tensor, CellState], tuple[Tensor, CellState]]
"""Parameters, input (T, B, I) and state before -> hidden states (T, B, H) and state after."""


def run_window(
    layer: Layer, arrays: Mapping[str, Tensor], values: Tensor, state: LayerState, passed: Tensor
) -> tuple[Tensor, LayerState]:
    """
    One layer over a window, by whatever is fastest: what it gives, (T, B, m), and its last state.

    Args:
        layer: of any kind.
        arrays: its parameters, by their names without its prefix.
        values: what it reads, (T, B, n).
        state: before the window, each part (B, size).
        passed: the same as `values` before dropout: what a residual connection passes on.
    """
    if not isinstance(layer, Recurrent):
        return layer.window(arrays, values, state)
    hidden, last = run_layer(layer.cell_name, arrays, values, state)
    return layer.connected(hidden, passed), last


def run_layer(
    cell: str, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """
    One layer over a window: its hidden states, (T, B, H), and its last state.

    Args:
        cell: its name in `CELLS`.
        parameters: the layer's arrays, by the names of `parameter_shapes` without their prefix.
        values: what it reads, (T, B, I).
        state: before the window, each part (B, H).
    """
    on_cpu = values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)
    if cell in (_FUSED_ON_CPU if on_cpu else _FUSED):
        return _FUSED[cell](parameters, values, state)
    if on_cpu:
        return _run_recurrence(cell, parameters, values, state)
    return _run_equations(cell, parameters, values, state)


def _run_recurrence(
    cell: str, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """A layer of any cell on a CPU."""
    x = linear(values, parameters["weight_input"], parameters["bias"])
    vectors = {name: array for name, array in parameters.items() if not name.startswith("weight_")}
    return run_recurrence(cell_named(cell), x, parameters["weight_recurrent"], vectors, state)


def _run_equations(
    cell: str, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """A layer of any cell anywhere, step by step as its equations stand."""
    step = cell_named(cell).step
    inputs = values @ parameters["weight_input"].T + parameters["bias"]  # (T, B, G*H)
    hidden = []
    for x in inputs:
        state = step(x, state, lambda name, values: values @ parameters[name].T, parameters)
        hidden.append(state[0])
    return torch.stack(hidden), state


# torch's kernels take (input, state, weights, has biases, layers, dropout, training, both ways, batch first).
# They add a second bias to the recurrent product; what a cell has no use for there is zero.


def _fused_lstm(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    recurrent_bias = torch.zeros_like(parameters["bias"])
    initial = [part[None] for part in state]
    hidden, h, c = torch.lstm(
        values, initial, _weights(parameters, recurrent_bias), True, 1, 0.0, False, False, False
    )
    return hidden, (h[0], c[0])


def _fused_gru(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    candidate = parameters["bias_recurrent"]
    recurrent_bias = torch.cat([candidate.new_zeros(2 * len(candidate)), candidate])
    return _fused_single(torch.gru, parameters, recurrent_bias, values, state)


def _fused_rnn(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    return _fused_single(torch.rnn_tanh, parameters, torch.zeros_like(parameters["bias"]), values, state)


def _fused_rnn_relu(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    return _fused_single(torch.rnn_relu, parameters, torch.zeros_like(parameters["bias"]), values, state)


def _fused_single(
    kernel: Callable[..., tuple[Tensor, Tensor]],
    parameters: Mapping[str, Tensor],
    recurrent_bias: Tensor,
    values: Tensor,
    state: CellState,
) -> tuple[Tensor, CellState]:
    """A kernel whose state is h alone."""
    hidden, h = kernel(
        values, state[0][None], _weights(parameters, recurrent_bias), True, 1, 0.0, False, False, False
    )
    return hidden, (h[0],)


def _weights(parameters: Mapping[str, Tensor], recurrent_bias: Tensor) -> list[Tensor]:
    return [parameters["weight_input"], parameters["weight_recurrent"], parameters["bias"], recurrent_bias]


_FUSED: dict[str, Runner] = {
    "lstm": _fused_lstm,
    "gru": _fused_gru,
    "rnn": _fused_rnn,
    "rnn-relu": _fused_rnn_relu,
}
_FUSED_ON_CPU = {"lstm"}
