"""`lmgen inspect`: what goes on inside a model, computed by lmgen/inspection."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option, with_flags
from lmgen.cli.options import (
    JsonOption,
    QuietOption,
    file_name,
    file_to_write,
    models_and_text,
    open_model,
)
from lmgen.cli.output import TextOutput, json_line, visible
from lmgen.cli.pages import Command, CommandGroup
from lmgen.data.run_folder import files_with
from lmgen.errors import ConfigError
from lmgen.files import refuse_input
from lmgen.text.units import Unit

if TYPE_CHECKING:
    from lmgen.inspection.chart import Chart
    from lmgen.inspection.states import TextVector
    from lmgen.text.sources import Text
    from lmgen.text_model import TextModel

inspect = typer.Typer(
    help="Look inside a model: its states and gates, how far gradients reach, how much context it uses.",
    cls=CommandGroup,
    no_args_is_help=True,
)

Row = Mapping[str, Any]

MOST_LINES = 16
"""The most lines in a picture of states."""

SHOWN_DISTANCES = (0, 1, 2, 5, 10, 20, 50, 100)
"""Distances in the table that stands under a plot on a terminal."""

ArgumentsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [TEXT]",
        help="A run folder or a model file (none: the newest run), and a file, folder or - for stdin (none: "
        "the run's held-out text).",
        show_default=False,
        autocompletion=completion.models,
    ),
]
LayersOption = Annotated[
    str | None,
    option(metavar="N,N", help="Only these recurrent layers, such as 0,1, counted from 0."),
]
UnitsOption = Annotated[
    str | None,
    option(metavar="N,N-N", help="Only these units of each layer, such as 0,5,10-19, counted from 0."),
]
NamesOption = Annotated[
    str | None,
    option(
        metavar="NAME,NAME",
        help="Only these parts of the state and gates, by their names in `lmgen info --cells`.",
    ),
]
UnitOption = Annotated[
    Unit | None,
    option(help="What is read afresh.", by_default="what is one text for the model"),
]
SvgOption = Annotated[
    Path | None, option(metavar="FILE", help="Also draw a picture, as SVG.", callback=file_to_write)
]


@inspect.command(cls=Command)
@with_flags
def states(
    arguments: ArgumentsArgument = None,
    layers: LayersOption = None,
    units: UnitsOption = None,
    names: NamesOption = None,
    last: Annotated[
        bool, option("--last", help="One row a text: what there is after its last token.")
    ] = False,
    mean: Annotated[bool, option("--mean", help="One row a text: the mean over its tokens.")] = False,
    unit: UnitOption = None,
    npz: Annotated[
        Path | None,
        option(
            metavar="FILE",
            help="Write arrays for numpy.load to this file, in the place of rows: tokens by units.",
            callback=file_to_write,
        ),
    ] = None,
    svg: SvgOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Print the states and gates of a network at each token of a text, a row for each number.

    lmgen inspect states checkpoints/demo book.txt --names c --units 0-3

    lmgen inspect states checkpoints/demo names.txt --last --names h --unit line > features.tsv
    """
    with report.reported_errors():
        model, text = _model_and_text(arguments)
        _keep_inputs([model], text, svg, npz)
        chosen: dict[str, Any] = {**_selected(layers, units, names), "unit": unit, "on_note": report.note}
        if last and mean:
            raise ConfigError("--last and --mean contradict each other; give one of them")
        if svg and (last or mean or npz):
            raise ConfigError("--svg draws states token by token; leave --last, --mean and --npz out")
        if npz and json:
            raise ConfigError(
                "--npz writes a file in the place of rows, which --json prints; give one of them"
            )
        from lmgen.inspection import pictures
        from lmgen.inspection import states as inspection

        reader = inspection.StateReader(
            model.model, inspection.Selection(chosen["layers"], chosen["units"], chosen["names"])
        )
        if last or mean:
            vectors = model.state_vectors(text, pool="last" if last else "mean", **chosen)
            if npz:
                inspection.save_arrays(npz, inspection.vectors_in_file(vectors))
            else:
                _print_rows(_vector_rows(vectors, reader.units, json=json), json=json)
            return
        read = model.states(text, **chosen)
        if npz:
            inspection.save_arrays(npz, inspection.in_file(read))
            return
        lines = sum(map(len, reader.units.values()))
        if svg and lines > MOST_LINES:
            raise ConfigError(
                f"--svg draws at most {MOST_LINES} lines, not {lines:,}: choose some with --layers, --names "
                "and --units"
            )
        columns = ("index", "token", "layer", "name", "unit", "value")
        numbers = inspection.rows(reader, read, model.tokenizer.escaped_piece)
        rows: Iterable[Row] = (dict(zip(columns, row, strict=True)) for row in numbers)
        if svg:
            rows = list(rows)
            pictures.states_chart(rows).save(svg)
        _print_rows(rows, json=json)


