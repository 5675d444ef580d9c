"""
What keeps a network from learning its training text by heart. Where each acts stands in network.py.

All of it draws from torch's own random numbers, whose state a checkpoint keeps, and draws nothing at a rate
of zero: training without it is the same to the last bit.
"""

import torch
from torch import Tensor


def locked_dropout(values: Tensor, rate: float) -> Tensor:
    """
    Dropout whose mask is drawn once for all steps of a window: variational dropout.

    Args:
        values: (T, B, H).
        rate: share of each stream's H values that is dropped; the others are divided by 1 - rate, so that
            the expected value stays.

    Gal and Ghahramani 2016, section 4; Merity, Keskar and Socher 2017, section 4.1.
    """
    return values * _mask(values[:1], rate) if rate else values


def _mask(like: Tensor, rate: float) -> Tensor:
    """A mask of that shape, drawn anew: 0 with probability `rate`, else 1 / (1 - rate)."""
    return torch.empty_like(like).bernoulli_(1 - rate) / (1 - rate)
