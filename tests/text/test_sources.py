import gzip
import io
import lzma
import os
import re
import sys
import threading
import zipfile
from codecs import BOM_UTF8
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError
from lmgen.text.sources import Text, joined, natural_order, open_text
from lmgen.text.units import UNIT_END

lines = st.text(st.sampled_from("abc \t\n\n\u2003é"), max_size=60)
sizes = st.integers(1, 9)


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def in_pieces(text: str) -> Text:
    return Text("text", lambda: iter(pieces(text, 2)))


def read(text: Text) -> str:
    return "".join(text.chunks())


class TestText:
    def test_it_can_be_read_again_and_again(self, tmp_path: Path) -> None:
        path = tmp_path / "text.txt"
        path.write_text("one\ntwo\n")
        text = open_text(str(path))

        assert read(text) == read(text) == "one\ntwo\n"

    @given(lines, sizes, st.integers(0, 70), st.integers(0, 70))
    def test_a_part_is_the_slice_of_the_text(self, text: str, size: int, start: int, end: int) -> None:
        whole = Text("text", lambda: iter(pieces(text, size)))

        assert read(whole.part(start, end)) == text[start:end]
        assert read(whole.part(start)) == text[start:]
        assert read(whole.part(start).part(1, 3)) == text[start:][1:3]
        assert all(whole.part(start, end).chunks())

    def test_counts_are_those_of_the_whole_text(self) -> None:
        counts = Text("text", lambda: iter(["on", "e é\n"])).counts()

        assert (counts.characters, counts.bytes, counts.words, counts.line_ends) == (6, 7, 2, 1)

    def test_a_line_end_is_put_between_texts_only_where_one_is_missing(self) -> None:
        texts = [in_pieces(text) for text in ("one\n", "two", "", "three")]

        assert read(joined("all", texts)) == "one\ntwo\nthree"

    def test_texts_that_are_all_empty_are_an_error(self) -> None:
        with pytest.raises(CorpusError, match="all is empty; give a text with something in it"):
            read(joined("all", [Text("one", lambda: iter([]))] * 2))


class TestFiles:
    def test_text_is_never_altered(self, tmp_path: Path) -> None:
        content = "one\r\ntwo\rthree\x01\u2028four\ufeff\n\n"
        (tmp_path / "text").write_bytes(content.encode())

        assert read(open_text(str(tmp_path / "text"))) == content

    def test_a_byte_order_mark_is_no_part_of_a_text(self, tmp_path: Path) -> None:
        path = tmp_path / "text"
        path.write_bytes(BOM_UTF8 + "\ufeffone\n".encode())

        opened = open_text(str(path))

        assert read(opened) == "\ufeffone\n"
        assert opened.notes == (f"{path} begins with a byte order mark, which is skipped",)
        assert read(open_text(str(path), errors="surrogateescape")) == "\ufeff\ufeffone\n"

    def test_a_byte_order_mark_does_not_hide_json(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(BOM_UTF8 + b'{"text": "one"}\n')

        assert read(open_text(str(tmp_path / "a.jsonl"))) == "one\n"

    def test_json_lines_are_taken_apart_packed_or_not(self, tmp_path: Path) -> None:
        content = b'{"text": "one", "body": "two"}\n'
        (tmp_path / "a.jsonl").write_bytes(content)
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))

        assert read(open_text(str(tmp_path / "a.jsonl"))) == "one\n"
        assert read(open_text(str(tmp_path / "a.jsonl.gz"), field="body")) == "two\n"

    def test_a_missing_file_is_found_out_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"^cannot read .*no\.txt: No such file or directory$"):
            open_text(str(tmp_path / "no.txt"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read_is_found_out_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "secret").touch(mode=0)

        with pytest.raises(CorpusError, match=r"^cannot read .*secret: Permission denied$"):
            open_text(str(tmp_path / "secret"))

    def test_a_name_that_no_file_can_have_is_an_error(self) -> None:
        with pytest.raises(CorpusError, match="cannot be the name of a file"):
            open_text("a\0b")

    def test_an_empty_file_is_an_error_when_it_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "empty.txt").touch()

        with pytest.raises(CorpusError, match=r"empty\.txt is empty"):
            read(open_text(str(tmp_path / "empty.txt")))


