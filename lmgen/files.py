"""Atomic and durable file writes, checksums, and errors for files that cannot be written."""

import errno
import glob
import os
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lmgen.errors import ConfigError, ModelError, WriteError
from lmgen.interrupts import stop_if_interrupted

STDOUT = "-"
"""What stands for stdout where a file to write is named."""

CHECKED_BYTES = 1 << 20
"""Size of the blocks of a file that are read, or have checksums of their own."""

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Endings of the names of compressed files."""

NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Error numbers from file systems that cannot flush a file or a folder, such as some network shares."""

IN_USE = (errno.EBUSY, errno.ETXTBSY)
"""Error numbers for a file that cannot be replaced or deleted: a program has it open, or it is a mount."""

MOST_LINKS = 40
"""The most symbolic links that Linux follows from one path."""

TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)
"""Error numbers of a process, or a machine, that has as many files open as it may."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Replace a file atomically: write to a temporary file next to `path`, then rename it.

    The block receives the path of an empty temporary file. When the block ends, the file is flushed to disk
    and renamed to `path`, so that readers see either the complete old or the complete new file, even after a
    crash. If the block raises, the temporary file is deleted and `path` is unchanged.

    A symbolic link is replaced: a run's files may be links to those of another run, which stays as it is. For
    a file that the user has named, give what `behind_links` returns. A pipe or a device such as /dev/null
    stays, and the content is written to it when the block ends, and so is what the process has open, by its
    name (/dev/stdout, /dev/fd/5); a disk is refused.

    Raises:
        WriteError: the folder cannot be written to, or the disk is full.
    """
    temporary = None
    try:
        special = is_special(path)
        if not special:
            path.parent.mkdir(parents=True, exist_ok=True)
        folder = None if special else path.parent
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        stop_if_interrupted()
        if special:
            with temporary.open("rb") as written, _opened_special(path) as file:
                shutil.copyfileobj(written, file)
            return
        _flush_file(temporary)
        with suppress(OSError):  # where the file system has no permissions, or the same for all files
            temporary.chmod(0o666 & ~_umask())  # mkstemp creates files that only the owner can read
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def growing(path: Path, part: Path) -> Iterator[Path]:
    """
    Make a file in several attempts: `part` becomes `path` when the block ends.

    The block receives `part`, as the last attempt has left it, or empty. If the block raises, it stays.

    Raises:
        WriteError: as `replacing`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        yield part
        stop_if_interrupted()
        _flush_file(part)
        part.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def refuse_stdout(path: Path, option: str = "--out") -> None:
    """
    Check that `--out`, or another flag, is not `-`, which would be stdout.

    Raises:
        ModelError: it is.
    """
    if str(path) == STDOUT:
        raise ModelError(
            f"{option} - would be stdout, and only a file can be written: give {option} its name"
        )


def refuse_existing(
    path: Path, *, overwrite: bool | None, option: str = "--out", read: Iterable[object] = ()
) -> None:
    """
    Check that `--out`, or another flag, can name a new file.

    Args:
        path: the file.
        overwrite: whether it may exist; None: it may not, and there is no flag that says otherwise.
        option: the flag.
        read: what it is made from, which it may not replace in any case, as for `refuse_input`.

    Raises:
        ConfigError: it is what it is made from.
        ModelError: it is `-`, a folder, or a file that exists and may not be overwritten; a pipe or a device
            may be written to.
        WriteError: it is a disk.
    """
    refuse_stdout(path, option)
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give {option} the name of a file")
    refuse_input(path, option, *read)
    if path.exists() and not overwrite and not is_special(path):
        advice = "" if overwrite is None else "replace it (--overwrite) or "
        raise ModelError(f"there is a file {path} already; {advice}give another {option}")


def refuse_input(path: Path, option: str, *read: object) -> None:
    """
    Check that a file to write is none of those that are read, which would be lost.

    Args:
        path: the file to write; it need not exist.
        option: the flag that names it.
        read: files that are read, and folders whose files are; or anything else, such as the name of a
            corpus, or a text.

    Raises:
        ConfigError: it is one of them, perhaps by another name.
    """
    if not path.is_file():
        return
    for file in [Path(each) for each in read if isinstance(each, str | Path)]:
        with suppress(OSError):  # a text in place of a path can be too long for a file name
            if file.is_file() and path.samefile(file):
                raise ConfigError(
                    f"{option} {path} would replace {file}, which is read; give another {option}"
                )
            if file.is_dir() and path.resolve().is_relative_to(file.resolve()):
                raise ConfigError(
                    f"{option} {path} is in {file}, whose files are read; give another {option}"
                )


def refuse_packed(path: Path, *written: str) -> None:
    """
    Check that a file's name promises no compression, unless it is one of those that are written.

    Args:
        path: the file.
        written: endings of names, such as `.gz`.

    Raises:
        ConfigError: it does; files of that name would be decompressed where they are read.
    """
    suffix = path.suffix.lower()
    if suffix in PACKED and suffix not in written:
        problem = (
            f"{path}: a name ending in {suffix} promises compression, and this file is written uncompressed"
        )
        if written:
            problem = f"{path} would be compressed, but only {' and '.join(written)} can be written"
        raise ConfigError(f"{problem}; give another name")


def refuse_unwritable(path: Path) -> None:
    """
    Check, before long work, that a file can be made at a path; a disk may still be full at its end.

    Raises:
        WriteError: the folder that it, or its folder, would be made in cannot be written to; or there is a
            device that cannot.
    """
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        return
    path = behind_links(path)
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir():
        raise unwritable(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not os.access(folder, os.W_OK):
        raise unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def is_special(path: Path) -> bool:
    """
    Whether a path, or what its links lead to, can be written to, not replaced.

    It is a pipe, a device, or stands for what the process has open, a file perhaps.

    Raises:
        WriteError: it is a disk, or a loop of symbolic links.
    """
    try:
        if _descriptor(path) is not None:
            return True
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unwritable(path, error) from error
    if stat.S_ISBLK(mode):
        raise unwritable(path, OSError(errno.EINVAL, "this is a disk, not a file on one"))
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def behind_links(path: Path) -> Path:
    """
    The file to write for a name that a user gives: of a symbolic link what it leads to, existing or not.

    Pipes and devices keep their names.

    Raises:
        WriteError: it is a disk, or a loop of symbolic links.
    """
    return Path(os.path.realpath(path)) if path.is_symlink() and not is_special(path) else path


def write_text(path: Path, text: str) -> None:
    """Replace a small UTF-8 file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def rename(source: Path, target: Path) -> None:
    """
    Rename a file or folder atomically, replacing the target, and flush the change to disk.

    Raises:
        WriteError: the folder cannot be written to.
    """
    stop_if_interrupted()
    try:
        source.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise unwritable(target, error) from error


