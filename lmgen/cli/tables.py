"""
Tables for people: aligned columns, whatever is in their cells.

Widths are those that a terminal shows: a Chinese character takes two columns, a combining mark none. Cells
are escaped (output.py) and cut, so that no cell can break a table.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lmgen.cli.output import visible

WIDEST_CELL = 60
"""The most columns of a terminal that a cell may take; a longer one is cut."""

BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    heading: str
    is_number: bool = False
    """Whether its cells are aligned to the right."""
    least: int = 0
    """Its least width, for a table that is printed before all its rows are known."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """
    The lines of a table with its headings, each with a line end; columns are as wide as their widest cell.

    Args:
        columns: from left to right.
        rows: the cells of each row.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    headings = [column.heading for column in columns]
    widths = [max(map(width, column)) for column in zip(headings, *cells, strict=True)]
    for row in [headings, *cells]:
        yield _line(columns, row, widths)


def table_as_it_comes(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """
    As `table`, but each line is yielded when its row comes; a wide cell widens its column from there on.
    """
    widths = [max(width(column.heading), column.least) for column in columns]
    yield _line(columns, [column.heading for column in columns], widths)
    for row in rows:
        cells = [_cell(cell) for cell in row]
        widths = [max(wide, width(cell)) for wide, cell in zip(widths, cells, strict=True)]
        yield _line(columns, cells, widths)


def width(text: str) -> int:
    """The number of columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # takes a while to load

    return cell_len(text)


def _cell(text: str) -> str:
    """A text as one cell: escaped, and cut if it is too wide."""
    text = visible(text)
    if width(text) <= WIDEST_CELL:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, WIDEST_CELL - 1).rstrip() + "…"


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for column, cell, wide in zip(columns, cells, widths, strict=True):
        blanks = " " * (wide - width(cell))
        padded.append(blanks + cell if column.is_number else cell + blanks)
    return BETWEEN.join(padded).rstrip() + "\n"
