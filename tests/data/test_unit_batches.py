"""Units side by side: every token once, every unit from its start, padding without weight."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.arrays import IdArray
from lmgen.data.batches import Batch
from lmgen.data.token_file import open_tokens, write_tokens
from lmgen.data.unit_batches import UnitBatches
from lmgen.errors import CorpusError

END, START = 1, 0


def batches_of(units: list[list[int]], streams: int = 3, length: int = 4, **settings: bool) -> UnitBatches:
    ids = np.array([token for unit in units for token in [*unit, END]], np.uint8)
    carried = settings.get("carried", True)
    return UnitBatches(
        ids=ids, unit_end=END, start_token=START, streams=streams, length=length, carried=carried, seed=3
    )


def read_units(batches: list[Batch]) -> list[tuple[int, ...]]:
    """The scored targets of each stream, put together where it goes on from batch to batch."""
    found: list[list[int]] = []
    streams: list[list[int]] = []
    for batch in batches:
        assert batch.begins is not None
        if batch.begins.all():
            found += streams
            streams = [[] for _ in range(batch.targets.shape[1])]
        weights = np.ones_like(batch.targets) if batch.weights is None else batch.weights
        for stream, targets, weight in zip(streams, batch.targets.T, weights.T, strict=True):
            stream += targets[weight > 0].tolist()
    return [tuple(unit) for unit in [*found, *streams]]


units_of_ids = st.lists(st.lists(st.integers(2, 9), max_size=14), min_size=1, max_size=40)


@given(units_of_ids, st.integers(1, 4), st.integers(1, 6), st.integers(0, 2))
def test_every_unit_is_read_once_in_an_epoch(
    units: list[list[int]], streams: int, length: int, epoch: int
) -> None:
    source = batches_of(units, streams, length)

    batches = list(source.epoch(epoch))

    assert len(batches) == source.count(epoch)
    assert Counter(read_units(batches)) == Counter((*unit, END) for unit in units)
    assert sum(batch.scored for batch in batches) == len(source.ids)


@given(units_of_ids, st.integers(1, 4), st.integers(1, 6))
def test_inputs_are_the_tokens_before(units: list[list[int]], streams: int, length: int) -> None:
    before: IdArray = np.zeros(0, np.int64)
    for batch in batches_of(units, streams, length).epoch(0):
        assert batch.begins is not None
        first = np.full(len(batch.begins), START) if batch.begins.all() else before
        scored = np.ones(batch.targets.shape) if batch.weights is None else batch.weights
        expected = np.concatenate([first[None], batch.targets[:-1]])
        assert (batch.inputs == expected)[scored > 0].all()
        before = batch.targets[-1]


@given(units_of_ids, st.integers(1, 4), st.integers(1, 6))
def test_a_batch_holds_no_more_than_asked_for(units: list[list[int]], streams: int, length: int) -> None:
    for batch in batches_of(units, streams, length).epoch(0):
        assert batch.targets.size <= streams * length
        assert len(batch.targets) <= length


def test_short_units_share_a_batch_without_much_padding() -> None:
    random = np.random.default_rng(0)
    units = [[5] * int(n) for n in random.integers(1, 30, 2000)]
    batches = list(batches_of(units, streams=16, length=64).epoch(0))

    scored = sum(batch.scored for batch in batches)
    assert scored / sum(batch.targets.size for batch in batches) > 0.9
    assert scored / len(batches) > 0.85 * 16 * 64


def test_an_epoch_can_be_resumed_anywhere() -> None:
    source = batches_of([[2] * n for n in range(20)])
    whole = list(source.epoch(1))

    for first in range(len(whole)):
        rest = list(source.epoch(1, first))
        assert len(rest) == len(whole) - first
        np.testing.assert_array_equal(rest[0].targets, whole[first].targets)


def test_epochs_differ() -> None:
    source = batches_of([[2, 3, n] for n in range(4, 10)])

    first, second = (list(source.epoch(epoch)) for epoch in (0, 1))

    assert any((a.targets != b.targets).any() for a, b in zip(first, second, strict=True))


def test_reset_begins_every_window_of_a_long_unit_from_zeros() -> None:
    batches = list(batches_of([[2] * 9], carried=False).epoch(0))

    assert len(batches) == 3
    assert all(batch.begins is not None and batch.begins.all() for batch in batches)


def test_no_units_are_an_error() -> None:
    with pytest.raises(CorpusError, match="no units"):
        UnitBatches(ids=np.zeros(0, np.uint8), unit_end=1, start_token=0, streams=1, length=1, carried=True)


def test_units_of_a_file_are_those_of_an_array(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    of_array = batches_of([random.integers(2, 9, size).tolist() for size in random.integers(0, 20, 300)])
    write_tokens(tmp_path / "train.npy", [np.asarray(of_array.ids[:])], 9)
    of_file = replace(of_array, ids=open_tokens(tmp_path / "train.npy", 9))

    assert of_file.count(1) == of_array.count(1)
    for one, other in zip(of_file.epoch(1), of_array.epoch(1), strict=True):
        assert np.array_equal(one.inputs, other.inputs)
        assert np.array_equal(one.targets, other.targets)
