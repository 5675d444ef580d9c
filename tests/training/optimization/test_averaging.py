"""Averages of weights are the means that their papers define, and they are what is evaluated and saved."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmgen.data.windows import Windows
from lmgen.errors import ConfigError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.training.config import TrainingConfig
from lmgen.training.events import Stepped
from lmgen.training.loop import Trainer
from lmgen.training.network import Network
from lmgen.training.optimization.averaging import averaging_begins, newest_share
from lmgen.training.validation import TextValidation

V = 7
IDS = np.random.default_rng(0).integers(0, V, 400).astype(np.uint8)


def trainer(**settings: Any) -> Trainer:
    network = NetworkConfig(hidden_size=8, embedding_size=4)
    config = TrainingConfig(**{"batch_size": 4, "window_length": 8, "steps": 12, "warmup": 0.0, **settings})
    windows = Windows(ids=IDS, start_token=0, streams=4, length=8, carried=True)
    made = Network(network, V, initial_parameters(network, V, None, 0)).double()
    return Trainer(made, windows, TextValidation(ids=IDS[:50], limit=500_000, start_token=0), config)


def weights(network: Network) -> torch.Tensor:
    """All of them, one after the other."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def iterates(training: Trainer) -> list[torch.Tensor]:
    """The weights after each update."""
    return [weights(training.state.network).clone() for event in training.run() if isinstance(event, Stepped)]


class TestMovingAverage:
    def test_each_weight_counts_less_than_the_one_after_it(self) -> None:
        training = trainer(ema=0.8)
        passed = torch.stack(iterates(training))
        shares = 0.8 ** torch.arange(len(passed) - 1, -1, -1.0, dtype=torch.float64)

        expected = (shares[:, None] * passed).sum(0) / shares.sum()
        torch.testing.assert_close(weights(training.state.result), expected)

    def test_it_leaves_training_alone(self) -> None:
        assert all(map(torch.equal, iterates(trainer(ema=0.9)), iterates(trainer())))


RISING: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 8.0, "schedule": "constant", "evaluations": 6}
"""Updates of such a size that some evaluation is worse than one before."""


class TestTriggeredAverage:
    def test_it_is_the_mean_of_all_weights_since_it_was_triggered(self) -> None:
        training = trainer(nt_asgd=1, **RISING)
        passed: list[torch.Tensor] = []
        for event in training.run():
            if isinstance(event, Stepped):
                passed.append(weights(training.state.network).clone())
            elif training.state.average is None or training.state.average.n_averaged == 1:
                passed = passed[-1:]  # those at the evaluation that triggers it are the first
        assert training.state.average is not None
        assert len(passed) == training.state.average.n_averaged > 2

        torch.testing.assert_close(weights(training.state.result), torch.stack(passed).mean(0))

    def test_until_then_the_weights_themselves_are_evaluated(self) -> None:
        training = trainer(nt_asgd=1, **RISING)
        for event in training.run():
            assert (training.state.average is None) == (training.state.result is training.state.network)
            if not isinstance(event, Stepped) and training.state.average is None:
                assert not averaging_begins(training.state.position.validation_nats, 1)

    @pytest.mark.parametrize(
        ("values", "patience", "begins"),
        [
            ([3.0], 1, False),
            ([3.0, 4.0], 1, False),  # nothing is older than the patience yet
            ([3.0, 4.0, 3.5], 1, True),  # worse than the 3 of two evaluations ago
            ([3.0, 2.0, 2.5], 1, False),  # worse than the 2 of just before, but better than the 3
            ([3.0, 2.0, 2.5, 2.1], 1, True),
            ([3.0, 2.0, 2.5, 2.0], 1, False),  # no better is not worse
            ([3.0, 2.0, 2.5, 2.1], 2, False),
            ([2.0, 3.0, 3.0, 3.0, 3.0, 3.0], 5, False),
            ([2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0], 5, True),
        ],
    )
    def test_it_begins_when_evaluations_stop_getting_better(
        self, values: list[float], patience: int, begins: bool
    ) -> None:
        assert averaging_begins(values, patience) == begins


@pytest.mark.parametrize("settings", [{"ema": 0.9}, {"nt_asgd": 1, **RISING}])
def test_the_average_is_what_is_evaluated(settings: dict[str, Any]) -> None:
    training = trainer(**settings)
    list(training.run())
    assert training.state.average is not None

    nats, _ = mean_nats(training.model, IDS[:50])
    assert training.evaluate().valid_nats_per_token == nats
    assert not torch.equal(weights(training.state.result), weights(training.state.network))


def test_going_back_to_a_snapshot_goes_back_to_its_average() -> None:
    training = trainer(ema=0.9)
    before = training.state.copy()
    steps = (event for event in training.run() if isinstance(event, Stepped))
    for _ in range(3):
        next(steps)
    later, kept = training.state.copy(), weights(training.state.result).clone()
    next(steps)

    training.state.restore(later)
    assert torch.equal(weights(training.state.result), kept)
    assert training.state.average is not None
    assert training.state.average.n_averaged == 3
    training.state.restore(before)
    assert training.state.average is None


@given(st.integers(1, 50), st.one_of(st.none(), st.floats(0.01, 0.999)))
def test_shares_of_the_newest_make_the_shares_of_all(count: int, decay: float | None) -> None:
    """Mixing each new weight in by its share leaves every weight the share that the definition gives it."""
    shares = np.zeros(count)
    for newest in range(count):
        share = newest_share(newest + 1, decay)
        shares *= 1 - share
        shares[newest] = share

    expected = np.ones(count) if decay is None else decay ** np.arange(count - 1, -1, -1.0)
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-12)


def test_one_average_at_a_time() -> None:
    with pytest.raises(ConfigError, match="two kinds of average"):
        TrainingConfig(ema=0.9, nt_asgd=5)
