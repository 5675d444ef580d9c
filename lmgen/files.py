"""Files are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lmgen.errors import LmgenError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Write a file under a temporary name beside `path`; put it in place when the block ends well.

    The block gets the temporary path, already created and empty. When it ends, the file is flushed to
    disk and renamed over `path`, so that a reader (or a crash) sees the old file or the new one, whole.
    When it raises, the temporary file goes and `path` is as it was.

    Raises:
        LmgenError: the folder cannot be written to, or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _flush(temporary)
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}; choose another place or free some space"
        raise LmgenError(message) from error
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Replace a small UTF-8 file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _flush(path: Path) -> None:
    """Ask the system to put a file, or a folder's list of names, on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
