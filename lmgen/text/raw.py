"""
Read a file's bytes block by block: from a plain or compressed file, or a pipe.

Archives are read in archives.py, and bytes are decoded to text in decoding.py.
"""

import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, BinaryIO, Protocol, cast

from lmgen.errors import CorpusError, CutOffError
from lmgen.settings import shown_path
from lmgen.text.progress import has_read

BLOCK_BYTES = 1 << 18
"""Bytes read at a time."""

MAX_EXPANSION = 200
"""
Largest allowed ratio of decompressed to compressed size, as a guard against decompression bombs.

A long text does not compress nearly this well. A short one may, so the first EXPANSION_ALLOWED bytes are
exempt.
"""

EXPANSION_ALLOWED = 1 << 28
"""Decompressed size in bytes that is accepted whatever the ratio to the compressed size."""

DECOMPRESSION_BYTES = 1 << 28
"""Memory limit for decompressing `.xz`; a file made by `xz -9` needs a quarter of it."""


class Readable(Protocol):
    """An object with the `read` method of a binary file."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; no bytes at the end of the file."""


def file_blocks(path: Path) -> Iterator[bytes]:
    """
    Yield the content of a file; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.

    Raises:
        CorpusError: the file cannot be read, or cannot be decompressed.
    """
    with readable(path), path.open("rb") as file:
        for block in decompressed(file, path.name, path):
            has_read(path, file.tell())
            yield block


def decompressed(file: Readable, name: str, path: Path) -> Iterator[bytes]:
    """
    Yield the content of an open file, decompressed if its name says that it is compressed.

    Args:
        file: the file, at its start.
        name: its name.
        path: the file on disk that holds it: it itself, or an archive.

    Raises:
        CorpusError: the content is too large for the size of `path`; as for other errors, see `readable`.
    """
    decompress = _DECOMPRESSORS.get(PurePath(name).suffix.lower())
    yield from bounded(decompress(cast(BinaryIO, file)), path) if decompress else blocks(file)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Context manager that turns an OSError or EOFError while reading `path` into an error about it."""
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise CutOffError(f"cannot read {shown_path(path)}: {error.strerror}") from error
        raise damaged(path, str(error)) from error
    except EOFError as error:
        raise damaged(path, "it ends too early") from error


def damaged(path: Path, why: str) -> CorpusError:
    """The error for a file whose content is not what its name says."""
    return CorpusError(f"{path} is damaged ({why}); get or make it again")


def bounded(content: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """
    Pass the decompressed content of `path` through, up to the size limit.

    Raises:
        CorpusError: the content is too large for the size of the file: probably a decompression bomb.
    """
    limit = expansion_limit(path)
    size = 0
    for block in content:
        size += len(block)
        if size > limit:
            raise too_large(path)
        yield block


def expansion_limit(path: Path) -> int:
    """The most bytes that a compressed file may decompress to."""
    return max(MAX_EXPANSION * path.stat().st_size, EXPANSION_ALLOWED)


def too_large(path: Path) -> CorpusError:
    """The error for a compressed file that exceeds `expansion_limit`."""
    return CorpusError(
        f"{path} decompresses to more than {MAX_EXPANSION} times its own size, which no text does; "
        "if it is text, decompress it first"
    )


def blocks(file: Readable) -> Iterator[bytes]:
    """Yield the rest of a file, block by block."""
    while block := file.read(BLOCK_BYTES):
        yield block


def arriving_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a pipe or terminal delivers as soon as it arrives, without waiting for full blocks."""
    read = getattr(file, "read1", file.read)
    while block := read(BLOCK_BYTES):
        yield block


def copied(content: Iterable[bytes]) -> IO[bytes]:
    """Copy content to a temporary file, which can be read at any place and is deleted when it is closed."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        for block in content:
            _write(copy, block)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return copy


class Spool:
    """
    Makes a pipe or iterator readable more than once, by copying what has been read to a temporary file.

    The copy grows during the first reading and is deleted together with this object.
    """

    def __init__(self, arriving: Iterator[bytes]) -> None:
        self._arriving = arriving
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the Spool exists
        weakref.finalize(self, self._copy.close)

    def blocks(self) -> Iterator[bytes]:
        """Yield everything from the start of the pipe: first from the copy, then from the pipe itself."""
        position = 0
        while block := self._read(position):
            position += len(block)
            yield block

    def _read(self, position: int) -> bytes:
        self._copy.seek(position)
        block = self._copy.read(BLOCK_BYTES)
        if not block:
            block = next(self._arriving, b"")
            _write(self._copy, block)
        return block


def _write(copy: IO[bytes], block: bytes) -> None:
    """Append to a temporary file."""
    try:
        copy.write(block)
        copy.flush()
    except OSError as error:
        message = f"cannot copy the text to disk: {error.strerror}; set TMPDIR to a larger disk"
        raise CorpusError(message) from error


def _gzip_blocks(file: BinaryIO) -> Iterator[bytes]:
    import gzip

    try:
        with gzip.GzipFile(fileobj=file) as content:
            yield from blocks(content)
    except zlib.error as error:
        raise OSError(str(error)) from error


def _bzip2_blocks(file: BinaryIO) -> Iterator[bytes]:
    import bz2

    with bz2.BZ2File(file) as content:
        yield from blocks(content)


def _xz_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Decompress stream after stream. lzma.LZMAFile is not used because it has no memory limit."""
    import lzma

    stream = None
    compressed = b""
    try:
        while compressed := compressed or file.read(BLOCK_BYTES).lstrip(b"" if stream else b"\0"):
            stream = stream or lzma.LZMADecompressor(memlimit=DECOMPRESSION_BYTES)
            if block := stream.decompress(compressed, BLOCK_BYTES):
                yield block
            while not (stream.eof or stream.needs_input):
                yield stream.decompress(b"", BLOCK_BYTES)
            compressed = stream.unused_data.lstrip(b"\0")  # NUL bytes are padding between streams
            stream = None if stream.eof else stream
    except lzma.LZMAError as error:
        raise OSError(str(error)) from error
    if stream:
        raise EOFError


def _zstandard_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Decompress frame after frame. zstandard's own reader does not notice that a file was truncated."""
    import zstandard

    frame = None
    try:
        while compressed := file.read(4096):  # small, since one byte may expand to thousands
            while compressed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                if block := frame.decompress(compressed):
                    yield block
                compressed = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    if frame:
        raise EOFError


_DECOMPRESSORS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    ".gz": _gzip_blocks,
    ".bz2": _bzip2_blocks,
    ".xz": _xz_blocks,
    ".zst": _zstandard_blocks,
    ".tgz": _gzip_blocks,
    ".tbz2": _bzip2_blocks,
    ".txz": _xz_blocks,
}
