"""`lmgen vectors`: train, compare, draw and export word vectors; lmgen/vectors does the work."""

import json as json_format
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.downloads import downloads_shown
from lmgen.cli.flags import given, option, settings_as_options, with_flags
from lmgen.cli.options import JsonOption, QuietOption, file_name, is_model, open_model
from lmgen.cli.output import TextOutput, json_line, print_result
from lmgen.cli.pages import Command, CommandGroup
from lmgen.cli.tables import Column, table
from lmgen.cli.threads import use_one_thread
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.files import refuse_existing
from lmgen.settings import flag
from lmgen.text.config import ReadingConfig
from lmgen.vectors.config import VectorConfig

if TYPE_CHECKING:
    from lmgen.vectors.analogies import Section
    from lmgen.vectors.table import Vectors
    from lmgen.vectors.training import TrainedVectors

vectors = typer.Typer(
    help="Word vectors: train them, find the words near a word, ask analogies, draw and export them.",
    cls=CommandGroup,
    no_args_is_help=True,
)

MODEL_HELP = "A file of word vectors, a run folder or a model file"
NEWEST = "(default: the newest run)."

UNIT_HELP = (
    "No pair of words goes across the end of one: the document, each line, or each record of a structured "
    "file, else each paragraph."
)

VectorsArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL",
        help=f"{MODEL_HELP} {NEWEST}",
        show_default=False,
        autocompletion=completion.models,
    ),
]
OverwriteOption = Annotated[bool, option("--overwrite", help="Replace the file in --out.")]


@vectors.command(cls=Command)
@with_flags
@settings_as_options(ReadingConfig, VectorConfig, helps={"unit": UNIT_HELP})
def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Files, folders, - for stdin, or names from `lmgen corpus list` (default: python-docs).",
            show_default=False,
            autocompletion=completion.corpora_and_files,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", "-o", help="The file to write, in word2vec's format: text, or binary for .bin."),
    ] = None,
    pairs: Annotated[
        str | None,
        option(help="Train nothing: print the pairs that this sentence is for training.", metavar="TEXT"),
    ] = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """
    Train word vectors on a text: skip-gram or CBOW with negative sampling, by gensim.

    lmgen vectors train book.txt --lowercase --split-punctuation --out vectors.txt

    lmgen vectors train --pairs "the quick brown fox" --window 2
    """
    with report.reported_errors(), downloads_shown():
        if pairs is not None:
            if corpus or out:
                raise ConfigError("--pairs prints the pairs of its own sentence: leave CORPUS and --out out")
            from lmgen.vectors.pairs import PAIR_SETTINGS

            if others := [flag(name) for name in given(settings) if name not in PAIR_SETTINGS]:
                raise ConfigError(
                    f"--pairs trains nothing and takes {', '.join(map(flag, PAIR_SETTINGS))}: leave "
                    f"{', '.join(others)} out"
                )
            _print_pairs(pairs, given(settings), json=json)
            return
        if out is None:
            raise ConfigError("--out is missing: name the file to write, such as --out vectors.txt")
        from lmgen.vectors.training import train_vectors
        from lmgen.vectors.writing import refuse_vectors

        refuse_vectors(out, overwrite=overwrite, read=corpus or [])
        trained = train_vectors(corpus or [], on_note=report.note, **given(settings))
        trained.vectors.save(out, overwrite=overwrite)
        if json:
            print_result(json_format.dumps({"out": str(out), **trained.to_json()}) + "\n")
        else:
            print_result(_trained_line(out, trained))


@vectors.command(cls=Command)
@with_flags
def near(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] EXPRESSION",
            help=f"{MODEL_HELP}, and a word, or words with + and - between them {NEWEST}",
            show_default=False,
            autocompletion=completion.models,
        ),
    ],
    top: Annotated[int, option(help="How many words to list.", min=1)] = 10,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    List the words nearest to a word, or to a sum and difference of words, by their cosine, best first.

    Operators have blanks around them: well-known is one word. The words of the expression are left out.

    lmgen vectors near vectors.txt "king - man + woman"

    lmgen vectors near checkpoints/words king --top 5
    """
    with report.reported_errors():
        model, expression = _model_and(arguments, "an expression")
        found = _opened(model).near(expression, top)
        with TextOutput() as output:
            if json:
                listed = [{"word": each.word, "cosine": each.cosine} for each in found]
                output.write(json_line({"expression": expression, "near": listed}))
                return
            columns = (Column("word"), Column("cosine", is_number=True))
            for line in table(columns, ((each.word, f"{each.cosine:.4f}") for each in found)):
                output.write(line)


@vectors.command(cls=Command)
@with_flags
def analogies(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] FILE",
            help=f"{MODEL_HELP}, and a file of questions, - for stdin {NEWEST}",
            show_default=False,
            autocompletion=completion.models,
        ),
    ],
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Answer questions such as `Athens Greece Baghdad Iraq`: is Iraq nearest to Greece - Athens + Baghdad?

    A line is a question, and `: capitals` begins a section. Questions with a word that has no vector are
    counted as unknown, and not in the accuracy.

    lmgen vectors analogies vectors.txt questions-words.txt
    """
    with report.reported_errors():
        model, name = _model_and(arguments, "a file of questions")
        found = _opened(model, threads=True).analogies(file_name(name))
        with TextOutput() as output:
            if json:
                output.write(json_line(found.to_json()))
                return
            columns = [Column("section"), *(Column(each, is_number=True) for each in COUNTED)]
            for line in table(columns, map(_row, (*found.sections, found.total)), output.columns):
                output.write(line)


