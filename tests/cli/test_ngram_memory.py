"""`lmgen ngram --memory`: the same model with less memory, and what is left where it ends too early."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.data import preparation
from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.memory import free_memory, memory_bytes, resident_memory, total_memory
from lmgen.runs.ngram import fit_ngram
from tests.process import COMMAND, Running, run_command
from tests.process import lmgen as command

TINY: dict[str, Any] = {
    "hidden_size": 4,
    "layers": 1,
    "window_length": 8,
    "batch_size": 2,
    "steps": 2,
    "evaluations": 1,
    "threads": 1,
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    words = np.random.default_rng(0).zipf(1.4, 20_000) % 500
    path = tmp_path / "text.txt"
    path.write_text("\n".join(" ".join(map(str, line)) for line in np.split(words, 1000)) + "\n")
    return path


@pytest.mark.parametrize(
    "flags",
    [
        ("--tokenizer", "word"),
        ("--tokenizer", "char", "--order", "7"),
        ("--tokenizer", "byte", "--unit", "line"),
        ("--tokenizer", "word", "--prune", "0,0,1", "--valid", "0.1", "--keep-tokens"),
    ],
    ids=" ".join,
)
def test_the_file_is_the_same(flags: tuple[str, ...], text: Path, tmp_path: Path) -> None:
    results = [
        command("ngram", "text.txt", *flags, "--memory", memory, "--out", f"{memory}.m", cwd=tmp_path)
        for memory in ("1M", "100G")
    ]

    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    assert results[0].stdout.replace("1M.m", "100G.m") == results[1].stdout
    assert results[0].stderr == results[1].stderr
    assert (tmp_path / "1M.m").read_bytes() == (tmp_path / "100G.m").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"text.txt", "1M.m", "100G.m"}


def test_memory_has_a_unit_or_is_refused(text: Path, tmp_path: Path) -> None:
    for wrong in ("lots", "", "-1G", "2X", "0G"):
        result = command("ngram", "text.txt", "--memory", wrong, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == (
            f"error: --memory is {wrong!r}, but has to be a number with a unit, such as 2G, 500M or 80%\n"
        )
    assert not (tmp_path / "checkpoints").exists()
    assert memory_bytes("2G") == memory_bytes("2048M") == memory_bytes("2.0 gib") == 2 << 30
    assert memory_bytes("50%") == total_memory() // 2
    assert 0 < resident_memory() < total_memory()
    assert resident_memory() < memory_bytes(None) <= resident_memory() + free_memory()
    with pytest.raises(ConfigError, match="memory is 'x'"):
        lmgen.train(text, memory="x")


VERSION_2 = {
    "memory.max": "3000000\n",
    "memory.current": "1000000\n",
    "memory.stat": "anon 600000\nfile 400000\nactive_file 100000\ninactive_file 300000\n",
}
VERSION_1 = {
    "memory/memory.limit_in_bytes": "3000000\n",
    "memory/memory.usage_in_bytes": "1000000\n",
    "memory/memory.stat": "inactive_file 5\ntotal_inactive_file 300000\n",
}
NOT_LIMITED = [{"memory.max": "max\n", "memory.current": "1000000\n"}, {}]


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Puts files in the place of those that tell of a container."""

    def tell(files: dict[str, str]) -> None:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        monkeypatch.setattr("lmgen.memory._CGROUP", tmp_path)

    return tell


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])
def test_a_container_limits_what_there_is_and_what_is_free(
    files: dict[str, str], container: Callable[[dict[str, str]], None]
) -> None:
    container(files)

    assert total_memory() == 3_000_000
    assert memory_bytes("80%") == 2_400_000
    assert free_memory() == 2_300_000, "copies of files are given back"


@pytest.mark.parametrize("files", NOT_LIMITED, ids=["max", "no files"])
def test_a_container_without_a_limit_has_the_memory_of_the_machine(
    files: dict[str, str], container: Callable[[dict[str, str]], None]
) -> None:
    container(files)

    assert total_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_container_that_does_not_tell_of_copies_of_files(
    container: Callable[[dict[str, str]], None],
) -> None:
    container(VERSION_2 | {"memory.stat": "anon 600000\n"})

    assert free_memory() == 2_000_000


