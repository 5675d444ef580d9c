"""`lmgen perplexity`: how well a model predicts texts, and the n-gram baseline beside it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import chain, groupby, tee
from json import dumps
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import report
from lmgen.cli.options import JsonOption, QuietOption, open_model
from lmgen.errors import ConfigError, CorpusError, ModelError

if TYPE_CHECKING:
    from lmgen.evaluation.perplexity import LineScore, TokenScore
    from lmgen.models.base import LanguageModel
    from lmgen.text.sources import Text
    from lmgen.text_model import TextModel
    from lmgen.tokenizers.base import Tokenizer

Unit = Literal["document", "line", "token"]
Format = Literal["table", "json", "tsv"]
Row = dict[str, Any]
"""A result: its keys are the JSON's, in their order; `model` and `text` come first."""


def perplexity(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A run folder or a .safetensors file; the newest run under checkpoints/ if left out.",
            show_default=False,
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
    by: Annotated[Unit, typer.Option(help="What a result covers; a line is a text of its own.")] = "document",
    baseline: Annotated[
        bool | None,
        typer.Option(
            "--baseline/--no-baseline",
            help="The run's n-gram baseline beside the model (on by document, off by line and token, where a "
            "first column `model` tells the results apart).",
            show_default=False,
        ),
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(min=1, help="Fit a baseline of this order anew on the run's training text."),
    ] = None,
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
        typer.Option(help="Where the text is in the records of .jsonl files (text).", show_default=False),
    ] = None,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Say how well a model predicts texts, in perplexity and in bits.

    lmgen perplexity checkpoints/demo book.txt

    zcat log.gz | lmgen perplexity checkpoints/demo - --by line --format tsv | sort -t$'\\t' -k5gr | head
    """
    with report.reported_errors():
        output = _chosen_format(output_format, json)
        path, names = _model_and_texts([model, *(texts or [])] if model is not None else [])
        opened = open_model(path)
        opened_texts = [_open_text(name, opened.tokenizer, field) for name in names or [_held_out(opened)]]
        models = [opened.model, *_baseline(opened, by, baseline, order)]
        rows = chain.from_iterable(_rows(by, models, opened.tokenizer, text, exact) for text in opened_texts)
        names_models = by == "document" or len(models) > 1
        if output == "json":
            _print_json(rows)
        elif output == "tsv":
            _print_tsv(rows, names_models)
        else:
            _print_tables(rows, by, names_models)
        sys.stdout.flush()


def _chosen_format(output_format: Format | None, json: bool) -> Format:
    if json and output_format not in (None, "json"):
        raise ConfigError(f"--json and --format {output_format} contradict each other; give one of them")
    return "json" if json else output_format or "table"


def _model_and_texts(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """
    Tell MODEL from TEXT: MODEL is the first argument if it is a run folder or a .safetensors file.

    Raises:
        ModelError: the first argument is neither a model nor a text.
        ConfigError: a model stands where a text is expected.
    """
    if not arguments:
        return None, []
    first, *others = arguments
    model = Path(first) if _is_model(first) else None
    texts = arguments if model is None else others
    if model is None and first != "-" and not _exists(Path(first)):
        raise ModelError(
            f"there is no run, model file or text {_visible(first)}; `lmgen train` makes a model"
        )
    for text in texts:
        if _is_model(text):
            raise ConfigError(f"{text} is a model, not a text; give one MODEL, before the texts")
    return model, texts


def _is_model(argument: str) -> bool:
    """Whether it is a run folder (its training may not have got as far as a model) or a .safetensors file."""
    from lmgen.data.run_folder import MODEL_SUFFIX, RunFolder

    run = RunFolder(Path(argument))
    return argument.endswith(MODEL_SUFFIX) or _exists(run.model) or _exists(run.prepared)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, such as a text where the name of one is expected
        return False


def _held_out(opened: "TextModel") -> str:
    """The run's own test text, or its validation text."""
    if opened.run is None:
        raise CorpusError(f"{opened.path} is not in a run folder with a held-out text; name a text to score")
    text = opened.run.test_text if opened.run.test_text.exists() else opened.run.valid_text
    report.note(f"scoring the run's own held-out text, {text}")
    return str(text)


def _open_text(name: str, tokenizer: "Tokenizer", field: str | None) -> "Text":
    """Open a text to be read once; what has been printed is flushed before more of it is waited for."""
    from lmgen.text.sources import Text, open_text

    errors = "surrogateescape" if tokenizer.name == "byte" else "strict"
    text = open_text(name, field=field, errors=errors, once=True)
    for note in text.notes:
        report.note(note)
    return Text(name, lambda: _flushing(text.chunks()))


