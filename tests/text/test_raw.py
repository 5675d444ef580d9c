import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text.archives import member_blocks
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


def test_members_of_archives_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/text", CONTENT)
    with tarfile.open(tmp_path / "corpus.tgz", "w:gz") as packed:
        member = tarfile.TarInfo("./in/text")  # as `tar c .` writes names
        member.size = len(CONTENT)
        packed.addfile(member, io.BytesIO(CONTENT))

    for name in ("corpus.zip", "corpus.tgz"):
        assert b"".join(member_blocks(tmp_path / name, "in/text")) == CONTENT
        with pytest.raises(CorpusError, match=f"{name} has no file in/other inside"):
            list(member_blocks(tmp_path / name, "in/other"))


@pytest.mark.parametrize("name", ["corpus.zip", "corpus.tgz"])
def test_damaged_archives_are_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no archive")

    with pytest.raises(CorpusError, match=f"{name} is damaged"):
        list(member_blocks(tmp_path / name, "text"))


def test_an_archive_that_leads_nowhere_is_damaged(tmp_path: Path) -> None:
    """A link to itself, and long names of long names: what reads them would go on without end."""
    link = tarfile.TarInfo("text")
    link.type, link.linkname = tarfile.SYMTYPE, "text"
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        archive.addfile(link)
    name = tarfile.TarInfo("@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1
    (tmp_path / "names.tar").write_bytes((name.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * 5_000)

    for file in ("link.tar", "names.tar"):
        with pytest.raises(CorpusError, match=rf"{file} is damaged \(its links or names never end\)"):
            list(member_blocks(tmp_path / file, "text"))


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
