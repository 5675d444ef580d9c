"""Files are written whole or not at all."""

import errno
import glob
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lmgen.errors import ModelError, WriteError

CHECKED_BYTES = 1 << 20
"""A checksum is computed from so many bytes at a time."""

NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
"""Error numbers of file systems that cannot flush a folder, such as some network shares."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Write a file under a temporary name beside `path`; put it in place when the block ends well.

    The block gets the temporary path, already created and empty. When it ends, the file is flushed to
    disk and renamed over `path`, so that a reader (or a crash) sees the old file or the new one, whole.
    When it raises, the temporary file goes and `path` is as it was.

    Raises:
        WriteError: the folder cannot be written to, or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _flush_file(temporary)
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """
    Refuse a file for a model (`--out`) that is there already, and a folder always.

    Raises:
        ModelError: the message says which of the two, and what to do.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give --out the name of a file")
    if path.exists() and not overwrite:
        raise ModelError(f"there is a file {path} already; replace it (--overwrite) or give another --out")


def write_text(path: Path, text: str) -> None:
    """Replace a small UTF-8 file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def rename(source: Path, target: Path) -> None:
    """
    Put a whole file or folder in the place of another, and have the disk remember it.

    Raises:
        WriteError: the folder cannot be written to.
    """
    try:
        source.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise unwritable(target, error) from error


def append_text(path: Path, text: str) -> None:
    """
    Add to a UTF-8 file, all of the text or nothing.

    Raises:
        WriteError: as `replacing`.
    """
    try:
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
            _flush_file(path)
        except OSError:
            os.truncate(path, size)
            raise
    except OSError as error:
        raise unwritable(path, error) from error


def checksum(path: Path) -> int:
    """The CRC-32 of a file: it tells of damage, not of malice."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(CHECKED_BYTES):
            value = zlib.crc32(block, value)
    return value


def remains(path: Path) -> Iterator[Path]:
    """What processes that were killed while they wrote `path` have left beside it."""
    return path.parent.glob(f".{glob.escape(path.name)}.*")


def unwritable(path: Path, error: OSError) -> WriteError:
    """What to say of a file that cannot be written."""
    return WriteError(
        f"cannot write {path}: {error.strerror or error}; choose another place or free some space"
    )


def _flush_file(path: Path) -> None:
    """Have the system write a file to the disk itself. Windows does so only for a file open for writing."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """Have the system write a folder's list of names to the disk, where it offers that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # always on Windows; elsewhere where names may be added but not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
