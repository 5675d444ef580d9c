"""Tables stay aligned, whatever is in their cells."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lmgen.cli.tables import WIDEST_CELL, Column, table, table_as_it_comes

COLUMNS = (Column("name"), Column("tokens", is_number=True), Column("text"))


def test_words_to_the_left_and_numbers_to_the_right() -> None:
    assert list(table(COLUMNS, [("a", "1,234,567", "x"), ("longer", "2", "")])) == [
        "name       tokens  text\n",
        "a       1,234,567  x\n",
        "longer          2\n",
    ]


@given(st.lists(st.tuples(st.text(max_size=90), st.integers(0, 10**9).map(str), st.just("|")), max_size=6))
def test_no_cell_breaks_a_table(rows: list[tuple[str, str, str]]) -> None:
    heading, *lines = table(COLUMNS, rows)

    place = heading.index("text")
    for line in lines:
        assert line.count("\n") == 1
        assert cell_len(line.rstrip("\n")) == place + 1  # the last column begins where its heading does
        assert place <= WIDEST_CELL + 20


WIDE = st.text(st.sampled_from("a中文字é\u0301👩\u200d🌾❤️ｗ한\t\n\x1b"), max_size=90)


@given(st.lists(st.tuples(WIDE, st.integers(0, 10**9).map(str), WIDE), max_size=4), st.integers(40, 100))
def test_a_table_fits_on_the_terminal(rows: list[tuple[str, str, str]], fit: int) -> None:
    heading, *lines = table(COLUMNS, rows, fit)

    tokens = heading.index("tokens") + len("tokens")
    for line, (_, number, _) in zip(lines, rows, strict=True):
        assert cell_len(line.rstrip("\n")) <= fit
        before = line[: line.index(f" {number}") + 1 + len(number)]
        assert cell_len(before) == tokens, "numbers are whole and end below their heading"


def test_what_is_cut_ends_in_an_ellipsis_and_the_last_column_is_whole_in_a_pipe() -> None:
    long = "x" * 99

    assert list(table(COLUMNS, [(long, "1", long)]))[1] == f"{'x' * 59}…       1  {long}\n"
    assert list(table(COLUMNS, [(long, "1", "y")], 30))[1] == f"{'x' * 15}…       1  y\n"


def test_chinese_takes_two_columns_and_a_combining_mark_none() -> None:
    lines = list(table((Column("a"), Column("b")), [("中文", "1"), ("e\u0301e", "2")]))

    assert lines == ["a     b\n", "中文  1\n", "e\u0301e    2\n"]


def test_lines_come_as_their_rows_do() -> None:
    taken: list[int] = []

    def rows() -> Iterator[tuple[str, str, str]]:
        for number in range(3):
            taken.append(number)
            yield ("x" * 9 * number, str(number), "")

    lines = table_as_it_comes(COLUMNS, rows())
    next(lines)
    assert taken == []
    next(lines)
    assert taken == [0]
    assert [line.rstrip("\n") for line in lines] == ["xxxxxxxxx       1", "xxxxxxxxxxxxxxxxxx       2"]
