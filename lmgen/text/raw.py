"""
Read a file's bytes block by block: from a plain or compressed file, an archive member, or a pipe.

Decoding the bytes to text is done in sources.py. Archives are read in place and never unpacked to disk.
"""

import os
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lmgen.errors import CorpusError
from lmgen.settings import shown_path

if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo

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

LARGEST_TAR_HEADER = 1 << 20
"""Size limit in bytes of a tar header with a long name or attributes: tarfile reads it into memory whole."""


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
        decompressed = _DECOMPRESSORS.get(path.suffix.lower())
        yield from _bounded(decompressed(file), path) if decompressed else blocks(file)


def member_blocks(archive: Path, member: str) -> Iterator[bytes]:
    """
    Yield the content of one file inside a `.zip`, `.tar` or `.tgz` archive.

    Raises:
        CorpusError: the archive cannot be read, is damaged, or has no such file.
    """
    with readable(archive):
        if archive.suffix.lower() == ".zip":
            yield from _zip_member(archive, member)
        else:
            yield from _tar_member(archive, member)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Context manager that turns an OSError or EOFError while reading `path` into a CorpusError."""
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise CorpusError(f"cannot read {shown_path(path)}: {error.strerror}") from error
        raise _damaged(path, str(error)) from error
    except EOFError as error:
        raise _damaged(path, "it ends too early") from error


def _damaged(path: Path, why: str) -> CorpusError:
    return CorpusError(f"{path} is damaged ({why}); get or make it again")


def _bounded(content: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """
    Pass the decompressed content of `path` through, up to the size limit.

    Raises:
        CorpusError: the content is too large for the size of the file: probably a decompression bomb.
    """
    limit = max(MAX_EXPANSION * path.stat().st_size, EXPANSION_ALLOWED)
    size = 0
    for block in content:
        size += len(block)
        if size > limit:
            raise CorpusError(
                f"{path} decompresses to more than {MAX_EXPANSION} times its own size, which no text does; "
                "if it is text, decompress it first"
            )
        yield block


def blocks(file: Readable) -> Iterator[bytes]:
    """Yield the rest of a file, block by block."""
    while block := file.read(BLOCK_BYTES):
        yield block


def arriving_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a pipe or terminal delivers as soon as it arrives, without waiting for full blocks."""
    read = getattr(file, "read1", file.read)
    while block := read(BLOCK_BYTES):
        yield block


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
            self._keep(block)
        return block

    def _keep(self, block: bytes) -> None:
        try:
            self._copy.write(block)
            self._copy.flush()
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
}


def _zip_member(archive: Path, member: str) -> Iterator[bytes]:
    import struct
    import zipfile

    try:
        with zipfile.ZipFile(archive) as opened:
            if opened.getinfo(member).compress_type == zipfile.ZIP_LZMA:  # its decoder has no memory limit
                raise OSError("LZMA compression inside a zip file is not supported")
            with opened.open(member) as file:
                yield from _bounded(blocks(file), archive)
    except KeyError as error:
        raise _no_member(archive, member) from error
    except (zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise OSError(str(error)) from error
    except (RuntimeError, ValueError) as error:  # a password is needed, or a header is invalid
        raise OSError(str(error)) from error


def _tar_member(archive: Path, member: str) -> Iterator[bytes]:
    import lzma
    import tarfile

    long_names = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
    headers = (*long_names, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)

    class Entry(tarfile.TarInfo):
        """A tar header that rejects oversized extension headers, which tarfile reads into memory whole."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Entry":
            entry = super().frombuf(buf, encoding, errors)
            if entry.type in headers and entry.size > LARGEST_TAR_HEADER:
                raise _damaged(archive, f"it has a header of {entry.size:,} bytes")
            return entry

    try:
        with tarfile.open(archive, tarinfo=Entry) as opened:
            file = opened.extractfile(_tar_entry(opened, member))
            if file is None:
                raise _no_member(archive, member)
            yield from _bounded(blocks(file), archive)
    except KeyError as error:
        raise _no_member(archive, member) from error
    except RecursionError as error:
        raise _damaged(archive, "its links or names never end") from error
    except (tarfile.TarError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise OSError(str(error).partition("\n")[0].rstrip(":")) from error


def _tar_entry(opened: "TarFile", member: str) -> "TarInfo":
    """Find a member by its normalised name, since many archives put `./` before every name."""
    wanted = os.path.normpath(member)
    for entry in opened:
        if os.path.normpath(entry.name) == wanted:
            return entry
    raise KeyError(member)


def _no_member(archive: Path, member: str) -> CorpusError:
    return CorpusError(f"{archive} has no file {member} inside; is it another archive of the same name?")
