"""Filters drop and reweigh tokens as their formulas say."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import NumericalError
from lmgen.generation import filters
from lmgen.generation.config import SamplingConfig
from lmgen.generation.filters import LogWeights, apply_filters


def log_normalised(weights: list[float]) -> LogWeights:
    logarithms: LogWeights = np.log(np.array(weights) / np.sum(weights))
    return logarithms


def probabilities(log_weights: LogWeights) -> LogWeights:
    weights = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    normalised: LogWeights = weights / weights.sum(axis=-1, keepdims=True)
    return normalised


def survivors(log_weights: LogWeights) -> set[int]:
    return set(np.flatnonzero(np.isfinite(log_weights)).tolist())


distributions = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12).map(log_normalised)
"""Small enough to try every set of tokens."""

HALVES = log_normalised([8, 4, 2, 1, 1])

ANY_FILTER: list[Callable[[LogWeights], LogWeights]] = [
    lambda rows: filters.top_k(rows, 3),
    lambda rows: filters.top_p(rows, 0.7),
    lambda rows: filters.min_p(rows, 0.2),
    lambda rows: filters.temperature(rows, 0.5),
    lambda rows: filters.temperature(rows, 0.0),
    lambda rows: filters.without(rows, 1),
]


@given(distributions, st.integers(1, 15))
def test_top_k_keeps_the_k_likeliest(p: LogWeights, k: int) -> None:
    kept = filters.top_k(p, k)
    assert len(survivors(kept)) == min(k, len(p))
    assert set(np.argsort(-p, kind="stable")[:k].tolist()) == survivors(kept)


@given(distributions, st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_with_enough_mass(p: LogWeights, share: float) -> None:
    kept = survivors(filters.top_p(p, share))
    mass = np.exp(p)
    assert mass[list(kept)].sum() >= share - 1e-9
    if len(p) <= 8:
        for smaller in combinations(range(len(p)), len(kept) - 1):
            assert mass[list(smaller)].sum() < share + 1e-9


@given(distributions, st.floats(0.0, 1.0))
def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest(p: LogWeights, share: float) -> None:
    mass = np.exp(p)
    kept = survivors(filters.min_p(p, share))
    assert int(p.argmax()) in kept
    assert all(mass[token] >= share * mass.max() * (1 - 1e-9) for token in kept)
    assert all(mass[token] <= share * mass.max() * (1 + 1e-9) for token in set(range(len(p))) - kept)


@given(distributions, st.sampled_from(ANY_FILTER[:3]))
def test_survivors_keep_their_proportions(
    p: LogWeights, one_filter: Callable[[LogWeights], LogWeights]
) -> None:
    kept = one_filter(p)
    left = sorted(survivors(kept))
    np.testing.assert_array_equal(kept[left], p[left])
    assert probabilities(kept).sum() == pytest.approx(1)


@given(distributions)
def test_something_always_survives_all_filters_together(p: LogWeights) -> None:
    config = SamplingConfig(temperature=0.01, top_k=1, top_p=1e-9, min_p=1.0, repetition_penalty=50.0)
    weights = apply_filters(p[None], config, np.array([[0, 1, filters.NO_TOKEN]]) % len(p), None)
    assert len(survivors(weights[0])) == 1


@given(distributions, st.sampled_from([1e-300, 0.01, 1.0, 100.0, 1e300]))
def test_no_temperature_overflows(p: LogWeights, degree: float) -> None:
    weights = filters.temperature(filters.top_k(p, 3), degree)
    assert weights.max() == 0
    assert not np.isnan(weights).any()
    assert probabilities(weights).sum() == pytest.approx(1)


def test_temperature_raises_probabilities_to_a_power() -> None:
    p = log_normalised([3, 2, 1])
    np.testing.assert_allclose(probabilities(filters.temperature(p, 0.5)), np.array([9, 4, 1]) / 14)
    np.testing.assert_allclose(probabilities(filters.temperature(p, 1e6)), np.full(3, 1 / 3), atol=1e-6)


@given(distributions)
def test_greedy_is_the_first_likeliest_token(p: LogWeights) -> None:
    assert survivors(filters.temperature(p, 0.0)) == {int(p.argmax())}


def test_the_nucleus_of_halves() -> None:
    assert survivors(filters.top_p(HALVES, 0.5)) == {0}
    assert survivors(filters.top_p(HALVES, 0.51)) == {0, 1}
    assert survivors(filters.top_p(HALVES, 0.875)) == {0, 1, 2}
    assert survivors(filters.top_p(HALVES, 0.9)) == {0, 1, 2, 3}, "of equals the lower id stays"
    assert survivors(filters.top_p(HALVES, 1.0)) == {0, 1, 2, 3, 4}


def test_a_nucleus_wider_than_the_first_candidates_is_exact() -> None:
    """Almost flat distributions over many tokens make the search for the nucleus widen more than once."""
    p = log_normalised(np.random.default_rng(1).uniform(0.9, 1.1, 33_000).tolist())
    order = np.argsort(-p, kind="stable")
    for share in (0.001, 0.01, 0.5, 0.999):
        count = int(np.searchsorted(np.exp(p)[order].cumsum(), share)) + 1
        assert survivors(filters.top_p(p, share)) == set(order[:count].tolist())


def test_the_nucleus_counts_what_earlier_filters_left() -> None:
    assert survivors(filters.top_p(filters.top_k(HALVES, 2), 0.66)) == {0}
    assert survivors(filters.top_p(HALVES, 0.66)) == {0, 1}


def test_the_repetition_penalty_is_a_power() -> None:
    p = log_normalised([2, 1, 1])
    recent = np.array([0, 0, 2, filters.NO_TOKEN])
    weights = filters.repetition_penalty(p, recent, 2.0)
    np.testing.assert_allclose(np.exp(weights), [1 / 4, 1 / 4, 1 / 16])
    np.testing.assert_array_equal(filters.repetition_penalty(p, recent[3:], 2.0), p)


def test_a_penalty_moves_greedy_choice_on() -> None:
    greedy = SamplingConfig(temperature=0, repetition_penalty=4.0)
    recent = np.array([[0]])
    assert survivors(apply_filters(HALVES[None], greedy, recent, None)[0]) == {1}


def test_filters_apply_in_the_documented_order() -> None:
    """What top-p drops depends on neither temperature nor penalty: those come after it."""
    config = SamplingConfig(temperature=2.0, top_p=0.6, repetition_penalty=3.0)
    weights = apply_filters(HALVES[None], config, np.array([[0]]), None)
    assert survivors(weights[0]) == {0, 1}
    np.testing.assert_allclose(
        probabilities(weights)[0, :2], np.array([0.5**1.5, 0.25**0.5]) / (0.5**1.5 + 0.25**0.5)
    )


def test_the_unknown_token_is_never_left() -> None:
    weights = apply_filters(HALVES[None], SamplingConfig(temperature=0), None, 0)
    assert survivors(weights[0]) == {1}


@pytest.mark.parametrize("one_filter", ANY_FILTER)
def test_rows_are_filtered_as_if_alone(one_filter: Callable[[LogWeights], LogWeights]) -> None:
    rows = np.log(np.random.default_rng(2).dirichlet(np.full(200, 0.3), size=5))
    together = one_filter(rows)
    np.testing.assert_array_equal(together, np.stack([one_filter(row) for row in rows]))


def test_the_callers_array_is_left_alone() -> None:
    rows = HALVES[None].copy()
    apply_filters(rows, SamplingConfig(top_k=2, temperature=0.5), None, 0)
    np.testing.assert_array_equal(rows, HALVES[None])


@pytest.mark.parametrize("row", [[-1.0, np.nan], [0.0, -np.inf]])
def test_a_model_without_usable_probabilities_is_refused(row: list[float]) -> None:
    with pytest.raises(NumericalError, match="no known token a probability"):
        apply_filters(np.array([row]), SamplingConfig(), None, 0)
