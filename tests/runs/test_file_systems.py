"""A file system that can do little: no locks, links, permissions, flushing, or files without names."""

from pathlib import Path

import pytest

from tests.process import Forked

pytestmark = pytest.mark.slow

LACKING = """
import errno, fcntl, os

def lacking(number):
    def call(*_, **__):
        raise OSError(number, os.strerror(number))
    return call

fcntl.flock = lacking(errno.ENOLCK)
os.link = os.chmod = lacking(errno.EPERM)
os.fsync = lacking(errno.EINVAL)
open_file = os.open

def named(path, flags, *others, **named):
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return open_file(path, flags, *others, **named)

os.open = named

import runpy
runpy.run_module("lmgen", run_name="__main__", alter_sys=True)
"""
"""Runs `lmgen` where the system's calls fail as they do on such a file system."""

TINY = [
    *("--hidden-size", "4", "--layers", "1", "--window-length", "8", "--batch-size", "2"),
    *("--evaluations", "1", "--baseline-order", "2", "--steps"),
]


def test_every_command_works(tmp_path: Path) -> None:
    """And those that train say once that nobody is kept out."""
    (tmp_path / "text.txt").write_text("the cat sat on the mat and ran\n" * 40)

    def said(*arguments: str) -> tuple[str, str]:
        with Forked(*arguments, cwd=tmp_path, program=LACKING) as process:
            stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        return stdout, stderr

    note = (
        "note: there are no locks where run is (No locks available), so that nothing keeps another command "
        "from training in it at the same time\n"
    )
    _, trained = said("train", "text.txt", *TINY, "2", "--out", "run")
    _, resumed = said("train", "--resume", "--steps", "3", "--out", "run")
    assert trained.count(note) == resumed.count(note) == 1
    assert "no locks" not in trained.replace(note, "") + resumed.replace(note, "")
    _, fitted = said("ngram", "text.txt", "--memory", "1M", "--out", "ngram.safetensors")
    assert "no locks" not in fitted, "the folder that it works in is its own"
    assert "finished" in said("runs", ".")[0]
    assert "perplexity" in said("perplexity", "run")[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ngram.safetensors",
        "run",
        "text.txt",
    ]
    left = [path.name for path in (tmp_path / "run").rglob(".*")]
    assert left == [".lock"], "which stays where there are no locks: another command may have it open"
