"""
Token ids on disk: a .npy file, in the smallest unsigned type that holds the vocabulary.

Ids are written in blocks, so that a corpus need not fit in memory. They are read in two ways:

    open_tokens    a few at a time, wherever they are asked for: training and scoring
    read_tokens    as one memory-mapped array, for what goes over all of them and needs an array, such as
                   counting n-grams; mapped pages that were read count as memory of the process

Other programs can read the file with `numpy.load("train.npy", mmap_mode="r")`.
"""

import os
import re
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from lmgen.arrays import IdArray, Int64Array
from lmgen.errors import CorpusError, ModelError
from lmgen.files import CHECKED_BYTES, flush, growing, replacing

BLOCK_IDS = 1 << 20
"""Ids per block when a whole text is gone through."""

HEADER_BYTES = 256
"""Bytes to read for the header: more than any header that numpy writes."""

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<kind>\|u1|<u2|<u4)', 'fortran_order': False, "
    rb"'shape': \((?P<count>\d{1,18}),\), \} *\n",
    re.DOTALL,
)


class Tokens(Protocol):
    """The ids of a text, (N,): an array, or a `TokenFile`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, places: slice | Int64Array, /) -> IdArray:
        """Some of the ids, as an array."""


class TokenFile:
    """
    A token file, of which no more is in memory than is asked for: `ids[100:200]`, `ids[places]`, `len(ids)`.

    With checksums each block of the file is verified when something of it is first read, so that opening a
    file takes the same time however large it is.
    """

    def __init__(self, path: Path, vocabulary_size: int, checksums: Sequence[int] | None = None) -> None:
        """
        Args:
            path: a file written by `write_tokens`.
            vocabulary_size: V.
            checksums: CRC-32 of each block of the file (`files.block_checksums`); None: nothing is verified.

        Raises:
            CorpusError: as `open_tokens`.
        """
        self._path, self._vocabulary_size = path, vocabulary_size
        self._layout = _layout_for(path, vocabulary_size)
        self._checksums = checksums
        self._verified = bytearray(0 if checksums is None else len(checksums))
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)

    def __repr__(self) -> str:
        return f"<TokenFile {self._path}, {len(self):,} ids>"

    def __len__(self) -> int:
        return self._layout.length

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        return self._layout.kind

    def __getitem__(self, places: slice | Int64Array, /) -> IdArray:
        """
        The ids of a slice without steps; or at each of some places, in an array of the same shape.

        Raises:
            CorpusError: the file cannot be read, or is shorter than it was.
            ModelError: a block does not match its checksum.
        """
        if isinstance(places, slice):
            begin, end, step = places.indices(len(self))
            if step != 1:
                raise ValueError("only slices without steps can be read from a file")
            return self._read(begin, max(end, begin))
        wanted, of_each = np.unique(places % len(self), return_inverse=True)
        runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)
        found = [self._read(int(run[0]), int(run[-1]) + 1) for run in runs if len(run)]
        ids = np.concatenate(found) if found else np.empty(0, self.dtype)
        return ids[of_each].reshape(places.shape)

    def _read(self, begin: int, end: int) -> IdArray:
        kind, first, _ = self._layout
        offset, size = first + begin * kind.itemsize, (end - begin) * kind.itemsize
        if self._checksums is not None and size:
            for block in range(offset // CHECKED_BYTES, (offset + size - 1) // CHECKED_BYTES + 1):
                if not self._verified[block]:
                    self._verify(block)
        return np.frombuffer(self._bytes(offset, size), kind)

    def _verify(self, block: int) -> None:
        """Compare a block with its checksum, and its ids with the vocabulary."""
        kind, first, count = self._layout
        offset = block * CHECKED_BYTES
        content = self._bytes(offset, min(CHECKED_BYTES, first + count * kind.itemsize - offset))
        ids = np.frombuffer(content[first if block == 0 else 0 :], kind)
        assert self._checksums is not None
        if zlib.crc32(content) != self._checksums[block]:
            raise not_as_prepared(self._path)
        if ids.max(initial=0) >= self._vocabulary_size:
            raise _beyond(self._path, self._vocabulary_size)
        self._verified[block] = True

    def _bytes(self, offset: int, size: int) -> bytes:
        """Bytes of the file, read without mapping it: its pages are then no memory of this process."""
        parts = []
        try:
            while size and (part := _read_at(self._file, size, offset)):
                parts.append(part)
                offset, size = offset + len(part), size - len(part)
        except OSError as error:
            raise CorpusError(f"cannot read {self._path}: {error.strerror or error}") from error
        if size:
            raise _not_whole(self._path)
        return b"".join(parts) if len(parts) != 1 else parts[0]


class Begun(NamedTuple):
    """A token file that is written in several attempts."""

    part: Path
    """Where it is written, until it is complete."""
    ids: int
    """How many ids were written in earlier attempts."""
    crc32: int
    """Checksum of those ids."""
    is_due: Callable[[], bool]
    """Whether it is time to write down how far the work has come."""
    keep: Callable[[int, int], None]
    """Writes down how many ids are in the file, but for those of the last block, and their checksum."""


class _Layout(NamedTuple):
    """How a token file is laid out."""

    kind: np.dtype[Any]
    first: int
    """Where its first id begins, in bytes."""
    length: int
    """How many ids there are."""


def id_type(vocabulary_size: int) -> np.dtype[Any]:
    """The smallest unsigned type for ids below `vocabulary_size`: 65 -> uint8, 33,278 -> uint16."""
    return np.min_scalar_type(max(vocabulary_size - 1, 0))


def write_tokens(
    path: Path, blocks: Iterable[IdArray], vocabulary_size: int, begun: "Begun | None" = None
) -> int:
    """
    Write blocks of ids to a token file, with only one block in memory at a time.

    Args:
        path: the file.
        blocks: the ids.
        vocabulary_size: V.
        begun: a file that has the first ids already, and is left for another attempt if this one fails.

    Returns:
        The number of ids in the file.

    Raises:
        WriteError: it cannot be written.
    """
    kind = id_type(vocabulary_size)
    count, crc32 = (begun.ids, begun.crc32) if begun else (0, 0)
    with growing(path, begun.part) if begun else replacing(path) as part, part.open("r+b") as file:
        _write_header(file, kind, 0)
        first = file.tell()
        file.seek(first + count * kind.itemsize)
        file.truncate()
        for block in blocks:
            content = block.astype(kind).tobytes()
            file.write(content)
            if begun and begun.is_due():
                file.flush()
                flush(file.fileno())
                begun.keep(count, crc32)
            count += len(block)
            crc32 = zlib.crc32(content, crc32) if begun else 0
        file.seek(0)
        _write_header(file, kind, count)
        if file.tell() != first:  # numpy keeps room in the header for the length to grow into
            raise RuntimeError("the header of the token file changed its length")
    return count


def checksum_of_ids(path: Path, count: int, vocabulary_size: int) -> int:
    """CRC-32 of the first ids of a file that `write_tokens` has begun; of fewer, if it has fewer."""
    kind = id_type(vocabulary_size)
    left, crc32 = count * kind.itemsize, 0
    header = BytesIO()
    _write_header(header, kind, 0)
    with path.open("rb") as file:
        file.seek(header.tell())
        while left and (content := file.read(min(left, CHECKED_BYTES))):
            crc32 = zlib.crc32(content, crc32)
            left -= len(content)
    return crc32


def open_tokens(path: Path, vocabulary_size: int, checksums: Sequence[int] | None = None) -> TokenFile:
    """
    Open a token file to read parts of it.

    Args:
        path: a file written by `write_tokens`.
        vocabulary_size: V.
        checksums: of the blocks of the file, which are verified when they are read (`TokenFile`). Without
            them the file is scanned once to check that every id is below V.

    Raises:
        CorpusError: the file is missing, truncated, or not a token file for that vocabulary.
    """
    ids = TokenFile(path, vocabulary_size, checksums)
    if (
        checksums is None
        and max((int(block.max()) for block in blocks_of(ids)), default=0) >= vocabulary_size
    ):
        raise _beyond(path, vocabulary_size)
    return ids


def read_tokens(path: Path, vocabulary_size: int, checksums: Sequence[int] | None = None) -> IdArray:
    """
    Memory-map a token file, (N,), read-only.

    The file is first read once to check that every id is below `vocabulary_size`, and its blocks if they have
    checksums.

    Raises:
        CorpusError: as `open_tokens`.
        ModelError: a block does not match its checksum.
    """
    opened = open_tokens(path, vocabulary_size, checksums)
    if checksums is not None:
        for _ in blocks_of(opened):
            pass
    kind, first, count = opened._layout
    return np.memmap(path, kind, "r", first, (count,)) if count else np.empty(0, kind)


def not_as_prepared(path: Path) -> ModelError:
    """The error for a file of a run that does not match its checksum."""
    return ModelError(
        f"{path} is not what was prepared: damaged, or changed since; restore it, or train again with "
        "--overwrite"
    )


def blocks_of(ids: Tokens, limit: int | None = None, size: int = BLOCK_IDS) -> Iterator[IdArray]:
    """The first `limit` ids of a text (None: all), `size` at a time."""
    end = len(ids) if limit is None else min(limit, len(ids))
    for first in range(0, end, size):
        yield ids[first : min(first + size, end)]


def places_of(ids: Tokens, token: int, begin: int = 0) -> Iterator[Int64Array]:
    """Where a token stands in a text from `begin` on: arrays of places, one after another."""
    for first in range(begin, len(ids), BLOCK_IDS):
        yield first + np.flatnonzero(ids[first : first + BLOCK_IDS] == token)


def token_counts(ids: Tokens, vocabulary_size: int) -> Int64Array:
    """Count how often each token occurs, (V,); a block of the ids is in memory at a time."""
    counts = np.zeros(vocabulary_size, np.int64)
    for block in blocks_of(ids, size=BLOCK_IDS):
        counts += np.bincount(block, minlength=vocabulary_size)
    return counts


def _layout_for(path: Path, vocabulary_size: int) -> _Layout:
    """The layout of a token file of that vocabulary; raises CorpusError if it is none."""
    try:
        layout = _layout(path)
    except FileNotFoundError as error:
        raise CorpusError(f"there is no token file {path}; train again to make it anew") from error
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from error
    if layout is None:
        raise _not_whole(path)
    if layout.kind != id_type(vocabulary_size):
        raise CorpusError(
            f"{path} holds ids of type {layout.kind}, not those of {vocabulary_size} tokens; train again"
        )
    return layout


def _layout(path: Path) -> _Layout | None:
    """
    The layout of a file written by `write_tokens`; None for another format, or the wrong length.

    numpy's own reader is not used: it accepts many other files, and evaluates their headers as Python.
    """
    with path.open("rb") as file:
        header = _HEADER.match(file.read(HEADER_BYTES))
    if header is None:
        return None
    layout = _Layout(np.dtype(header["kind"].decode()), header.end(), int(header["count"]))
    whole = path.stat().st_size == layout.first + layout.length * layout.kind.itemsize
    return layout if whole else None


def _not_whole(path: Path) -> CorpusError:
    return CorpusError(f"{path} is not a whole token file; train again to make it anew")


def _beyond(path: Path, vocabulary_size: int) -> CorpusError:
    return CorpusError(f"{path} holds ids beyond the {vocabulary_size} tokens of the vocabulary; train again")


def _read_at(file: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes from a place in a file."""
    if hasattr(os, "pread"):
        return os.pread(file, size, offset)
    os.lseek(file, offset, os.SEEK_SET)  # on Windows
    return os.read(file, size)


def _write_header(file: Any, kind: np.dtype[Any], count: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