class TestFolders:
    def test_files_are_read_by_path_without_hidden_and_binary_ones(self, tmp_path: Path) -> None:
        for name, content in {
            "b.txt": b"two",
            "a/z.txt": b"one\n",
            "c.jsonl": b'{"text": "three"}',
            "d.txt.gz": gzip.compress(b"four\n"),
            ".hidden": b"hidden",
            ".git/config": b"hidden",
            "~$letter.docx": b"hidden",
            "latin.txt": b"caf\xe9",
            "zeros": b"\0\0",
        }.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)

        text = open_text(str(tmp_path))

        assert read(text) == "one\ntwo\nthree\nfour\n"
        assert text.notes == (
            f"skipped 2 of 6 files in {tmp_path} that are not UTF-8 text: latin.txt, zeros",
        )

    def test_no_file_is_left_out_where_any_bytes_pass(self, tmp_path: Path) -> None:
        (tmp_path / "latin.txt").write_bytes(b"caf\xe9")

        assert read(open_text(str(tmp_path), errors="surrogateescape")) == "caf\udce9"

    @pytest.mark.parametrize(
        ("file", "problem"),
        [
            ("image", "none of its 1 files is UTF-8 text"),
            (".hidden", "there are no files in it, but hidden ones perhaps"),
        ],
    )
    def test_a_folder_without_text_is_an_error(self, file: str, problem: str, tmp_path: Path) -> None:
        (tmp_path / file).write_bytes(b"\xff")

        with pytest.raises(CorpusError, match=f"holds no text: {problem}"):
            open_text(str(tmp_path))

    def test_a_damaged_file_is_not_left_out_in_silence(self, tmp_path: Path) -> None:
        (tmp_path / "a.gz").write_bytes(gzip.compress(b"text", mtime=0)[:-3])

        with pytest.raises(CorpusError, match=r"a\.gz is damaged"):
            open_text(str(tmp_path))


class TestNaturalOrder:
    def test_numbers_are_in_order_of_their_values(self) -> None:
        names = ["a", "a1", "a2/z", "a02", "a10/b", "a.b", "b", "ch2", "ch02", "ch2_b", "ch10", "ch10b", "é"]
        shuffled = sorted(names, key=lambda name: name[::-1])

        found = [str(path) for path in sorted(map(PurePosixPath, shuffled), key=natural_order)]

        assert found == names

    @given(st.text(st.sampled_from("ab019./ ")), st.text(st.sampled_from("ab019./ ")))
    def test_different_paths_have_different_places(self, one: str, other: str) -> None:
        first, second = natural_order(PurePosixPath(one)), natural_order(PurePosixPath(other))

        assert (first < second) + (first == second) + (first > second) == 1
        assert (first == second) == (PurePosixPath(one) == PurePosixPath(other))

    def test_folders_are_read_in_it(self, tmp_path: Path) -> None:
        for number in (1, 2, 10):
            (tmp_path / f"ch{number}.txt").write_text(f"{number}\n")

        assert read(open_text(str(tmp_path))) == "1\n2\n10\n"