@inspect.command(cls=Command)
@with_flags
def gates(
    arguments: ArgumentsArgument = None,
    by: Annotated[Literal["gate", "unit"], option(help="What a row is about.")] = "gate",
    layers: LayersOption = None,
    units: UnitsOption = None,
    names: NamesOption = None,
    unit: UnitOption = None,
    svg: SvgOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Print how often gates are nearly open (above 0.9) and nearly closed (below 0.1) over a text.

    The picture has a point for each unit, as in Karpathy, Johnson and Fei-Fei 2015.

    lmgen inspect gates checkpoints/demo book.txt --svg gates.svg

    lmgen inspect gates checkpoints/demo book.txt --by unit --names forget | sort -t$'\\t' -k4gr | head
    """
    with report.reported_errors():
        model, text = _model_and_text(arguments)
        _keep_inputs([model], text, svg)
        from lmgen.inspection.gates import summaries
        from lmgen.inspection.pictures import gates_chart

        shares = model.gates(text, **_selected(layers, units, names), unit=unit, on_note=report.note)
        if svg:
            gates_chart(shares).save(svg)
        rows = [each.values() for each in (shares if by == "unit" else summaries(shares))]
        if by == "gate" and not json and sys.stdout.isatty():
            _print_table(rows)
        else:
            _print_rows(rows, json=json)


@inspect.command(cls=Command)
@with_flags
def gradients(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] [TEXT]",
            help="Any number of run folders or model files (none: the newest run, or only those of --cell), "
            "and a file, folder or - for stdin (none: the run's held-out text).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    cell: Annotated[
        str | None,
        option(
            metavar="NAME,NAME",
            help="Also, or without MODEL only, untrained networks with these cells.",
        ),
    ] = None,
    hidden_size: Annotated[
        int | None, option(help="Of --cell: units of each layer.", by_default="256")
    ] = None,
    layers: Annotated[int | None, option(help="Of --cell: recurrent layers.", by_default="1")] = None,
    embedding_size: Annotated[
        int | None, option(help="Of --cell: length of a token's vector.", by_default="64")
    ] = None,
    init: Annotated[
        Literal["orthogonal", "uniform"] | None,
        option(help="Of --cell: how the matrices of recurrent layers start.", by_default="orthogonal"),
    ] = None,
    init_scale: Annotated[
        float | None,
        option(
            help="Of --cell: factor on orthogonal matrices, or the range of uniform ones.",
            by_default="1, or 0.08",
        ),
    ] = None,
    init_memory: Annotated[
        int | None,
        option(
            help="Of --cell: start the gates so that units remember for up to N tokens.",
            by_default="as the cell says",
        ),
    ] = None,
    seed: Annotated[int | None, option(help="Of --cell: seed of the random weights.", by_default="0")] = None,
    distance: Annotated[int, option(help="The largest distance, in tokens.", min=0)] = 100,
    positions: Annotated[
        int, option(help="Over how many places of the text norms are averaged.", min=1)
    ] = 64,
    svg: SvgOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Print the norm of d loss(t) / d h(t-k), and of d loss(t) / d c(t-k), for every distance k.

    The mean of the L2 norms at places t spread over the text, exact, for each layer. A gradient is taken by
    all ways from a state to the loss.

    lmgen inspect gradients --cell rnn,gru,lstm --hidden-size 128 book.txt --svg gradients.svg

    lmgen inspect gradients checkpoints/demo --cell lstm book.txt
    """
    with report.reported_errors():
        shape = {
            "hidden_size": hidden_size,
            "layers": layers,
            "embedding_size": embedding_size,
            "init": init,
            "init_scale": init_scale,
            "init_memory": init_memory,
            "seed": seed,
        }
        given = {name: value for name, value in shape.items() if value is not None}
        models, text = _models(arguments or [], cell, given)
        _keep_inputs([model for _, model in models], text, svg)
        found = [
            (name, each)
            for name, model in models
            for each in model.gradients(text, distance=distance, positions=positions, on_note=report.note)
        ]
        from lmgen.inspection.pictures import gradients_chart

        chart = gradients_chart(found)
        if svg:
            chart.save(svg)
        if not json and sys.stdout.isatty():
            shown = [{**each.values(), "model": name} for name, each in found]
            _print_plot(chart, [row for row in shown if row["distance"] in (*SHOWN_DISTANCES, distance)])
        else:
            _print_rows(({**each.values(), "model": name} for name, each in found), json=json)


@inspect.command(cls=Command)
@with_flags
def memory(
    arguments: ArgumentsArgument = None,
    contexts: Annotated[
        str | None,
        option(
            metavar="N,N",
            help="Numbers of tokens of context.",
            by_default="0 and the powers of 2 up to 256",
        ),
    ] = None,
    positions: Annotated[
        int, option(help="How many tokens are predicted, spread evenly over the text.", min=1)
    ] = 512,
    baseline: Annotated[
        bool | None,
        option(
            "--baseline/--no-baseline",
            help="The run's n-gram baseline beside the model.",
            by_default="on, if there is one",
        ),
    ] = None,
    svg: SvgOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Print the loss of any model as a function of how many tokens of context it was given.

    The same tokens are predicted each time, from the start state and the n tokens before them.

    lmgen inspect memory checkpoints/demo book.txt --svg memory.svg
    """
    with report.reported_errors():
        model, text = _model_and_text(arguments)
        _keep_inputs([model], text, svg)
        wanted = {} if contexts is None else {"contexts": _numbers("--contexts", contexts)}
        found = model.memory(text, **wanted, positions=positions, baseline=baseline, on_note=report.note)
        rows = [each.values() for each in found]
        from lmgen.inspection.pictures import memory_chart

        chart = memory_chart(found)
        if svg:
            chart.save(svg)
        if not json and sys.stdout.isatty():
            _print_plot(chart, rows)
        else:
            _print_rows(rows, json=json)


UNTRAINED = "untrained"
"""What networks with random weights are called in the column `model`."""


def _model_and_text(arguments: list[str] | None) -> "tuple[TextModel, str | Path | None]":
    models, text = models_and_text(arguments or [], most=1)
    return open_model(models[0] if models else None), None if text is None else file_name(text)


def _keep_inputs(
    models: "Iterable[TextModel]", text: object, svg: Path | None, npz: Path | None = None
) -> None:
    """Refuse to write a picture or arrays over the text or the files of the runs that they are of."""
    read = [path for model in models for path in files_with(model.path)]
    read += [Path(text)] if isinstance(text, str | Path) else []
    for flag, file in (("--svg", svg), ("--npz", npz)):
        if file is not None:
            refuse_input(file, flag, *read)


def _models(
    arguments: list[str], cells: str | None, shape: dict[str, Any]
) -> "tuple[list[tuple[str, TextModel]], str | Path | Text | None]":
    """The networks whose gradients are wanted, each with its name, and the text."""
    from lmgen.text_model import TextModel, read_by_each

    paths, name = models_and_text(arguments, most=len(arguments))
    text: str | Path | Text | None = None if name is None else file_name(name)
    if cells is None:
        if shape:
            flag = "--" + next(iter(shape)).replace("_", "-")
            raise ConfigError(
                f"{flag} is for untrained networks: name their cells with --cell, or leave it out"
            )
        opened = [open_model(path) for path in paths] or [open_model(None)]
        return list(map(_named, opened)), text if len(opened) == 1 else read_by_each(opened, text)
    if text is None and not paths:
        raise ConfigError("an untrained network has no text of its own; name a TEXT")
    opened = [open_model(path) for path in paths]
    text = read_by_each(opened, text)  # an untrained network reads it twice
    like = opened[0] if opened else None
    if text is None and like is not None:
        [text] = like.texts(on_note=report.note)
    assert text is not None
    names = [cell.strip() for cell in cells.split(",")]
    untrained = [TextModel.untrained(text, like=like, cell=name, **shape) for name in names]
    return [*map(_named, opened), *((UNTRAINED, model) for model in untrained)], text


def _named(model: "TextModel") -> "tuple[str, TextModel]":
    """A model with its run folder or file as its name."""
    return str(model.run.folder if model.run else model.path), model


def _selected(layers: str | None, units: str | None, names: str | None) -> dict[str, Any]:
    """The arguments of `TextModel.states` that say what is wanted."""
    return {
        "layers": None if layers is None else _numbers("--layers", layers),
        "units": None if units is None else _numbers("--units", units),
        "names": None if names is None else [name.strip() for name in names.split(",")],
    }


def _numbers(flag: str, text: str) -> list[int]:
    """Parse numbers and ranges: `0,5,10-12` -> 0, 5, 10, 11, 12."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal()) or max(len(first), len(last)) > 12:
            raise ConfigError(f"{flag} is {text!r}, but has to be numbers and ranges such as 0,5,10-19")
        if int(last) - int(first) not in range(1_000_000):
            raise ConfigError(f"{flag} is {text!r}, but the range {part.strip()} is empty or too long")
        found += range(int(first), int(last) + 1)
    return list(dict.fromkeys(found))


def _vector_rows(
    vectors: "Iterable[TextVector]", units: Mapping[str, Sequence[int]], *, json: bool
) -> Iterator[Row]:
    """A row a text: a column for each series and unit, in JSON a list for each series."""
    for each in vectors:
        row: dict[str, Any] = {"text": each.unit, "tokens": each.tokens}
        for name, values in each.series.items():
            listed = values.tolist()
            row |= (
                {name: listed}
                if json
                else {f"{name}.{unit}": value for unit, value in zip(units[name], listed, strict=True)}
            )
        yield row


def _print_rows(rows: Iterable[Row], *, json: bool) -> None:
    """Print JSON Lines, or a line of column names and tab-separated values."""
    columns: list[str] = []
    with TextOutput() as output:
        for row in rows:
            if json:
                output.write(json_line(dict(row)))
                continue
            if not columns:
                columns = list(row)
                output.write("\t".join(columns) + "\n")
            output.write("\t".join(map(_cell, row.values())) + "\n")


def _cell(value: object) -> str:
    """A value with as many digits as single precision has."""
    return f"{value:.9g}" if isinstance(value, float) else visible(str(value))


def _print_table(rows: Sequence[Row]) -> None:
    """Print rows for people."""
    from lmgen.cli.tables import Column, table

    columns = [Column(name, is_number=not isinstance(value, str)) for name, value in rows[0].items()]
    cells = [
        [f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows
    ]
    with TextOutput() as output:
        for line in table(columns, cells):
            output.write(line)


def _print_plot(chart: "Chart", rows: Sequence[Row]) -> None:
    """Print a chart and a table for people."""
    from lmgen.cli.curve import drawn_together

    curves = {each.label: (each.xs, each.ys) for each in chart.series}
    with TextOutput() as output:
        lines = drawn_together(curves, log_x=chart.x.log, log_y=chart.y.log)
        output.write("\n".join([f"{chart.title}: {chart.y.label}", "", *lines, "", ""]))
    _print_table(rows)
