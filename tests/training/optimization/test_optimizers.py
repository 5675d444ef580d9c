"""Every optimiser takes the learning rate and the weight decay that the settings say."""

from math import sqrt

import pytest
import torch
from torch import nn

from lmgen.errors import ConfigError
from lmgen.training.config import OPTIMIZER_NAMES, TrainingConfig
from lmgen.training.optimization.eager import eager
from lmgen.training.optimization.optimizers import optimizer_for


def updated(optimizer: str, gradient: float, weight_decay: float | None) -> float:
    """The weight 2 after one update with a learning rate of 0.1."""
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    weight.grad = torch.tensor([gradient], dtype=torch.float64)
    config = TrainingConfig(optimizer=optimizer, weight_decay=weight_decay)
    optimizer_for([weight], config, 0.1).step()
    return weight.item()


def test_adamw_shrinks_the_weight_itself() -> None:
    assert updated("adamw", 0.0, 0.3) == pytest.approx(2 - 0.1 * 0.3 * 2)
    assert updated("adamw", 5.0, 0.3) == pytest.approx(2 - 0.1 * 0.3 * 2 - 0.1)


def test_sgd_does_too() -> None:
    assert updated("sgd", 0.5, 0.3) == pytest.approx(2 - 0.1 * 0.5 - 0.1 * 0.3 * 2)


def test_the_others_add_the_decay_to_the_gradient() -> None:
    """What their first update is for a gradient of 5 + 0.3 * 2."""
    gradient = 5 + 0.3 * 2
    assert updated("adam", 5.0, 0.3) == pytest.approx(2 - 0.1)
    assert updated("rmsprop", 5.0, 0.3) == pytest.approx(2 - 0.1 * gradient / sqrt(0.01 * gradient**2))
    assert updated("adagrad", 5.0, 0.3) == pytest.approx(2 - 0.1)


@pytest.mark.parametrize(("optimizer", "rate"), [("adamw", 2.0), ("adam", 2.0), ("sgd", 1.0)])
def test_the_output_layer_has_a_learning_rate_of_its_own(optimizer: str, rate: float) -> None:
    moved = []
    for factor in (None, 1.0, 0.5):
        weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
        config = TrainingConfig(optimizer=optimizer, output_rate=factor, weight_decay=0.0)
        updating = optimizer_for(weights, config, 0.1, output=weights[1:])
        for weight in weights:
            weight.grad = torch.full((2,), 0.5)
        updating.step()
        layer, output = (1 - weight.detach()[0].item() for weight in weights)
        moved.append(output / layer)

    assert moved == pytest.approx([rate, 1.0, 0.5], rel=1e-5)


def test_adamw_adagrad_has_another_setting_for_the_output_layer() -> None:
    with pytest.raises(ConfigError, match="--token-learning-rate"):
        TrainingConfig(optimizer="adamw-adagrad", output_rate=2.0)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_updates_are_those_of_the_optimiser_of_torch(kind: type[torch.optim.Optimizer]) -> None:
    """Also after its state was taken and given back."""
    weights = [nn.Parameter(torch.arange(6.0).view(2, 3)) for _ in range(2)]
    ours, theirs = eager(kind)([weights[0]], lr=0.1), kind([weights[1]], lr=0.1)  # type: ignore[call-arg]

    for seed in range(4):
        for weight in weights:
            weight.grad = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed))
        ours.step()
        theirs.step()
        ours.load_state_dict(ours.state_dict())
        ours.zero_grad()

    assert (weights[0] == weights[1]).all()
    assert weights[0].grad is None


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_without_a_weight_decay_only_adamw_has_one(optimizer: str) -> None:
    expected = 2 - 0.1 * 0.1 * 2 if optimizer.startswith("adamw") else 2

    assert updated(optimizer, 0.0, None) == pytest.approx(expected)
    assert updated(optimizer, 0.0, 0.0) == 2
