"""The optimisers by name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from lmgen.training.config import TrainingConfig
from lmgen.training.optimization.eager import eager
from lmgen.training.optimization.rows import ADAGRAD, AdamWAdagrad

SHARE = "share"
"""Key of a parameter group: its learning rate as a multiple of the schedule's."""

MOMENTUM_DECAYS = (0.9, 0.99)
"""Adam's β1 and β2; β2 below the usual 0.999, since runs of minutes have only a few thousand updates."""


def optimizer_for(
    parameters: Iterable[nn.Parameter],
    config: TrainingConfig,
    learning_rate: float,
    *,
    output: Iterable[nn.Parameter] = (),
    rows: Iterable[nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """
    The optimiser that the settings name.

    Weight decay is decoupled in AdamW (Loshchilov and Hutter 2019): an update first shrinks each weight by
    the learning rate times the decay. The other optimisers add the decay times the weight to its gradient,
    after clipping; for plain SGD that amounts to the same.

    Args:
        parameters: of the whole network, without frozen ones.
        config: which optimiser, and its settings.
        learning_rate: the highest.
        output: those of the output layer, which have a learning rate of their own: a group with a SHARE.
        rows: those that adamw and adamw-adagrad update by Adagrad, another such group.
    """
    rows, output, own = list(rows), list(output), []
    if config.output_factor != 1 and output:
        own.append(_group(output, learning_rate, config.output_factor))
    if rows:
        own.append({**_group(rows, learning_rate, config.row_factor(learning_rate)), ADAGRAD: True})
    known = {id(parameter) for group in own for parameter in group["params"]}
    rest = [parameter for parameter in parameters if id(parameter) not in known]
    groups = [{"params": rest}, *own]
    shared: dict[str, Any] = {"lr": learning_rate, "weight_decay": config.decay}
    match config.optimizer:
        case "adamw" | "adamw-adagrad":
            kind = AdamWAdagrad if rows else torch.optim.AdamW
            return eager(kind)(groups, betas=MOMENTUM_DECAYS, fused=True, **shared)
        case "adam":
            return eager(torch.optim.Adam)(groups, betas=MOMENTUM_DECAYS, fused=True, **shared)
        case "sgd":
            return eager(torch.optim.SGD)(groups, momentum=config.momentum, **shared)
        case "rmsprop":
            return eager(torch.optim.RMSprop)(groups, **shared)
        case _:
            return eager(torch.optim.Adagrad)(groups, **shared)


def _group(parameters: list[nn.Parameter], learning_rate: float, share: float) -> dict[str, Any]:
    """A group of parameters with a learning rate of its own."""
    return {"params": parameters, "lr": share * learning_rate, SHARE: share}
