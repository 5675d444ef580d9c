import gzip
import io
import os
import sys
import threading
import time
from codecs import BOM_UTF8
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError
from lmgen.text.sources import Text, joined, line_blocks, open_text

lines = st.text(st.sampled_from("abc \t\n\n\u2003é"), max_size=60)
sizes = st.integers(1, 9)


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def in_pieces(text: str) -> Text:
    return Text("text", lambda: iter(pieces(text, 2)))


def read(text: Text) -> str:
    return "".join(text.chunks())


def cuts_inside_lines(blocks: list[str]) -> set[int]:
    ends = [sum(map(len, blocks[:i])) for i in range(1, len(blocks))]
    text = "".join(blocks)
    return {end for end in ends if text[end - 1] != "\n"}


class TestLineBlocks:
    @given(lines, sizes, sizes)
    def test_blocks_joined_are_the_text_and_never_empty_or_too_long(
        self, text: str, size: int, limit: int
    ) -> None:
        blocks = list(line_blocks(pieces(text, size), limit))

        assert "".join(blocks) == text
        assert all(1 <= len(block) <= limit for block in blocks)

    @given(lines, sizes, sizes, sizes)
    def test_cuts_inside_lines_do_not_depend_on_the_chunks(
        self, text: str, size: int, other_size: int, limit: int
    ) -> None:
        blocks = list(line_blocks(pieces(text, size), limit))
        others = list(line_blocks(pieces(text, other_size), limit))

        assert cuts_inside_lines(blocks) == cuts_inside_lines(others)

    @given(lines, sizes)
    def test_a_line_is_cut_only_if_it_is_too_long_and_then_after_a_blank_if_it_can(
        self, text: str, limit: int
    ) -> None:
        blocks = list(line_blocks([text], limit))
        for block, following in pairwise(blocks):
            if block.endswith("\n"):
                continue
            assert "\n" not in (block + following)[:limit]
            if not block[-1].isspace():
                assert len(block) == limit
                assert not any(character.isspace() for character in block)

    def test_complete_lines_are_passed_on_without_waiting_for_more(self) -> None:
        chunks = iter(["one\ntw", "o\n", "three"])
        blocks = line_blocks(chunks)

        assert next(blocks) == "one\n"
        assert next(chunks) == "o\n"

    @pytest.mark.parametrize("word", ["x" * 400_000, "x ", "x " + "y" * 300_000])
    def test_a_long_line_takes_linear_time(self, word: str) -> None:
        text = word * (20_000_000 // len(word))
        begin = time.perf_counter()

        assert sum(map(len, line_blocks(pieces(text, 1 << 16)))) == len(text)
        assert time.perf_counter() - begin < 2


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

    @pytest.mark.parametrize("content", [None, b"\xff"])
    def test_a_folder_without_text_is_an_error(self, content: bytes | None, tmp_path: Path) -> None:
        if content:
            (tmp_path / "image").write_bytes(content)

        with pytest.raises(CorpusError, match=r"holds no text: none of its \d files is UTF-8 text"):
            open_text(str(tmp_path))

    def test_a_damaged_file_is_not_left_out_in_silence(self, tmp_path: Path) -> None:
        (tmp_path / "a.gz").write_bytes(gzip.compress(b"text", mtime=0)[:-3])

        with pytest.raises(CorpusError, match=r"a\.gz is damaged"):
            open_text(str(tmp_path))


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
