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

EXPANSION = 200
"""What is compressed may be so many times as large as the file; no text of some length comes near it ..."""
EXPANSION_ALLOWED = 1 << 28
"""... and in any case so many bytes."""

DECOMPRESSION_BYTES = 1 << 28
"""Memory for what `.xz` refers back to: `xz -9` takes a quarter of it."""

LARGEST_TAR_HEADER = 1 << 20
"""Bytes of a long name, and the like; they are held in memory."""


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
        decompressed = _DECOMPRESSORS.get(path.suffix.lower())
        yield from _bounded(decompressed(file), path) if decompressed else blocks(file)


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
        raise _damaged(path, str(error)) from error
    except EOFError as error:
        raise _damaged(path, "it ends too early") from error


def _damaged(path: Path, why: str) -> CorpusError:
    return CorpusError(f"{path} is damaged ({why}); get or make it again")


def _bounded(content: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """
    Pass on what a compressed file holds, but not without end.

    Raises:
        CorpusError: it is a decompression bomb.
    """
    most = max(EXPANSION * path.stat().st_size, EXPANSION_ALLOWED)
    size = 0
    for block in content:
        size += len(block)
        if size > most:
            raise CorpusError(
                f"{path} holds more than {EXPANSION} times its own size, which no text does; if it is one, "
                "decompress it first"
            )
        yield block


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
    """Stream after stream; the library's own file reader takes as much memory as the file asks for."""
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
            compressed = stream.unused_data.lstrip(b"\0")  # of which padding consists
            stream = None if stream.eof else stream
    except lzma.LZMAError as error:
        raise OSError(str(error)) from error
    if stream:
        raise EOFError


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
    import struct
    import zipfile

    try:
        with zipfile.ZipFile(archive) as opened:
            if opened.getinfo(member).compress_type == zipfile.ZIP_LZMA:  # which takes any amount of memory
                raise OSError("its compression, LZMA, is not known here")
            with opened.open(member) as file:
                yield from _bounded(blocks(file), archive)
    except KeyError as error:
        raise _no_member(archive, member) from error
    except (zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise OSError(str(error)) from error
    except (RuntimeError, ValueError) as error:  # it wants a password, or says what cannot be
        raise OSError(str(error)) from error


def _tar_member(archive: Path, member: str) -> Iterator[bytes]:
    import lzma
    import tarfile

    long_names = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
    headers = (*long_names, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)

    class Entry(tarfile.TarInfo):
        """Refuses long headers, which are read into memory whole."""

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
        raise _damaged(archive, "its links or names have no end") from error
    except (tarfile.TarError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise OSError(str(error).partition("\n")[0].rstrip(":")) from error


def _tar_entry(opened: "TarFile", member: str) -> "TarInfo":
    """Find a member under its plain name; many archives write `./` before every name."""
    wanted = os.path.normpath(member)
    for entry in opened:
        if os.path.normpath(entry.name) == wanted:
            return entry
    raise KeyError(member)


def _no_member(archive: Path, member: str) -> CorpusError:
    return CorpusError(f"{archive} has no file {member} inside; is it another archive of the same name?")
