"""When training ends, and when it evaluates."""

import pytest

from lmgen.training.budget import Budget
from lmgen.training.config import TrainingConfig
from lmgen.training.position import Position


def test_the_nearest_limit_decides() -> None:
    budget = Budget(epochs=4.0, steps=10, minutes=2.0)

    assert budget.spent(Position(step=2, seconds=3.0), epochs=1.0) == 0.25
    assert budget.spent(Position(step=8, seconds=3.0), epochs=1.0) == 0.8
    assert budget.spent(Position(step=2, seconds=90.0), epochs=1.0) == 0.75
    assert budget.spent(Position(step=11), epochs=1.0) == 1.0


def test_without_a_limit_nothing_is_spent() -> None:
    assert Budget().spent(Position(step=10**9, seconds=1e9), epochs=1e9) == 0.0
    assert Budget().stopped_by(Position(step=10**9), 1e9) is None


def test_settings_without_a_limit_give_the_default_epochs() -> None:
    assert Budget.of(TrainingConfig()).epochs == 10
    assert Budget.of(TrainingConfig(steps=5)).epochs is None


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        (Position(step=9), None),
        (Position(step=10), "budget"),
        (Position(step=9, validation_nats=[3.0, 2.0, 2.5]), None),
        (Position(step=9, validation_nats=[3.0, 2.0, 2.5, 2.0]), "patience"),
        (Position(step=9, validation_nats=[3.0, 2.0]), None),
        (Position(step=10, rollbacks=3), "instability"),
    ],
)
def test_training_is_stopped_by(position: Position, reason: str | None) -> None:
    assert Budget(steps=10, patience=2).stopped_by(position, 0.0) == reason


def test_evaluations_are_spread_evenly() -> None:
    budget = Budget(steps=10, evaluations=4)
    crossed = [step + 1 for step in range(10) if budget.crosses_evaluation(step / 10, (step + 1) / 10)]

    assert crossed == [3, 5, 8, 10]
    assert not any(Budget(steps=10).crosses_evaluation(step / 10, (step + 1) / 10) for step in range(10))


def test_an_evaluation_is_due_until_it_is_made() -> None:
    position = Position(step=3, crossed=True, evaluated_step=0)

    assert Budget(steps=10, evaluations=4).evaluation_due(position)
    assert not Budget(steps=10).evaluation_due(position), "a training without evaluations"
    position.evaluated_step = 3
    assert not Budget(steps=10, evaluations=4).evaluation_due(position)
