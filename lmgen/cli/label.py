"""`lmgen label`: label texts or their words, or say how well a model does that."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.options import JsonOption, QuietOption, file_name, models_and_text, open_labels
from lmgen.cli.output import TextOutput, counted, json_line, print_result, visible
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from lmgen.evaluation.labels import Label, LabelScores
    from lmgen.label_model import LabelModel

CONFUSION_LABELS = 12
"""With more labels the confusion is a list of the most frequent mistakes instead of a matrix."""

MISTAKES = 20
"""How many mistakes that list has."""

Row = tuple[int, "Label | None", str | None]
"""The number of the text; what was predicted, None for a blank text; and what is right if that is known."""


def label(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] [TEXT]",
            help="A run folder or a model file, and a file of texts, a line each, - for stdin (default: the "
            "newest run, and its own held-out text with its labels).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    labelled: Annotated[
        bool,
        option(
            "--labelled",
            help="TEXT has labels: say how many the model gets right, in all and label by label.",
        ),
    ] = False,
    labels_as: Annotated[
        Literal["line", "word", "columns", "rows"] | None,
        option(
            help="With --labelled, how TEXT is labelled: line (text, tab, label), word (word/LABEL), columns "
            "(a line a word), rows (words, tab, labels).",
            by_default="as it looks",
        ),
    ] = None,
    output_format: Annotated[
        Literal["tsv"] | None,
        option(
            "--format",
            help="With tsv, a row for each text or word below a line of names, also of a labelled text.",
        ),
    ] = None,
    json: JsonOption = False,
    encoding: Annotated[
        str | None,
        option(
            help="The character encoding of TEXT.",
            by_default="that of the model's training text",
            metavar="NAME",
        ),
    ] = None,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Label texts, or their words, with a model of `lmgen train --labels`; or say how well it does.

    Each line of TEXT is printed with its label and the label's probability, with tabs between; of a model of
    words each word, and a blank line after each text. The row of a blank line is blank.

    lmgen label checkpoints/reviews new.txt

    lmgen label checkpoints/reviews test.tsv --labelled
    """
    with report.reported_errors():
        if json and output_format:
            raise ConfigError("--json and --format tsv contradict each other; give one of them")
        models, text = models_and_text(arguments or [], 1)
        labelled = labelled or text is None
        if labels_as is not None and not labelled:
            raise ConfigError("--labels-as is for a text with labels: give --labelled, too, or leave it out")
        model = open_labels(models[0] if models else None)
        source = None if text is None else file_name(text)
        if labelled and not output_format:
            scores = model.score(source, labels_as=labels_as, encoding=encoding)
            print_result(json_line(scores.to_json()) if json else "".join(_report(scores, model)))
            return
        rows: Iterator[Row] = (
            model.compare(source, labels_as=labels_as, encoding=encoding)
            if labelled
            else _labels(model, source, encoding)
        )
        _print_rows(rows, model, output_format or ("json" if json else "text"), labelled=labelled)


def _labels(model: "LabelModel", text: "str | Path | None", encoding: str | None) -> Iterator[Row]:
    """The labels of a text."""
    assert text is not None, "a text without labels is given"
    found = model.label_text(text, encoding=encoding, on_note=report.note)
    for number, parts in enumerate(found, start=1):
        if not parts:
            yield number, None, None
        yield from ((number, part, None) for part in parts)


def _print_rows(rows: Iterator[Row], model: "LabelModel", form: str, *, labelled: bool) -> None:
    """Print a line for each text or word, as they come."""
    of_words = model.model.of == "word"
    names = ["line", "word"] if of_words else ["text"]
    before = 1
    first = list(islice(rows, 1))  # a text that is refused leaves no line of names behind
    with TextOutput() as output:
        if form == "tsv":
            output.write("\t".join([*names, "label", "probability", *["expected"] * labelled]) + "\n")
        for number, part, right in chain(first, rows):
            if form == "text" and of_words:
                output.write("\n" * (number - before))
            before = number
            if part is None:
                if not of_words:
                    output.write(_blank_row(form, len(names) + 2))
                continue
            if form == "json":
                known = {"line": number, "word": part.text} if of_words else {"text": part.text}
                output.write(json_line({**known, "label": part.label, "probability": part.probability}))
                continue
            cells = [visible(part.text), visible(part.label), f"{part.probability:.4f}"]
            if form == "tsv":
                cells = [*[str(number)] * of_words, *cells, *([] if right is None else [visible(right)])]
            output.write("\t".join(cells) + "\n")


def _blank_row(form: str, cells: int) -> str:
    """The row of a blank line, so that rows and lines stand side by side."""
    if form == "json":
        return json_line({"text": "", "label": None, "probability": None})
    return "\t" * (cells - 1) * (form == "tsv") + "\n"


def _report(scores: "LabelScores", model: "LabelModel") -> Iterator[str]:
    """What a labelled text says of a model, as tables."""
    what = "word" if model.model.of == "word" else "text"
    yield (
        f"{counted(scores.instances, what)}: {scores.accuracy:.2%} right; always {visible(model.labels[0])}: "
        f"{scores.majority_accuracy:.2%}\n\n"
    )
    columns = [
        Column(name, is_number=name != "label") for name in ("label", "count", "precision", "recall", "F1")
    ]
    yield from table(
        columns,
        (
            (visible(name), f"{one.count:,}", _share(one.precision), _share(one.recall), _share(one.f1))
            for name, one in scores.labels.items()
        ),
    )
    yield "\n"
    names = list(scores.labels)
    if len(names) <= CONFUSION_LABELS:
        yield from table(
            [Column("right \\ predicted"), *(Column(visible(name), is_number=True) for name in names)],
            (
                (visible(name), *(f"{one.predicted_as.get(other, 0):,}" for other in names))
                for name, one in scores.labels.items()
            ),
        )
        return
    mistakes = [
        (count, name, other)
        for name, one in scores.labels.items()
        for other, count in one.predicted_as.items()
        if other != name
    ]
    mistakes.sort(key=lambda mistake: -mistake[0])
    yield from table(
        [Column("right"), Column("predicted"), Column("count", is_number=True)],
        ((visible(name), visible(other), f"{count:,}") for count, name, other in mistakes[:MISTAKES]),
    )


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.4f}"
