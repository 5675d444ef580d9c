"""Schedules depend on the share of the budget, and at first on the number of updates."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.training.config import SCHEDULE_NAMES
from lmgen.training.optimization.schedules import learning_rate_factor

shares = st.floats(0, 1)


@given(st.sampled_from(SCHEDULE_NAMES), shares, st.floats(0, 0.5), st.lists(st.floats(0, 10), max_size=5))
def test_factors_are_between_nothing_and_the_whole(
    schedule: str, progress: float, warmup: float, values: list[float]
) -> None:
    assert 0 <= learning_rate_factor(schedule, progress, warmup, values) <= 1


@pytest.mark.parametrize("schedule", SCHEDULE_NAMES)
def test_the_rate_rises_in_a_straight_line_first(schedule: str) -> None:
    assert learning_rate_factor(schedule, 0.0, 0.1, []) == pytest.approx(0.01)
    assert learning_rate_factor(schedule, 0.05, 0.1, []) == pytest.approx((0.01 + 1) / 2)
    assert learning_rate_factor(schedule, 0.1, 0.1, []) == pytest.approx(1)


def test_a_short_run_rises_for_its_first_hundred_updates_or_third() -> None:
    """Long runs are as they were; without a warm-up nothing rises."""
    assert learning_rate_factor("constant", 0.05, 0.02, [], step=50) == pytest.approx((0.01 + 1) / 2)
    assert learning_rate_factor("constant", 0.1, 0.02, [], step=100) == 1
    assert learning_rate_factor("constant", 1 / 6, 0.02, [], step=10) == pytest.approx((0.01 + 1) / 2)
    assert learning_rate_factor("constant", 1 / 3, 0.02, [], step=20) == 1
    assert learning_rate_factor("constant", 0.01, 0.02, [], step=5000) == pytest.approx((0.01 + 1) / 2)
    assert learning_rate_factor("constant", 0.0, 0.0, [], step=0) == 1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedules_fall_to_half_in_the_middle_and_nothing_at_the_end(schedule: str) -> None:
    assert learning_rate_factor(schedule, 0.0, 0.0, []) == 1
    assert learning_rate_factor(schedule, 0.55, 0.1, []) == pytest.approx(0.5)
    assert learning_rate_factor(schedule, 1.0, 0.1, []) == pytest.approx(0, abs=1e-15)


def test_linear_falls_in_a_straight_line() -> None:
    falling = [learning_rate_factor("linear", share, 0.2, []) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]

    assert falling == pytest.approx([1, 0.75, 0.5, 0.25, 0])


@given(st.sampled_from(["linear", "cosine"]), shares, shares)
def test_schedules_never_rise(schedule: str, first: float, second: float) -> None:
    earlier, later = sorted((first, second))

    assert learning_rate_factor(schedule, earlier, 0.0, []) >= learning_rate_factor(schedule, later, 0.0, [])


@pytest.mark.parametrize(
    ("values", "halvings"),
    [([], 0), ([3.0], 0), ([3.0, 2.0], 0), ([3.0, 3.0], 1), ([3.0, 2.0, 2.5, 2.1, 1.0], 2), ([inf], 1)],
)
def test_plateau_halves_after_each_evaluation_that_is_no_better(values: list[float], halvings: int) -> None:
    assert learning_rate_factor("plateau", 0.5, 0.0, values) == 0.5**halvings


def test_constant_stays() -> None:
    assert learning_rate_factor("constant", 0.9, 0.0, [1.0, 2.0]) == 1
