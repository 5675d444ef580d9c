"""`lmgen perplexity`: how well a model predicts texts, and the n-gram baseline beside it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import report
from lmgen.cli.options import JsonOption, QuietOption, open_model
from lmgen.cli.scores import Row, Unit, print_json, print_tables, print_tsv, visible
from lmgen.errors import ConfigError, CorpusError, ModelError

if TYPE_CHECKING:
    from lmgen.evaluation.perplexity import LineScore, TokenScore
    from lmgen.models.base import LanguageModel
    from lmgen.text.sources import Text
    from lmgen.text_model import TextModel
    from lmgen.tokenizers.base import Tokenizer

Format = Literal["table", "json", "tsv"]


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
        typer.Option(
            help="The field that holds the text in JSON Lines (text); stdin is JSON Lines if it is given.",
            show_default=False,
        ),
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
        path, names = _model_and_texts([] if model is None else [model, *(texts or [])])
        opened = open_model(path)
        opened_texts = [_open_text(name, opened.tokenizer, field) for name in names or [_held_out(opened)]]
        models = [opened.model, *_baseline(opened, by, baseline, order)]
        rows = chain.from_iterable(_rows(by, models, opened.tokenizer, text, exact) for text in opened_texts)
        names_models = by == "document" or len(models) > 1
        if output == "json":
            print_json(rows)
        elif output == "tsv":
            print_tsv(rows, names_models)
        else:
            print_tables(rows, by, names_models)
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
    model = Path(first) if is_model(first) else None
    texts = arguments if model is None else others
    if model is None and first != "-" and not _exists(Path(first)):
        raise ModelError(f"there is no run, model file or text {visible(first)}; `lmgen train` makes a model")
    for text in texts:
        if is_model(text):
            raise ConfigError(f"{text} is a model, not a text; give one MODEL, before the texts")
    return model, texts


def is_model(argument: str) -> bool:
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

    text = open_text(name, field=field, errors=tokenizer.reading_errors, once=True)
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
    from lmgen.models.model_file import load_model
    from lmgen.training.ngram import fit

    run, tokenizer = opened.run, opened.tokenizer
    assert run is not None
    if run.ngram.exists():
        saved = load_model(run.ngram)
        if saved.tokenizer.to_json() != tokenizer.to_json():
            raise ModelError(f"{run.ngram} has another tokenizer than {opened.path}; was one of them copied?")
        if order is None or saved.model.name == f"ngram-{order}":
            return saved.model
    assert order is not None
    return fit(run, tokenizer, order)


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
