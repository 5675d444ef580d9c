from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lmgen.arrays import Tensors
from lmgen.models import tensor_file
from lmgen.models.tensor_file import NAMES, map_tensors, write_tensors

METADATA = {"lmgen": '{"name": "a\\n\\"quoted\\" é 語"}'}


def some_tensors() -> Tensors:
    """Of every type and many shapes, in an order that is not that of the file."""
    tensors = {
        f"{name} {kind}": np.arange(12).reshape(shape).astype(kind)
        for kind in NAMES
        for name, shape in (("b", (3, 4)), ("a", (12,)))
    }
    return tensors | {
        "scalar": np.array(3.5),
        "nothing": np.empty((0, 7), np.float32),
        "across": np.arange(12, dtype=np.int32).reshape(3, 4).T,
    }


@pytest.mark.parametrize("block", [1, 5, 1 << 24])
def test_the_bytes_are_those_of_the_library(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_file, "BLOCK_BYTES", block)
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in some_tensors().items()}
    save_file(contiguous, tmp_path / "theirs", METADATA)
    write_tensors(tmp_path / "ours", some_tensors(), METADATA)

    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_mapped_file_has_the_same_arrays_and_can_be_written_again(tmp_path: Path) -> None:
    write_tensors(tmp_path / "first", some_tensors(), METADATA)
    mapped, read = map_tensors(tmp_path / "first"), load_file(tmp_path / "first")
    write_tensors(tmp_path / "second", mapped, METADATA)

    assert mapped.keys() == read.keys()
    for name, tensor in mapped.items():
        assert tensor.dtype == read[name].dtype
        assert np.array_equal(tensor, read[name])
        assert not tensor.flags.writeable
    assert (tmp_path / "second").read_bytes() == (tmp_path / "first").read_bytes()
