import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lmgen.data.token_file import id_type, open_tokens, places_of, read_tokens, token_counts, write_tokens
from lmgen.errors import CorpusError, ModelError
from lmgen.files import CHECKED_BYTES, block_checksums
from tests.process import run_command


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


IDS = np.random.default_rng(0).integers(0, 300, 3 * CHECKED_BYTES // 2)
"""More than three blocks of a file, of two bytes each with the header."""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    write_tokens(tmp_path / "train.npy", [IDS], 300)
    return tmp_path / "train.npy"


def test_a_file_gives_what_an_array_gives(large: Path) -> None:
    ids = open_tokens(large, 300, block_checksums(large))
    places = np.array([[5, 6, len(IDS) - 1], [0, 5, 700_000]])

    assert len(ids) == len(IDS)
    assert ids.dtype == np.uint16
    for part in (slice(0, 3), slice(-5, None), slice(524_200, 524_300), slice(9, 9), slice(9, 3)):
        assert np.array_equal(ids[part], IDS[part])
    assert np.array_equal(ids[:], IDS)
    assert np.array_equal(ids[places], IDS[places])
    assert np.array_equal(ids[places - 1], IDS[places - 1])
    assert ids[places[:, :0]].shape == (2, 0)
    assert np.array_equal(np.concatenate(list(places_of(ids, 7, 100))), 100 + np.flatnonzero(IDS[100:] == 7))


def test_damage_is_noticed_where_it_is_read(large: Path) -> None:
    """And not before: opening a large file does not read it."""
    checksums = block_checksums(large)
    content = bytearray(large.read_bytes())
    content[CHECKED_BYTES + 1000] ^= 1
    large.write_bytes(content)
    ids = open_tokens(large, 300, checksums)

    assert np.array_equal(ids[:1000], IDS[:1000])
    assert np.array_equal(ids[-1000:], IDS[-1000:])
    for _ in range(2):
        with pytest.raises(ModelError, match=r"train\.npy is not what was prepared: damaged"):
            ids[CHECKED_BYTES // 2 : CHECKED_BYTES // 2 + 1]


def test_ids_beyond_the_vocabulary_are_noticed_where_they_are_read(large: Path) -> None:
    with pytest.raises(CorpusError, match="holds ids beyond the 290 tokens"):
        open_tokens(large, 290, block_checksums(large))[:10]


def test_a_file_that_is_cut_short_while_it_is_read_is_one_clear_error(large: Path) -> None:
    ids = open_tokens(large, 300)
    with large.open("r+b") as file:
        file.truncate(CHECKED_BYTES)

    assert np.array_equal(ids[:1000], IDS[:1000])
    with pytest.raises(CorpusError, match=r"train\.npy is not a whole token file"):
        ids[-1000:]


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from lmgen.data.token_file import open_tokens
from lmgen.data.windows import Windows

ids = open_tokens(Path(sys.argv[1]), 256, [0] * 100)
ids._verified[:] = bytes([1]) * 100
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def read(carried, windows):
    cut = Windows(ids=ids, start_token=0, streams=64, length=2000, carried=carried)
    for _, batch in zip(range(windows), cut.epoch(0)):
        pass

read(True, 2), read(False, 2)
before = peak()
read(True, 10_000), read(False, 10_000)
print(peak() - before)
"""


def test_reading_all_windows_takes_no_memory_for_the_file(tmp_path: Path) -> None:
    """60 MB of tokens, in a process of its own: the kilobytes by which its peak grows."""
    path = tmp_path / "train.npy"
    write_tokens(path, [np.zeros(6_000_000, np.uint8)] * 10, 256)
    grown = run_command([sys.executable, "-c", MEASURE, str(path)], cwd=Path.cwd(), check=True).stdout

    assert int(grown) < 8_000
