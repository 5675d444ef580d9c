"""
Tables for people: aligned columns, whatever is in their cells.

Widths are those that a terminal shows: a Chinese character takes two columns, a combining mark none. Cells
are escaped (output.py) and cut, so that no cell can break a table.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lmgen.cli.output import visible

WIDEST_CELL = 60
"""The most columns of a terminal that a cell takes if others follow it; a longer one is cut."""

NARROWEST_CELL = 6
"""How far a column of words may be narrowed for the table to fit on a terminal."""

FIRST_COMBINING = "\u0300"
"""All printable characters before this one, the first combining mark, take one column."""

BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    heading: str
    is_number: bool = False
    """Whether its cells are aligned to the right and never cut."""
    least: int = 0
    """Its least width."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], fit: int | None = None) -> Iterator[str]:
    """
    The lines of a table with its headings, each with a line end; columns are as wide as their widest cell.

    Args:
        columns: from left to right.
        rows: the cells of each row.
        fit: columns of the terminal; words are cut, the widest column first, until the table fits.
    """
    cells = [_cells(columns, row) for row in rows]
    headings = [column.heading for column in columns]
    widths = [
        max(column.least, *map(width, each)) for column, *each in zip(columns, headings, *cells, strict=True)
    ]
    if fit is not None:
        _narrow(widths, columns, fit)
    for row in [headings, *cells]:
        yield _line(columns, [fitting(*each) for each in zip(row, widths, strict=True)], widths)


def table_as_it_comes(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """As `table`, but each line is yielded when its row comes."""
    growing = GrowingTable(columns)
    yield growing.heading()
    yield from map(growing.row, rows)


class GrowingTable:
    """A table whose lines come before all its rows are known; a wide cell widens its column from there on."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._widths = [max(width(column.heading), column.least) for column in columns]

    def heading(self) -> str:
        """The line of headings, with its line end."""
        return _line(self._columns, [column.heading for column in self._columns], self._widths)

    def row(self, row: Sequence[str]) -> str:
        """The line of a row, with its line end."""
        cells = _cells(self._columns, row)
        self._widths = [max(wide, width(cell)) for wide, cell in zip(self._widths, cells, strict=True)]
        return _line(self._columns, cells, self._widths)


def width(text: str) -> int:
    """The number of columns that a text takes on a terminal."""
    if text.isascii() or (max(text) < FIRST_COMBINING and text.isprintable()):
        return len(text)
    from rich.cells import cell_len  # takes a while to load

    return cell_len(text)


def fitting(text: str, most: int) -> str:
    """A text that takes at most so many columns of a terminal; what is cut off is shown as `…`."""
    if width(text) <= most:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, most - 1).rstrip() + "…"


def _cells(columns: Sequence[Column], row: Sequence[str]) -> list[str]:
    """The cells of a row, escaped; those that others follow are cut if they are too wide."""
    *others, last = map(visible, row)
    cut = [
        cell if column.is_number else fitting(cell, WIDEST_CELL)
        for column, cell in zip(columns, others, strict=False)
    ]
    return [*cut, last]


def _narrow(widths: list[int], columns: Sequence[Column], fit: int) -> None:
    """Narrow columns of words, always the widest, until the table fits or none can be narrowed."""
    while sum(widths) + len(BETWEEN) * (len(widths) - 1) > fit:
        can_be = [
            (wide, place)
            for place, (wide, column) in enumerate(zip(widths, columns, strict=True))
            if not column.is_number and wide > max(column.least, NARROWEST_CELL, width(column.heading))
        ]
        if not can_be:
            return
        widths[max(can_be)[1]] -= 1


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for column, cell, wide in zip(columns, cells, widths, strict=True):
        blanks = " " * (wide - width(cell))
        padded.append(blanks + cell if column.is_number else cell + blanks)
    return BETWEEN.join(padded).rstrip() + "\n"
