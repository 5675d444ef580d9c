"""
Gradient clipping: by value, and then all gradients together are scaled down to a largest norm.

By norm: Pascanu, Mikolov and Bengio 2013, algorithm 1. By value: Mikolov 2012. Gradients may be
sparse (rows.py), which torch's own functions do not take.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float, largest: float | None = None) -> Tensor:
    """
    Change all gradients in place so that their joint norm is at most `limit`.

    Args:
        parameters: those whose gradients are clipped.
        limit: of the joint norm.
        largest: first cut each number in a gradient to this absolute value; None: not.

    Returns:
        The norm before any clipping.
    """
    values = [_values(parameter) for parameter in parameters if parameter.grad is not None]
    before = after = _joint_norm(values)
    if largest is not None:
        for each in values:
            each.clamp_(-largest, largest)
        after = _joint_norm(values)
    share = (limit / (after + 1e-6)).clamp(max=1.0)
    for each in values:
        each.mul_(share)
    return before


def _joint_norm(values: Sequence[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in values]))
    return norm


def _values(parameter: nn.Parameter) -> Tensor:
    """The numbers of a gradient; of a sparse one those that it stores, each row once."""
    assert parameter.grad is not None
    if not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()
