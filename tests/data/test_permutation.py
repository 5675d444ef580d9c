"""A computed permutation is one, and as good as shuffled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.data.permutation import Permutation


@given(st.integers(1, 5000), st.integers(0, 3), st.integers(0, 3))
def test_every_number_comes_once(n: int, seed: int, epoch: int) -> None:
    sent = Permutation(n, seed, epoch)(np.arange(n))

    assert np.array_equal(np.sort(sent), np.arange(n))


def test_it_is_one_however_its_numbers_are_asked_for() -> None:
    permutation = Permutation(1000, 1, 2)
    whole = permutation(np.arange(1000))

    assert [int(permutation(np.array([number]))[0]) for number in range(1000)] == whole.tolist()
    assert whole.tolist() == Permutation(1000, 1, 2)(np.arange(1000)).tolist()


@pytest.mark.parametrize("other", [(2, 2), (1, 3)])
def test_other_seeds_give_another_one(other: tuple[int, int]) -> None:
    numbers = np.arange(100_000)
    same = Permutation(100_000, 1, 2)(numbers) == Permutation(100_000, *other)(numbers)

    assert same.sum() < 10  # of two random permutations one number is the same on average


@pytest.mark.parametrize("n", [2**17, 100_003])
def test_it_is_mixed_like_a_random_one(n: int) -> None:
    """Places say nothing about numbers: no correlation, neighbours far apart, each part from everywhere."""
    sent = Permutation(n, 7, 0)(np.arange(n)).astype(float)
    steps = np.abs(np.diff(sent))
    of_tenths = np.histogram2d(np.arange(n), sent, bins=10)[0]

    assert abs(np.corrcoef(np.arange(n), sent)[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(sent[:-1], sent[1:])[0, 1]) < 4 / np.sqrt(n)
    assert steps.mean() == pytest.approx(n / 3, rel=0.02)
    assert np.allclose(of_tenths, n / 100, rtol=0.15)
    assert (sent == np.arange(n)).sum() < 10
    assert (steps == 1).sum() < 15


def test_numbers_may_be_as_large_as_any_text() -> None:
    n = 3 * 10**12 + 1
    sent = Permutation(n, 0, 0)(np.arange(n - 1000, n))

    assert ((sent >= 0) & (sent < n)).all()
    assert len(np.unique(sent)) == 1000
    assert sent.std() == pytest.approx(n / np.sqrt(12), rel=0.1)
