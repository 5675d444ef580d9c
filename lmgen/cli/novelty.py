"""`lmgen novelty`: what a model copies from its training text, and what share of its samples is new."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.options import (
    EncodingOption,
    FieldOption,
    JsonOption,
    QuietOption,
    file_name,
    model_and_texts,
    open_model,
)
from lmgen.cli.output import TextOutput, counted, json_line, visible
from lmgen.cli.tables import Column, fitting, table
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.evaluation.novelty import NgramNovelty, Novelty

OF_SAMPLES = ("length", "num", "temperature", "seed")
"""Flags that say how samples are drawn."""

PASSAGE_COLUMNS = (
    Column("characters", is_number=True),
    Column("sample", is_number=True),
    Column("offset", is_number=True),
    Column("times", is_number=True),
    Column("training line", is_number=True),
    Column("passage"),
)

LONGEST_SHOWN = 120
"""Characters of a passage that the table shows where there is no terminal to fit."""


def novelty(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A run folder, or an n-gram model that keeps its tokens (default: the newest run).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="A text to look at, or - for stdin (default: samples of the model).",
            show_default=False,
        ),
    ] = None,
    length: Annotated[int | None, option(help="Tokens of a sample.", by_default="500", min=1)] = None,
    num: Annotated[
        int | None,
        option(help="Samples to draw.", by_default="20, or 200 lines or records", min=1),
    ] = None,
    temperature: Annotated[
        float | None,
        option(help="Temperature of the samples: below 1 is safer.", by_default="1", min=0, metavar="T"),
    ] = None,
    seed: Annotated[
        int | None,
        option(help="The same seed gives the same samples.", by_default="a new seed each time", min=0),
    ] = None,
    top: Annotated[int, option(help="How many of the longest passages to list.", min=0)] = 10,
    output_format: Annotated[
        Literal["table", "json", "tsv"] | None,
        option("--format", help="How results are printed; tsv has a line a passage.", by_default="table"),
    ] = None,
    json: JsonOption = False,
    field: FieldOption = None,
    encoding: EncodingOption = None,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Say what a model copies: passages of its samples that stand in its training text, and what share is new.

    An n-gram is new if it occurs nowhere in the training text. Beside it stands the share of new ones in
    held-out text of the same length. No passage overlaps a longer one, or is part of it.

    lmgen novelty checkpoints/demo --length 2000 --temperature 0.7

    lmgen sample checkpoints/demo --prompt "A class is " | lmgen novelty checkpoints/demo -
    """
    with report.reported_errors():
        if json and output_format not in (None, "json"):
            raise ConfigError(f"--json and --format {output_format} contradict each other; give one of them")
        path, names = model_and_texts([] if model is None else [model, *(texts or [])])
        given = dict(zip(OF_SAMPLES, (length, num, temperature, seed), strict=True))
        settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if len(names) > 1:
            raise ConfigError(f"give one FILE at a time, not {', '.join(map(visible, names))}")
        found = open_model(path).novelty(
            *map(file_name, names), top=top, field=field, encoding=encoding, on_note=report.note, **settings
        )
        with TextOutput() as output:
            if json or output_format == "json":
                output.write(json_line(found.to_json()))
            else:
                for line in _tsv(found) if output_format == "tsv" else _tables(found, output.columns):
                    output.write(line)


def _tsv(found: "Novelty") -> Iterator[str]:
    """A line of column names, then one for each passage."""
    from lmgen.evaluation.novelty import Passage

    yield "\t".join(Passage.__dataclass_fields__) + "\n"
    for each in found.passages:
        yield "\t".join(visible(str(value)) for value in each.values().values()) + "\n"


def _tables(found: "Novelty", fit: int | None) -> Iterator[str]:
    """What was looked at; the share of new n-grams by length; the longest passages."""
    of = "" if found.text == "samples" else f"{visible(found.text)}: "
    yield (
        f"{of}{counted(found.samples, 'sample')}, {counted(found.tokens, 'token')}, "
        f"{counted(found.characters, 'character')}; training text {counted(found.training_tokens, 'token')}\n"
    )
    if found.whole is not None:
        yield f"{found.whole:,} of {found.samples:,} stand whole in the training text\n"
    of_tokens = [each for each in found.ngrams if each.of == "tokens"]
    of_characters = [each for each in found.ngrams if each.of == "characters"]
    alike = [(each.n, each.new) for each in of_tokens] == [(each.n, each.new) for each in of_characters]
    for name, ngrams in (
        (("characters", of_characters),)
        if alike
        else (
            ("tokens", of_tokens),
            ("characters", of_characters),
        )
    ):
        yield "\n"
        yield from _shares(name, ngrams)
    if found.passages:
        yield "\n"
        yield from table(
            PASSAGE_COLUMNS,
            [
                (
                    f"{each.characters:,}",
                    f"{each.sample:,}",
                    f"{each.offset:,}",
                    f"{each.occurrences:,}",
                    f"{each.training_line:,}",
                    fitting(visible(each.text), LONGEST_SHOWN),
                )
                for each in found.passages
            ],
            fit=fit,
        )


def _shares(name: str, ngrams: "list[NgramNovelty]") -> Iterator[str]:
    columns = [Column(name, is_number=True), Column("n-grams", is_number=True), Column("new", is_number=True)]
    has_held_out = any(each.held_out_share is not None for each in ngrams)
    if has_held_out:
        columns.append(Column("new in held-out text", is_number=True))
    rows = [
        (
            f"{each.n:,}",
            f"{each.ngrams:,}",
            f"{each.share:.2%}",
            *(["-" if each.held_out_share is None else f"{each.held_out_share:.2%}"] if has_held_out else []),
        )
        for each in ngrams
    ]
    return table(columns, rows)