def _flushing(chunks: Iterable[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk
        sys.stdout.flush()


def _baseline(opened: "TextModel", by: Unit, wanted: bool | None, order: int | None) -> "list[LanguageModel]":
    """
    The n-gram model to show beside the model, if there is to be one.

    Raises:
        ModelError: it was asked for, but there is none.
        ConfigError: an order was given for a baseline that is not wanted.
    """
    if wanted is False and order is not None:
        raise ConfigError("--order and --no-baseline contradict each other; give one of them")
    asked_for = bool(wanted) or order is not None
    if not asked_for and (wanted is False or by != "document"):
        return []
    run = opened.run
    if run is None or (order is None and not run.ngram.exists()):
        why = "not in a run folder" if run is None else "of a run that was trained without one"
        if asked_for:
            advice = "name the run folder" if run is None else "fit one with --order"
            raise ModelError(f"there is no n-gram baseline: {opened.path} is {why}; {advice}")
        report.note(f"no n-gram baseline: {opened.path} is {why}")
        return []
    return [_stored_or_fitted(opened, order)]


def _stored_or_fitted(opened: "TextModel", order: int | None) -> "LanguageModel":
    """The baseline of the model's run, or one of another order fitted on the same tokens."""
    from lmgen.data.token_file import read_tokens
    from lmgen.models.model_file import load_model
    from lmgen.models.ngram import NgramModel

    run, tokenizer = opened.run, opened.tokenizer
    assert run is not None
    if run.ngram.exists():
        saved = load_model(run.ngram)
        if saved.tokenizer.to_json() != tokenizer.to_json():
            raise ModelError(f"{run.ngram} has another tokenizer than {opened.path}; was one of them copied?")
        if order is None or saved.model.name == f"ngram-{order}":
            return saved.model
    assert order is not None
    return NgramModel.fit(
        read_tokens(run.train_tokens),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.line_end if tokenizer.reads_lines else None,
    )


def _rows(
    by: Unit, models: "Sequence[LanguageModel]", tokenizer: "Tokenizer", text: "Text", exact: bool
) -> Iterator[Row]:
    """The results of all models for a text; or for its first line or token, then for the next, and so on."""
    from lmgen.evaluation.perplexity import compare_models, score_lines, score_tokens

    if by == "document":
        scores = compare_models(models, tokenizer, text.chunks(), text.name, exact=exact)
        if scores[0].note:
            report.note(scores[0].note)
        yield from map(_values, scores)
        return
    score: Callable[..., Iterator[LineScore | TokenScore]] = score_lines if by == "line" else score_tokens
    copies = tee(text.chunks(), len(models))
    readings = [
        score(model, tokenizer, chunks, text.name, exact=exact)
        for model, chunks in zip(models, copies, strict=True)
    ]
    for side_by_side in zip(*readings, strict=True):
        for model, result in zip(models, side_by_side, strict=True):
            yield {"model": model.name, **_values(result)}


def _values(score: Any) -> Row:
    return {field.name: getattr(score, field.name) for field in fields(score)}


def _print_json(rows: Iterable[Row]) -> None:
    """An object a line; JSON has no infinity."""
    for row in rows:
        finite = {
            key: None if isinstance(value, float) and not isfinite(value) else value
            for key, value in row.items()
        }
        sys.stdout.write(dumps(finite) + "\n")


def _print_tsv(rows: Iterable[Row], names_models: bool) -> None:
    """A line of column names, then a line for each result."""
    columns: list[str] = []
    for row in rows:
        if not columns:
            columns = [key for key in row if key != "model" or names_models]
            sys.stdout.write("\t".join(columns) + "\n")
        sys.stdout.write("\t".join(_tsv_cell(row[column]) for column in columns) + "\n")


def _tsv_cell(value: object) -> str:
    """No exponents, which `sort -n` does not understand; nothing for what is not known."""
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else _visible(str(value))


def _visible(name: str) -> str:
    """A name without line ends, tabs and other control characters."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def _print_tables(rows: Iterable[Row], by: Unit, names_models: bool) -> None:
    """A table for each text, under a line that names it; its rows are printed as they come."""
    between = ""
    for name, table in groupby(rows, key=lambda row: str(row["text"])):
        columns: list[str] = []
        for row in table:
            if not columns:
                columns = _table_columns(row, by, names_models)
                sys.stdout.write(f"{between}{_visible(name)}{_length(row)}\n")
                sys.stdout.write(_table_line(columns, [_COLUMNS[key][0] for key in columns]))
            sys.stdout.write(_table_line(columns, [_table_cell(key, row[key]) for key in columns]))
        between = "\n"


def _table_columns(row: Row, by: Unit, names_models: bool) -> list[str]:
    """The keys whose values a table shows, those that say nothing in it left out."""
    left_out = set() if names_models else {"model"}
    if not row.get("unknown_tokens"):
        left_out.add("perplexity_without_unknown")
    return [key for key in _TABLES[by] if key not in left_out]


def _length(row: Row) -> str:
    """How long a text is, in all the units that its figures are given per."""
    if "characters" not in row:
        return ""
    units = [f"{row[unit]:,} {unit}" for unit in ("tokens", "characters", "bytes", "words")]
    if row["unknown_tokens"]:
        units.append(f"{row['unknown_tokens']:,} unknown")
    return ": " + ", ".join(units)


def _table_line(columns: list[str], cells: list[str]) -> str:
    """Cells under each other: words to the left, figures to the right."""
    padded = []
    for key, cell in zip(columns, cells, strict=True):
        width = max(len(_COLUMNS[key][0]), 9)
        padded.append(cell.ljust(width) if key in ("model", "token") else cell.rjust(width))
    return "  ".join(padded).rstrip() + "\n"


def _table_cell(key: str, value: Any) -> str:
    return "-" if value is None else _COLUMNS[key][1](value)


def _count(value: int) -> str:
    return f"{value:,}"


def _four_decimals(value: float) -> str:
    return f"{value:,.4f}"


def _perplexity(value: float) -> str:
    """Four digits or more, unless it is out of all proportion: 3.271, 812.3, 12,345, 1.23e+12."""
    if value >= 1e9:
        return f"{value:.2e}"
    decimals = 4 - len(str(int(value)))
    return f"{value:,.{max(decimals, 0)}f}"


_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "model": ("model", str),
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
}
"""What stands over a column, and how its values are written."""

_TABLES: dict[Unit, tuple[str, ...]] = {
    "document": (
        "model",
        "nats_per_token",
        "perplexity",
        "perplexity_without_unknown",
        "bits_per_character",
        "bits_per_byte",
        "word_perplexity",
    ),
    "line": ("model", "line", "tokens", "nats", "perplexity", "bits_per_character"),
    "token": ("model", "index", "offset", "surprisal_bits", "rank", "token"),
}
"""The columns of each table; tokens come last, since some scripts are wide."""
