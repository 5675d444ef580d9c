"""When training ends, and when it evaluates."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        (Position(step=9, validation_nats=[2.0, 2.5, 2.5, 3.0], early=3), None),
        (Position(step=9, validation_nats=[2.0, 2.5, 3.0, 3.0], early=2), "patience"),
        (Position(step=9, validation_nats=[2.0, 2.5, 3.0, 1.0], early=2), None),
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


def evaluated_after(budget: Budget, epochs: int, windows: int) -> list[tuple[float, bool]]:
    """Epochs at each evaluation of a run by epochs, and whether it is an early one."""
    position, found = Position(), []
    for step in range(1, epochs * windows + 1):
        before, after = (step - 1) / windows, step / windows
        spent = budget.spent(Position(), after)
        if budget.crosses_evaluation(budget.spent(Position(), before), spent):
            found.append((after, False))
            position.validation_nats.append(0.0)
        elif budget.is_early(position, spent) and budget.crosses_early(before, after):
            found.append((after, True))
            position.validation_nats.append(0.0)
            position.early += 1
    return found


@given(
    epochs=st.integers(1, 300),
    windows=st.integers(1, 4),
    share=st.floats(0.001, 20.0),
)
def test_before_the_first_tenth_evaluations_come_after_ever_more_epochs(
    epochs: int, windows: int, share: float
) -> None:
    """They are few, cost a part of the training until then, and leave the others where they were."""
    budget = Budget.of(TrainingConfig(epochs=epochs), share)
    alone = Budget.of(TrainingConfig(epochs=epochs, evaluations=10), share)
    made = evaluated_after(budget, epochs, windows)
    early = [after for after, is_early in made if is_early]

    assert [each for each in made if not each[1]] == evaluated_after(alone, epochs, windows)
    assert made == sorted(made)
    assert all(after < epochs / 10 for after in early)
    for count, after in enumerate(early, start=1):
        assert after >= 1
        assert count * share <= after / 4, "they score a quarter of the tokens read until then, at most"
    for before, after in pairwise([*early, epochs / 10]):
        assert after <= 1.5 * before + 1 / windows


@pytest.mark.parametrize(
    "settings",
    [{"evaluations": 10}, {"schedule": "plateau"}, {"nt_asgd": 5}, {"epochs": 10.0}, {"epochs": 0.5}],
)
def test_what_counts_evaluations_and_what_reads_a_text_seldom_has_no_early_ones(
    settings: dict[str, Any],
) -> None:
    config = TrainingConfig(**{"epochs": 40.0, **settings})
    made = evaluated_after(Budget.of(config, 0.1), int(config.epochs or 0) or 1, 40)

    assert not any(is_early for _, is_early in made)


def test_without_validation_text_no_evaluation_is_early() -> None:
    assert Budget.of(TrainingConfig(epochs=1000.0)).early is None
    assert Budget.of(TrainingConfig(epochs=1000.0), 0.1).early == 1.0
    assert Budget.of(TrainingConfig(epochs=1000.0), 2.0).early == 12.0
