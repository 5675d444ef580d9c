"""Filters drop and reweigh tokens as their formulas say."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.arrays import FloatArray
from lmgen.errors import NumericalError
from lmgen.generation import filters
from lmgen.generation.config import SamplingConfig
from lmgen.generation.filters import Candidates, candidates

Filter = Callable[[Candidates], Candidates]


def log_normalised(weights: list[float]) -> npt.NDArray[np.float64]:
    logarithms: npt.NDArray[np.float64] = np.log(np.array(weights) / np.sum(weights))
    return logarithms


def all_of(rows: FloatArray) -> Candidates:
    """Every token of each row; a row can stand alone."""
    rows = np.atleast_2d(rows)
    return Candidates(rows, rows.max(axis=-1, keepdims=True))


def dense(kept: Candidates, vocabulary_size: int) -> FloatArray:
    """The log-weights of all tokens."""
    log_weights = np.full((len(kept.log_weights), vocabulary_size), -np.inf)
    for row in range(len(log_weights)):
        for column in np.flatnonzero(np.isfinite(kept.log_weights[row])).tolist():
            log_weights[row, token_in(kept, row, column)] = kept.log_weights[row, column]
    return log_weights


def token_in(kept: Candidates, row: int, column: int) -> int:
    return int(kept.tokens(np.full(len(kept.log_weights), column))[row])


def survivors(kept: Candidates) -> set[int]:
    """The tokens left in a single row."""
    return {token_in(kept, 0, column) for column in np.flatnonzero(np.isfinite(kept.log_weights[0])).tolist()}


def shares(kept: Candidates) -> FloatArray:
    """The probabilities of a single row's columns."""
    weights = np.exp(kept.log_weights[0] - kept.log_weights[0].max())
    normalised: FloatArray = weights / weights.sum()
    return normalised


distributions = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12).map(log_normalised)
"""Small enough to try every set of tokens."""

HALVES = log_normalised([8, 4, 2, 1, 1])

ANY_FILTER: list[Filter] = [
    lambda rows: filters.top_k(rows, 3),
    lambda rows: filters.top_p(rows, 0.7),
    lambda rows: filters.min_p(rows, 0.2),
    lambda rows: filters.temperature(rows, 0.5),
    lambda rows: filters.temperature(rows, 0.0),
]


@given(distributions, st.integers(1, 15))
def test_top_k_keeps_the_k_likeliest(p: FloatArray, k: int) -> None:
    kept = survivors(filters.top_k(all_of(p), k))
    assert len(kept) == min(k, len(p))
    assert set(np.argsort(-p, kind="stable")[:k].tolist()) == kept


