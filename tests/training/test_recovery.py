"""Training that goes wrong: what counts as wrong, and that going back changes the learning rate alone."""

from collections.abc import Iterator
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch

from lmgen.errors import NumericalError
from lmgen.training.events import Evaluated, RolledBack, Stepped
from lmgen.training.loop import Trainer
from lmgen.training.optimization.schedules import scheduled
from lmgen.training.recovery import GOOD_STATE_STEPS, check_update
from tests.training.test_loop import trainer


def poison(training: Trainer, value: float) -> None:
    """As if an update had gone wrong."""
    with torch.no_grad():
        training.state.network.get_parameter("output.bias").fill_(value)


def fault_at(
    training: Trainer, steps: set[int], value: float = nan
) -> Iterator[Stepped | Evaluated | RolledBack]:
    """Train on; the weights are poisoned when one of `steps` is reached, the first time only."""
    left = set(steps)
    for event in training.run():
        yield event
        if isinstance(event, Stepped) and event.step in left:
            left.remove(event.step)
            poison(training, value)


def weights(training: Trainer) -> dict[str, np.ndarray]:
    return training.state.network.arrays()


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("nats", "norm"), [(nan, 1.0), (inf, 1.0), (2.0, inf), (2.0, nan), (2.0, 101.0)])
def test_what_is_not_finite_or_a_hundred_times_as_long_as_usual_is_refused(nats: float, norm: float) -> None:
    with pytest.raises(NumericalError, match=r"finite number now|101 times as long as usual now"):
        check_update(nats, norm, [1.0] * 20, "now")


@pytest.mark.parametrize(
    ("norm", "norms"),
    [(101.0, [1.0] * 19), (99.0, [1e-6] * 50), (500.0, [6.0] * 50), (101.0, [2.0] * 26 + [0.1] * 24)],
)
def test_a_long_gradient_alone_is_no_fault(norm: float, norms: list[float]) -> None:
    """Early on, where it is long only beside tiny ones, and where the others are nearly as long."""
    check_update(2.0, norm, norms, "now")


def test_a_fault_goes_back_to_the_last_evaluation_with_half_the_rate() -> None:
    training = trainer(
        streams=4, epochs=99.0, steps=40, evaluations=4, dropout=0.3, schedule="constant", warmup=0.0
    )
    kept: dict[str, np.ndarray] = {}
    for event in fault_at(training, {17}):
        if isinstance(event, Evaluated) and event.step == 10:
            kept = weights(training)
        if isinstance(event, RolledBack):
            break

    assert isinstance(event, RolledBack)
    assert event.reason == "the loss is no longer a finite number after 17 updates"
    assert (event.step, event.learning_rate, event.last) == (10, training.highest_rate / 2, False)
    assert training.state.position.step == 10
    assert same(kept, weights(training))


@pytest.mark.parametrize("optimizer", ["adamw", "adamw-adagrad"])
def test_what_follows_a_rollback_is_what_half_the_rate_gives_from_there(optimizer: str) -> None:
    """Weights, moments, carried state, place in the text and dropout's random numbers are all put back."""
    settings: dict[str, Any] = {
        "epochs": 99.0,
        "steps": 40,
        "evaluations": 4,
        "dropout": 0.3,
        "schedule": "constant",
        "warmup": 0.0,
        "optimizer": optimizer,
    }
    faulty = trainer(streams=4, **settings)
    torch.manual_seed(1)
    list(fault_at(faulty, {17}))
    clean = trainer(streams=4, **settings)
    torch.manual_seed(1)
    for event in clean.run():
        if isinstance(event, Evaluated) and event.step == 10:
            break
    list(clean.planned(scheduled(clean.config, clean.highest_rate / 2)).run())

    assert faulty.state.position.rollbacks == 1
    assert same(weights(faulty), weights(clean))
    assert faulty.state.position.validation_nats == clean.state.position.validation_nats


@pytest.mark.slow
def test_between_evaluations_the_last_good_state_is_at_most_so_many_updates_old() -> None:
    training = trainer(streams=1, epochs=30.0, evaluations=1)
    events = fault_at(training, {2 * GOOD_STATE_STEPS + 7})
    [undone] = [event for event in events if isinstance(event, RolledBack)]

    assert undone.step == 2 * GOOD_STATE_STEPS


@pytest.mark.slow
def test_a_state_that_was_already_bad_is_not_gone_back_to() -> None:
    """The weights go wrong just before the state is kept: its own update shows it."""
    training = trainer(streams=1, epochs=30.0, evaluations=1)
    events = fault_at(training, {2 * GOOD_STATE_STEPS})
    [undone] = [event for event in events if isinstance(event, RolledBack)]

    assert undone.step == GOOD_STATE_STEPS


def test_a_gradient_that_explodes_counts_though_it_is_finite() -> None:
    training = trainer(streams=4, epochs=99.0, steps=60, evaluations=1)
    events = training.run()
    for event in events:
        if isinstance(event, Stepped) and event.step == 30:
            with torch.no_grad():  # the loss sees 1e4 times the hidden state
                training.state.network.get_parameter("output.weight").mul_(1e4)
        if isinstance(event, RolledBack):
            break

    assert isinstance(event, RolledBack)
    assert "times as long as usual after 30 updates" in event.reason


def test_the_third_fault_ends_the_run_at_its_last_good_state() -> None:
    training = trainer(streams=4, epochs=99.0, steps=60, evaluations=6)
    events = list(fault_at(training, {5, 15, 25}))

    assert [event.last for event in events if isinstance(event, RolledBack)] == [False, False, True]
    assert training.stopped_by == "instability"
    assert training.state.position.step == training.state.position.evaluated_step == 20
    assert training.progress.best_nats is not None
    assert np.isfinite(training.progress.best_nats)


def test_an_evaluation_that_is_not_finite_is_a_fault() -> None:
    training = trainer(streams=4, epochs=99.0, steps=40, evaluations=4)
    [undone] = [event for event in fault_at(training, {20}) if isinstance(event, RolledBack)]

    assert undone.reason == "the validation loss is no longer a finite number after 20 updates"
    assert undone.step == 10
    assert training.state.position.step == 40


def test_time_that_was_undone_stays_spent() -> None:
    training = trainer(streams=4, epochs=99.0, steps=40, evaluations=4)
    seconds, tokens = 0.0, 0
    for _ in fault_at(training, {17}):
        assert training.state.position.seconds >= seconds
        assert training.state.position.tokens >= tokens
        seconds, tokens = training.state.position.seconds, training.state.position.tokens
    untroubled = trainer(streams=4, epochs=99.0, steps=40, evaluations=4)
    list(untroubled.run())
    assert tokens > untroubled.state.position.tokens
