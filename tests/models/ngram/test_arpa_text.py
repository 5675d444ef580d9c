"""Whatever is wrong with an ARPA file is told in one line that says where; nothing wrong passes."""

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import CorpusError, ModelError
from lmgen.models.ngram.arpa import read_arpa
from tests.models.ngram.arpa_files import SMALL, written


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b\x08" + bytes(20), "it looks like gzip; give it a name that ends in .gz"),
        (b"BZh91AY&SY", "it looks like bzip2"),
        (b"mmap lm some address format version 5\n\0" + bytes(99), "a binary of KenLM's build_binary"),
        (b"SRILM_BINARY_NGRAM_002\n", "a binary of SRILM"),
        (b"blmt 3 100 100\n", "a binary of IRSTLM"),
        (b"iARPA\n\n\\data\\\nngram 1=2\n", "an IRSTLM iARPA file"),
        (b"qARPA 3\n256 256\n\\data\\\n", "a quantized IRSTLM file"),
        (b"\n<!DOCTYPE HTML>\n<html><body>Not found</body>", "it is an HTML page"),
        (b"<HTML>", "it is an HTML page"),
        (b'\x10\0\0\0\0\0\0\0{"__metadata__"', "it is a .safetensors file; use it as a MODEL"),
        ("once upon a time\n" * 9, r"no line in it is \\data\\"),
        (SMALL.encode("utf-16"), "it looks like UTF-16"),
    ],
)
def test_a_file_of_another_kind_is_named(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_arpa(written(tmp_path, content))
    assert str(tmp_path / "model.arpa") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=4", "ngram 2=5", "line 19: there are 4 2-grams above, but .* announces 5"),
        ("ngram 2=4", "ngram 2=3", "line 19: there are 4 2-grams above, but .* announces 3"),
        ("ngram 2=4", "ngram 2=four", "line 3: 'ngram 2=four' stands where the numbers of n-grams should"),
        ("ngram 2=4\n", "", "line 3: the number of 3-grams, where that of 2-grams should be"),
        ("ngram 3=2\n", "", r"line 18: '.*3-grams:' stands where \\end\\ should"),
        ("ngram 3=2", "ngram 3=2\nngram 4=1", r"line 24: '.*end.*' stands where \\4-grams: should"),
        ("\\2-grams:", "\\3-grams:", r"line 13: '.*3-grams:' stands where \\2-grams: should"),
        ("-1\tb", "-1,0\tb", "line 11: '-1,0' is not a number"),
        ("-0.375\ta a\t0", "-0.375\ta a\tzero", "line 16: 'zero' is not a number"),
        ("-0.375\ta a\t0", "nan\ta a\t0", "line 16: 'nan' is not a number"),
        ("-0.375\ta a\t0", "-0.375\ta a\tnan", "line 16: 'nan' is not a number"),
        ("-0.375\ta a\t0", "-0.375\ta a\tinf", "line 16: 'inf' is no backoff"),
        ("-0.375\ta a\t0", "0.1\ta a\t0", "line 16: '0.1' is a probability above 1"),
        ("-0.375\ta a\t0", "-0.375\ta\t0", "line 16: the word '0' is not among the 1-grams"),
        ("-0.375\ta a\t0", "-0.375\ta\t", "line 16: '-0.375.*a' has 2 columns, where a 2-gram has 3, or 4"),
        ("-0.375\ta a\t0", "-0.375\ta a\t0\t0", "line 16: .* has 5 columns"),
        ("-0.375\ta a\t0", "-0.375\ta c\t0", "line 16: the word 'c' is not among the 1-grams"),
        ("-0.375\ta a\t0", "-0.375\ta b\t0", "line 16: the 2-gram of line 15 is there a second time"),
        ("-1\tb", "-1\ta", "line 11: the 1-gram 'a' is there a second time"),
        ("-1\tb\t", "-1\t\0\t", "line 7: there is a NUL byte in or after it"),
        ("\n\\end\\\n", "", "line 21: it ends here, without .*: it is cut short"),
        ("-0.1875\ta a b\n\n\\end\\\n", "", "line 20: it ends in the 3-grams, after 1 of 2: it is cut short"),
        (" a b\n\n\\end\\\n", "", "line 21: it ends in the middle of this line: it is cut short"),
        (SMALL[SMALL.index("\n\\3") :], "", "line 17: it ends before the 3-grams: it is cut short"),
        (SMALL[SMALL.index("\nngram 1") :], "", "line 1: nothing says how many n-grams there are"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SMALL
    with pytest.raises(ModelError, match=message) as caught:
        read_arpa(written(tmp_path, SMALL.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmgen.models.ngram.arpa_text.LONGEST_LINE_BYTES", 2000)
    with pytest.raises(ModelError, match="line 2: this line is too long"):
        read_arpa(written(tmp_path, b"# comment\n" + b"x" * 10**7))


def test_columns_of_two_lines_that_make_up_for_each_other_are_not_mixed_up(tmp_path: Path) -> None:
    text = SMALL.replace("-0.5\ta b\t-0.03125", "-0.5\ta b a\t-0.03125").replace(
        "-0.375\ta a\t0", "-0.375\ta a"
    )
    with pytest.raises(ModelError, match=r"line 15: .* has 5 columns"):
        read_arpa(written(tmp_path, text))


def test_words_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"line 11: .* is not UTF-8"):
        read_arpa(written(tmp_path, SMALL.encode().replace(b"-1\tb", b"-1\t\xe9")))


def test_a_damaged_archive_and_a_missing_file_are_named(tmp_path: Path) -> None:
    cut = gzip.compress(SMALL.encode())[:-20]
    with pytest.raises(CorpusError, match="is damaged"):
        read_arpa(written(tmp_path, cut, "model.arpa.gz"))
    with pytest.raises(CorpusError, match="No such file"):
        read_arpa(tmp_path / "nothing.arpa")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = SMALL.encode()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    raw = raw[:start] + data.draw(st.binary(max_size=4)) + raw[end:]
    path = written(tmp_path_factory.mktemp("damaged"), raw)
    with suppress(ModelError):
        model, _ = read_arpa(path)
        assert np.isfinite(model.predict(model.start(1))).all()
