"""
Only one process at a time trains in a run folder: it holds a lock on the file `.lock` there.

The system releases the lock when the process ends, however it ends, so a dead process never keeps others out.
On Windows, and on file systems without locks, nobody is kept out, which a note says; the file then stays, as
another process may have it open. (A file that stands for a lock would be left by a process that is killed,
and nobody on another machine could tell.)
"""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError
from lmgen.files import unwritable

if sys.platform != "win32":
    import fcntl

_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
"""Symbolic links are not followed: whatever they point to is no lock and must not be overwritten."""

TRIES, SECONDS_BETWEEN = 20, 0.01
"""How often a process tries to take a lock that another one has, and how long it waits in between."""

_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""Error numbers of a lock that another process has; the last is that of Windows shares."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The right to write in a run folder."""

    run: RunFolder
    descriptor: int
    is_shared: bool = False
    """Whether nobody is kept out, so that others may have the same file open."""

    def check(self) -> None:
        """
        Check that the run folder is still where it was.

        Raises:
            ModelError: it was moved or deleted.
        """
        if not self.is_in_place:
            raise ModelError(
                f"{self.run.folder} was moved or deleted while it was trained in, so nothing more can be "
                "saved there; move it back and go on with --resume, or train again"
            )

    @property
    def is_in_place(self) -> bool:
        """Whether the locked file is the one that is in the folder now."""
        try:
            return os.path.samestat(self.run.lock.stat(), os.fstat(self.descriptor))
        except OSError:
            return False


@contextmanager
def locked(run: RunFolder, on_note: Callable[[str], None] = lambda _: None) -> Iterator[Lock]:
    """
    Hold the lock of a run folder while the block runs; the folder is made if there is none.

    Args:
        run: its folder.
        on_note: called with a note where there are no locks, so that nobody is kept out.

    Raises:
        ModelError: another process holds it.
        WriteError: the folder cannot be written to.
    """
    made = not run.folder.exists()
    lock = _acquired(run, on_note)
    try:
        yield lock
    finally:
        with suppress(OSError):  # an error in the block says more
            if lock.is_in_place and not lock.is_shared:
                run.lock.unlink()
        os.close(lock.descriptor)
        if made:
            with suppress(OSError):  # it is not empty: the run is in it
                run.folder.rmdir()


def is_locked(run: RunFolder) -> bool:
    """Whether a process is training in a run folder now; False where the system has no locks."""
    return _is_held(run) is True


def is_abandoned(run: RunFolder) -> bool:
    """Whether the process that held the lock of a folder has ended without giving it back, for certain."""
    return _is_held(run) is False


def _is_held(run: RunFolder) -> bool | None:
    """Whether a process holds the lock of a folder; None if there is no lock, or the system has none."""
    try:
        descriptor = os.open(run.lock, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return not _takes(descriptor, shared=True)  # given back at once, by closing
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _acquired(run: RunFolder, on_note: Callable[[str], None]) -> Lock:
    """Open the file, lock it and write the id of this process into it."""
    while True:
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(run, os.open(run.lock, _OPEN, 0o666))
        except OSError as error:
            raise unwritable(run.lock, error) from error
        missing = None
        try:
            taken = not _takes_soon(lock.descriptor)
        except OSError as error:
            taken, missing = False, error.strerror
        if taken:
            holder = _holder(lock.descriptor)
            os.close(lock.descriptor)
            raise ModelError(
                f"process {holder or 'unknown'} is training in {run.folder}; wait for its end, stop it"
                f"{f' (kill {holder})' if holder else ''}, or give another folder (--out)"
            )
        if lock.is_in_place:
            break
        os.close(lock.descriptor)  # its last holder has just deleted the file
    if missing is not None:
        lock = replace(lock, is_shared=True)
        on_note(
            f"there are no locks where {run.folder} is ({missing}), so that nothing keeps another command "
            "from training in it at the same time"
        )
    with suppress(OSError):  # on a full disk the process id is missing
        os.truncate(lock.descriptor, 0)
        os.write(lock.descriptor, f"{os.getpid()}\n".encode())
    return lock


def _takes(descriptor: int, *, shared: bool = False) -> bool:
    """
    Lock a file unless another process has; whether that worked.

    Raises:
        OSError: there are no locks.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _takes_soon(descriptor: int) -> bool:
    """As `_takes`, again and again for a moment: that long others have a lock who only ask (`_is_held`)."""
    for _ in range(TRIES):
        if _takes(descriptor):
            return True
        time.sleep(SECONDS_BETWEEN)
    return _takes(descriptor)


def _holder(descriptor: int) -> str | None:
    """The id of the process that holds a lock; None where that cannot be read, as on a Windows share."""
    try:
        found = os.read(descriptor, 20).strip()
    except OSError:
        return None
    return found.decode() if found.isdigit() else None
