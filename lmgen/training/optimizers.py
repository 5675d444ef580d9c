"""The optimisers by name."""

from collections.abc import Iterable

import torch
from torch import nn

from lmgen.training.config import TrainingConfig
from lmgen.training.rows import AdamWAdagrad

MOMENTUM_DECAYS = (0.9, 0.99)
"""Adam's β1 and β2. β2 is lower than the usual 0.999: runs of minutes have only a few thousand updates."""


def optimizer_for(
    parameters: Iterable[nn.Parameter],
    config: TrainingConfig,
    learning_rate: float,
    tokens: Iterable[nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """
    The optimiser that the settings name.

    Args:
        parameters: all that it is to change.
        config: which optimiser, and its settings.
        learning_rate: the highest.
        tokens: those of the parameters that belong to embedding and output.
    """
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(
                parameters,
                lr=learning_rate,
                betas=MOMENTUM_DECAYS,
                weight_decay=config.weight_decay,
                fused=True,
            )
        case "adamw-adagrad":
            return AdamWAdagrad(
                parameters,
                tokens,
                learning_rate,
                config.token_learning_rate,
                betas=MOMENTUM_DECAYS,
                weight_decay=config.weight_decay,
                fused=True,
            )
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate, betas=MOMENTUM_DECAYS, fused=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr=learning_rate)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=learning_rate)
        case _:
            return torch.optim.Adagrad(parameters, lr=learning_rate)
