"""
Token ids on disk: one .npy file, memory-mapped, in the smallest unsigned type that holds the vocabulary.

Written block by block and read through the map, so that a corpus need not fit in memory. numpy's own format
is used: `numpy.load("train.npy", mmap_mode="r")` reads it anywhere.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import CorpusError
from lmgen.files import replacing

BLOCK_IDS = 1 << 20
"""Looked at together."""

HEADER_BYTES = 256
"""More than there are before the ids."""

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<kind>\|u1|<u2|<u4)', 'fortran_order': False, "
    rb"'shape': \((?P<count>\d{1,18}),\), \} *\n",
    re.DOTALL,
)


def id_type(vocabulary_size: int) -> np.dtype[Any]:
    """The smallest unsigned type for ids below `vocabulary_size`: 65 -> uint8, 33,278 -> uint16."""
    return np.min_scalar_type(max(vocabulary_size - 1, 0))


def write_tokens(path: Path, blocks: Iterable[IdArray], vocabulary_size: int) -> int:
    """
    Write blocks of ids one after another; memory holds one block at a time.

    Returns:
        The number of ids.
    """
    kind = id_type(vocabulary_size)
    count = 0
    with replacing(path) as temporary, temporary.open("r+b") as file:
        _write_header(file, kind, 0)
        begin = file.tell()
        for block in blocks:
            block.astype(kind).tofile(file)
            count += len(block)
        file.seek(0)
        _write_header(file, kind, count)
        if file.tell() != begin:  # numpy keeps room in the header for the length to grow into
            raise RuntimeError("the header of the token file changed its length")
    return count


def read_tokens(path: Path, vocabulary_size: int) -> IdArray:
    """
    Map a token file into memory: (N,), read-only; pages are read when they are used.

    They are read once before, to see that every id is below `vocabulary_size`.

    Raises:
        CorpusError: the file is missing, cut short, or not a token file of that vocabulary.
    """
    try:
        ids = _mapped(path)
    except FileNotFoundError as error:
        raise CorpusError(f"there is no token file {path}; train again to make it anew") from error
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CorpusError(f"{path} is not a whole token file; train again to make it anew") from error
    if ids.dtype != id_type(vocabulary_size):
        raise CorpusError(
            f"{path} holds ids of type {ids.dtype}, not those of {vocabulary_size} tokens; train again"
        )
    if _largest(path, ids) >= vocabulary_size:
        raise CorpusError(
            f"{path} holds ids beyond the {vocabulary_size} tokens of the vocabulary; train again"
        )
    return ids


def _mapped(path: Path) -> IdArray:
    """
    Map what `write_tokens` wrote. numpy's own reader takes many other files too, and evaluates their headers.

    Raises:
        ValueError: it is something else.
    """
    with path.open("rb") as file:
        header = _HEADER.match(file.read(HEADER_BYTES))
    if header is None:
        raise ValueError("it does not begin like a token file")
    kind, count = np.dtype(header["kind"].decode()), int(header["count"])
    if path.stat().st_size != header.end() + count * kind.itemsize:
        raise ValueError("it is too short, or too long")
    if not count:
        return np.empty(0, kind)
    return np.memmap(path, kind, "r", header.end(), (count,))


def _largest(path: Path, ids: IdArray) -> int:
    """The largest id, read from the file block by block: what is read through the map counts as memory."""
    largest = 0
    with path.open("rb") as file:
        file.seek(path.stat().st_size - ids.nbytes)
        while len(block := np.fromfile(file, ids.dtype, BLOCK_IDS)):
            largest = max(largest, int(block.max()))
    return largest


def _write_header(file: Any, kind: np.dtype[Any], count: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
