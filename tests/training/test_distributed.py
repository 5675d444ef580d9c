"""How batches are shared out, and how processes find out what has become of the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore  # type: ignore[attr-defined]

from lmgen.data.batches import Batch
from lmgen.errors import LostProcessError
from lmgen.training import processes
from lmgen.training.distributed import ALONE, Processes
from lmgen.training.processes import Place, own_place


def group_of(size: int) -> list[Processes]:
    """Processes that share a store, and have no other way to communicate."""
    store = HashStore()
    return [Processes(Place(rank, size, rank), store) for rank in range(size)]


@given(streams=st.integers(0, 40), size=st.integers(1, 7))
def test_each_stream_is_in_one_process_and_their_numbers_differ_by_at_most_one(
    streams: int, size: int
) -> None:
    group = group_of(size)
    assert [number for each in group for number in range(streams)[each.columns(streams)]] == list(
        range(streams)
    )
    counts = [each.streams(streams) for each in group]
    assert max(counts) - min(counts) <= 1


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_the_parts_of_a_batch_are_its_columns_and_their_shares_are_all_of_it(
    steps: int, streams: int, size: int, weighted: bool
) -> None:
    numbers = np.arange(steps * streams).reshape(steps, streams)
    weights = (numbers % 3 > 0).astype(np.float32) if weighted else None
    batch = Batch(numbers, numbers + 1, weights, numbers[0] % 2 == 0, numbers % 4 > 0 if weighted else None)
    parts = [each.part(batch) for each in group_of(size)]
    for name in ("inputs", "targets", "weights", "text"):
        whole = getattr(batch, name)
        if whole is not None:
            columns = [getattr(part.batch, name) for part in parts]
            np.testing.assert_array_equal(np.concatenate(columns, axis=1), whole)
    assert batch.begins is not None
    begins = [part.batch.begins for part in parts if part.batch.begins is not None]
    np.testing.assert_array_equal(np.concatenate(begins), batch.begins)
    assert sum(part.share for part in parts) == pytest.approx(float(batch.scored > 0))
    later = weights is None or weights[1:].any()
    assert sum(part.later_share for part in parts) == pytest.approx(float(later))


def test_a_process_on_its_own_computes_whole_batches() -> None:
    numbers = np.arange(6).reshape(2, 3)
    part = ALONE.part(Batch(numbers, numbers))
    assert part.batch.inputs is numbers
    assert (part.share, part.later_share) == (1.0, 1.0)


def test_messages_come_in_order_to_all() -> None:
    first, *others = group_of(3)
    for message in ({"number": 1}, {"number": 2.5, "text": "é", "none": None}):
        first.tell(message)
        assert [other.told() for other in others] == [message, message]


def test_one_of_those_that_end_by_an_error_reports_it() -> None:
    group = group_of(3)
    assert [each.is_first_to_end() for each in group] == [True, False, False]


def test_waiting_for_word_ends_when_another_process_does() -> None:
    first, second = group_of(2)
    first.is_first_to_end()
    with pytest.raises(LostProcessError, match="another process of this training has ended"):
        second.told()


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, Place(0, 1, 0)),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, Place(1, 2, 0)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Place(1, 2, 1)),
        ({"RANK": "2", "WORLD_SIZE": "2"}, Place(0, 1, 0)),
        ({"RANK": "first", "WORLD_SIZE": "2"}, Place(0, 1, 0)),
    ],
)
def test_the_environment_tells_which_process_this_is(
    environment: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert own_place() == place


def test_before_processes_meet_the_first_of_each_machine_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "2")
    for local_rank, expected in (("0", True), ("1", False)):
        monkeypatch.setenv("LOCAL_RANK", local_rank)
        assert processes.reports() is expected
