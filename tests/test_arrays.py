from pathlib import Path

import numpy as np
import pytest

from lmgen.arrays import let_go
from lmgen.models.ngram.on_disk.estimate import estimate_on_disk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "ids.npy", np.zeros(5000, np.uint8))
    return tmp_path / "ids.npy"


@pytest.mark.parametrize("is_protected", [False, True])
def test_what_was_changed_in_a_map_alone_is_kept(is_protected: bool, file: Path, tmp_path: Path) -> None:
    array = np.load(file, mmap_mode="c")
    array[:] = np.arange(5000) % 7
    array.flags.writeable = not is_protected
    let_go(array[10:])
    counts = estimate_on_disk(array, 2, 7, None, folder=tmp_path, memory=1).tables[1]

    assert np.array_equal(array, np.arange(5000) % 7)
    assert len(counts) == 8, "each of 7 follows one, and one begins the text"


def test_what_is_read_again_is_the_same(file: Path) -> None:
    array = np.load(file, mmap_mode="r")
    let_go(array)

    assert not array.any()
