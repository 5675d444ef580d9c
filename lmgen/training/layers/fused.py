"""
Recurrent layers by torch's fused kernels, which are cuDNN's on CUDA.

The kernels know cells by their equations, so they are listed by the step function that they compute. They add
a second bias to the recurrent product; what a cell has no use for there is zero.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmgen.models.network import cells
from lmgen.models.network.cells import CellState, Step

Parameters = Mapping[str, Tensor]

FusedLayer = Callable[[Parameters, Tensor, CellState], tuple[Tensor, CellState]]
"""Parameters, input (T, B, I) and state before -> hidden states (T, B, H) and state after."""


def fused_lstm(parameters: Parameters, values: Tensor, state: CellState) -> tuple[Tensor, CellState]:
    """`cells.lstm`."""
    initial = [part[None] for part in state]
    recurrent_bias = torch.zeros_like(parameters["bias"])
    hidden, h, c = torch.lstm(values, initial, *_settings(parameters, recurrent_bias, values, state))
    return hidden, (h[0], c[0])


def fused_gru(parameters: Parameters, values: Tensor, state: CellState) -> tuple[Tensor, CellState]:
    """`cells.gru`."""
    candidate = parameters["bias_recurrent"]
    recurrent_bias = torch.cat([candidate.new_zeros(2 * len(candidate)), candidate])
    return _run_single(torch.gru, parameters, recurrent_bias, values, state)


def fused_rnn(parameters: Parameters, values: Tensor, state: CellState) -> tuple[Tensor, CellState]:
    """`cells.rnn`."""
    return _run_single(torch.rnn_tanh, parameters, torch.zeros_like(parameters["bias"]), values, state)


def fused_rnn_relu(parameters: Parameters, values: Tensor, state: CellState) -> tuple[Tensor, CellState]:
    """`cells.rnn_relu`."""
    return _run_single(torch.rnn_relu, parameters, torch.zeros_like(parameters["bias"]), values, state)


FUSED: dict[Step, FusedLayer] = {
    cells.lstm: fused_lstm,
    cells.gru: fused_gru,
    cells.rnn: fused_rnn,
    cells.rnn_relu: fused_rnn_relu,
}


def joined(weights: Sequence[Tensor]) -> list[Tensor]:
    """
    The same weights, one after the other in one piece of memory, as cuDNN wants those of a layer.

    Given others, it warns and copies them, in each window. So they are copied here: weight drop and recurrent
    biases make new tensors for each window anyway, so that it would not help to arrange the parameters once.
    """
    whole = torch.cat([weight.flatten() for weight in weights])
    parts: Sequence[Tensor] = whole.split([weight.numel() for weight in weights])  # type: ignore[no-untyped-call]
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def _run_single(
    kernel: Callable[..., tuple[Tensor, Tensor]],
    parameters: Parameters,
    recurrent_bias: Tensor,
    values: Tensor,
    state: CellState,
) -> tuple[Tensor, CellState]:
    """A kernel whose state is h alone."""
    hidden, h = kernel(values, state[0][None], *_settings(parameters, recurrent_bias, values, state))
    return hidden, (h[0],)


def _settings(
    parameters: Parameters, recurrent_bias: Tensor, values: Tensor, state: CellState
) -> tuple[Any, ...]:
    """What the kernels take after input and state."""
    weights = [parameters["weight_input"], parameters["weight_recurrent"], parameters["bias"], recurrent_bias]
    if _is_for_cudnn(values):
        weights = joined(weights)
    has_biases, layers, dropout, bidirectional, batch_first = True, 1, 0.0, False, False
    # cuDNN keeps what the backward pass needs only when it is told that there will be one.
    train = torch.is_grad_enabled() and any(t.requires_grad for t in (values, *state, *weights))
    return weights, has_biases, layers, dropout, train, bidirectional, batch_first


def _is_for_cudnn(values: Tensor) -> bool:
    """Whether cuDNN gets these weights as they are; with autocast torch copies them, in one piece."""
    if not values.is_cuda or torch.is_autocast_enabled("cuda"):
        return False
    return bool(torch.backends.cudnn.is_acceptable(values))  # type: ignore[no-untyped-call]
