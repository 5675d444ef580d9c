"""One process at a time in a run folder; a dead one keeps nobody out."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError, WriteError
from lmgen.runs.lock import is_abandoned, is_locked, locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks on Windows")

HOLD = """
import sys, time
from pathlib import Path
from lmgen.runs.lock import locked
from lmgen.data.run_folder import RunFolder
with locked(RunFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_refused_while_another_process_holds_it_and_free_when_that_is_killed(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path / "run")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(run.folder)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with (
        pytest.raises(
            ModelError,
            match=rf"^process {holder.pid} is training in .*/run; wait for its end, stop it "
            rf"\(kill {holder.pid}\), or give another folder \(--out\)$",
        ),
        locked(run),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    assert run.lock.exists(), "what it left"
    with locked(run):
        assert run.lock.read_text() == f"{os.getpid()}\n"


def test_who_only_asks_for_a_moment_keeps_nobody_out(tmp_path: Path) -> None:
    """What `lmgen runs` does while a run begins: it shares the lock, and lets go of it."""
    run = RunFolder(tmp_path)
    run.lock.touch()
    asking = os.open(run.lock, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    timer = threading.Timer(0.05, os.close, [asking])
    timer.start()
    try:
        with locked(run):
            assert run.lock.read_text() == f"{os.getpid()}\n"
    finally:
        timer.join()


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with locked(RunFolder(tmp_path / "new")):
        pass
    (tmp_path / "old").mkdir()
    with locked(RunFolder(tmp_path / "old")):
        pass

    assert [file.name for file in tmp_path.rglob("*")] == ["old"]


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.folder.mkdir()
    (tmp_path / "mine").write_text("precious")
    run.lock.symlink_to(tmp_path / "mine")

    with pytest.raises(WriteError, match=r"cannot write .*\.lock"), locked(run):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_lock_that_cannot_be_deleted_does_not_hide_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(WriteError, match="what went wrong"), locked(RunFolder(tmp_path / "run")):
        raise WriteError("what went wrong")


def test_a_folder_that_is_moved_away_is_noticed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with locked(run) as lock:
        lock.check()
        run.folder.rename(tmp_path / "elsewhere")
        with pytest.raises(ModelError, match="run was moved or deleted while it was trained in"):
            lock.check()
        with locked(run), pytest.raises(ModelError, match="moved or deleted"):
            lock.check()  # the new one is another's


def _answering(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a lock gets this error."""

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_there_are_no_locks_nobody_is_kept_out_which_a_note_says(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(number, monkeypatch)
    run = RunFolder(tmp_path / "run")
    notes: list[str] = []
    with locked(run, notes.append) as lock:
        lock.check()
        assert not is_locked(run)
        assert not is_abandoned(run), "nobody knows"
        with locked(run):
            pass
        lock.check()  # the other has not deleted the file

    assert notes == [
        f"there are no locks where {run.folder} is ({os.strerror(number)}), so that nothing keeps another "
        "command from training in it at the same time"
    ]
    assert list(run.folder.iterdir()) == [run.lock]
    monkeypatch.undo()
    with locked(run):
        pass
    assert not run.lock.exists(), "what was left is taken where there are locks"


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_share_of_windows_says_in_its_own_way_that_a_lock_is_taken(
    is_readable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permission is denied, and also to read what is locked."""
    run = RunFolder(tmp_path)
    run.lock.write_text("123\n")
    _answering(errno.EACCES, monkeypatch)
    if not is_readable:

        def read(*_: object) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "read", read)
    with (
        pytest.raises(ModelError, match=rf"^process {123 if is_readable else 'unknown'} is training in "),
        locked(run),
    ):
        pass
    assert is_locked(run)


def test_what_stands_in_a_lock_is_advised_only_if_it_is_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    run.lock.write_bytes(b"1; rm \xff")
    _answering(errno.EAGAIN, monkeypatch)
    with (
        pytest.raises(ModelError, match=r"^process unknown is training in .*; wait for its end, stop it, or"),
        locked(run),
    ):
        pass
