"""`lmgen perplexity`: measure how well a model and its n-gram baseline predict texts."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from lmgen.cli import report
from lmgen.cli.flags import given, option, settings_as_options
from lmgen.cli.heat import KeptText, print_heat
from lmgen.cli.options import (
    CacheOption,
    EncodingOption,
    FieldOption,
    JsonOption,
    ModelOrTextArgument,
    QuietOption,
    RareDeviceOption,
    file_name,
    model_and_texts,
    open_model,
)
from lmgen.cli.output import flushing
from lmgen.cli.progress import reading_shown
from lmgen.cli.scores import By, print_json, print_tables, print_tsv
from lmgen.errors import ConfigError
from lmgen.models.adapting import AdaptingConfig, CacheConfig
from lmgen.settings import Panel
from lmgen.text.config import ReadingConfig
from lmgen.text.units import Unit

if TYPE_CHECKING:
    from lmgen.evaluation.results import TokenScore
    from lmgen.text.sources import Text

Format = Literal["table", "json", "tsv", "heat"]


@settings_as_options(AdaptingConfig, CacheConfig)
def perplexity(
    model: ModelOrTextArgument = None,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Files, folders, or - for stdin (default: the run's own held-out text).",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        By,
        option(
            help="What a result covers; a record or a line is a text of its own, and a word is between "
            "white space."
        ),
    ] = "document",
    unit: Annotated[
        Unit | None,
        option(
            help="What is read afresh, the document, each line or each record.",
            by_default="line by line and by word, record by record, else what is one text for the model",
            panel=Panel.TEXT,
        ),
    ] = None,
    blank_with: Annotated[
        Literal["next", "previous"] | None,
        option(
            help="By word, the word that the blank between two words is counted with.",
            by_default="next",
            panel=Panel.SCORES,
        ),
    ] = None,
    baseline: Annotated[
        bool | None,
        option(
            "--baseline/--no-baseline",
            help="The run's n-gram baseline beside the model; by line, word and token a first column `model` "
            "tells the results apart.",
            by_default="on by document, else off",
        ),
    ] = None,
    order: Annotated[
        int | None,
        option(
            help="Fit a baseline of this order anew on the run's training text.", panel=Panel.SCORES, min=1
        ),
    ] = None,
    orders: Annotated[
        str | None,
        option(
            help="By document, fit baselines of all these orders; a column `parameters` counts their "
            "n-grams, and the model's weights, a column `possible` all n-grams that there could be, V^n.",
            panel=Panel.SCORES,
            metavar="FIRST-LAST",
        ),
    ] = None,
    mix: Annotated[
        bool,
        option(
            "--mix", help="Also the mixture of model and baseline, weighted on the run's validation text."
        ),
    ] = False,
    adapt: Annotated[
        bool,
        option(
            "--adapt",
            help="Also the same models learning from the text as they read it, each token scored before it "
            "is learned from; with --mix also their mixture.",
        ),
    ] = False,
    adapt_across: Annotated[
        bool,
        option(
            "--adapt-across",
            help="With --adapt or --cache, keep what was learned from line to line, record to record and "
            "text to text; otherwise each begins with the model as trained.",
            panel=Panel.SCORES,
        ),
    ] = False,
    cache: CacheOption = False,
    save_adapted: Annotated[
        Path | None,
        option(
            help="With --adapt, write the network with what it learned to this new file.",
            panel=Panel.SCORES,
        ),
    ] = None,
    exact: Annotated[
        bool,
        option(
            "--exact",
            help="Read a text as one stream, and score it as it arrives; otherwise a long one as parallel "
            "streams that each warm up on the tokens before them.",
            panel=Panel.SCORES,
        ),
    ] = False,
    output_format: Annotated[
        Format | None,
        option(
            "--format",
            help="How results are printed; heat is, by token, the text itself in colours.",
            by_default="table",
        ),
    ] = None,
    json: JsonOption = False,
    field: FieldOption = None,
    encoding: EncodingOption = None,
    newlines: Annotated[
        Literal["keep", "lf"],
        option(help=r"With lf, the line ends \r\n and \r of the texts are read as \n.", panel=Panel.TEXT),
    ] = "keep",
    normalize: Annotated[
        Literal["none", "nfc", "nfkc"],
        option(help="Bring the texts into a Unicode normal form first.", panel=Panel.TEXT),
    ] = "none",
    device: RareDeviceOption = "cpu",
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    **settings: Any,
) -> None:
    """
    Say how well a model predicts texts, in perplexity and in bits.

    lmgen perplexity checkpoints/demo book.txt --mix --adapt

    lmgen perplexity checkpoints/demo stimuli.txt --by word --format tsv

    zcat log.gz | lmgen perplexity checkpoints/demo - --by line --format tsv | sort -t$'\\t' -k5gr | head
    """
    with report.reported_errors(), reading_shown() as bar:
        from lmgen.text.progress import reading as shown_reading
        from lmgen.text.reading import read_alike

        output = _chosen_format(output_format, json)
        if output == "heat" and by != "token":
            raise ConfigError(f"--format heat colours each token: add --by token in place of --by {by}")
        path, names = model_and_texts([] if model is None else [model, *(texts or [])])
        opened = open_model(path).on_device(device)
        reading = ReadingConfig(newlines=newlines, normalize=normalize)
        to_score = opened.texts(
            *map(file_name, names),
            field=field,
            encoding=encoding,
            reading=reading,
            once=not (mix or adapt or cache),
            on_note=report.note,
        )
        kept = [KeptText(read_alike(text, opened.tokenizer.reading)) for text in to_score]
        scores = opened.perplexity(
            *([each.text for each in kept] if output == "heat" else map(_flushing, to_score)),
            by=by,
            unit=unit,
            blank_with=blank_with,
            baseline=baseline,
            order=order,
            orders=_range(orders),
            mix=mix,
            adapt=adapt,
            adapt_across=adapt_across,
            cache=cache,
            save_adapted=save_adapted,
            exact=exact,
            on_note=report.note,
            **given(settings),
        )
        names_models = by == "document" or bool(baseline) or order is not None or mix or adapt or cache
        scores = bar.hidden_for(scores)
        with shown_reading("scoring", _files(to_score, by)):
            if output == "json":
                print_json(scores)
            elif output == "tsv":
                print_tsv(scores, names_models)
            elif output == "heat":
                print_heat(cast("Iterator[TokenScore]", scores), kept)
            else:
                longest = "mixture" + "+adapt" * adapt + "+cache" * cache
                print_tables(scores, by, names_models, longest_name=longest if adapt or cache else "")
        sys.stdout.flush()


def _chosen_format(output_format: Format | None, json: bool) -> Format:
    if json and output_format not in (None, "json"):
        raise ConfigError(f"--json and --format {output_format} contradict each other; give one of them")
    return "json" if json else output_format or "table"


def _files(texts: "Sequence[Text]", by: By) -> "list[Path]":
    """The files of texts, if a bar is to show how far they are read; rows on a terminal show that."""
    if by != "document" and sys.stdout.isatty():
        return []
    return [file for text in texts for file in text.files or ()]


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
    first, dash, last = orders.partition("-")
    try:
        asked = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise ConfigError(f"--orders is {orders!r}, but has to be such as 1-8") from None
    if not asked or asked[0] < 1:
        raise ConfigError(f"--orders is {orders!r}, but orders go from 1 on, the lowest first")
    return asked
