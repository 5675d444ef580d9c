"""
An optimiser for networks with a large vocabulary, of which a batch uses only a few tokens.

A rare word seldom has a gradient. By the next one Adam's moving averages have decayed and no longer tell its
size, so the word's vector makes far too large a step. Adagrad (Duchi, Hazan and Singer 2011) divides by the
root of the sum of all squared gradients so far: it learns fast from a word's first occurrences and more and
more cautiously later, and without a gradient nothing changes. So an update touches only the rows that a batch
used, and takes as long for 250,000 tokens as for 10,000.
"""

from collections.abc import Iterable
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-10
"""Keeps Adagrad from dividing by zero."""


class AdamWAdagrad(torch.optim.AdamW):
    """
    AdamW for the layers of a network, Adagrad for its embedding and output.

    Setting a group's `lr` sets AdamW's learning rate; Adagrad's stays in proportion to it.
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
        Split the parameters between the two optimisers.

        Args:
            parameters: of the whole network.
            tokens: those of them that Adagrad updates; their gradients may be sparse.
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
        """Update all parameters that have a gradient; a closure is not supported."""
        group = self.param_groups.pop()
        try:
            unwrap(torch.optim.AdamW.step)(self, closure)
        finally:
            self.param_groups.append(group)
        for parameter in group["params"]:
            if parameter.grad is not None:
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)  # AdamW looks for one in every state that it loads
                    state["sum"] = torch.zeros_like(parameter)
                _adagrad(parameter, parameter.grad, state["sum"], group["lr"] * group["adagrad_share"])


def _adagrad(parameter: Tensor, gradient: Tensor, squares: Tensor, rate: float) -> None:
    """Update a parameter and its sum of squared gradients in place, a sparse gradient only its own rows."""
    if gradient.is_sparse:
        gradient = gradient.coalesce()  # each row once
        rows, values = gradient.indices()[0], gradient.values()
        sums = squares[rows].addcmul_(values, values)
        squares[rows] = sums
        parameter[rows] = parameter[rows].addcdiv_(values, sums.sqrt_().add_(EPSILON), value=-rate)
    else:
        squares.addcmul_(gradient, gradient)
        parameter.addcdiv_(gradient, squares.sqrt().add_(EPSILON), value=-rate)
