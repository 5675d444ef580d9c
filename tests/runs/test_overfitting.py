"""Runs that learn their text by heart."""

from typing import Any

import pytest

from lmgen.runs.events import Overfitting
from lmgen.runs.overfitting import OverfittingWatch, overfitting
from lmgen.training.events import Evaluated, RolledBack


def lines(valid: list[float | None], train: list[float]) -> list[dict[str, Any]]:
    """Lines of `metrics.jsonl`, two updates and half an epoch apart."""
    return [
        {"step": 2 * n, "epoch": n / 2, "train_nats_per_token": fitted, "valid_nats_per_token": nats}
        for n, (nats, fitted) in enumerate(zip(valid, train, strict=True), start=1)
    ]


FALLING = [5.0, 4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("valid", "train"),
    [
        ([5.0, 4.0, 4.1, 4.1, 4.1], FALLING),
        ([5.0, 4.0, 5.0, 4.1, 5.0], FALLING),
        ([5.0, 4.0, 3.0, 5.0, 5.0], FALLING),
        ([5.0, 4.5, 4.3, 4.2, 4.1], FALLING),
        ([5.0, 4.0, 5.0, 5.5, 6.0], [5.0, 4.0, 5.0, 5.5, 6.0]),
        ([None] * 5, FALLING),
        ([], []),
    ],
    ids=["a little", "with luck", "soon after", "never", "unstable", "no text", "nothing"],
)
def test_nothing_is_said_of_other_runs(valid: list[float | None], train: list[float]) -> None:
    assert overfitting(lines(valid, train)) is None


def test_damaged_lines_tell_nothing() -> None:
    damaged: list[dict[str, Any]] = [{"step": 3}, {"step": 4, "valid_nats_per_token": "low", "epoch": 1.0}]

    assert overfitting(damaged * 9) is None


def test_it_says_where_the_best_was() -> None:
    found = overfitting(lines([5.0, 4.0, 4.3, 4.5, 6.0], FALLING))

    assert found == Overfitting(best_step=4, best_epoch=1.0, epoch=2.5)
    assert "the best model, of step 4 (epoch 1), is kept" in str(found)
    assert "more time on this text does not help" in str(found)


def evaluated(line: dict[str, Any]) -> Evaluated:
    others: dict[str, Any] = {
        "seconds": 1.0,
        "learning_rate": 1.0,
        "gradient_norm": 1.0,
        "tokens_per_second": 1.0,
    }
    return Evaluated(**line, **others, rollbacks=0, train_objective="full")


def test_it_is_said_once_and_of_what_is_left_after_a_rollback() -> None:
    made = lines([5.0, 4.0, 4.3, 4.5, 6.0, 6.0], [*FALLING, 0.5])
    back = RolledBack(reason="", step=6, learning_rate=1.0, last=False)
    watch = OverfittingWatch(made[:2])
    said = [watch.after(evaluated(line)) for line in made[2:4]]
    said += [watch.after(back)]
    said += [watch.after(evaluated(line)) for line in made[3:]]

    assert [each is not None for each in said] == [False, False, False, False, True, False]
