"""The optimisers by name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from lmgen.training.config import TrainingConfig
from lmgen.training.optimization.eager import eager
from lmgen.training.optimization.rows import AdamWAdagrad

SHARE = "share"
"""Key of a parameter group: its learning rate as a multiple of the schedule's."""

MOMENTUM_DECAYS = (0.9, 0.99)
"""Adam's β1 and β2; β2 below the usual 0.999, since runs of minutes have only a few thousand updates."""


def optimizer_for(
    parameters: Iterable[nn.Parameter],
    config: TrainingConfig,
    learning_rate: float,
    *,
    tokens: Iterable[nn.Parameter] = (),
    output: Iterable[nn.Parameter] = (),
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
        tokens: the parameters of embedding and output, which adamw-adagrad treats differently.
        output: those of the output layer, which have a learning rate of their own: a group with a SHARE.
    """
    if config.output_factor != 1 and config.optimizer != "adamw-adagrad":
        groups = _groups(parameters, list(output), learning_rate, config.output_factor)
    else:
        groups = [{"params": list(parameters)}]
    shared: dict[str, Any] = {"lr": learning_rate, "weight_decay": config.decay}
    match config.optimizer:
        case "adamw":
            return eager(torch.optim.AdamW)(groups, betas=MOMENTUM_DECAYS, fused=True, **shared)
        case "adamw-adagrad":
            rate = config.highest_token_rate
            return eager(AdamWAdagrad)(
                parameters, tokens, tokens_lr=rate, betas=MOMENTUM_DECAYS, fused=True, **shared
            )
        case "adam":
            return eager(torch.optim.Adam)(groups, betas=MOMENTUM_DECAYS, fused=True, **shared)
        case "sgd":
            return eager(torch.optim.SGD)(groups, momentum=config.momentum, **shared)
        case "rmsprop":
            return eager(torch.optim.RMSprop)(groups, **shared)
        case _:
            return eager(torch.optim.Adagrad)(groups, **shared)


def _groups(
    parameters: Iterable[nn.Parameter], output: list[nn.Parameter], learning_rate: float, factor: float
) -> list[dict[str, Any]]:
    """Two groups of parameters: those of the output layer have a learning rate of their own."""
    own = {id(parameter) for parameter in output}
    rest = [parameter for parameter in parameters if id(parameter) not in own]
    return [
        {"params": rest},
        {"params": output, "lr": factor * learning_rate, SHARE: factor},
    ]
