"""
Gradient clipping: all gradients together are scaled down to a largest norm.

Pascanu, Mikolov and Bengio 2013, algorithm 1. Gradients may be sparse (rows.py), which torch's own
`clip_grad_norm_` does not take.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """
    Scale all gradients in place so that their joint norm is at most `limit`.

    Returns:
        The norm before clipping.
    """
    values = [_values(parameter) for parameter in parameters if parameter.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in values]))
    share = (limit / (norm + 1e-6)).clamp(max=1.0)
    for each in values:
        each.mul_(share)
    return norm


def _values(parameter: nn.Parameter) -> Tensor:
    """The numbers of a gradient; of a sparse one those that it stores, each row once."""
    assert parameter.grad is not None
    if not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()
