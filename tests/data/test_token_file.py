from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lmgen.data.token_file import id_type, read_tokens, token_counts, write_tokens
from lmgen.errors import CorpusError


@pytest.mark.parametrize(
    ("vocabulary_size", "kind"),
    [(1, "uint8"), (256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")],
)
def test_ids_take_the_smallest_unsigned_type(vocabulary_size: int, kind: str) -> None:
    assert id_type(vocabulary_size) == kind


def test_blocks_come_back_as_one_mapped_array(tmp_path: Path) -> None:
    path = tmp_path / "train.npy"
    count = write_tokens(path, [np.array([1, 2]), np.array([], int), np.array([300])], 301)
    ids = read_tokens(path, 301)

    assert count == 3
    assert isinstance(ids, np.memmap)
    assert ids.tolist() == [1, 2, 300]
    assert ids.dtype == np.uint16
    assert path.stat().st_size <= 128 + 2 * 3


def test_nothing_is_left_of_a_file_whose_blocks_fail(tmp_path: Path) -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield np.array([1])
        raise CorpusError("not text")

    with pytest.raises(CorpusError):
        write_tokens(tmp_path / "train.npy", blocks(), 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"not numpy", None])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "train.npy"
    write_tokens(path, [np.arange(200)], 200)
    path.write_bytes(path.read_bytes()[:-10] if damage is None else damage)

    with pytest.raises(CorpusError, match=r"train\.npy is not a whole token file; train again"):
        read_tokens(path, 200)


@pytest.mark.parametrize(
    ("ids", "size", "message"),
    [
        ([1, 2, 9], 9, "holds ids beyond the 9 tokens of the vocabulary"),
        ([1, 2], 300, "holds ids of type uint8, not those of 300 tokens"),
    ],
)
def test_ids_of_another_vocabulary_are_refused(
    ids: list[int], size: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "train.npy"
    write_tokens(path, [np.array(ids)], 10)

    with pytest.raises(CorpusError, match=message):
        read_tokens(path, size)


def test_nothing_in_a_header_is_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "train.npy"
    write_tokens(path, [np.arange(9)], 9)
    path.write_bytes(path.read_bytes().replace(b"(9,)", b"(4+5,)"))

    with pytest.raises(CorpusError, match="is not a whole token file"):
        read_tokens(path, 9)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no token file"):
        read_tokens(tmp_path / "train.npy", 9)


def test_tokens_are_counted_in_a_text_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmgen.data.token_file.BLOCK_IDS", 7)
    ids = np.array([0, 3, 3, 1] * 5, np.uint8)

    assert token_counts(ids, 5).tolist() == [5, 5, 0, 10, 0]
