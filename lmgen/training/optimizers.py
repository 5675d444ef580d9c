"""The optimisers by name."""

import torch

from lmgen.training.config import TrainingConfig
from lmgen.training.network import Network
from lmgen.training.rows import AdamWAdagrad

MOMENTUM_DECAYS = (0.9, 0.99)
"""Adam's β1 and β2. β2 is lower than the usual 0.999: runs of minutes have only a few thousand updates."""


def optimizer_for(network: Network, config: TrainingConfig, learning_rate: float) -> torch.optim.Optimizer:
    """The optimiser that the settings name."""
    parameters = network.parameters()
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
            layers = list(network.layers.parameters())
            known = {id(parameter) for parameter in layers}
            return AdamWAdagrad(
                layers,
                [parameter for parameter in parameters if id(parameter) not in known],
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
