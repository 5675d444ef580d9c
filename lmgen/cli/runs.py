"""`lmgen runs`: list runs, or say how two of them differ."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgen.cli import completion
from lmgen.cli.options import JsonOption, QuietOption
from lmgen.cli.output import TextOutput, json_line
from lmgen.cli.report import reported_errors
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.runs.listing import Difference, RunListing

COLUMNS = (
    Column("name"),
    Column("corpus"),
    Column("tokens"),
    Column("model"),
    Column("parameters", is_number=True),
    Column("steps", is_number=True),
    Column("valid nats", is_number=True),
    Column("age", is_number=True),
)

AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))
"""Seconds of each unit of time, the longest first."""


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER | RUN RUN",
            help="A folder whose runs are listed, or two runs to compare (default: checkpoints).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    List runs with corpus, size, steps, loss and age, the newest first; or say how two runs differ.

    lmgen runs checkpoints/book checkpoints/good
    """
    with reported_errors():
        from lmgen.runs.listing import compare_runs, list_runs

        given = folders or []
        if len(given) > 2:
            raise ConfigError(f"runs takes a folder or two runs, but was given {len(given)}")
        with TextOutput() as output:
            if len(given) == 2:
                differences = compare_runs(*given)
                lines = map(json_line, map(asdict, differences)) if json else _compared(given, differences)
            else:
                listed = list_runs(*given)
                lines = (json_line(each.to_json()) for each in listed) if json else _listed(listed)
            for line in lines:
                output.write(line)


def _listed(runs: "list[RunListing]") -> Iterator[str]:
    return table(
        COLUMNS,
        [
            (
                run.name,
                _shown(run.corpus),
                _shown(run.tokenizer),
                _shown(run.model),
                _shown(run.parameters),
                _shown(run.steps),
                _shown(run.valid_nats_per_token),
                _age(run.age_seconds),
            )
            for run in runs
        ],
    )


def _compared(paths: list[Path], differences: "list[Difference]") -> Iterator[str]:
    columns = [Column("differs"), *(Column(str(path)) for path in paths)]
    rows = [(each.name, _shown(each.first), _shown(each.second)) for each in differences]
    return table(columns, rows)


def _shown(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:,.4g}"
        case int():
            return f"{value:,}"
        case list():
            return " ".join(map(str, value)) or "-"
        case _:
            return str(value)


def _age(seconds: float) -> str:
    """A time in its largest unit: `3 h`."""
    for size, unit in AGES:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
