"""`lmgen perplexity`: how well a model predicts texts, and the n-gram baseline beside it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.options import JsonOption, QuietOption, exists, is_model, open_model
from lmgen.cli.output import flushing, visible
from lmgen.cli.scores import Row, Unit, print_json, print_tables, print_tsv
from lmgen.errors import ConfigError, CorpusError, ModelError

if TYPE_CHECKING:
    from lmgen.evaluation.mixing import Mixture
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
    orders: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST",
            help="By document: fit baselines of all these orders; a column `parameters` counts their "
            "n-grams, and the model's weights.",
            show_default=False,
        ),
    ] = None,
    mixed: Annotated[
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
        _check_orders(by, orders, baseline, order, mixed=mixed)
        models = [
            *(opened.baseline(each) for each in _range(orders)),
            opened.model,
            *([] if orders else _baseline(opened, by, True if mixed else baseline, order)),
        ]
        scored = _Scored(opened, models, by, exact=exact, mixed=mixed, counted=orders is not None)
        rows = chain.from_iterable(map(scored.rows, opened_texts))
        names_models = by == "document" or len(models) + mixed > 1
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
    if model is None and first != "-" and not exists(Path(first)):
        from lmgen.data.run_folder import suggested_run

        advice = suggested_run(Path(first))
        raise ModelError(f"there is no run, model file or text {visible(first)}; {advice}")
    for text in texts:
        if is_model(text):
            raise ConfigError(f"{text} is a model, not a text; give one MODEL, before the texts")
    return model, texts


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
    return Text(name, lambda: flushing(text.chunks()))


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
    return [opened.baseline(order)]


def _check_orders(
    by: Unit, orders: str | None, baseline: bool | None, order: int | None, *, mixed: bool
) -> None:
    """Refuse flags about baselines that contradict each other."""
    problems = []
    if orders is not None and by != "document":
        problems.append("--orders compares whole texts, so it goes with --by document only")
    if orders is not None and (order is not None or baseline is not None):
        problems.append("--orders says which baselines there are: leave --order and --baseline out")
    if mixed and (order is not None or baseline is False):
        problems.append(
            "--mix mixes the model with its run's own baseline: leave --order and --no-baseline out"
        )
    if problems:
        raise ConfigError("; ".join(problems))


def _range(orders: str | None) -> range:
    """The orders that `1-8` or `5` means; none if nothing was asked for."""
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


class _Scored:
    """The models beside each other on one text after another."""

    def __init__(
        self,
        opened: "TextModel",
        models: "Sequence[LanguageModel]",
        by: Unit,
        *,
        exact: bool,
        mixed: bool,
        counted: bool,
    ) -> None:
        self._opened = opened
        self._models = models
        self._by = by
        self._exact = exact
        self._mixed = mixed
        self._counted = counted

    def rows(self, text: "Text") -> Iterator[Row]:
        """The results of all models for a text; or for its first line or token, then for the next."""
        if self._by == "document":
            return self._of_document(text)
        return self._of_parts(text)

    def _of_document(self, text: "Text") -> Iterator[Row]:
        from lmgen.evaluation.perplexity import compare_models

        models, mixture = list(self._models), None
        if self._mixed:
            models, mixture = self._mixture(text)
        tokenizer = self._opened.tokenizer
        scores = compare_models(
            models, tokenizer, text.chunks(), text.name, exact=self._exact, mixture=mixture
        )
        if scores[0].note:
            report.note(scores[0].note)
        for number, score in enumerate(scores):
            row = _values(score)
            if self._counted:
                row["parameters"] = _parameters(models[number]) if number < len(models) else None
            yield row

    def _of_parts(self, text: "Text") -> Iterator[Row]:
        from lmgen.evaluation.perplexity import readings, score_lines, score_tokens

        score: Callable[..., Iterator[LineScore | TokenScore]]
        score = score_lines if self._by == "line" else score_tokens
        models = list(self._models)
        if self._mixed:
            if self._is_validation(text):
                raise ConfigError(
                    f"--mix by {self._by} needs a TEXT: the weights were fitted on {text.name} itself"
                )
            models.append(self._opened.mixed().model)
        copies = readings(text.chunks(), len(models))
        scored = [
            score(model, self._opened.tokenizer, chunks, text.name, exact=self._exact)
            for model, chunks in zip(models, copies, strict=True)
        ]
        for side_by_side in zip(*scored, strict=True):
            for model, result in zip(models, side_by_side, strict=True):
                yield {"model": model.name, **_values(result)}

    def _mixture(self, text: "Text") -> "tuple[list[LanguageModel], Mixture]":
        """The models, the run's own baseline among them, and how it is mixed with the network."""
        from lmgen.evaluation.mixing import Mixture

        models = list(self._models)
        stored = self._opened.baseline()
        names = [model.name for model in models]
        if stored.name not in names:
            models.append(stored)
            names.append(stored.name)
        members = (models.index(self._opened.model), names.index(stored.name))
        fitted = self._opened.mixing_weights()
        return models, Mixture.of(members, fitted, validation=self._is_validation(text))

    def _is_validation(self, text: "Text") -> bool:
        """Whether it is the very text that the weights were fitted on, by whatever path."""
        run = self._opened.run
        return run is not None and Path(text.name).resolve() == run.valid_text.resolve()


def _parameters(model: "LanguageModel") -> int:
    """How many numbers were estimated: an n-gram model's n-grams, a network's weights."""
    return int(model.describe()["parameters"])


def _values(score: Any) -> Row:
    return {name: getattr(score, name) for name in score.__dataclass_fields__}
