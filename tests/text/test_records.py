"""Records of JSON Lines, JSON, CSV and TSV files: their texts come out exactly, or one line says why not."""

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError
from lmgen.text.records import Reader, csv_rows, json_array, json_lines, tsv_rows
from lmgen.text.units import line_stream

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])))
sizes = st.integers(1, 9)


def read(reader: Reader, file: str, field: str | None = "text", size: int | None = None) -> list[str]:
    """The texts of a file that arrives in pieces."""
    size = size or max(len(file), 1)
    chunks = [file[i : i + size] for i in range(0, len(file), size)]
    return [text for group in reader(chunks, field, "talk") for text in group]


def table(rows: list[list[str]], **dialect: Any) -> str:
    """A file as Python writes it."""
    file = io.StringIO(newline="")
    csv.writer(file, **dialect).writerows(rows)
    return file.getvalue()


class TestJsonLines:
    def test_each_record_ends_in_one_line_end_in_a_document(self) -> None:
        file = '{"text": "one"}\n{"text": "two\\n", "id": 2}\n\n{"text": "three"}'

        assert "".join(line_stream(json_lines([file], None, "talk"))) == "one\ntwo\nthree\n"

    @given(texts, sizes)
    def test_texts_do_not_depend_on_where_the_file_is_cut(self, expected: list[str], size: int) -> None:
        lines = [json.dumps({"t": text}, ensure_ascii=len(text) % 2 == 0) for text in expected]

        assert read(json_lines, "\n".join(lines), "t", size) == expected

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("{", r"^talk, line 3: not JSON \(.*\); each line has to be one JSON object"),
            ("[" * 100_000, r"line 3: not JSON"),
            ('"text"', r"line 3: JSON, but not an object; each line has to be one JSON object"),
            (
                '{"body": "x", "n": 1}',
                r"line 3: no text in the field 'text'; choose another with --field: body$",
            ),
            ('{"text": null}', r"line 3: no text in the field 'text'; no other field holds text"),
            ('{"text": "\\ud800"}', r"line 3: a lone surrogate"),
        ],
    )
    def test_a_bad_line_is_named(self, line: str, message: str) -> None:
        with pytest.raises(CorpusError, match=message):
            read(json_lines, '{"text": "fine"}\n\n' + line + "\n", None)