class TestFormats:
    """What a file is, is told from its name."""

    @pytest.mark.parametrize("packed", ["", ".gz", ".xz"])
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv", 'id,text\n1,"one\ntwo"\n2,three\n'),
            ("a.tsv", 'id\ttext\n1\t"one\ntwo"\n2\tthree\n'),
            ("a.json", '[{"text": "one\\ntwo"}, {"text": "three"}]'),
            ("A.NDJSON", '{"text": "one\\ntwo"}\n{"text": "three"}\n'),
        ],
    )
    def test_records_are_taken_apart(self, name: str, content: str, packed: str, tmp_path: Path) -> None:
        path = tmp_path / f"{name}{packed}"
        compress: Any = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packed]
        path.write_bytes(compress(BOM_UTF8 + content.encode()))

        text = open_text(str(path), field="text")

        assert read(text) == "one\ntwo\nthree\n"
        assert "".join(text.record_chunks()) == f"one\ntwo{UNIT_END}three{UNIT_END}"

    @pytest.mark.parametrize("name", ["a.csv", "a.json", "a.tsv"])
    def test_the_field_has_to_be_named(self, name: str, tmp_path: Path) -> None:
        content = '[{"id": "1", "text": "x"}]' if name == "a.json" else "id,text\n1,x\n"
        (tmp_path / name).write_text(content.replace(",", "\t") if name == "a.tsv" else content)

        with pytest.raises(CorpusError, match=rf"{name}, .* 1: name the field .* with --field: id, text$"):
            open_text(str(tmp_path / name))

    def test_strings_need_no_field(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text('["one", "two"]')

        assert read(open_text(str(path))) == read(open_text(str(path), field="x")) == "one\ntwo\n"

    def test_a_folder_leaves_out_what_needs_a_field(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("one\n")
        (tmp_path / "b.csv").write_text("id,text\n1,x\n")
        (tmp_path / "c.json").write_text("{ // settings\n}")

        text = open_text(str(tmp_path))

        assert read(text) == "one\n"
        [note] = text.notes
        assert note.endswith("that hold records, of which --field has to name a field: b.csv, c.json")
        (tmp_path / "a.txt").unlink()
        with pytest.raises(CorpusError, match=r"b\.csv, line 1: name the field"):
            open_text(str(tmp_path))

    def test_pages_and_documents_are_their_visible_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.html").write_text("<title>no</title><p>one<p>two")
        with zipfile.ZipFile(tmp_path / "b.docx", "w") as archive:
            archive.writestr("word/document.xml", "<d><p><t>three</t></p></d>")

        assert read(open_text(str(tmp_path))) == "one\ntwo\nthree\n"
        assert read(open_text(str(tmp_path), errors="surrogateescape")) == "one\ntwo\nthree\n"

    @pytest.mark.parametrize(
        ("name", "content", "command"),
        [
            ("a.pdf", b"%PDF-1.7\n", "pdftotext FILE -"),
            ("a.txt", b"%PDF-1.7\n", "pdftotext FILE -"),
            ("a.rtf", b"{\\rtf1 x}", "pandoc -f rtf -t plain FILE"),
            ("a.txt", b"{\\rtf1 x}", "pandoc -f rtf -t plain FILE"),
            ("a.odt", b"PK", "pandoc -t plain FILE"),
            ("a.doc", b"\xd0\xcf", "libreoffice --headless --convert-to txt FILE"),
            ("a.xlsx", b"PK", "save the table as .csv"),
        ],
    )
    def test_other_formats_are_refused_with_what_converts_them(
        self, name: str, content: bytes, command: str, tmp_path: Path
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content)

        with pytest.raises(CorpusError, match=f"^.*{name} is not text; .*{re.escape(command)}"):
            read(open_text(str(path)))
        any_bytes = read(open_text(str(path), errors="surrogateescape"))
        assert any_bytes.encode(errors="surrogateescape") == content


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-16-be"])
    @pytest.mark.parametrize("asked", ["utf-8", "cp1252", "utf-16-le"])
    def test_a_mark_says_in_which_encoding_a_file_is(self, encoding: str, asked: str, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        path.write_bytes((mark + "één\n").encode(encoding))

        text = open_text(str(path), encoding=asked)

        assert read(text) == "één\n"
        [note] = text.notes
        assert note.startswith(f"{path} begins with a byte order mark, ")

    @pytest.mark.parametrize("once", [True, False])
    @pytest.mark.parametrize(
        ("content", "text"), [("é\n".encode("utf-16"), "é\n"), (b"%PD", "%PD"), (BOM_UTF8 + b"a", "a")]
    )
    def test_a_mark_may_arrive_byte_by_byte(
        self, content: bytes, text: str, once: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blocks = iter([content[i : i + 1] for i in range(len(content))])
        monkeypatch.setattr("lmgen.text.sources._standard_input", lambda: blocks)

        assert read(open_text("-", once=once)) == text

    @pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.html"])
    @pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
    def test_an_encoding_goes_for_any_file(self, name: str, errors: str, tmp_path: Path) -> None:
        forms = {"a.txt": "“één”", "a.csv": "t\n“één”", "a.json": '["“één”"]', "a.html": "<p>“één”"}
        (tmp_path / name).write_bytes(forms[name].encode("cp1252"))

        for path in (tmp_path / name, tmp_path):
            text = open_text(str(path), encoding="cp1252", field="t", errors=errors)
            assert read(text).rstrip("\n") == "“één”"

    def test_an_unknown_encoding_is_found_out_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="there is no character encoding 'cp1522'; did you mean"):
            open_text(str(tmp_path), encoding="cp1522")

    def test_a_nul_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes(b"one\0two")

        with pytest.raises(CorpusError, match=r"a\.txt is not text \(byte 0x00 at offset 3\); it "):
            read(open_text(str(path)))
        assert read(open_text(str(path), errors="surrogateescape")) == "one\0two"


class TestPipes:
    def test_standard_input_can_be_read_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("één\n".encode())))
        text = open_text("-")

        assert read(text) == read(text) == "één\n"

    def test_a_named_pipe_can_be_read_again(self, tmp_path: Path) -> None:
        """As in `lmgen train <(zcat *.gz)`."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_text("text\n"))
        writer.start()
        text = open_text(str(pipe))

        assert read(text) == read(text) == "text\n"
        writer.join()

    @pytest.mark.parametrize("once", [True, False])
    def test_lines_are_handed_on_as_they_arrive(self, once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading) as stdin, os.fdopen(writing, "wb", buffering=0) as typed:
            monkeypatch.setattr(sys, "stdin", stdin)
            chunks = open_text("-", once=once).chunks()
            for line in ("one\n", "two\n"):
                typed.write(line.encode())
                assert next(chunks) == line

    @pytest.mark.parametrize("once", [False, True])
    def test_records_are_taken_apart_if_a_field_is_named(
        self, once: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for field, expected in (("body", "two\n"), (None, '{"body": "two"}\n')):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"body": "two"}\n')))

            assert read(open_text("-", field=field, once=once)) == expected

    def test_empty_input_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

        with pytest.raises(CorpusError, match="standard input is empty"):
            read(open_text("-"))

    def test_closed_input_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", None)

        with pytest.raises(CorpusError, match="standard input is closed"):
            open_text("-")