@vectors.command(cls=Command)
@with_flags
def plot(
    out: Annotated[Path, option("--out", "-o", help="The picture to write, as SVG.")],
    model: VectorsArgument = None,
    words: Annotated[
        str | None, option(help="These words, with blanks between them.", metavar="TEXT")
    ] = None,
    top: Annotated[
        int | None,
        option(
            help="Without --words, the first N, in most files the most frequent ones.",
            by_default="100",
            min=1,
        ),
    ] = None,
    projection: Annotated[
        Literal["tsne", "pca"],
        option(help="By t-SNE, which keeps neighbours together, or the two principal components."),
    ] = "tsne",
    seed: Annotated[int | None, option(help="Seed of t-SNE.", by_default="0", min=0)] = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Draw words as points of the plane, near each other where their vectors are.

    lmgen vectors plot vectors.txt --top 150 --out words.svg

    lmgen vectors plot vectors.txt --words "king queen man woman" --projection pca --out four.svg
    """
    with report.reported_errors():
        if words is not None and top is not None:
            raise ConfigError("--words names the words, and --top takes the first ones; give one of them")
        if projection == "pca" and seed is not None:
            raise ConfigError(
                "--seed is of t-SNE, and --projection pca draws nothing at random; leave one out"
            )
        refuse_existing(out, overwrite=overwrite, read=_files_of(model))
        opened = _opened(model, threads=True)
        chosen = None if words is None else words.split()
        chosen_settings = {"top": top, "seed": seed}
        asked = {name: value for name, value in chosen_settings.items() if value is not None}
        chart = opened.picture(chosen, projection=projection, **asked)
        chart.save(out)
        [points] = chart.series
        if chart.unnamed:
            report.note(
                f"{chart.unnamed:,} of {len(points.names):,} words have no room for their names: give a "
                "smaller --top"
            )
        if json:
            places = zip(points.names, points.xs, points.ys, strict=True)
            listed = [{"word": word, "x": x, "y": y} for word, x, y in places]
            print_result(json_line({"out": str(out), "words": listed}))
        else:
            print_result(f"{out}: {len(points.names):,} words\n")


@vectors.command(cls=Command)
@with_flags
def export(
    out: Annotated[
        Path,
        option("--out", "-o", help="The file to write, in word2vec's format: text, or binary for .bin."),
    ],
    model: VectorsArgument = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Write the embedding of a network, or a file of vectors in another format, as a file of word2vec's format.

    lmgen vectors export checkpoints/words --out vectors.txt
    """
    with report.reported_errors():
        from lmgen.vectors.writing import refuse_vectors

        refuse_vectors(out, overwrite=overwrite, read=_files_of(model))
        opened = _opened(model)
        opened.save(out, overwrite=overwrite)
        count, size = opened.matrix.shape
        if json:
            result = {"out": str(out), "words": count, "embedding_size": size}
            print_result(json_format.dumps(result) + "\n")
        else:
            print_result(f"{out}: {count:,} words x {size:,}\n")


COUNTED = ("questions", "unknown", "correct", "accuracy")
"""The columns of numbers in the table of analogies."""


def _model_and(arguments: list[str], what: str) -> tuple[Path | None, str]:
    """Parse [MODEL] and one more argument."""
    if len(arguments) > 2:
        raise ConfigError(
            f"give a model and {what}, not {len(arguments)} arguments; one with blanks goes in quotes"
        )
    *models, last = arguments
    if not models and is_model(last):
        raise ConfigError(f"{last} is a model; give {what} after it")
    return Path(models[0]) if models else None, last


def _files_of(model: Path | None) -> list[Path]:
    """The file of MODEL, as far as it was named."""
    if model is None:
        return []
    return [RunFolder(model).model if model.is_dir() else model]


def _opened(path: Path | None, *, threads: bool = False) -> "Vectors":
    """
    Open the vectors of MODEL, and note what of a file was passed over.

    Args:
        path: MODEL; None: the newest run or model file.
        threads: whether the command's matrix products are large enough to justify starting threads.
    """
    if path is None:
        return open_model(None, threads=threads).vectors()
    if not threads:
        use_one_thread()
    from lmgen.vectors.models import open_vectors

    opened = open_vectors(path)
    for note in opened.notes:
        report.note(note)
    return opened


def _print_pairs(sentence: str, settings: dict[str, Any], *, json: bool) -> None:
    """Print the pairs of a sentence: of CBOW all words around a centre in one."""
    from lmgen.vectors.pairs import cbow_pairs, skip_gram_pairs
    from lmgen.vectors.training import configured, words_of

    config, _ = configured(settings)
    words = words_of(sentence, config)
    rows: Iterator[tuple[str, Any]]
    rows = (skip_gram_pairs if config.method == "skip-gram" else cbow_pairs)(words, config.window)
    with TextOutput() as output:
        if json:
            for centre, context in rows:
                output.write(json_line({"centre": centre, "context": context}))
            return
        shown = (
            (centre, context if isinstance(context, str) else " ".join(context)) for centre, context in rows
        )
        for line in table((Column("centre"), Column("context")), shown):
            output.write(line)


def _trained_line(out: Path, trained: "TrainedVectors") -> str:
    count, size = trained.vectors.matrix.shape
    return f"{out}: {count:,} words x {size:,}, of {trained.tokens:,} words of {trained.corpus}\n"


def _row(section: "Section") -> tuple[str, ...]:
    """The cells of a section in the table."""
    accuracy = "-" if section.accuracy is None else f"{section.accuracy:.1%}"
    counts = (section.questions, section.unknown, section.correct)
    return section.section or "-", *(f"{count:,}" for count in counts), accuracy