def append_text(path: Path, text: str) -> None:
    """
    Append text to a UTF-8 file; if that fails, truncate the file to its old length.

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
    """CRC-32 of a file, which detects damage but not tampering."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(CHECKED_BYTES):
            value = zlib.crc32(block, value)
    return value


def block_checksums(path: Path) -> list[int]:
    """CRC-32 of each block of CHECKED_BYTES of a file; the last one may be shorter."""
    with path.open("rb") as file:
        return [zlib.crc32(block) for block in iter(lambda: file.read(CHECKED_BYTES), b"")]


def block_checksum(path: Path, number: int) -> int:
    """CRC-32 of one block of CHECKED_BYTES of a file."""
    with path.open("rb") as file:
        file.seek(number * CHECKED_BYTES)
        return zlib.crc32(file.read(CHECKED_BYTES))


def remains(path: Path) -> Iterator[Path]:
    """Temporary files of `path` left behind by killed processes."""
    return path.parent.glob(f".{glob.escape(path.name)}.*")


def unwritable(what: Path | str, error: OSError) -> WriteError:
    """Build the error for a file, or something else, that cannot be written."""
    advice = "choose another place or free some space"
    if error.errno in TOO_MANY_OPEN:
        advice = "let the process open more of them (ulimit -n)"
    if error.errno == errno.EISDIR:
        advice = "name a file in it"
    if error.errno in IN_USE:
        advice = "close what has it open, mount its folder if it is mounted itself, or choose another place"
    return WriteError(f"cannot write {what}: {error.strerror or error}; {advice}")


def flush(descriptor: int) -> None:
    """
    Write what is in an open file, or folder, to disk, where the file system can tell the disk to.

    Raises:
        OSError: the disk fails.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a path, or one that its links lead to, stands for: /dev/fd/5."""
    for _ in range(MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            break
        path = Path(folder, path.readlink())
    return None


def _opened_special(path: Path) -> IO[bytes]:
    """Open what `is_special`; what the process has open goes on after what was written to it before."""
    descriptor = _descriptor(path)
    if descriptor is None:
        return path.open("wb")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return os.fdopen(os.dup(descriptor), "wb")


def _flush_file(path: Path) -> None:
    """Flush a file to disk. It is opened for writing because Windows cannot flush it otherwise."""
    with path.open("r+b") as file:
        flush(file.fileno())


def _flush_folder(path: Path) -> None:
    """Flush a folder's entries to disk, where the system supports that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        # Permission is denied always on Windows, elsewhere for a folder that may not be read.
        if error.errno not in (errno.EACCES, errno.EPERM, *NO_SYNC):
            raise
        return
    try:
        flush(descriptor)
    except OSError as error:
        if error.errno != errno.EBADF:  # from systems that flush only what is open for writing
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
