"""
An optimiser for networks with a large vocabulary, of which a window uses a few tokens.

A word that is seldom seen has a gradient seldom. Adam's averages then say nothing of its size: they have
faded in between, and the word's vector is thrown far by what comes. Adagrad (Duchi, Hazan and Singer 2011)
divides by the root of all squared gradients so far: it learns fast from a word's first occurrences and ever
more cautiously after, and where there is no gradient nothing changes. So an update touches only the rows
that a window used, and takes as long for 250,000 tokens as for 10,000.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-10
"""Keeps Adagrad from dividing by zero."""


class AdamWAdagrad(torch.optim.AdamW):
    """
    AdamW for the layers of a network, Adagrad for its embedding and output.

    Whoever sets the learning rate sets that of the layers; the other keeps its proportion to it.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        tokens: Iterable[nn.Parameter],
        lr: float,
        tokens_lr: float,
        **settings: Any,
    ) -> None:
        """
        Sort the parameters.

        Args:
            parameters: of the whole network.
            tokens: those of them that are for Adagrad; their gradients may be sparse.
            lr: the learning rate of AdamW.
            tokens_lr: that of Adagrad while the other is `lr`.
            settings: AdamW's.
        """
        rows = list(tokens)
        known = {id(parameter) for parameter in rows}
        layers = [parameter for parameter in parameters if id(parameter) not in known]
        groups: list[dict[str, Any]] = [
            {"params": layers},
            {"params": rows, "adagrad_share": tokens_lr / lr},
        ]
        super().__init__(groups, lr=lr, **settings)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change all parameters that have a gradient; there is no closure."""
        group = self.param_groups.pop()
        try:
            super().step(closure)
        finally:
            self.param_groups.append(group)
        for parameter in group["params"]:
            if parameter.grad is not None:
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)  # AdamW looks for one in every state that it loads
                    state["sum"] = torch.zeros_like(parameter)
                _adagrad(parameter, parameter.grad, state["sum"], group["lr"] * group["adagrad_share"])


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """
    Shorten all gradients together to a norm of at most `limit`, sparse ones too.

    Returns:
        The norm before.
    """
    values = [_values(parameter) for parameter in parameters if parameter.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in values]))
    share = (limit / (norm + 1e-6)).clamp(max=1.0)
    for each in values:
        each.mul_(share)
    return norm


def _values(parameter: nn.Parameter) -> Tensor:
    """The numbers of a gradient; of a sparse one those that it holds, each row once."""
    assert parameter.grad is not None
    if not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()


def _adagrad(parameter: Tensor, gradient: Tensor, squares: Tensor, rate: float) -> None:
    """Change a parameter and its sum of squared gradients in place; by a sparse gradient only some rows."""
    if gradient.is_sparse:
        gradient = gradient.coalesce()  # each row once
        rows, values = gradient.indices()[0], gradient.values()
        sums = squares[rows].addcmul_(values, values)
        squares[rows] = sums
        parameter[rows] = parameter[rows].addcdiv_(values, sums.sqrt_().add_(EPSILON), value=-rate)
    else:
        squares.addcmul_(gradient, gradient)
        parameter.addcdiv_(gradient, squares.sqrt().add_(EPSILON), value=-rate)
