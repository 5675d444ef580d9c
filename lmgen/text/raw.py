"""
The bytes of a file, block by block: as it is, decompressed, out of an archive, or from a pipe.

What the bytes say as text is for sources.py. Archives are read, never unpacked: nothing is written.
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

if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo

BLOCK_BYTES = 1 << 18


class Readable(Protocol):
    """Whatever gives bytes when asked for at most so many."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, none at the end."""


def file_blocks(path: Path) -> Iterator[bytes]:
    """
    The content of a file; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.

    Raises:
        CorpusError: the file cannot be read, or it is compressed and damaged.
    """
    with readable(path), path.open("rb") as file:
        yield from _DECOMPRESSORS.get(path.suffix.lower(), blocks)(file)


def member_blocks(archive: Path, member: str) -> Iterator[bytes]:
    """
    The content of one file inside a `.zip`, `.tar` or `.tgz` archive.

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
    """Turn what goes wrong while `path` is read into the one line that says so."""
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise CorpusError(f"cannot read {path}: {error.strerror}") from error
        raise CorpusError(f"{path} is damaged ({error}); get or make it again") from error
    except EOFError as error:
        raise CorpusError(f"{path} is damaged (it ends too early); get or make it again") from error


def blocks(file: Readable) -> Iterator[bytes]:
    """All that a file has left to give."""
    while block := file.read(BLOCK_BYTES):
        yield block


def arriving_blocks(file: BinaryIO) -> Iterator[bytes]:
    """What a pipe or a terminal gives, as it arrives: a block is not held back until it is full."""
    read = getattr(file, "read1", file.read)
    while block := read(BLOCK_BYTES):
        yield block


class Spool:
    """
    A pipe that can be read again: what comes out of it is copied to a temporary file on disk.

    The copy grows while the pipe is read for the first time and goes with this object.
    """

    def __init__(self, arriving: Iterator[bytes]) -> None:
        self._arriving = arriving
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the text may be read
        weakref.finalize(self, self._copy.close)

    def blocks(self) -> Iterator[bytes]:
        """Everything from the pipe's start: first the copy, then what is still to come."""
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
            message = f"cannot keep a copy of what is piped in: {error.strerror}; set TMPDIR to a larger disk"
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
    import lzma

    try:
        with lzma.LZMAFile(file) as content:
            yield from blocks(content)
    except lzma.LZMAError as error:
        raise OSError(str(error)) from error


def _zstandard_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Frame after frame; the library's own file reader takes a file that was cut short for a whole one."""
    import zstandard

    frame = None
    try:
        while compressed := file.read(4096):  # so few because one byte may stand for thousands
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
    import zipfile

    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as file:
            yield from blocks(file)
    except KeyError as error:
        raise _no_member(archive, member) from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # RuntimeError: it wants a password
        raise OSError(str(error)) from error


def _tar_member(archive: Path, member: str) -> Iterator[bytes]:
    import tarfile

    try:
        with tarfile.open(archive) as opened:
            file = opened.extractfile(_tar_entry(opened, member))
            if file is None:
                raise _no_member(archive, member)
            yield from blocks(file)
    except KeyError as error:
        raise _no_member(archive, member) from error
    except (tarfile.TarError, zlib.error) as error:
        raise OSError(str(error)) from error


def _tar_entry(opened: "TarFile", member: str) -> "TarInfo":
    """Find a member under its plain name; many archives write `./` before every name."""
    wanted = os.path.normpath(member)
    for entry in opened:
        if os.path.normpath(entry.name) == wanted:
            return entry
    raise KeyError(member)


def _no_member(archive: Path, member: str) -> CorpusError:
    return CorpusError(f"{archive} has no file {member} inside; is it another archive of the same name?")
