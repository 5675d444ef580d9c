"""`lmgen pairs`: how often a model gives the acceptable sentence of a minimal pair the higher probability."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import report
from lmgen.cli.flags import option
from lmgen.cli.options import (
    JsonOption,
    ModelOrTextArgument,
    QuietOption,
    model_and_texts,
    open_model,
)
from lmgen.cli.output import TextOutput, json_line, visible
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.evaluation.pairs import PairAccuracy, PairResults

COUNTS = (
    Column("pairs", is_number=True),
    Column("right", is_number=True),
    Column("ties", is_number=True),
    Column("accuracy", is_number=True),
    Column("95% interval", is_number=True),
)


def pairs(
    model: ModelOrTextArgument = None,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="The pairs, a record each: JSON Lines, JSON, CSV or TSV; - is JSON Lines on stdin.",
            show_default=False,
        ),
    ] = None,
    good: Annotated[
        str, option(help="The field with the acceptable sentence.", metavar="FIELD")
    ] = "sentence_good",
    bad: Annotated[str, option(help="The field with the other sentence.", metavar="FIELD")] = "sentence_bad",
    group: Annotated[
        str | None,
        option(help="The field with the group that a pair belongs to, such as UID.", metavar="FIELD"),
    ] = None,
    baseline: Annotated[
        bool | None,
        option(
            "--baseline/--no-baseline",
            help="The run's n-gram baseline beside the model.",
            by_default="on where there is one",
        ),
    ] = None,
    mix: Annotated[bool, option("--mix", help="Also the mixture of model and baseline.")] = False,
    output_format: Annotated[
        Literal["table", "json", "tsv"] | None,
        option("--format", help="How results are printed; tsv has a line a pair.", by_default="table"),
    ] = None,
    json: JsonOption = False,
    encoding: Annotated[
        str | None,
        option(help="The character encoding of the file.", by_default="utf-8", metavar="NAME"),
    ] = None,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Say how often the acceptable sentence of a minimal pair is likelier than the other.

    Each sentence is a text of its own and is scored whole. A tie is wrong: the model has no preference.

    lmgen pairs checkpoints/demo blimp.jsonl --group UID

    cat *.jsonl | lmgen pairs checkpoints/demo - --good right --bad wrong --json
    """
    with report.reported_errors():
        if json and output_format not in (None, "json"):
            raise ConfigError(f"--json and --format {output_format} contradict each other; give one of them")
        if mix and baseline is False:
            raise ConfigError("--mix mixes the model with its run's own baseline: leave --no-baseline out")
        path, names = model_and_texts([] if model is None else [model, *(texts or [])])
        if len(names) != 1:
            given = f", not {', '.join(map(visible, names))}" if names else ""
            raise ConfigError(f"give one FILE with the pairs after MODEL{given}")
        results = open_model(path).pairs(
            names[0],
            good=good,
            bad=bad,
            group=group,
            baseline=baseline,
            mix=mix,
            encoding=encoding,
            on_note=report.note,
        )
        with TextOutput() as output:
            if json or output_format == "json":
                output.write(json_line(results.to_json()))
            else:
                for line in _tsv(results) if output_format == "tsv" else _tables(results, output.columns):
                    output.write(line)


def _tsv(results: "PairResults") -> Iterator[str]:
    """A line of column names, then one for each pair and model; `correct` is 1 or 0."""
    columns = [name for name in results.pairs[0].values() if name != "model" or len(results.models) > 1]
    yield "\t".join(columns) + "\n"
    for each in results.pairs:
        values = each.values()
        yield "\t".join(_cell(values[name]) for name in columns) + "\n"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case float():
            return f"{value:.6f}"
        case _:
            return visible(str(value))


def _tables(results: "PairResults", fit: int | None) -> Iterator[str]:
    """The accuracy of each model over all pairs; then by group."""
    yield f"{visible(results.text)}\n"
    yield from table(
        (Column("model"), *COUNTS), [(model, *_counts(results.overall(model))) for model in results.models]
    )
    several = len(results.models) > 1
    by_model = {model: results.groups(model) for model in results.models}
    rows = [
        (group, *([model] if several else []), *_counts(groups[group]))
        for group in by_model[results.models[0]]
        for model, groups in by_model.items()
    ]
    if rows:
        names = [Column("group"), *([Column("model")] if several else [])]
        yield "\n"
        yield from table((*names, *COUNTS), rows, fit=fit)


def _counts(of: "PairAccuracy") -> tuple[str, str, str, str, str]:
    low, high = of.interval
    return f"{of.pairs:,}", f"{of.correct:,}", f"{of.ties:,}", f"{of.accuracy:.2%}", f"{low:.1%}-{high:.1%}"
