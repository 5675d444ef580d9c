"""The optimisers by name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from lmgen.training.config import TrainingConfig
from lmgen.training.optimization.eager import eager
from lmgen.training.optimization.rows import AdamWAdagrad

MOMENTUM_DECAYS = (0.9, 0.99)
"""Adam's β1 and β2; β2 below the usual 0.999, since runs of minutes have only a few thousand updates."""


def optimizer_for(
    parameters: Iterable[nn.Parameter],
    config: TrainingConfig,
    learning_rate: float,
    tokens: Iterable[nn.Parameter] = (),
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
    """
    shared: dict[str, Any] = {"lr": learning_rate, "weight_decay": config.decay}
    match config.optimizer:
        case "adamw":
            return eager(torch.optim.AdamW)(parameters, betas=MOMENTUM_DECAYS, fused=True, **shared)
        case "adamw-adagrad":
            rate = config.highest_token_rate
            return eager(AdamWAdagrad)(
                parameters, tokens, tokens_lr=rate, betas=MOMENTUM_DECAYS, fused=True, **shared
            )
        case "adam":
            return eager(torch.optim.Adam)(parameters, betas=MOMENTUM_DECAYS, fused=True, **shared)
        case "sgd":
            return eager(torch.optim.SGD)(parameters, momentum=config.momentum, **shared)
        case "rmsprop":
            return eager(torch.optim.RMSprop)(parameters, **shared)
        case _:
            return eager(torch.optim.Adagrad)(parameters, **shared)
