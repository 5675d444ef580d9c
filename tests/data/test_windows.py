"""Windows join into the text again, whatever the sizes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.data.batches import Batch
from lmgen.data.token_file import Tokens, open_tokens, write_tokens
from lmgen.data.windows import DEVIATION, HALVED, LONGEST_ABOVE, SHORTEST, Windows
from lmgen.errors import CorpusError

START = 99


def windows(
    count: int, streams: int, length: int, *, carried: bool, varied: bool = False, seed: int = 0
) -> Windows:
    return Windows(
        ids=np.arange(count, dtype=np.uint16),
        start_token=START,
        streams=streams,
        length=length,
        carried=carried,
        varied=varied,
        seed=seed,
    )


def test_the_drawing_in_the_docstring() -> None:
    text = np.frombuffer(b"abcdefghijklmnopqr", np.uint8)
    first, second, third = Windows(ids=text, start_token=ord("."), streams=3, length=2, carried=True).epoch(0)

    def lines(columns: np.ndarray) -> list[str]:
        return [bytes(stream.tolist()).decode() for stream in columns.T]

    assert lines(first.targets) == ["ab", "gh", "mn"]
    assert lines(first.inputs) == [".a", "fg", "lm"]
    assert lines(second.inputs) == ["bc", "hi", "no"]
    assert lines(third.targets) == ["ef", "kl", "qr"]


sizes = st.tuples(st.integers(1, 300), st.integers(1, 7), st.integers(1, 20))


@given(sizes, st.booleans())
def test_carried_windows_rejoin_into_the_text(size: tuple[int, int, int], varied: bool) -> None:
    count, streams, length = size
    if count < streams:
        return
    cut = windows(count, streams, length, carried=True, varied=varied)
    found = list(cut.epoch(0))

    joined = np.concatenate([window.targets for window in found]).T.ravel()
    assert joined.tolist() == list(range(count // streams * streams))
    inputs = np.concatenate([window.inputs for window in found]).T.ravel()
    assert inputs.tolist() == [START, *joined[:-1]]
    assert len(found) == cut.count(0)


@given(sizes)
def test_reset_windows_hold_every_token_once_with_the_one_before_it(size: tuple[int, int, int]) -> None:
    count, streams, length = size
    if count < length:
        return
    cut = windows(count, streams, length, carried=False)
    found = list(cut.epoch(0))

    targets = np.concatenate([window.targets.T.ravel() for window in found])
    assert sorted(targets.tolist()) == list(range(count // length * length))
    inputs = np.concatenate([window.inputs.T.ravel() for window in found])
    assert all(
        before == (target - 1 if target else START) for before, target in zip(inputs, targets, strict=True)
    )
    assert len(found) == cut.count(0)


def test_reset_windows_are_shuffled_anew_every_epoch_and_the_same_for_the_same_seed() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        cut = windows(400, 4, 5, carried=False, seed=seed)
        return [int(begin) for window in cut.epoch(epoch) for begin in window.targets[0]]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(1, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != sorted(order(0, 1))


def lengths(*, length: int, epoch: int = 0, seed: int = 0) -> list[int]:
    cut = windows(200_000, 1, length, carried=True, varied=True, seed=seed)
    return [len(window.targets) for window in cut.epoch(epoch)]


def test_varied_lengths_lie_around_the_window_length_and_now_and_then_around_half_of_it() -> None:
    found = np.array(lengths(length=70)[:-1])
    usual, halved = found[found > 50], found[found <= 50]

    assert usual.mean() == pytest.approx(69.5, abs=0.5)  # 70, rounded down
    assert usual.std() == pytest.approx(5, abs=0.5)
    assert halved.mean() == pytest.approx(34.5, abs=1.5)
    assert len(halved) / len(found) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("length", "shortest"), [(16, 5), (3, 3)])
def test_varied_lengths_are_bounded(length: int, shortest: int) -> None:
    found = lengths(length=length)[:-1]

    assert (min(found), max(found)) == (shortest, length + LONGEST_ABOVE)


def test_lengths_vary_anew_in_every_epoch_and_the_same_for_the_same_seed() -> None:
    assert lengths(length=70) == lengths(length=70)
    assert lengths(length=70) != lengths(length=70, epoch=1)
    assert lengths(length=70) != lengths(length=70, seed=1)


@pytest.mark.parametrize(("carried", "varied"), [(True, False), (True, True), (False, False)])
def test_an_epoch_goes_on_from_any_window(carried: bool, varied: bool) -> None:
    cut = windows(100, 3, 4, carried=carried, varied=varied)
    whole = [window.targets.tolist() for window in cut.epoch(2)]
    rest = [window.targets.tolist() for window in cut.epoch(2, first=3)]

    assert rest == whole[3:]


@pytest.mark.parametrize("carried", [True, False])
def test_a_text_shorter_than_a_window_is_refused(carried: bool) -> None:
    with pytest.raises(CorpusError, match=r"3 tokens are too few: one window needs at least 8"):
        windows(3, 8, 8, carried=carried)


def ends_as_they_were_stored(stream_length: int, length: int, seed: int, epoch: int) -> list[int]:
    """Varied ends drawn all at once, as they were before texts could be larger than memory."""
    random = np.random.default_rng([seed, epoch])
    shortest = min(SHORTEST, length)
    most = -(-stream_length // shortest)
    centres = np.where(random.random(most) < HALVED, length / 2, length)
    lengths = random.normal(centres, DEVIATION).astype(np.int64)
    ends = np.cumsum(lengths.clip(shortest, length + LONGEST_ABOVE))
    return [*ends[ends < stream_length].tolist(), stream_length]


@given(st.integers(1, 3000), st.integers(1, 90), st.integers(0, 5), st.integers(0, 5), st.integers(1, 40))
def test_varied_windows_end_where_they_always_did(
    stream_length: int, length: int, seed: int, epoch: int, together: int
) -> None:
    cut = windows(2 * stream_length + 1, 2, length, carried=True, varied=True, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmgen.data.windows.DRAWN_TOGETHER", together)
        ends = [int(window.targets[-1, 0]) + 1 for window in cut.epoch(epoch)]
        middle = len(ends) // 2
        rest = [int(window.targets[-1, 0]) + 1 for window in cut.epoch(epoch, middle)]

    assert ends == ends_as_they_were_stored(stream_length, length, seed, epoch)
    assert rest == ends[middle:]
    assert cut.count(epoch) == len(ends)


def test_separate_windows_come_in_the_order_that_they_always_did() -> None:
    cut = windows(1003, 3, 7, carried=False, seed=5)
    begins = np.random.default_rng([5, 2]).permutation(np.arange(1003 // 7) * 7)

    assert np.concatenate([window.targets[0] for window in cut.epoch(2)]).tolist() == begins.tolist()


def test_of_very_many_windows_each_comes_once_in_an_order_that_is_not_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lmgen.data.windows.MOST_SHUFFLED", 100)
    cut = windows(5003, 4, 5, carried=False, seed=3)
    first, second = ([window.targets[0].tolist() for window in cut.epoch(epoch)] for epoch in (0, 1))
    begins = [begin for row in first for begin in row]

    assert sorted(begins) == list(range(0, 5000, 5))
    assert begins != sorted(begins)
    assert first != second
    assert [window.targets[0].tolist() for window in cut.epoch(0, 33)] == first[33:]


@pytest.mark.parametrize(("carried", "varied"), [(True, False), (True, True), (False, False)])
def test_windows_of_a_file_are_those_of_an_array(carried: bool, varied: bool, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 300, 5000)
    write_tokens(tmp_path / "train.npy", [ids], 300)

    def batches(ids: Tokens) -> list[Batch]:
        shape = {"streams": 3, "length": 9, "carried": carried, "varied": varied}
        return list(Windows(ids=ids, start_token=START, **shape).epoch(1))  # type: ignore[arg-type]

    of_file, of_array = batches(open_tokens(tmp_path / "train.npy", 300)), batches(ids)
    assert len(of_file) == len(of_array)
    for one, other in zip(of_file, of_array, strict=True):
        assert np.array_equal(one.inputs, other.inputs)
        assert np.array_equal(one.targets, other.targets)
