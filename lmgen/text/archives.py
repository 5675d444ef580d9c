"""
Read the files in `.zip` and `.tar` archives, block by block. Nothing is unpacked to files of its own.
"""

import lzma
import os
import struct
import tarfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from lmgen.errors import CorpusError
from lmgen.text.raw import (
    blocks,
    bounded,
    copied,
    damaged,
    decompressed,
    expansion_limit,
    file_blocks,
    readable,
    too_large,
)

LARGEST_TAR_HEADER = 1 << 20
"""Size limit in bytes of a tar header with a long name or attributes: tarfile reads it into memory whole."""

MOST_MEMBERS = 1_000_000
"""Limit on the number of entries of an archive, all of which are listed in memory."""

_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_TAR_HEADERS = (*_LONG_NAMES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)

_OF_DAMAGED_FILES = (
    *(zipfile.BadZipFile, zlib.error, struct.error, tarfile.TarError, lzma.LZMAError),
    *(RuntimeError, ValueError),  # a password is needed, or a header is invalid
)
"""What zipfile and tarfile raise for a file that they cannot read."""


Openers = dict[str, Callable[[], IO[bytes]]]
"""Opens each file of an archive, by name."""


class Archive:
    """
    The files in an archive, each of which can be read any number of times, in any order.

    A compressed tar archive can only be read from its start, so it is decompressed to a temporary file
    first, which is deleted together with this object.

    Raises:
        CorpusError: the archive cannot be read, is damaged, or decompresses to far more than its own size.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _damage_named(path):
            suffix = path.suffix.lower()
            file = path.open("rb") if suffix in (".zip", ".tar") else copied(file_blocks(path))
            weakref.finalize(self, file.close)
            members, size = _zip_members(file) if suffix == ".zip" else _tar_members(file, path)
            if size > expansion_limit(path):
                raise too_large(path)
        self._members = members

    def names(self) -> list[str]:
        """The names of the regular files in it."""
        return list(self._members)

    def blocks(self, name: str) -> Iterator[bytes]:
        """
        Yield the content of a file; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.

        Raises:
            CorpusError: the archive, or the compressed file, is damaged or too large.
        """
        with _damage_named(self._path), self._members[name]() as file:
            yield from decompressed(file, name, self._path)


def member_blocks(archive: Path, member: str) -> Iterator[bytes]:
    """
    Yield the content of one file inside a `.zip`, `.tar` or `.tgz` archive, in a single pass.

    Raises:
        CorpusError: the archive cannot be read, is damaged, or has no such file.
    """
    with _damage_named(archive):
        try:
            if archive.suffix.lower() == ".zip":
                with zipfile.ZipFile(archive) as opened:
                    yield from _content(_zip_file(opened, opened.getinfo(member)), archive)
            else:
                with tarfile.open(archive, tarinfo=_Entry) as packed:
                    yield from _content(packed.extractfile(_tar_entry(packed, member)), archive)
        except KeyError as error:
            raise CorpusError(
                f"{archive} has no file {member} inside; is it another archive of the same name?"
            ) from error


class _HeaderError(Exception):
    """A tar header would take too much memory; unlike an OSError, tarfile lets it through."""


class _Entry(tarfile.TarInfo):
    """A tar header that rejects oversized extension headers, which tarfile reads into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Entry":
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in _TAR_HEADERS and entry.size > LARGEST_TAR_HEADER:
            raise _HeaderError(f"it has a header of {entry.size:,} bytes")
        return entry


def _zip_members(file: IO[bytes]) -> tuple[Openers, int]:
    """How to open each file of a zip archive, by name, and the sum of the sizes that are stated."""
    opened = zipfile.ZipFile(file)
    entries = [entry for entry in opened.infolist() if not entry.filename.endswith("/")]
    _check_number(len(entries))
    members: Openers = {entry.filename: partial(_zip_file, opened, entry) for entry in entries}
    return members, sum(entry.file_size for entry in entries)  # zipfile reads no more than this


def _tar_members(file: IO[bytes], path: Path) -> tuple[Openers, int]:
    """As `_zip_members`; of files with the same name the last counts, as it does for `tar`."""
    opened = tarfile.open(fileobj=file, mode="r:", tarinfo=_Entry)  # noqa: SIM115 - closed with the file
    entries = []
    for number, entry in enumerate(opened):
        _check_number(number)
        if entry.isreg():
            entries.append(entry)
    file.seek(opened.offset)
    if any(file.read(tarfile.BLOCKSIZE)):  # tarfile takes an invalid header for the end
        raise damaged(path, f"the header at byte {opened.offset:,} is invalid")
    members: Openers = {entry.name: partial(_tar_file, opened, entry) for entry in entries}
    return members, sum(entry.size for entry in entries)


def _check_number(entries: int) -> None:
    if entries > MOST_MEMBERS:
        raise OSError(f"it has more than {MOST_MEMBERS:,} entries")


def _zip_file(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    if entry.compress_type == zipfile.ZIP_LZMA:  # its decoder has no memory limit
        raise OSError("LZMA compression inside a zip file is not supported")
    return opened.open(entry)


def _tar_file(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    file = opened.extractfile(entry)
    assert file
    return file


def _tar_entry(opened: tarfile.TarFile, member: str) -> tarfile.TarInfo:
    """Find a member by its normalised name, since many archives put `./` before every name."""
    wanted = os.path.normpath(member)
    for entry in opened:
        if os.path.normpath(entry.name) == wanted:
            return entry
    raise KeyError(member)


def _content(file: IO[bytes] | None, archive: Path) -> Iterator[bytes]:
    """The content of an open member of an archive; None is one that is no file."""
    if file is None:
        raise KeyError
    with file:
        yield from bounded(blocks(file), archive)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Context manager that turns whatever a damaged archive raises into a CorpusError."""
    with readable(path):
        try:
            yield
        except RecursionError as error:
            raise damaged(path, "its links or names never end") from error
        except _HeaderError as error:
            raise damaged(path, str(error)) from error
        except _OF_DAMAGED_FILES as error:
            raise OSError(str(error).partition("\n")[0].rstrip(":")) from error
