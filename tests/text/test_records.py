import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError
from lmgen.text.records import json_lines
from lmgen.text.units import line_stream


def read(lines: str, field: str = "text") -> str:
    return "".join(line_stream(json_lines([lines], field, "talk.jsonl")))


def test_each_record_ends_in_one_line_end() -> None:
    assert read('{"text": "one"}\n{"text": "two\\n", "id": 2}\n\n{"text": "three"}') == "one\ntwo\nthree\n"


@given(st.lists(st.text()), st.integers(1, 9))
def test_records_do_not_depend_on_where_the_file_is_cut(texts: list[str], size: int) -> None:
    file = "".join(json.dumps({"t": text}, ensure_ascii=len(text) % 2 == 0) + "\n" for text in texts)
    chunks = [file[i : i + size] for i in range(0, len(file), size)]

    expected = "".join(text if text.endswith("\n") else text + "\n" for text in texts)
    assert "".join(line_stream(json_lines(chunks, "t", "talk.jsonl"))) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"talk\.jsonl, line 3: not JSON \(.*\); each line has to be one JSON object"),
        ("[" * 100_000, r"line 3: not JSON"),
        ('"text"', r"line 3: JSON, but not an object; each line has to be one JSON object"),
        ('{"body": "x", "n": 1}', r"line 3: no text in the field 'text'; choose another with --field: body$"),
        ('{"text": null}', r"line 3: no text in the field 'text'; no other field holds text"),
        ('{"text": "\\ud800"}', r"line 3: a lone surrogate"),
    ],
)
def test_a_bad_line_is_named(line: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read('{"text": "fine"}\n\n' + line + "\n")
