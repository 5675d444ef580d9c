"""`lmgen perplexity`: measure how well a model and its n-gram baseline predict texts."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.options import JsonOption, QuietOption, file_name, model_and_texts, open_model
from lmgen.cli.output import flushing
from lmgen.cli.scores import By, print_json, print_tables, print_tsv
from lmgen.errors import ConfigError
from lmgen.text.config import ReadingConfig
from lmgen.text.units import Unit

if TYPE_CHECKING:
    from lmgen.text.sources import Text

Format = Literal["table", "json", "tsv"]


def perplexity(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A run folder or a .safetensors file; the newest run under checkpoints/ if left out.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Files, folders or - (stdin); the run's own held-out text if left out.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            help="What a result covers; a record or a line is a text of its own, and a word is between "
            "white space."
        ),
    ] = "document",
    unit: Annotated[
        Unit | None,
        typer.Option(
            help="What is read afresh: the document, each line or each record (by line and by word: line; by "
            "record: record; else what is one text for the model).",
            show_default=False,
        ),
    ] = None,
    blank_with: Annotated[
        Literal["next", "previous"] | None,
        typer.Option(
            help="By word: the word that the blank between two words is counted with (next).",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        bool | None,
        typer.Option(
            "--baseline/--no-baseline",
            help="The run's n-gram baseline beside the model (on by document, else off; with it, a first "
            "column `model` tells the results apart).",
            show_default=False,
        ),
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(min=1, help="Fit a baseline of this order anew on the run's training text."),
    ] = None,
    orders: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST",
            help="By document: fit baselines of all these orders; a column `parameters` counts their "
            "n-grams, and the model's weights, a column `possible` all n-grams that there could be, V^n.",
            show_default=False,
        ),
    ] = None,
    mix: Annotated[
        bool,
        typer.Option(
            "--mix", help="Also the mixture of model and baseline, weighted on the run's validation text."
        ),
    ] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Read a text as one stream, and score it as it arrives; otherwise a long one as parallel "
            "streams that each warm up on the tokens before them.",
        ),
    ] = False,
    output_format: Annotated[
        Format | None, typer.Option("--format", help="How results are printed (table).", show_default=False)
    ] = None,
    json: JsonOption = False,
    field: Annotated[
        str | None,
        typer.Option(
            help="The field that holds the text in CSV, TSV, JSON and JSON Lines (text); stdin is JSON Lines "
            "if it is given.",
            show_default=False,
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="The character encoding of the texts (that of the model's training text).",
            show_default=False,
        ),
    ] = None,
    newlines: Annotated[
        Literal["keep", "lf"],
        typer.Option(help=r"lf: read the line ends \r\n and \r of the texts as \n.", show_default=False),
    ] = "keep",
    normalize: Annotated[
        Literal["none", "nfc", "nfkc"],
        typer.Option(help="Bring the texts into a Unicode normal form first.", show_default=False),
    ] = "none",
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Say how well a model predicts texts, in perplexity and in bits.

    lmgen perplexity checkpoints/demo book.txt

    lmgen perplexity checkpoints/demo stimuli.txt --by word --format tsv

    zcat log.gz | lmgen perplexity checkpoints/demo - --by line --format tsv | sort -t$'\\t' -k5gr | head
    """
    with report.reported_errors():
        output = _chosen_format(output_format, json)
        path, names = model_and_texts([] if model is None else [model, *(texts or [])])
        opened = open_model(path)
        reading = ReadingConfig(newlines=newlines, normalize=normalize)
        scores = opened.perplexity(
            *map(
                _flushing,
                opened.texts(
                    *map(file_name, names),
                    field=field,
                    encoding=encoding,
                    reading=reading,
                    on_note=report.note,
                ),
            ),
            by=by,
            unit=unit,
            blank_with=blank_with,
            baseline=baseline,
            order=order,
            orders=_range(orders),
            mix=mix,
            exact=exact,
            on_note=report.note,
        )
        names_models = by == "document" or bool(baseline) or order is not None or mix
        if output == "json":
            print_json(scores)
        elif output == "tsv":
            print_tsv(scores, names_models)
        else:
            print_tables(scores, by, names_models)
        sys.stdout.flush()


def _chosen_format(output_format: Format | None, json: bool) -> Format:
    if json and output_format not in (None, "json"):
        raise ConfigError(f"--json and --format {output_format} contradict each other; give one of them")
    return "json" if json else output_format or "table"


def _flushing(text: "Text") -> "Text":
    """Wrap a text so that stdout is flushed before waiting for its next chunk."""
    return replace(
        text,
        chunks=lambda: flushing(text.chunks()),
        records=None if text.records is None else lambda: flushing(text.record_chunks()),
    )


def _range(orders: str | None) -> range:
    """Parse a range of orders, such as `1-8` or `5`; empty for None."""
    if orders is None:
        return range(0)
    first, _, last = orders.partition("-")
    try:
        asked = range(int(first), int(last or first) + 1)
    except ValueError:
        raise ConfigError(f"--orders is {orders!r}, but has to be such as 1-8") from None
    if not asked or asked[0] < 1:
        raise ConfigError(f"--orders is {orders!r}, but orders go from 1 on, the lowest first")
    return asked
