"""Files are written whole or not at all."""

import stat
from pathlib import Path

import pytest

from lmgen.errors import LmgenError
from lmgen.files import replacing, write_text


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
