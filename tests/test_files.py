"""Files are written whole or not at all."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lmgen.errors import LmgenError, ModelError, WriteError
from lmgen.files import (
    IN_USE,
    NO_SYNC,
    append_text,
    behind_links,
    refuse_existing,
    refuse_unwritable,
    rename,
    replacing,
    write_text,
)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()

    assert path.read_text() == "half"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LmgenError, match=r"cannot write .*file/below: .*; choose another place"):
        write_text(tmp_path / "file" / "below", "text")


def test_files_can_be_read_by_whoever_the_umask_lets(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "text")
    (tmp_path / "plain").write_text("text")

    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")}
    assert len(modes) == 1


def test_text_is_written_as_it_stands(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "a\r\nb\n")

    assert (tmp_path / "text").read_bytes() == b"a\r\nb\n"


def test_a_link_that_a_user_names_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old")
    (tmp_path / "link").symlink_to("folder/real")
    (tmp_path / "new").symlink_to("folder/made/later")

    for name in ("link", "new"):
        write_text(behind_links(tmp_path / name), "text")
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "folder" / "real").read_text() == "text"
    assert (tmp_path / "folder" / "made" / "later").read_text() == "text"
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["made", "real"]


def test_any_other_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "text")

    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "old"
    assert (tmp_path / "link").read_text() == "text"


def test_a_pipe_or_device_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(tmp_path / "pipe", "one\n")
        write_text(tmp_path / "link", "two\n")
        read = os.read(reader, 100)
    finally:
        os.close(reader)
    (tmp_path / "null").symlink_to(os.devnull)
    write_text(tmp_path / "null", "text")
    write_text(behind_links(tmp_path / "null"), "text")
    refuse_unwritable(tmp_path / "null")

    assert read == b"one\ntwo\n"
    assert (tmp_path / "pipe").is_fifo()
    assert Path(os.devnull).is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "null", "pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_what_is_open_is_written_to_after_what_is_there(name: str, tmp_path: Path) -> None:
    if name != "link" and not Path(name).exists():
        pytest.skip(f"this system has no {name}")
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = (
        "import sys; from pathlib import Path; from lmgen.files import behind_links, write_text; "
        "print('first'); write_text(behind_links(Path(sys.argv[1])), 'ours\\n'); print('last')"
    )
    with (tmp_path / "log").open("w") as log:
        log.write("earlier\n")
        log.flush()
        subprocess.run([sys.executable, "-c", program, name], cwd=tmp_path, stdout=log, check=True)
        log.write("later\n")

    assert (tmp_path / "log").read_text() == "earlier\nfirst\nours\nlast\nlater\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "log"]


def test_a_pipe_or_device_may_exist_and_a_file_may_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path / "pipe", tmp_path / "link", Path(os.devnull)):
        refuse_existing(path, overwrite=None)

    with pytest.raises(ModelError, match=r"there is a file .*/file already"):
        refuse_existing(tmp_path / "file", overwrite=False)


def test_a_disk_and_a_loop_of_links_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(WriteError, match=r"cannot write .*loop"):
        write_text(tmp_path / "loop", "text")
    with pytest.raises(WriteError, match=r"cannot write .*loop"):
        refuse_unwritable(tmp_path / "loop")
    with pytest.raises(WriteError, match=r"cannot write .*loop"):
        behind_links(tmp_path / "loop")

    (tmp_path / "disk").write_text("kept")
    monkeypatch.setattr(stat, "S_ISBLK", lambda _: True)
    with pytest.raises(WriteError, match="this is a disk, not a file on one; choose another place"):
        write_text(tmp_path / "disk", "text")
    assert (tmp_path / "disk").read_text() == "kept"


@pytest.fixture
def like_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders cannot be opened, and only what is open for writing can be flushed."""
    real_open, real_fsync = os.open, os.fsync

    def open_(path: str, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real_open(path, flags, mode)

    def fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.usefixtures("like_windows")
def test_files_are_saved_where_folders_cannot_be_flushed(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "one\n")
    append_text(tmp_path / "file", "two\n")
    rename(tmp_path / "file", tmp_path / "renamed")

    assert (tmp_path / "renamed").read_text() == "one\ntwo\n"
    assert [path.name for path in tmp_path.iterdir()] == ["renamed"]


@pytest.mark.parametrize("number", NO_SYNC)
@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_file_system_that_cannot_flush_will_do(
    what: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_to_flush(what, number, monkeypatch)
    write_text(tmp_path / "file", "text")
    append_text(tmp_path / "file", "\n")
    rename(tmp_path / "file", tmp_path / "renamed")

    assert (tmp_path / "renamed").read_text() == "text\n"


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_disk_that_fails_while_it_flushes_is_an_error(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_to_flush(what, errno.EIO, monkeypatch)

    with pytest.raises(WriteError, match="cannot write"):
        write_text(tmp_path / "file", "text")


def _fail_to_flush(what: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == (what == "folder"):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_file_system_without_permissions_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of Windows, say, gives all files the same."""

    def chmod(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", chmod)
    write_text(tmp_path / "file", "text")

    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize("number", IN_USE)
def test_a_file_that_is_open_or_mounted_and_cannot_be_replaced_stays(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "file", "old")

    def busy(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", busy)
    advice = "close what has it open, mount its folder if it is mounted itself, or choose another place"
    with pytest.raises(WriteError, match=rf"cannot write .*/file: .* busy; {advice}$"):
        write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("read", ["a" * 10_000, "te\0xt", "two\nlines", None, 0.1, "python-docs"])
def test_what_is_no_file_cannot_be_replaced(tmp_path: Path, read: object) -> None:
    (tmp_path / "out.txt").write_text("there")

    refuse_existing(tmp_path / "out.txt", overwrite=True, read=[read])
