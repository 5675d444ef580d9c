import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text.raw import Spool, arriving_blocks, file_blocks

zstandard = pytest.importorskip("zstandard")

CONTENT = b"to be or not to be\n" * 50_000

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def read(path: Path) -> bytes:
    return b"".join(file_blocks(path))


@pytest.mark.parametrize("suffix", ["", ".txt", *COMPRESSORS, ".GZ"])
def test_files_are_read_whole_and_decompressed_by_their_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(COMPRESSORS.get(suffix.lower(), bytes)(CONTENT))

    assert read(path) == CONTENT


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_compressed_file_may_be_several_put_together(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(COMPRESSORS[suffix](b"one\n") + COMPRESSORS[suffix](CONTENT))

    assert read(path) == b"one\n" + CONTENT


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_compressed_file_that_is_cut_short_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(COMPRESSORS[suffix](CONTENT)[:-9])

    with pytest.raises(CorpusError, match=rf"text{suffix} is damaged .*; get or make it again"):
        read(path)


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("content", [b"this was never compressed at all", None])
def test_a_damaged_compressed_file_is_named(suffix: str, content: bytes | None, tmp_path: Path) -> None:
    damaged = bytearray(COMPRESSORS[suffix](CONTENT))
    damaged[len(damaged) // 2 : len(damaged) // 2 + 9] = b"\xff" * 9
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content or damaged)

    with pytest.raises(CorpusError, match=rf"text{suffix} is damaged"):
        read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*nothing\.txt: No such file or directory"):
        read(tmp_path / "nothing.txt")


def test_a_spool_can_be_read_again_even_if_the_first_reader_stopped_early() -> None:
    spool = Spool(arriving_blocks(io.BytesIO(CONTENT)))
    first = next(spool.blocks())

    assert CONTENT.startswith(first)
    assert b"".join(spool.blocks()) == CONTENT
    assert b"".join(spool.blocks()) == CONTENT


def test_a_spool_hands_on_what_has_arrived() -> None:
    arriving = iter([b"one\n", b"two\n"])
    spool = Spool(arriving)

    assert next(spool.blocks()) == b"one\n"
    assert next(arriving) == b"two\n"  # was not asked for
