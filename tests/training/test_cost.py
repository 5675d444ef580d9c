"""What a run says of its cost: the figures, when it says them, and that nothing is left of an estimate."""

from pathlib import Path

import pytest

import lmgen
from lmgen.runs import run
from lmgen.training.cost import CostMeter
from lmgen.training.events import CostMeasured, Evaluated, RolledBack, Stepped
from lmgen.training.loop import Trainer
from tests.runs.test_run import TINY, config, stop_after, text, trained
from tests.training.test_loop import trainer

__all__ = ["text"]  # a fixture


def measured(training: Trainer, seconds: float, events: int) -> CostMeasured | None:
    """The cost by events of updates that are made to take so long each, the first one ten times as long."""
    meter = CostMeter(training)
    spent = training.state.position.seconds
    for number, event in enumerate(training.run()):
        spent += seconds * (10 if number == 0 else 1)
        training.state.position.seconds = spent
        if cost := meter.after(event):
            return cost
        if number == events:
            return None
    return None


def test_the_first_update_does_not_count_and_the_rest_go_on_as_they_began() -> None:
    training = trainer(streams=4, epochs=None, steps=1000, evaluations=1)
    cost = measured(training, 0.05, 100)

    assert cost is not None
    assert training.state.position.step == 21
    assert cost.steps == 1000
    assert cost.tokens_per_second == pytest.approx((training.state.position.tokens - 4 * 16) / (20 * 0.05))
    assert cost.seconds_left == pytest.approx(0.05 * 979)
    assert cost.seconds == pytest.approx(0.05 * 1009)
    assert cost.parameters == training.state.network.parameter_count


@pytest.mark.parametrize(("seconds", "steps"), [(0.001, None), (0.02, 51), (0.5, 7), (60.0, 2)])
def test_it_is_known_after_twenty_updates_and_a_second_or_after_three(
    seconds: float, steps: int | None
) -> None:
    training = trainer(streams=4, epochs=None, steps=1000, evaluations=1)
    cost = measured(training, seconds, 100)

    assert (cost is None) == (steps is None)
    assert steps in (None, training.state.position.step)


def test_a_limit_of_minutes_says_how_many_updates_there_will_be() -> None:
    training = trainer(streams=4, epochs=None, minutes=5.0, evaluations=1)
    cost = measured(training, 0.1, 100)

    assert cost is not None
    assert cost.seconds == pytest.approx(300)
    assert cost.steps == pytest.approx(300 / 0.1 - 9, abs=1)
    assert cost.epochs == pytest.approx(cost.steps / 7, rel=1e-2)


def test_a_rollback_begins_the_measurement_anew() -> None:
    training = trainer(streams=4, epochs=None, steps=1000, evaluations=1)
    meter = CostMeter(training)
    undone = RolledBack(reason="", step=0, learning_rate=1.0, last=False)
    for number, event in enumerate(training.run()):
        training.state.position.seconds = 0.1 * number
        happened: Stepped | Evaluated | RolledBack = undone if number == 15 else event
        if meter.after(happened):
            break

    assert training.state.position.step == 37, "the 16 until then, a first one, and 20 more"


def test_a_run_says_it_once_before_its_first_evaluation(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run")
    kinds = [type(event) for event in events]

    assert kinds.count(CostMeasured) == 1
    assert kinds.index(CostMeasured) < kinds.index(Evaluated)


def test_a_resumed_run_says_what_is_left(text: Path, tmp_path: Path) -> None:
    list(run.train(config(text), tmp_path / "run", should_stop=stop_after(13)))
    [cost] = [event for event in run.resume(tmp_path / "run") if isinstance(event, CostMeasured)]

    assert cost.steps == 24
    assert cost.seconds_left < cost.seconds


def test_an_estimate_leaves_no_folder(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cost = lmgen.estimate_cost(text, **{**TINY, "steps": 5000, "learning_rate": "find"})

    assert cost.steps == 5000
    assert cost.memory_bytes is None or cost.memory_bytes > 1e8
    assert [path.name for path in tmp_path.iterdir()] == [text.name]
