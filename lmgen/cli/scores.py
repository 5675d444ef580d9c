"""Printing scores: as JSON Lines, as tab-separated values, and as tables for people."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from json import dumps
from typing import TYPE_CHECKING, Any, Literal

from lmgen.cli.output import TextOutput, counted, visible
from lmgen.cli.tables import Column, table_as_it_comes

if TYPE_CHECKING:
    from lmgen.evaluation.comparison import Score

By = Literal["document", "record", "line", "word", "token"]
"""What a score covers; equals evaluation.comparison.By, which is slow to import."""

Row = dict[str, Any]
"""The values of a score by their names; `model` and `text` come first."""


def print_json(scores: "Iterable[Score]") -> None:
    """Print one JSON object per line."""
    with TextOutput() as output:
        for score in scores:
            output.write(dumps(score.to_json()) + "\n")


def print_tsv(scores: "Iterable[Score]", names_models: bool) -> None:
    """Print a line of column names, then a line for each score; `names_models`: with a column `model`."""
    columns: list[str] = []
    with TextOutput() as output:
        for row in (score.values() for score in scores):
            if not columns:
                columns = [key for key in row if key != "model" or names_models]
                output.write("\t".join(columns) + "\n")
            output.write("\t".join(_tsv_cell(row[column]) for column in columns) + "\n")


def _tsv_cell(value: object) -> str:
    """A value without exponents, which `sort -n` does not understand; empty for None; True is 1."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.6f}"
        case int():
            return str(int(value))
        case _:
            return visible(str(value))


def print_tables(scores: "Iterable[Score]", by: By, names_models: bool, longest_name: str = "") -> None:
    """
    Print a table for each text, under a line with its name, row by row as the scores come.

    `longest_name` is that of the models, if one is known to be long.
    """
    rows = (score.values() for score in scores)
    between = ""
    with TextOutput() as output:
        for name, of_the_text in groupby(rows, key=lambda row: str(row["text"])):
            first = next(of_the_text)
            output.write(f"{between}{visible(name)}{_length(first)}\n")
            for line in _table(
                _table_columns(first, by, names_models), chain([first], of_the_text), len(longest_name)
            ):
                output.write(line)
            between = "\n"


def _table_columns(row: Row, by: By, names_models: bool) -> list[str]:
    """The keys that a table shows, without those that would be empty in it."""
    left_out = set() if names_models else {"model"}
    if not row.get("unknown_tokens"):
        left_out.add("perplexity_without_unknown")
    if not names_models and row.get("matched") is None:
        left_out.add("matched")
    left_out |= {key for key in ("parameters", "possible", "unigram_bits") if key not in row}
    return [key for key in _TABLES[by] if key not in left_out]


def _length(row: Row) -> str:
    """The length of a text, in all units of its figures: `: 4 tokens, 4 characters, ...`."""
    if "characters" not in row:
        return ""
    units = [counted(row[f"{unit}s"], unit) for unit in ("token", "character", "byte", "word")]
    if row["unknown_tokens"]:
        units.append(f"{row['unknown_tokens']:,} unknown")
    return ": " + ", ".join(units)


def _table(keys: list[str], rows: Iterable[Row], name_width: int) -> Iterator[str]:
    """The lines of the table that shows these values of each row; names of models take `name_width`."""
    columns = [
        Column(
            _COLUMNS[key][0],
            is_number=key not in ("model", "token", "word"),
            least=max(9, name_width) if key == "model" else 9,
        )
        for key in keys
    ]
    return table_as_it_comes(columns, ([_table_cell(key, row[key]) for key in keys] for row in rows))


def _table_cell(key: str, value: Any) -> str:
    return "-" if value is None else _COLUMNS[key][1](value)


def _count(value: int) -> str:
    return f"{value:,}"


def _power(value: int) -> str:
    """V^n: with an exponent where it is large, and larger than any float it may be."""
    from decimal import Decimal

    return f"{value:,}" if value < 1e9 else f"{Decimal(value):.2e}"


def _four_decimals(value: float) -> str:
    return f"{value:,.4f}"


def _perplexity(value: float) -> str:
    """At least four digits; an exponent only for very large numbers: 3.271, 812.3, 12,345, 1.23e+12."""
    if value >= 1e9:
        return f"{value:.2e}"
    decimals = 4 - len(str(int(value)))
    return f"{value:,.{max(decimals, 0)}f}"


_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "model": ("model", str),
    "parameters": ("parameters", _count),
    "possible": ("possible n-grams", _power),
    "nats_per_token": ("nats/token", _four_decimals),
    "perplexity": ("perplexity", _perplexity),
    "perplexity_without_unknown": ("without unknown", _perplexity),
    "bits_per_character": ("bits/character", _four_decimals),
    "bits_per_byte": ("bits/byte", _four_decimals),
    "word_perplexity": ("word perplexity", _perplexity),
    "line": ("line", _count),
    "tokens": ("tokens", _count),
    "nats": ("nats", _four_decimals),
    "index": ("index", _count),
    "offset": ("offset", _count),
    "surprisal_bits": ("bits", _four_decimals),
    "rank": ("rank", _count),
    "token": ("token", str),
    "unit": ("unit", _count),
    "log10": ("log10", _four_decimals),
    "matched": ("matched", _count),
    "unknown_tokens": ("unknown", _count),
    "word": ("word", str),
    "entropy_bits": ("entropy", _four_decimals),
    "unigram_bits": ("unigram", _four_decimals),
    "unknown": ("unknown", lambda unknown: "yes" if unknown else "-"),
}
"""The heading of each column, and the function that formats its values."""

_LINE_COLUMNS = (
    "model",
    "line",
    "tokens",
    "nats",
    "perplexity",
    "bits_per_character",
    "log10",
    "unknown_tokens",
)

_TABLES: dict[By, tuple[str, ...]] = {
    "document": (
        "model",
        "parameters",
        "possible",
        "nats_per_token",
        "perplexity",
        "perplexity_without_unknown",
        "bits_per_character",
        "bits_per_byte",
        "word_perplexity",
    ),
    "record": _LINE_COLUMNS,
    "line": _LINE_COLUMNS,
    "word": ("model", "unit", "index", "surprisal_bits", "entropy_bits", "unigram_bits", "unknown", "word"),
    "token": ("model", "unit", "index", "offset", "surprisal_bits", "rank", "matched", "token"),
}
"""The columns of each table; words and tokens are last, since the characters of some scripts are wide."""