@given(distributions, st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_with_enough_mass(p: FloatArray, share: float) -> None:
    kept = survivors(filters.top_p(all_of(p), share))
    mass = np.exp(p)
    assert mass[list(kept)].sum() >= share - 1e-9
    if len(p) <= 8:
        for smaller in combinations(range(len(p)), len(kept) - 1):
            assert mass[list(smaller)].sum() < share + 1e-9


@given(distributions, st.floats(0.0, 1.0))
def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest(p: FloatArray, share: float) -> None:
    mass = np.exp(p)
    kept = survivors(filters.min_p(all_of(p), share))
    assert int(p.argmax()) in kept
    assert all(mass[token] >= share * mass.max() * (1 - 1e-9) for token in kept)
    assert all(mass[token] <= share * mass.max() * (1 + 1e-9) for token in set(range(len(p))) - kept)


@given(distributions, st.sampled_from(ANY_FILTER[:3]))
def test_survivors_keep_their_proportions(p: FloatArray, one_filter: Filter) -> None:
    kept = one_filter(all_of(p))
    left = sorted(survivors(kept))
    np.testing.assert_array_equal(dense(kept, len(p))[0, left], p[left])


@given(distributions)
def test_something_always_survives_all_filters_together(p: FloatArray) -> None:
    config = SamplingConfig(temperature=0.01, top_k=1, top_p=1e-9, min_p=1.0, repetition_penalty=50.0)
    assert (
        len(survivors(candidates(p[None], config, np.array([[0, 1, filters.NO_TOKEN]]) % len(p), None))) == 1
    )


@given(distributions, st.sampled_from([1e-300, 1e-9, 0.01, 1.0, 100.0, 1e9, 1e300]))
def test_no_temperature_overflows(p: FloatArray, degree: float) -> None:
    weights = filters.temperature(filters.top_k(all_of(p), 3), degree).log_weights
    assert weights.max() == 0
    assert not np.isnan(weights).any()


@pytest.mark.parametrize("degree", [1e-300, 1e-9, 0.01, 100.0, 1e9, 1e300])
def test_the_least_likely_token_of_single_precision_survives_any_temperature(degree: float) -> None:
    """Networks give float32, and log-probabilities of some hundreds below zero."""
    row = np.array([[-0.0, -700.0, -1e30, -np.inf]], np.float32)
    kept = candidates(row, SamplingConfig(temperature=degree), None, None)
    assert kept.log_weights[0, 0] == 0
    assert kept.log_weights[0, 1] == pytest.approx(-700 / max(degree, filters.LOWEST_TEMPERATURE))
    assert not np.isnan(kept.log_weights).any()


def test_temperature_raises_probabilities_to_a_power() -> None:
    p = all_of(log_normalised([3, 2, 1]))
    np.testing.assert_allclose(shares(filters.temperature(p, 0.5)), np.array([9, 4, 1]) / 14)
    np.testing.assert_allclose(shares(filters.temperature(p, 1e6)), np.full(3, 1 / 3), atol=1e-6)


@given(distributions)
def test_greedy_is_the_first_likeliest_token(p: FloatArray) -> None:
    assert survivors(filters.temperature(all_of(p), 0.0)) == {int(p.argmax())}


@given(distributions)
def test_the_lowest_temperature_is_greedy_but_for_equals(p: FloatArray) -> None:
    weights = filters.temperature(all_of(p), 1e-300).log_weights[0]
    assert set(np.flatnonzero(np.exp(weights))) == set(np.flatnonzero(p == p.max()))


def test_the_nucleus_of_halves() -> None:
    def nucleus(share: float) -> set[int]:
        return survivors(filters.top_p(all_of(HALVES), share))

    assert nucleus(0.5) == {0}
    assert nucleus(0.51) == {0, 1}
    assert nucleus(0.875) == {0, 1, 2}
    assert nucleus(0.9) == {0, 1, 2, 3}, "of equals the lower id stays"
    assert nucleus(1.0) == {0, 1, 2, 3, 4}


def test_a_nucleus_wider_than_the_first_candidates_is_exact() -> None:
    """Almost flat distributions over many tokens make the search for the nucleus widen more than once."""
    p = log_normalised(np.random.default_rng(1).uniform(0.9, 1.1, 33_000).tolist())
    order = np.argsort(-p, kind="stable")
    for share in (0.001, 0.01, 0.5, 0.999):
        count = int(np.searchsorted(np.exp(p)[order].cumsum(), share)) + 1
        assert survivors(filters.top_p(all_of(p), share)) == set(order[:count].tolist())


def test_the_nucleus_counts_what_earlier_filters_left() -> None:
    assert survivors(filters.top_p(filters.top_k(all_of(HALVES), 2), 0.66)) == {0}
    assert survivors(filters.top_p(all_of(HALVES), 0.66)) == {0, 1}


def test_the_repetition_penalty_is_a_power() -> None:
    p = all_of(log_normalised([2, 1, 1]))
    recent = np.array([[0, 0, 2, filters.NO_TOKEN]])
    weights = filters.repetition_penalty(p, recent, 2.0).log_weights
    np.testing.assert_allclose(np.exp(weights), [[1 / 4, 1 / 4, 1 / 16]])
    none = filters.repetition_penalty(p, recent[:, 3:], 2.0).log_weights
    np.testing.assert_array_equal(none, p.log_weights)


def test_a_penalty_moves_greedy_choice_on() -> None:
    greedy = SamplingConfig(temperature=0, repetition_penalty=4.0)
    assert survivors(candidates(HALVES[None], greedy, np.array([[0]]), None)) == {1}


def test_filters_apply_in_the_documented_order() -> None:
    """What top-p drops depends on neither temperature nor penalty: those come after it."""
    config = SamplingConfig(temperature=2.0, top_p=0.6, repetition_penalty=3.0)
    kept = candidates(HALVES[None], config, np.array([[0]]), None)
    assert survivors(kept) == {0, 1}
    np.testing.assert_allclose(shares(kept)[:2], np.array([0.5**1.5, 0.25**0.5]) / (0.5**1.5 + 0.25**0.5))


def test_the_unknown_token_is_never_left() -> None:
    assert survivors(candidates(HALVES[None], SamplingConfig(temperature=0), None, 0)) == {1}
    assert survivors(candidates(HALVES[None], SamplingConfig(top_k=2), None, 1)) == {0, 2}


def filtered_by_sorting(
    row: FloatArray, config: SamplingConfig, recent: set[int], unknown: int
) -> FloatArray:
    """The documented order word for word, one token after the other: slow, and plain to see."""
    tokens = sorted((token for token in range(len(row)) if token != unknown), key=lambda token: -row[token])
    tokens = tokens[: config.top_k]
    mass = np.exp(row[tokens] - row[tokens[0]])
    if config.top_p is not None and config.top_p < 1:
        tokens = tokens[: int((mass.cumsum() < config.top_p * mass.sum()).sum()) + 1]
    tokens = [token for token in tokens if row[token] >= row[tokens[0]] + np.log(config.min_p or 1e-300)]
    weights = np.full(len(row), -np.inf)
    for token in tokens:
        weights[token] = row[token] * ((config.repetition_penalty or 1) if token in recent else 1)
    scaled: FloatArray = (weights - weights.max()) / config.temperature
    return scaled


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([5, 300, 3000]),
    st.none() | st.integers(1, 400),
    st.none() | st.floats(0.05, 1.0),
    st.none() | st.floats(0.0, 1.0),
    st.none() | st.floats(0.5, 3.0),
    st.floats(0.1, 10.0),
    st.booleans(),
)
def test_filters_together_give_what_sorting_gives(
    seed: int,
    vocabulary_size: int,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    penalty: float | None,
    degree: float,
    ties: bool,
) -> None:
    """Of small and large vocabularies, for several streams at once, and where many are equally likely."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(3, vocabulary_size)) * random.uniform(0.1, 5, size=(3, 1))
    rows = np.round(scores) if ties else scores
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    recent = random.integers(filters.NO_TOKEN, vocabulary_size, size=(3, 40))
    unknown = int(random.integers(vocabulary_size))
    config = SamplingConfig(
        top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty, temperature=degree
    )
    expected = [
        filtered_by_sorting(row, config, set(seen), unknown)
        for row, seen in zip(rows, recent.tolist(), strict=True)
    ]
    kept = candidates(rows, config, recent, unknown)
    np.testing.assert_allclose(dense(kept, vocabulary_size), expected, rtol=1e-9, atol=1e-9)


def test_what_is_left_of_a_large_vocabulary_is_small() -> None:
    rows = np.random.default_rng(5).normal(size=(4, 33_000)).astype(np.float32)
    for config in (
        SamplingConfig(top_k=40),
        SamplingConfig(top_k=400, min_p=0.5),
        SamplingConfig(temperature=0),
    ):
        kept = candidates(rows, config, None, 7)
        assert kept.log_weights.shape[1] <= 400
        assert kept.ids is not None
        assert kept.ids.shape == kept.log_weights.shape


@pytest.mark.parametrize("vocabulary_size", [200, 2000])
@pytest.mark.parametrize("one_filter", ANY_FILTER)
def test_rows_are_filtered_as_if_alone(one_filter: Filter, vocabulary_size: int) -> None:
    rows = np.log(np.random.default_rng(2).dirichlet(np.full(vocabulary_size, 0.3), size=5))
    together = dense(one_filter(all_of(rows)), vocabulary_size)
    alone = [dense(one_filter(all_of(row)), vocabulary_size)[0] for row in rows]
    np.testing.assert_array_equal(together, alone)


def test_the_callers_array_is_left_alone() -> None:
    rows = HALVES[None].copy()
    config = SamplingConfig(top_k=2, temperature=0.5, repetition_penalty=2.0)
    candidates(rows, config, np.array([[1]]), 0)
    candidates(rows, config, np.array([[1]]), None)
    candidates(rows, SamplingConfig(temperature=0.5), None, None)
    np.testing.assert_array_equal(rows, HALVES[None])


@pytest.mark.parametrize("config", [SamplingConfig(), SamplingConfig(temperature=0), SamplingConfig(top_k=1)])
@pytest.mark.parametrize("row", [[-1.0, np.nan], [0.0, -np.inf]])
def test_a_model_without_usable_probabilities_is_refused(row: list[float], config: SamplingConfig) -> None:
    with pytest.raises(NumericalError, match="no known token a probability"):
        candidates(np.array([row]), config, None, 0)
