"""The learning-rate range test: its curve, its length, and that the run after it knows nothing of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.runs import run
from lmgen.runs.config_file import read_config, read_run_config
from lmgen.runs.events import Finished
from lmgen.training.config import default_learning_rate
from lmgen.training.events import RangeTest
from lmgen.training.range_test import FEWEST_UPDATES, MOST_UPDATES, SPAN, range_test
from tests.runs.test_run import TINY, config, stop_after, text, trained
from tests.training.test_loop import trainer

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture


def test_rates_rise_by_equal_factors_around_the_default() -> None:
    training = trainer(streams=4, epochs=1000.0, optimizer="sgd", learning_rate=0.5)
    points = range_test(training).points
    rates = [point.learning_rate for point in points]

    assert rates[0] == pytest.approx(0.5 / SPAN)
    assert np.ptp(np.diff(np.log(rates))) < 1e-6
    assert rates[-1] <= 0.5 * SPAN * 1.001
    for place in (10, 40):
        around = [point.nats_per_token for point in points[place - 5 : place + 6]]
        assert points[place].smoothed_nats == pytest.approx(np.mean(around))


@pytest.mark.parametrize(("steps", "updates"), [(10, FEWEST_UPDATES), (1200, 120), (10**6, MOST_UPDATES)])
def test_a_test_takes_a_tenth_of_the_budget_at_most(steps: int, updates: int) -> None:
    training = trainer(streams=4, epochs=None, steps=steps, learning_rate=1e-9)

    assert len(range_test(training).points) == updates


def test_a_test_ends_when_the_loss_diverges() -> None:
    training = trainer(streams=4, epochs=None, steps=10**6, optimizer="sgd", learning_rate=1e4)
    test = range_test(training)

    assert len(test.points) < MOST_UPDATES
    assert test.learning_rate < test.points[-1].learning_rate / 2
    assert all(np.isfinite(point.nats_per_token) for point in test.points)


@pytest.mark.slow
def test_the_rate_that_is_found_trains_better_than_far_smaller_and_far_larger_ones(
    text: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**TINY, "optimizer": "sgd", "steps": 150, "baseline_order": 0}
    found = lmgen.find_learning_rate(text, **settings).learning_rate
    losses = {}
    for factor in (1 / 30, 1.0, 30.0):
        *_, finished = trained(text, tmp_path / str(factor), **settings, learning_rate=found * factor)
        assert isinstance(finished, Finished)
        assert finished.valid_nats_per_token is not None
        losses[factor] = finished.valid_nats_per_token

    assert losses[1.0] < losses[1 / 30]
    assert losses[1.0] < losses[30.0]


def test_a_run_that_finds_its_rate_is_the_run_that_is_given_it(text: Path, tmp_path: Path) -> None:
    """To the last bit; and the run keeps the number, so that it can be resumed."""
    events = trained(text, tmp_path / "found", learning_rate="find", dropout=0.2)
    [found] = [event for event in events if isinstance(event, RangeTest)]
    trained(text, tmp_path / "given", learning_rate=found.learning_rate, dropout=0.2)
    files = [RunFolder(tmp_path / name) for name in ("found", "given")]

    assert files[0].model.read_bytes() == files[1].model.read_bytes()
    kept = [read_run_config(file.config) for file in files]
    assert kept[0] == kept[1]
    assert kept[0].training.learning_rate == found.learning_rate
    assert read_config(files[0].config)["learning_rate"] == "find", "as it was asked for"
    assert lmgen.find_learning_rate(text, **TINY, dropout=0.2) == found


def test_the_rate_of_embedding_and_output_keeps_its_proportion(text: Path, tmp_path: Path) -> None:
    """Of adamw-adagrad's two rates: so the run trains as the test that found the one did."""
    settings = {"optimizer": "adamw-adagrad", "token_learning_rate": 0.3}
    trained(text, tmp_path / "run", learning_rate="find", **settings)
    kept = read_run_config(RunFolder(tmp_path / "run").config).to_settings()

    share = kept["learning_rate"] / default_learning_rate("adamw-adagrad", kept["hidden_size"])
    assert kept["token_learning_rate"] == pytest.approx(0.3 * share)


def test_a_run_that_was_cut_off_before_its_test_makes_it_when_resumed(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "whole", learning_rate="find")
    events = run.train(config(text, learning_rate="find"), tmp_path / "cut")
    next(events)
    events.close()
    list(run.resume(tmp_path / "cut", should_stop=stop_after(5)))
    list(run.resume(tmp_path / "cut"))

    assert RunFolder(tmp_path / "cut").model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
