"""The optimisers by name, with the learning rates that were measured to work."""

from collections.abc import Iterable

import torch
from torch import nn

from lmgen.training.config import TrainingConfig

MOMENTUM_DECAYS = (0.9, 0.99)
"""Adam's β1 and β2. β2 is lower than the usual 0.999: runs of minutes have only a few thousand updates."""

LEARNING_RATES = {"adamw": 8e-3, "adam": 8e-3, "sgd": 6.0, "rmsprop": 4e-3, "adagrad": 8e-2}
"""By optimiser, at 256 hidden units; benchmarks/results/defaults.md says what was tried."""


def default_learning_rate(optimizer: str, hidden_size: int) -> float:
    """
    A learning rate for a network of that width.

    The adaptive methods move each weight by about the learning rate whatever its gradient, so what reaches a
    unit grows with the number of its inputs: the rate falls with the width (Yang et al. 2022, table 3).
    """
    rate = LEARNING_RATES[optimizer]
    return rate if optimizer == "sgd" else rate * 256 / max(hidden_size, 128)


def optimizer_for(
    parameters: Iterable[nn.Parameter], config: TrainingConfig, learning_rate: float
) -> torch.optim.Optimizer:
    """The optimiser that the settings name."""
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(
                parameters,
                lr=learning_rate,
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
