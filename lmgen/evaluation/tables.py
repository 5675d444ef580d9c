"""Scores as tables for notebooks, which show an object by its `_repr_html_`."""

from collections.abc import Iterable
from html import escape
from typing import Protocol, TypeVar

MOST_ROWS = 100
"""The most rows that a notebook shows."""


class HasValues(Protocol):
    """What is a row of a table."""

    def values(self) -> dict[str, object]:
        """The values of the row by the names of the columns."""


R = TypeVar("R", bound=HasValues)


class Scores(list[R]):
    """A list of scores, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        return html_table(self)


def html_table(rows: Iterable[HasValues]) -> str:
    """Rows as an HTML table with a head; every text is escaped. Many rows are cut short."""
    values = [row.values() for row in rows]
    columns = list(dict.fromkeys(name for row in values for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(row.get(name)))}</td>" for name in columns) + "</tr>"
        for row in values[:MOST_ROWS]
    )
    more = len(values) - MOST_ROWS
    rest = f"<p>and {more:,} more</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)
