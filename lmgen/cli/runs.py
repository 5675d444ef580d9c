"""`lmgen runs`: list runs, or say how two of them differ."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion
from lmgen.cli.options import JsonOption, QuietOption
from lmgen.cli.output import TextOutput, json_line, visible
from lmgen.cli.report import note, reported_errors
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.runs.listing import Difference, RunListing

COLUMNS = (
    Column("name", least=12),
    Column("corpus"),
    Column("tokens"),
    Column("model", least=10),
    Column("size", is_number=True),
    Column("steps", is_number=True),
    Column("loss", is_number=True),
    Column("age", is_number=True),
    Column("state", least=8),
)
"""The loss is that on the validation text, in nats per token."""

SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
"""Units of parameters, the largest first."""

AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))
"""Seconds of each unit of time, the longest first."""


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER | RUN RUN",
            help="The folder whose runs are listed (checkpoints), or two runs to compare.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    sort: Annotated[
        Literal["age", "name", "corpus", "parameters", "steps", "loss"],
        typer.Option(help="What comes first: the newest, the first by name, the smallest, the best."),
    ] = "age",
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    List runs with corpus, size, steps, loss and age, the newest first; or say how two runs differ.

    The size is in parameters (n-grams of an n-gram model), the loss that on the validation text, in nats per
    token. A run is training now, stopped (--resume goes on with it) or finished.

    lmgen runs --sort loss

    lmgen runs checkpoints/book checkpoints/good
    """
    with reported_errors():
        from lmgen.data.run_folder import CHECKPOINTS
        from lmgen.runs.listing import compare_runs, list_runs

        given = folders or []
        if len(given) > 2:
            raise ConfigError(f"runs takes a folder or two runs, but was given {len(given)}")
        with TextOutput() as output:
            if len(given) == 2:
                differences = compare_runs(*given)
                if not differences:
                    note(f"{given[0]} and {given[1]} differ in no setting and no result")
                lines = (
                    map(json_line, map(asdict, differences))
                    if json
                    else _compared(given, differences, output.columns)
                )
            else:
                listed = list_runs(given[0] if given else CHECKPOINTS, sort)
                lines = (
                    (json_line(each.to_json()) for each in listed)
                    if json
                    else table(COLUMNS, map(_row, listed), output.columns)
                )
            for line in lines:
                output.write(line)


def _row(run: "RunListing") -> tuple[str, ...]:
    """The cells of a run in the table."""
    return (
        run.name,
        _shown(run.corpus),
        _shown(run.tokenizer),
        _shown(run.model),
        _size(run.parameters),
        _shown(run.steps),
        _shown(run.valid_nats_per_token),
        _age(run.age_seconds),
        _shown(run.state),
    )


def _compared(paths: list[Path], differences: "list[Difference]", fit: int | None) -> Iterator[str]:
    columns = [Column("differs"), *(Column(visible(str(path))) for path in paths)]
    rows = [(each.name, _shown(each.first), _shown(each.second)) for each in differences]
    return table(columns, rows, fit)


def _size(count: int | None) -> str:
    """A number of parameters in three or four digits: `950`, `7.29k`, `12.3M`."""
    if count is None or count < 999.5:
        return _shown(count)
    size, unit = next((size, unit) for size, unit in SIZES if count >= 0.9995 * size)
    return f"{count / size:.3g}{unit}"


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
