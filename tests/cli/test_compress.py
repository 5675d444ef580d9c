"""`lmgen compress` and `lmgen decompress` as processes."""

import json
from pathlib import Path

import numpy as np
import pytest

from lmgen.tokenizers.bytes import ByteTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import lmgen, on_a_terminal

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
