"""The loop itself: what is carried, what is forgotten, what evaluation leaves alone."""

from typing import Any

import numpy as np
import pytest
import torch

from lmgen.data.windows import Windows
from lmgen.errors import ConfigError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.training.config import TrainingConfig
from lmgen.training.events import Evaluated, Stepped
from lmgen.training.loop import Trainer
from lmgen.training.network import Network
from lmgen.training.validation import TextValidation

V = 7
IDS = np.random.default_rng(0).integers(0, V, 400).astype(np.uint8)

NOT_AT_ALL: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e-30}
"""Updates that change nothing: what is left is the forward pass."""


def trainer(
    cell: str = "lstm",
    streams: int = 1,
    dropout: float = 0.0,
    normalization: str = "none",
    **settings: Any,
) -> Trainer:
    network = NetworkConfig(
        cell=cell, hidden_size=8, embedding_size=4, layers=2, dropout=dropout, normalization=normalization
    )
    config = TrainingConfig(**{"batch_size": streams, "window_length": 16, "epochs": 1.0, **settings})
    windows = Windows(
        ids=IDS,
        start_token=0,
        streams=streams,
        length=config.window_length,
        carried=config.state == "carry",
        varied=config.vary_window_length,
    )
    return Trainer(
        Network(network, V, initial_parameters(network, V, None, 0)),
        windows,
        TextValidation(ids=IDS[:50], limit=500_000, start_token=0),
        config,
    )


@pytest.mark.parametrize("cell", CELLS)
def test_carried_windows_have_the_losses_of_one_long_sequence(cell: str) -> None:
    """The mean over windows of 16 steps is that of one pass over the whole text."""
    training = trainer(cell, evaluations=1, **NOT_AT_ALL)
    whole, _ = mean_nats(training.model, IDS)
    evaluated = list(training.run())[-1]

    assert isinstance(evaluated, Evaluated)
    assert evaluated.train_nats_per_token == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_reset_forgets(cell: str) -> None:
    """Each window has the loss that it has on its own, from zeros."""
    training = trainer(cell, state="reset", **NOT_AT_ALL)
    network = training.state.network
    steps = (event for event in training.run() if isinstance(event, Stepped))
    for batch, step in zip(training.batches.epoch(0), steps, strict=True):
        scores, _ = network(torch.from_numpy(batch.inputs), network.initial_state(1))
        alone = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), torch.from_numpy(batch.targets).flatten()
        )
        assert step.nats_per_token == pytest.approx(alone.item(), rel=1e-5)


def test_a_carried_state_starts_each_epoch_from_zeros() -> None:
    training = trainer(streams=4, epochs=2.0)
    steps = (event for event in training.run() if isinstance(event, Stepped))
    carried = [any(bool(part.any()) for layer in training.state.carried for part in layer) for _ in steps]

    assert all(carried)
    assert training.state.position.epoch == 2
    assert not any(bool(part.any()) for layer in training.state.carried for part in layer)


def test_long_streams_begin_anew_each_at_windows_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmgen.data.windows.RESTART_WINDOWS", 4)
    monkeypatch.setattr("lmgen.data.windows.SHORT_EPOCH", 10)
    training = trainer(streams=2)
    begun: dict[int, list[int]] = {0: [], 1: []}
    for window, batch in enumerate(training.batches.epoch(0)):  # 13 windows
        for stream in begun:
            if batch.begins is not None and batch.begins[stream]:
                begun[stream].append(window)

    assert begun == {0: [4, 8, 12], 1: [2, 6, 10]}


def test_short_epochs_have_no_beginnings_inside() -> None:
    assert all(batch.begins is None for batch in trainer(streams=2).batches.epoch(0))


def test_evaluation_leaves_training_as_it_was() -> None:
    """No trace in the carried state, the weights or the random numbers of dropout."""
    training = trainer(streams=4, dropout=0.5)
    events = training.run()
    for _ in range(3):
        next(events)
    carried = [part.clone() for layer in training.state.carried for part in layer]
    weights = training.state.network.arrays()
    random = torch.get_rng_state()
    training.evaluate()

    assert all(
        torch.equal(before, part)
        for before, part in zip(carried, (p for layer in training.state.carried for p in layer), strict=True)
    )
    assert all(
        np.array_equal(weights[name], array) for name, array in training.state.network.arrays().items()
    )
    assert torch.equal(random, torch.get_rng_state())
    assert training.state.network.training


def test_gradients_are_clipped_to_their_norm() -> None:
    training = trainer(clip=1e-3, optimizer="sgd", learning_rate=1.0, warmup=0.0)
    before = training.state.network.arrays()
    next(training.run())
    moved = np.concatenate(
        [(array - before[name]).ravel() for name, array in training.state.network.arrays().items()]
    )

    assert np.linalg.norm(moved) == pytest.approx(1e-3, rel=1e-3)


def test_the_learning_rate_of_a_varied_window_is_in_proportion_to_its_length() -> None:
    training = trainer(
        vary_window_length=True, optimizer="sgd", learning_rate=1.0, schedule="constant", warmup=0.0
    )
    lengths = [len(window.targets) for window in training.batches.epoch(0)]
    steps = (event for event in training.run() if isinstance(event, Stepped))
    for length, _ in zip(lengths, steps, strict=True):
        assert training.state.optimizer.param_groups[0]["lr"] == length / 16
    assert len(set(lengths)) > 3


def test_varied_windows_make_whole_epochs() -> None:
    training = trainer(vary_window_length=True, streams=4, epochs=2.0)
    list(training.run())

    assert training.state.position.epoch == 2
    assert training.state.position.tokens == 2 * len(IDS)


def test_lengths_vary_only_where_the_state_is_carried() -> None:
    with pytest.raises(ConfigError, match="--vary-window-length needs the state carry"):
        TrainingConfig(vary_window_length=True, state="reset")


def evaluations(training: Trainer) -> list[Evaluated]:
    torch.manual_seed(0)
    return [event for event in training.run() if isinstance(event, Evaluated)]


def test_a_text_that_is_read_often_is_evaluated_early() -> None:
    """Nothing else is changed by that."""
    often = trainer(streams=25, epochs=60.0, dropout=0.3)
    evenly = trainer(streams=25, epochs=60.0, dropout=0.3, evaluations=10)
    made, known = evaluations(often), evaluations(evenly)

    assert [(event.epoch, event.early) for event in made] == [
        *((epoch, True) for epoch in (1, 2, 3, 4)),
        *((epoch, False) for epoch in range(6, 61, 6)),
    ]
    assert [event.valid_nats_per_token for event in made[4:]] == [each.valid_nats_per_token for each in known]
    for name, array in evenly.state.network.arrays().items():
        assert np.array_equal(array, often.state.network.arrays()[name])
    assert often.state.position.early == 4
    assert "early" in made[0].to_json()
    assert known[0].to_json().keys() == made[4].to_json().keys() == made[0].to_json().keys() - {"early"}


def test_progress_goes_by_the_limit_that_is_nearest() -> None:
    training = trainer(epochs=1.0, steps=5)
    for event in training.run():
        if isinstance(event, Stepped):
            assert event.progress == pytest.approx(event.step / 5)
    assert training.state.position.step == 5


def test_float64_trains_in_float64() -> None:
    training = trainer(**NOT_AT_ALL)
    training.state.network.double()
    training.state.carried = training.state.network.initial_state(1)
    next(training.run())

    assert training.state.carried[0][0].dtype == torch.float64
