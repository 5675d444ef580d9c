"""`lmgen compress` and `lmgen decompress` as processes."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from lmgen.tokenizers.bytes import ByteTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import COMMAND, Running, lmgen, on_a_terminal, run_command

pytest.importorskip("constriction", reason="the extra `compress` is not installed")
pytestmark = pytest.mark.slow

TEXT = "worker 1 finished job 2\n" * 30


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    save_bigram_model(tmp_path / "model.safetensors", ByteTokenizer(), np.zeros((256, 256)))
    return tmp_path


def test_sizes_are_on_stderr_and_json_on_stdout(folder: Path) -> None:
    packed = lmgen("compress", "text.txt", "model.safetensors", "--out", "small", cwd=folder)
    size = (folder / "small").stat().st_size
    unpacked = lmgen("decompress", "small", "--out", "back.txt", "--json", cwd=folder)

    bits = size * 8 / len(TEXT)
    assert (packed.returncode, packed.stdout) == (0, "")
    assert packed.stderr == (
        f"note: text.txt: {len(TEXT)} -> {size:,} bytes, {bits:.4f} bits per character\n"
    )
    assert json.loads(unpacked.stdout) == {
        "out": "back.txt",
        "bytes": len(TEXT),
        "archive_bytes": size,
        "characters": len(TEXT),
        "bits_per_byte": bits,
        "bits_per_character": bits,
        "stored": False,
    }
    assert (folder / "back.txt").read_text() == TEXT


def test_a_terminal_shows_bits_per_character_so_far(folder: Path) -> None:
    shown = on_a_terminal("compress", "text.txt", "--preset", "quick", "--out", "small", cwd=folder)

    assert "compressing" in shown
    assert "checking" in shown
    assert "bits per character" in shown


def test_what_is_wrong_is_one_line_and_nothing_is_written(folder: Path) -> None:
    lmgen("compress", "text.txt", "model.safetensors", "--out", "small", cwd=folder)
    (folder / "cut").write_bytes((folder / "small").read_bytes()[:-3])
    (folder / "model.safetensors").unlink()
    before = sorted(folder.iterdir())

    for arguments in (
        ["decompress", "small", "--out", "back"],
        ["decompress", "cut", "--out", "back"],
        ["decompress", "text.txt", "--out", "back"],
        ["decompress", "gone", "--out", "back"],
        ["compress", "text.txt", "--out", "small"],
        ["compress", "text.txt", "model.safetensors", "--out", "new"],
    ):
        failed = lmgen(*arguments, cwd=folder)
        assert failed.returncode == 1
        assert failed.stderr.startswith("error: ")
        assert len(failed.stderr.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def test_between_pipes_bytes_come_back(folder: Path) -> None:
    (folder / "file").write_bytes("中文\r\n".encode() * 50 + b"\xff\0")
    command = " ".join(COMMAND)
    script = f"""
        cat file | {command} compress - --preset quick --quiet > small &&
        {command} decompress - --quiet < small | cmp - file
    """

    result = run_command(["bash", "-c", script], cwd=folder, timeout=500)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (folder / "small").stat().st_size < (folder / "file").stat().st_size


def test_where_to_write_has_to_be_clear(folder: Path) -> None:
    for arguments, message in (
        (["compress", "text.txt"], "name the file to write with --out"),
        (["compress", "-", "--json"], "--json is printed on standard output, where the result goes"),
    ):
        failed = lmgen(*arguments, cwd=folder, text=TEXT)
        assert (failed.returncode, failed.stdout) == (2, "")
        assert failed.stderr.startswith(f"error: {message}")


def test_random_bytes_are_stored_and_that_is_said(folder: Path) -> None:
    (folder / "random").write_bytes(os.urandom(20_000))

    packed = lmgen("compress", "random", "--out", "small", cwd=folder)
    lmgen("decompress", "small", "--out", "back", cwd=folder)

    assert packed.stderr.splitlines() == [
        "note: random: 20,000 -> 20,064 bytes, 8.0256 bits per byte",
        "note: no smaller archive was found, so it holds the file as it is",
    ]
    assert (folder / "back").read_bytes() == (folder / "random").read_bytes()


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="this system does not say what a process loads"
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_stopped_in_the_middle_nothing_is_written(number: int, code: int, folder: Path) -> None:
    (folder / "text.txt").write_text(TEXT * 500)
    before = sorted(folder.iterdir())
    with Running("compress", "text.txt", "--preset", "quick", "--out", "small", cwd=folder) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "constriction" not in maps.read_text():  # what codes, and is loaded when coding begins
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        assert process.stderr is not None
        assert process.stderr.read() == ""

    assert sorted(folder.iterdir()) == before


def test_a_full_disk_is_one_error_and_nothing_is_left(folder: Path) -> None:
    """On a real file system of that size, in a mount namespace of its own."""
    own = ["unshare", "--map-root-user", "--mount", "bash", "-c"]
    mount = "mount -t tmpfs -o size=8k tmpfs disk"
    (folder / "disk").mkdir()
    if not shutil.which("unshare") or run_command([*own, mount], cwd=folder).returncode:
        pytest.skip("no file system can be mounted here")
    (folder / "random").write_bytes(os.urandom(20_000))
    script = f"{mount}; {' '.join(COMMAND)} compress random --out disk/small; echo $?; ls -A disk"

    result = run_command([*own, script], cwd=folder)

    assert result.stdout == "1\n"
    assert result.stderr.startswith("error: cannot write disk/small: No space left on device")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_standard_output_is_one_error(folder: Path) -> None:
    command = f"{' '.join(COMMAND)} compress text.txt --preset quick --out - > /dev/full"

    result = run_command(["bash", "-c", command], cwd=folder)

    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot use the output: No space left on device")
    assert len(result.stderr.splitlines()) == 1
