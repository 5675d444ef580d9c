"""Symbols to bytes and back, with predictors made up here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.arrays import Float64Array, IdArray
from lmgen.compression import coder
from lmgen.errors import CorpusError, NumericalError

pytest.importorskip("constriction", reason="the extra `compress` is not installed")


class Counting:
    """Predicts by how often symbols were read in all streams."""

    def __init__(self, vocabulary_size: int, streams: int, begin: float = 1.0) -> None:
        self._counts = np.full(vocabulary_size, begin)
        self._streams = streams

    def predict(self) -> Float64Array:
        return np.tile(self._counts / self._counts.sum(), (self._streams, 1))

    def read(self, symbols: IdArray) -> None:
        np.add.at(self._counts, symbols, 1)


def nothing(progress: coder.Progress) -> None: ...


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 9))
@settings(deadline=None)
def test_symbols_come_back_whatever_the_number_of_streams(symbols: list[int], streams: int) -> None:
    ids = np.array(symbols, np.int64)

    coded = coder.written(ids, Counting(7, streams), streams, nothing)
    back = coder.read(coded, len(ids), Counting(7, streams), streams, nothing)

    assert back.tolist() == symbols


def test_the_bytes_are_as_many_as_the_probabilities_promise() -> None:
    ids = np.random.default_rng(0).choice(4, 20_000, p=[0.7, 0.2, 0.09, 0.01])
    seen: list[coder.Progress] = []

    coded = coder.written(ids, Counting(4, 8), 8, seen.append)

    entropy = -sum(p * np.log2(p) for p in (0.7, 0.2, 0.09, 0.01)) * len(ids)
    assert seen[-1].bits == pytest.approx(entropy, rel=0.02)
    assert len(coded) * 8 == pytest.approx(seen[-1].bits, abs=150)
    assert (seen[-1].done, seen[-1].total) == (20_000, 20_000)
    assert [each.done for each in seen[:2]] == [8, 16]


def test_a_single_symbol_takes_next_to_nothing() -> None:
    coded = coder.written(np.zeros(5000, np.int64), Counting(1, 4), 4, nothing)

    assert len(coded) <= 8
    assert not coder.read(coded, 5000, Counting(1, 4), 4, nothing).any()


def test_other_probabilities_are_noticed_and_give_no_wrong_symbols() -> None:
    ids = np.random.default_rng(0).choice(4, 20_000, p=[0.7, 0.2, 0.09, 0.01])
    coded = coder.written(ids, Counting(4, 8), 8, nothing)

    with pytest.raises(CorpusError, match="not those that the archive was written with"):
        coder.read(coded, len(ids), Counting(4, 8, begin=1.001), 8, nothing)


def test_no_probabilities_are_refused() -> None:
    with pytest.raises(NumericalError, match="a probability that is no number"):
        coder.written(np.zeros(5, np.int64), Counting(3, 1, begin=np.nan), 1, nothing)
