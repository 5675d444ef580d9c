"""`lmgen answers`: how often a model answers the lines of a file right."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import report
from lmgen.cli.flags import option
from lmgen.cli.listed import listed_texts
from lmgen.cli.options import (
    EncodingOption,
    FieldOption,
    JsonOption,
    ModelOrTextArgument,
    QuietOption,
    file_name,
    model_and_texts,
    open_model,
)
from lmgen.cli.output import TextOutput, json_line, visible
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError
from lmgen.settings import shown

if TYPE_CHECKING:
    from lmgen.generation.answers import Accuracy, AnswerResults

MOST_LENGTHS = 12
"""More different lengths than these are put together, each group twice as wide as the one before."""

COUNTS = (
    Column("instances", is_number=True),
    Column("exact", is_number=True),
    Column("accuracy", is_number=True),
)


def answers(
    model: ModelOrTextArgument = None,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="The questions with their answers, one a line, or - for stdin (default: the run's own "
            "held-out text).",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        str | None,
        option(
            help="What is between a question and its answer; the first in a line counts.",
            by_default="the model's own",
            metavar="MARK",
        ),
    ] = None,
    choices: Annotated[
        list[str] | None,
        option(
            help="Choose among these answers the one of highest probability; may be repeated. One with a "
            "comma is put in double quotes.",
            by_default="any text, always the likeliest token",
            metavar="TEXT,TEXT,...",
        ),
    ] = None,
    baseline: Annotated[
        bool | None,
        option(
            "--baseline/--no-baseline",
            help="The run's n-gram baseline beside the model.",
            by_default="on where there is one",
        ),
    ] = None,
    output_format: Annotated[
        Literal["table", "json", "tsv"] | None,
        option(
            "--format", help="How results are printed; tsv has a line for each answer.", by_default="table"
        ),
    ] = None,
    json: JsonOption = False,
    field: FieldOption = None,
    encoding: EncodingOption = None,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Let a model answer each line of a file, and say how many answers are right.

    A line is a question, a mark and the right answer: 12+3=15. The model reads all up to the mark.

    lmgen answers checkpoints/add test.txt

    lmgen answers checkpoints/reviews test.tsv --after $'\\t' --choices good,bad --format tsv
    """
    with report.reported_errors():
        if json and output_format not in (None, "json"):
            raise ConfigError(f"--json and --format {output_format} contradict each other; give one of them")
        path, names = model_and_texts([] if model is None else [model, *(texts or [])])
        if len(names) > 1:
            raise ConfigError(f"give one FILE at a time, not {', '.join(map(visible, names))}")
        results = open_model(path).answers(
            *map(file_name, names),
            after=after,
            choices=listed_texts("--choices", choices or []),
            baseline=baseline,
            field=field,
            encoding=encoding,
            on_note=report.note,
        )
        with TextOutput() as output:
            if json or output_format == "json":
                output.write(json_line(results.to_json()))
            else:
                for line in _tsv(results) if output_format == "tsv" else _tables(results):
                    output.write(line)


def _tsv(results: "AnswerResults") -> Iterator[str]:
    """A line of column names, then one for each answer; `correct` is 1 or 0."""
    yield "\t".join(results.answers[0].values()) + "\n"
    for each in results.answers:
        cells = [
            str(int(value)) if isinstance(value, bool) else str(value) for value in each.values().values()
        ]
        yield "\t".join(map(visible, cells)) + "\n"


def _tables(results: "AnswerResults") -> Iterator[str]:
    """The accuracy of each model; then by the length of the answer, and by the answer where there are few."""
    yield f"{visible(results.text)}\n"
    rows = [(results.model, *_counts(results))]
    if results.baseline is not None:
        rows.append((results.baseline_model or "", *_counts(results.baseline)))
    often = round(results.majority_accuracy * results.instances)
    rows.append(("majority", f"{results.instances:,}", f"{often:,}", f"{results.majority_accuracy:.2%}"))
    yield from table((Column("model"), *COUNTS), rows)
    yield f"\nmajority: always {shown(results.majority_answer)}\n\n"
    yield from _broken_down("length", {_range(*each): of for each, of in _lengths(results).items()})
    if results.by_label:
        yield "\n"
        yield from _broken_down("answer", results.by_label)


def _broken_down(heading: str, groups: "Mapping[str, Accuracy]") -> Iterator[str]:
    rows = [(name, *_counts(each)) for name, each in groups.items()]
    return table((Column(heading), *COUNTS), rows)


def _counts(accuracy: "Accuracy | AnswerResults") -> tuple[str, str, str]:
    return f"{accuracy.instances:,}", f"{accuracy.exact:,}", f"{accuracy.accuracy:.2%}"


def _lengths(results: "AnswerResults") -> "dict[tuple[int, int], Accuracy]":
    """The accuracy by ranges of lengths, (first, last): of one length each, unless there are many."""
    by_length = results.by_length
    if len(by_length) <= MOST_LENGTHS:
        return {(length, length): each for length, each in by_length.items()}
    groups: dict[tuple[int, int], Any] = {}
    for length, each in by_length.items():
        first = 1 << length.bit_length() >> 1
        group = (first, max(2 * first - 1, 0))
        groups[group] = each if group not in groups else groups[group].with_others(each)
    return groups


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
