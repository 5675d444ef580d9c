"""Archives: their files are read in any order, and what is damaged or a trap is named."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text import raw
from lmgen.text.archives import Archive, member_blocks
from lmgen.text.sources import Text, open_text

CONTENT = b"to be or not to be\n" * 50_000

FILES = {
    "d/ch10.txt": b"ten\n",
    "d/ch2.txt": b"two",
    "d/ch1.csv": b'id,text\n1,"one, a"\n',
    "d/ch3.txt.gz": gzip.compress(b"three\n", mtime=0),
    "d/image": b"\x89PNG\xff",
    "d/.hidden": b"hidden",
    "__MACOSX/d/._ch2.txt": b"hidden",
}

ARCHIVES = ["c.zip", "c.tar", "c.tar.gz", "c.tgz", "c.tar.bz2", "c.tar.xz", "C.TAR.GZ"]


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("d")
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    kind = {".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix.lower(), "")
    with tarfile.open(path, f"w:{kind}") as opened:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")  # as `tar c .` writes names
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("./link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    return path


def read(text: Text) -> str:
    return "".join(text.chunks())


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_read_like_a_folder(name: str, tmp_path: Path) -> None:
    path = packed(tmp_path / name, FILES)

    text = open_text(str(path), field="text")

    assert read(text) == read(text) == "one, a\ntwo\nthree\nten\n"
    assert text.notes == (f"skipped 1 of 5 files in {path} that are not UTF-8 text: d/image",)
    assert "".join(text.record_chunks()) == "one, a\ud800two\ud800three\ud800ten\ud800"


def test_archives_may_be_compressed_with_zstd(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    plain = packed(tmp_path / "c.tar", {"b.txt": b"one\n"})
    (tmp_path / "c.tar.zst").write_bytes(zstandard.compress(plain.read_bytes()))

    assert read(open_text(str(tmp_path / "c.tar.zst"))) == "one\n"


def test_files_are_read_side_by_side(tmp_path: Path) -> None:
    path = packed(tmp_path / "c.tar.gz", {"a.txt": CONTENT, "b.txt": CONTENT[::-1]})
    archive = Archive(path)

    pairs = list(zip(archive.blocks("./a.txt"), archive.blocks("./b.txt"), strict=True))

    assert b"".join(a for a, _ in pairs) == CONTENT
    assert b"".join(b for _, b in pairs) == CONTENT[::-1]


def test_an_archive_without_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"c\.zip holds no text: none of its 1 files is UTF-8 text"):
        open_text(str(packed(tmp_path / "c.zip", {"image": b"\xff"})))


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_cut_short_is_named(name: str, tmp_path: Path) -> None:
    path = packed(tmp_path / name, {f"{number}.txt": CONTENT[number:] for number in range(9)})
    whole = path.read_bytes()

    for share in (0.2, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CorpusError, match=f"{name} is damaged"):
            read(open_text(str(path)))


def test_a_damaged_header_is_not_the_end_of_an_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "c.tar", {"a.txt": b"one\n", "b.txt": b"two\n"})
    content = bytearray(path.read_bytes())
    content[1024:1034] = b"\xff" * 10
    path.write_bytes(content)

    with pytest.raises(CorpusError, match=r"c\.tar is damaged \(the header at byte 1,024 is invalid\)"):
        open_text(str(path))


def test_an_encrypted_file_is_an_error(tmp_path: Path) -> None:
    path = packed(tmp_path / "c.zip", {"a.txt": b"one\n"})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x03\x04") + 6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)

    with pytest.raises(CorpusError, match=r"c\.zip is damaged .*encrypted"):
        open_text(str(path))


@pytest.mark.parametrize("name", ["c.zip", "c.tar.gz", "inner.zip"])
def test_a_decompression_bomb_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "EXPANSION_ALLOWED", 1000)
    blanks = b" " * 2_000_000
    files = {"a.txt.gz": gzip.compress(blanks)} if name == "inner.zip" else {"a.txt": blanks}

    with pytest.raises(CorpusError, match=f"{name} decompresses to more than 200 times its own size"):
        open_text(str(packed(tmp_path / name, files)))


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
