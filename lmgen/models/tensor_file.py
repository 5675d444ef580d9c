"""
The .safetensors format, for arrays that are larger than memory: written in blocks, and mapped.

A file is the length of its header, 8 bytes; the header, JSON, filled up with blanks; and the arrays one after
another. https://github.com/huggingface/safetensors describes it. The library, which reads all other files,
can only write arrays that it has copied. What is written here is byte for byte what it writes.
"""

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Tensors, let_go
from lmgen.errors import ModelError

NAMES = {
    np.dtype(kind): name
    for kind, name in (
        (np.bool_, "BOOL"),
        (np.uint8, "U8"),
        (np.int8, "I8"),
        (np.int16, "I16"),
        (np.uint16, "U16"),
        (np.float16, "F16"),
        (np.int32, "I32"),
        (np.uint32, "U32"),
        (np.float32, "F32"),
        (np.float64, "F64"),
        (np.int64, "I64"),
        (np.uint64, "U64"),
    )
}
"""What the header calls each type; a file has the arrays of the last type first, so that all are aligned."""

LENGTH_BYTES = 8

BLOCK_BYTES = 1 << 24
"""Bytes that are written at a time."""


def write_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """
    Write arrays, which may be mapped, into a file that is there.

    Raises:
        OSError: the disk is full.
    """
    kinds = list(NAMES)
    names = sorted(tensors, key=lambda name: (-kinds.index(tensors[name].dtype), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    begin = 0
    for name in names:
        end = begin + tensors[name].nbytes
        header[name] = {
            "dtype": NAMES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        for name in names:
            tensor = tensors[name]
            flat = np.ascontiguousarray(tensor).reshape(-1)
            step = max(BLOCK_BYTES // flat.itemsize, 1)
            for first in range(0, len(flat), step):
                file.write(flat[first : first + step].data)
                let_go(tensor)


def map_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """
    The arrays of a file that the library has opened without an error: read-only, mapped into memory.

    Raises:
        ModelError: an array has a type that numpy lacks.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    kinds = {name: kind for kind, name in NAMES.items()}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            if entry["dtype"] not in kinds:
                raise ModelError(
                    f"{path}: its tensor {name} has the type {entry['dtype']}, which no model has"
                )
            kind = kinds[entry["dtype"]]
            count = (end - begin) // kind.itemsize
            tensor = np.frombuffer(whole, kind, count, LENGTH_BYTES + length + begin)
            tensors[name] = tensor.reshape(entry["shape"])
    return tensors
