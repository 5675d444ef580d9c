"""
Token ids on disk: a memory-mapped .npy file, in the smallest unsigned type that holds the vocabulary.

Ids are written in blocks and read through the memory map, so that a corpus need not fit in memory. Other
programs can read the file with `numpy.load("train.npy", mmap_mode="r")`.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.arrays import IdArray, Int64Array
from lmgen.errors import CorpusError
from lmgen.files import replacing

BLOCK_IDS = 1 << 20
"""Ids per block when ids are counted or a file is scanned for its largest one."""

HEADER_BYTES = 256
"""Bytes to read for the header: more than any header that numpy writes."""

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
    Write blocks of ids to a token file, with only one block in memory at a time.

    Returns:
        The number of ids written.
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
    Memory-map a token file, (N,), read-only.

    The file is first scanned once to check that every id is below `vocabulary_size`.

    Raises:
        CorpusError: the file is missing, truncated, or not a token file for that vocabulary.
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


def token_counts(ids: IdArray, vocabulary_size: int) -> Int64Array:
    """Count how often each token occurs, (V,); a block of the ids is in memory at a time."""
    counts = np.zeros(vocabulary_size, np.int64)
    for first in range(0, len(ids), BLOCK_IDS):
        counts += np.bincount(ids[first : first + BLOCK_IDS], minlength=vocabulary_size)
    return counts


def _mapped(path: Path) -> IdArray:
    """
    Memory-map a file written by `write_tokens`.

    numpy's own reader is not used: it accepts many other files, and evaluates their headers as Python.

    Raises:
        ValueError: the file has another format or the wrong length.
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
    """Find the largest id by reading blocks: pages read through the map would count as used memory."""
    largest = 0
    with path.open("rb") as file:
        file.seek(path.stat().st_size - ids.nbytes)
        while len(block := np.fromfile(file, ids.dtype, BLOCK_IDS)):
            largest = max(largest, int(block.max()))
    return largest


def _write_header(file: Any, kind: np.dtype[Any], count: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