class TestJsonArrays:
    @given(texts, sizes, st.sampled_from([None, 1]), st.booleans())
    def test_texts_do_not_depend_on_where_the_file_is_cut(
        self, expected: list[str], size: int, indent: int | None, objects: bool
    ) -> None:
        records = [{"n": 12.5, "t": text, "l": [[], "]"]} for text in expected] if objects else expected
        file = json.dumps(records, indent=indent)

        assert read(json_array, file, "t" if objects else None, size) == expected

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), sizes)
    def test_objects_one_after_another_are_records_too(self, expected: list[str], size: int) -> None:
        file = "\n".join(json.dumps({"t": text}, indent=2) for text in expected)

        assert read(json_array, file, "t", size) == expected

    def test_a_number_may_have_any_number_of_digits(self) -> None:
        assert read(json_array, '[{"t": "one", "n": ' + "9" * 9999 + "}]", "t") == ["one"]

    def test_records_before_the_end_of_the_file_come_out(self) -> None:
        chunks = iter(['["one", "tw', 'o", ', '"three"]'])
        groups = json_array(chunks, None, "talk")

        assert next(groups) == ["one"]
        assert next(groups) == ["two"]

    @pytest.mark.parametrize(
        ("file", "message"),
        [
            ('[{"a": "x", "b": "y", "n": 1}]', r"^talk, record 1: name the field .* with --field: a, b$"),
            ('[{"n": 1}]', r"record 1: name the field .* with --field: there is none that holds text$"),
            ('["x", 5]', r"record 2: JSON, but not an object or a string$"),
            ('["x",]', r"record 2: not JSON"),
            ('["x" "y"]', r"^talk: not JSON \(expecting ',' or '\]' after record 1\)$"),
            ('["x"] "y"', r"^talk: not JSON \(expecting nothing after record 1\)$"),
            ('["x", "y"', r"^talk is not whole: its array does not end after record 2$"),
            ('["x", "y', r"record 2: not JSON \(Unterminated string starting at\)$"),
            ("[" * 100_000, r"record 1: not JSON"),
            ("nothing", r"record 1: not JSON"),
            ('["\\udfff"]', r"record 1: a lone surrogate"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 7, 200_000])
    def test_what_is_wrong_is_named(self, file: str, message: str, size: int) -> None:
        with pytest.raises(CorpusError, match=message):
            read(json_array, file if len(file) < 1000 else file[: 2000 * size], None, size)

    def test_what_is_no_json_is_found_before_the_end(self) -> None:
        chunks = iter(["[{bad ", *["x" * 1000] * 50])

        with pytest.raises(CorpusError, match="not JSON"):
            list(json_array(chunks, "t", "talk"))
        assert len(list(chunks)) > 40


class TestTables:
    @given(texts, sizes, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\r\n", "\n"]))
    def test_what_was_written_comes_back(
        self, expected: list[str], size: int, delimiter: str, line_end: str
    ) -> None:
        rows = [["id", " text"], *([str(number), text] for number, text in enumerate(expected))]
        quoting = csv.QUOTE_ALL if line_end == "\n" else csv.QUOTE_MINIMAL  # else \r is not quoted
        file = table(rows, delimiter=delimiter, lineterminator=line_end, quoting=quoting)

        assert read(csv_rows, file, "text", size) == expected
        if delimiter == "\t":
            assert read(tsv_rows, file, "text", size) == expected

    def test_cells_may_have_commas_quotes_and_line_ends_in_them(self) -> None:
        file = 'id,text\n1,"rain, ""and""\r\nwind"\n\n2,5" of it\n3,""\n'

        assert read(csv_rows, file) == ['rain, "and"\r\nwind', '5" of it', ""]

    def test_line_ends_of_old_macs_end_rows(self) -> None:
        assert read(csv_rows, 'id,text\r1,one\r2,"two\rthree"\r', size=1) == ["one", "two\rthree"]

    def test_files_put_together_have_their_header_more_than_once(self) -> None:
        assert read(csv_rows, "id,text\n1,one\nid,text\n2,two\n") == ["one", "two"]

    def test_empty_cells_at_the_end_of_a_row_are_no_more_cells(self) -> None:
        assert read(csv_rows, "id,text\n1,one,,\n") == ["one"]

    def test_a_comma_in_a_quoted_name_does_not_separate(self) -> None:
        assert read(csv_rows, '"a, b";text\n1;2,5\n') == ["2,5"]

    @pytest.mark.parametrize("size", [1, 200_000])
    @pytest.mark.parametrize("blank", ["\n", "\r\n\n"])
    def test_the_header_after_blank_lines_tells_what_separates(self, blank: str, size: int) -> None:
        assert read(csv_rows, f"{blank}text;n\nhello, you;1\n", "text", size) == ["hello, you"]
        line = blank.count("\n") + 3
        with pytest.raises(CorpusError, match=f"line {line}: the header has 2 cells, but this row has 1"):
            read(csv_rows, f"{blank}text;n\na;1\nb\n", "text", size)
        with pytest.raises(CorpusError, match=f"line {line}: not CSV"):
            read(csv_rows, f'{blank}text;n\na;1\n"b" c;2\n', "text", size)

    def test_rows_come_out_with_the_chunk_that_completes_them(self) -> None:
        chunks = iter(["text\none\ntw", "o\nthree\n", "four\n"])
        groups = csv_rows(chunks, "text", "talk")

        assert next(groups) == ["one"]
        assert next(groups) == ["two", "three"]
        assert next(chunks) == "four\n"

    @pytest.mark.parametrize("file", ["", "\n", "id,text", "id,text\n"])
    def test_without_rows_there_are_no_texts(self, file: str) -> None:
        assert read(csv_rows, file) == []

    @pytest.mark.parametrize(
        ("file", "field", "message"),
        [
            ("id,text\n1,x\n", None, r"^talk, line 1: name the field .* with --field: id, text$"),
            ("id,text\n1,x\n", "body", r"line 1: no column has the name 'body'; .*--field: id, text$"),
            ("text,text\n1,x\n", "text", r"line 1: two columns have the name 'text'"),
            (
                "id,text\n1,x\n2\n",
                "text",
                r"line 3: the header has 2 cells, but this row has 1; .* comma",
            ),
            (
                "id,text\n1,x, y\n",
                "text",
                r"line 2: the header has 2 cells, but this row has 3; .* comma",
            ),
            (
                'id,text\n1,"x\n2,y\n',
                "text",
                r"line 3: not CSV \(unexpected end of data\) .* in line 2;",
            ),
            (
                'id,text\n1,"x" y\n',
                "text",
                r"line 2: not CSV .* that begins in line 2; .* doubled$",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, file: str, field: str | None, message: str) -> None:
        with pytest.raises(CorpusError, match=message) as raised:
            read(csv_rows, file, field, size=3)
        assert "\n" not in str(raised.value)

    @given(st.text(st.sampled_from('ab,;"\n\r\t'), max_size=40), sizes)
    def test_any_file_is_read_or_refused_wherever_it_is_cut(self, file: str, size: int) -> None:
        outcomes = []
        for cut in (size, 1000):
            try:
                outcomes.append(str(read(csv_rows, file, "a", cut)))
            except CorpusError as error:
                outcomes.append(re.sub(r"[\"']", "", str(error)))

        assert outcomes[0] == outcomes[1]