@pytest.mark.parametrize(
    ("memory", "processes"), [("1M", 1), ("900M", 1), ("1G", 2), ("2100M", 4), ("100G", 8)]
)
def test_processes_that_read_the_text_are_as_many_as_the_memory_has_room_for(
    memory: str, processes: int, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def prepare(*given: Any, **settings: Any) -> Prepared:
        started.append(settings["processes"])
        return preparation.prepare(*given, **settings)

    monkeypatch.setattr("lmgen.runs.ngram.prepare", prepare)
    monkeypatch.setattr("lmgen.runs.ngram.available_processors", lambda: 8)
    fit_ngram([str(text)], 2, tmp_path / "m", memory=memory)

    assert started == [processes]


@pytest.mark.slow
def test_the_baseline_of_a_run_has_the_same_limit(text: Path, tmp_path: Path) -> None:
    for memory in ("1M", None):
        lmgen.train(text, out=tmp_path / str(memory), tokenizer="word", memory=memory, **TINY)
    small, usual = (RunFolder(tmp_path / name).ngram.read_bytes() for name in ("1M", "None"))

    assert small == usual


MEASURED = """
from pathlib import Path
import numpy as np
from lmgen.memory import resident_memory
from lmgen.models.ngram.model import NgramModel

ids = np.random.default_rng(0).integers(0, 1000, 1_500_000).astype(np.uint16)
NgramModel.fit(ids[:1000], order=3, vocabulary_size=1000, memory=1)
before = resident_memory()
NgramModel.fit(ids, order=4, vocabulary_size=1000, memory=before + (20 << 20))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(int(peak.split()[1]) * 1024 - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
def test_memory_stays_within_the_limit() -> None:
    """In memory this text takes about 150 MB."""
    result = run_command([sys.executable, "-c", MEASURED], cwd=Path(__file__).parents[2], check=True)

    assert int(result.stdout) < 24 << 20


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def begun(process: "subprocess.Popen[str]", folder: Path) -> None:
    """Wait until a command has made its folder and written tokens."""
    for _ in range(600):
        if list(folder.glob(".m.*/data/train.npy")):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    pytest.fail("no tokens were written")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_leaves_nothing(number: int, code: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "text.txt").write_bytes(random.integers(97, 122, 3_000_000).astype(np.uint8).tobytes())
    with Running(
        "ngram", "text.txt", "--order", "6", "--memory", "1M", "--out", "m", cwd=tmp_path
    ) as process:
        begun(process, tmp_path)
        process.send_signal(number)
        assert process.wait(timeout=60) == code

    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.slow
def test_what_a_killed_process_leaves_is_deleted_by_the_next(text: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "long.txt").write_bytes(random.integers(97, 122, 3_000_000).astype(np.uint8).tobytes())
    arguments = ("ngram", "long.txt", "--order", "6", "--memory", "1M", "--out", "m")
    with Running(*arguments, cwd=tmp_path) as process, Running(*arguments, cwd=tmp_path) as other:
        begun(process, tmp_path)
        process.kill()
        process.wait(timeout=60)
        left = hidden(tmp_path)
        assert left
        assert command("ngram", "text.txt", "--out", "m", cwd=tmp_path).returncode == 0
        assert len(hidden(tmp_path)) == 1, "that of the other process, which is still at work"
        other.send_signal(signal.SIGTERM)
        assert other.wait(timeout=60) == 143

    assert not hidden(tmp_path)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing(text: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that has no room for them."""
    for kilobytes in (20, 60, 100, 200, 300):
        arguments = ["ngram", "text.txt", "--tokenizer", "word", "--memory", "1M", "--out", "m"]
        limited = ["bash", "-c", f'ulimit -f {kilobytes} && exec "$@"', "bash", *COMMAND, *arguments]
        result = run_command(limited, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, ""), kilobytes
        assert result.stderr.startswith("error: cannot write "), result.stderr
        assert result.stderr.endswith("; choose another place or free some space\n")
        assert result.stderr.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
