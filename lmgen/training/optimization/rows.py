"""
An optimiser for tables of many vectors, of which a batch uses only a few: those of tokens, or of n-grams.

A rare word seldom has a gradient. By the next one Adam's moving averages have decayed and no longer tell its
size, so the word's vector makes far too large a step. Adagrad (Duchi, Hazan and Singer 2011) divides by the
root of the sum of all squared gradients so far: it learns fast from a word's first occurrences and more and
more cautiously later, and without a gradient nothing changes. So an update touches only the rows that a batch
used, and takes as long for 250,000 tokens as for 10,000.
"""

from inspect import unwrap

import torch
from torch import Tensor

ADAGRAD = "adagrad"
"""Key of a parameter group: whether Adagrad updates it."""

EPSILON = 1e-10
"""Keeps Adagrad from dividing by zero."""


class AdamWAdagrad(torch.optim.AdamW):
    """
    AdamW, and Adagrad for the groups of parameters that say so: `{"params": [table], ADAGRAD: True}`.

    The gradients of these may be sparse.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient; a closure is not supported."""
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if not group.get(ADAGRAD)]
            unwrap(torch.optim.AdamW.step)(self, closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group.get(ADAGRAD):
                for parameter in group["params"]:
                    self._update_rows(parameter, group["lr"])

    def _update_rows(self, parameter: Tensor, rate: float) -> None:
        """Update a parameter by Adagrad, if it has a gradient."""
        if parameter.grad is None:
            return
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)  # AdamW looks for one in every state that it loads
            state["sum"] = torch.zeros_like(parameter)
        _adagrad(parameter, parameter.grad, state["sum"], rate)


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
