"""Labelled texts: four formats that become one, told apart by their beginnings; one clear error per fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError
from lmgen.text.config import LabelFormat, LabelOf
from lmgen.text.labels import found_format, instances, labelled, lines_of, unlabelled
from lmgen.text.sources import Text

LINE = "a fine film\tpositive\n\ndull\tnegative\n"
WORD = "the/DET dog/NOUN barks/VERB\n\nand/or/CONJ stops/VERB\n"
COLUMNS = "the DET\ndog NOUN\n\n\nstops VERB\n"
TABBED = "the\tB-NP\tDET\ndog\tI-NP\tNOUN\n\nstops\tO\tVERB\n"
UNIVERSAL = (
    "# text = vámonos al mar\n1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_\n1\tvamos\tir\tVERB\t_\t_\t0\troot\t_\t_\n"
    "2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_\n2.1\t_\t_\tVERB\t_\t_\t_\t_\t_\t_\n\n# text = mil\n"
    "1\t10 000\tmil\tNUM\t_\t_\t0\troot\t_\t_\n"
)
ROWS = "the dog barks\tDET NOUN VERB\nstops\tVERB\n"


def text(content: str, size: int = 7) -> Text:
    return Text("file", lambda: iter([content[n : n + size] for n in range(0, len(content), size)]))


def read(content: str, form: LabelFormat | None = None, of: LabelOf | None = None) -> list[tuple[str, str]]:
    return list(instances(labelled(text(content), form, of).chunks()))


@pytest.mark.parametrize(
    ("content", "form", "expected"),
    [
        (LINE, "line", [("a fine film", "positive"), ("dull", "negative")]),
        (WORD, "word", [("the dog barks", "DET NOUN VERB"), ("and/or stops", "CONJ VERB")]),
        (COLUMNS, "columns", [("the dog", "DET NOUN"), ("stops", "VERB")]),
        (TABBED, "columns", [("the dog", "DET NOUN"), ("stops", "VERB")]),
        (UNIVERSAL, "columns", [("vamos nos", "VERB PRON"), ("10_000", "NUM")]),
        (ROWS, "rows", [("the dog barks", "DET NOUN VERB"), ("stops", "VERB")]),
        ("a\tb c\tlast one\nd\tX\n", "line", [("a\tb c", "last one"), ("d", "X")]),
        ("one\tA\ntwo\tB\n", "line", [("one", "A"), ("two", "B")]),
        ("one\tA\r\ntwo\tB", "line", [("one", "A"), ("two", "B")]),
        ("# a comment\none A\n\ntwo B\n", None, [("one", "A"), ("two", "B")]),
    ],
)
def test_each_format_is_told_and_read(
    content: str, form: LabelFormat | None, expected: list[tuple[str, str]]
) -> None:
    if form is not None:
        assert found_format(text(content)) == form
        assert read(content) == expected
    assert read(content, form or "columns") == expected


def test_a_file_of_columns_without_blank_lines_is_one_sentence_if_it_is_said_to_be() -> None:
    assert read("one\tA\ntwo\tB\n", "columns") == [("one two", "A B")]


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        ("a\tx\nb\n", "line", "file, line 2: it has no tab; put one between"),
        ("a\tx\nb\t\n", "line", "file, line 2: it has no label"),
        ("\tx\n", "line", "file, line 1: it has no text"),
        ("a/X\nb c/X\n", "word", "file, line 2: it has 'b'; write each word with a slash"),
        ("a/X b/\n", "word", "file, line 1: it has 'b/'"),
        ("a x\nb\n", "columns", "file, line 2: it has 1 columns, the lines before 2"),
        ("a\tx\nb c\ty\n", "columns", "file, line 2: it lacks a word or its label"),
        ("a b\tX\n", "rows", "file, line 1: it has 2 words and 1 labels"),
        ("a b c\nd e\n", None, "file, line 1: no labels are found; give lines of a text, a tab and a label"),
        ("a\tX\nb\n", None, "file, line 2: no labels are found"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_to_do(
    content: str, form: LabelFormat | None, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read(content, form)


def test_texts_labelled_otherwise_than_the_training_text_are_refused() -> None:
    with pytest.raises(CorpusError, match="in it each line has one, there each word has one"):
        read(LINE, None, "word")
    assert read(ROWS, None, "word") == read(ROWS)


@given(st.text(alphabet="a\n\r\tb"), st.integers(1, 5))
def test_lines_are_the_same_in_any_chunks(content: str, size: int) -> None:
    whole = list(lines_of([content]))

    assert list(lines_of(text(content, size).chunks())) == whole
    assert (
        "".join(f"{line}\n" for line in whole)
        == "".join(f"{line.removesuffix(chr(13))}\n" for line in content.split("\n"))[
            : None if content and not content.endswith("\n") else -1
        ]
    )


def test_texts_without_their_labels_are_lines() -> None:
    assert "".join(unlabelled(labelled(text(WORD), None).chunks())) == "the dog barks\nand/or stops\n"
