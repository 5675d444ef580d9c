"""`lmgen corpus`: list, print, download and generate named corpora, which lmgen/text defines."""

import json as json_format
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.downloads import downloads_shown
from lmgen.cli.flags import given, option, settings_as_options, with_flags
from lmgen.cli.options import JsonOption, QuietOption
from lmgen.cli.output import TextOutput, counted, json_line, print_result
from lmgen.cli.pages import Command, CommandGroup
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError
from lmgen.files import STDOUT
from lmgen.settings import flag
from lmgen.text.tasks import TASKS
from lmgen.text.tasks.task import Parameter

if TYPE_CHECKING:
    from lmgen.data.made_corpora import MadeCorpus, TaskDescription
    from lmgen.text.corpora import Listing

corpus = typer.Typer(
    help="Named corpora: where they come from, their licence, size and split.",
    cls=CommandGroup,
    no_args_is_help=True,
)

COLUMNS = (
    Column("name", least=18),
    Column("where"),
    Column("characters", is_number=True),
    Column("split"),
    Column("licence"),
)

PARAMETERS = (Column("flag"), Column("default"), Column("range"), Column("meaning"))

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A name from `lmgen corpus list`.",
        show_default=False,
        autocompletion=completion.corpora,
    ),
]


@corpus.command("list", cls=Command)
@with_flags
def list_(json: JsonOption = False, quiet: QuietOption = False) -> None:  # noqa: ARG001 - its callback acts
    """
    List all named corpora.

    lmgen corpus list
    """
    from dataclasses import asdict

    from lmgen.text.corpora import listed_corpora

    with report.reported_errors():
        listings = listed_corpora()
        with TextOutput() as output:
            rows = (json_line(asdict(each)) for each in listings)
            for line in rows if json else table(COLUMNS, map(_row, listings), output.columns):
                output.write(line)


@corpus.command(cls=Command)
@with_flags
def show(
    name: NameArgument,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        option(help="Only this part, cut as `lmgen train` cuts it by default.", by_default="all"),
    ] = None,
    field: Annotated[
        str | None,
        option(
            help="The field that holds the text in CSV, TSV and JSON, and in JSON Lines.",
            by_default="text in JSON Lines",
            metavar="NAME",
        ),
    ] = None,
    encoding: Annotated[
        str, option(help="The character encoding of a file or folder.", metavar="NAME")
    ] = "utf-8",
    parameters: Annotated[
        bool, option("--parameters", help="Describe a task and list its parameters instead.")
    ] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Print the text of a corpus, file or folder, to be piped on.

    lmgen corpus show wikitext-2 --split test > test.txt

    lmgen corpus show talks.csv --field text | head

    lmgen corpus show addition --parameters
    """
    from lmgen.data.named_corpora import corpus_text

    with report.reported_errors(), downloads_shown():
        if parameters:
            if split or field:
                raise ConfigError("--parameters describes a task: leave --split and --field out")
            _show_task(name)
            return
        chunks = corpus_text(name, split, field=field, encoding=encoding, on_note=report.note)
        with TextOutput() as output:
            for chunk in chunks:
                output.write(chunk)


@corpus.command(cls=Command)
@with_flags
def get(name: NameArgument, quiet: QuietOption = False) -> None:  # noqa: ARG001 - its callback acts
    """
    Download or find a corpus, verify it, and print the sha256 and path of each file.

    lmgen corpus get tiny-shakespeare
    """
    from lmgen.data.named_corpora import get_corpus
    from lmgen.text.corpus_files import sha256_of

    with report.reported_errors(), downloads_shown():
        for path in get_corpus(name, on_note=report.note):
            print_result(f"{sha256_of(path)}  {path}\n")


def _merged_helps() -> dict[str, str]:
    """The help of each parameter, with the tasks that have it and its default in each."""
    having: dict[str, list[tuple[str, Parameter]]] = {}
    for name, task in TASKS.items():
        for parameter in task.parameters():
            having.setdefault(parameter.name, []).append((name, parameter))
    return {name: _merged_help(each) for name, each in having.items()}


def _merged_help(having: list[tuple[str, Parameter]]) -> str:
    """`Of copy: letters of the word; of sequence-shift: numbers of the row (default: 1-10, 6).`"""
    tasks: dict[str, list[str]] = {}
    for name, parameter in having:
        tasks.setdefault(parameter.meaning.removesuffix("."), []).append(name)
    each = (f"of {', '.join(names)}: {text[0].lower()}{text[1:]}" for text, names in tasks.items())
    text = "; ".join(each).replace("of", "Of", 1)
    defaults = [str(parameter.default) for _, parameter in having if parameter.default not in (None, False)]
    shown = ", ".join(defaults[:1] if len(set(defaults)) == 1 else defaults)
    return f"{text} (default: {shown})." if shown else f"{text}."


@corpus.command(cls=Command)
@with_flags
@settings_as_options(*TASKS.values(), helps=_merged_helps())
def make(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A task or a synthetic corpus.",
            show_default=False,
            autocompletion=completion.generated_corpora,
        ),
    ],
    out: Annotated[Path, option("--out", "-o", help="The file to write, - for stdout.")],
    count: Annotated[
        int | None, option(help="Instances of a task, one a line.", by_default="that of the task", min=1)
    ] = None,
    characters: Annotated[
        int | None, option(help="Length of a synthetic text.", by_default="1,000,000", min=1)
    ] = None,
    seed: Annotated[int, option(help="Seed of the random text.", min=0)] = 0,
    test: Annotated[
        Path | None, option(help="Another file, for instances that are distinct and not in --out.")
    ] = None,
    test_count: Annotated[
        int | None, option(help="Instances in --test.", by_default="a tenth of --count", min=1)
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the files in --out and --test.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
    **parameters: Any,
) -> None:
    """
    Write a task or a synthetic text, and print the best possible score on it.

    A task has an instance a line. `lmgen corpus show TASK --parameters` describes it; --help-all shows the
    parameters of all.

    lmgen corpus make addition --digits 3 --count 20000 --out add.txt --test test.txt

    lmgen corpus make synthetic-markov --characters 200000 --out markov.txt
    """
    from lmgen.data.made_corpora import make_corpus

    with report.reported_errors():
        piped = str(out) == STDOUT
        if piped and json:
            raise ConfigError("--json prints on stdout, where --out - writes the text; leave one of them out")
        made = make_corpus(
            name,
            out,
            characters=characters,
            count=count,
            seed=seed,
            test=test,
            test_count=test_count,
            overwrite=overwrite,
            on_note=report.note,
            **given(parameters),
        )
        if json:
            print_result(json_format.dumps(made.to_json()) + "\n")
        elif piped:
            for line in _made(made):
                report.note(line)
        else:
            print_result("".join(f"{line}\n" for line in _made(made)))


def _made(made: "MadeCorpus") -> Iterator[str]:
    """The lines that say what was written."""
    length = counted(made.characters, "character") if made.lines is None else counted(made.lines, "line")
    path = "stdout" if made.path == STDOUT else made.path
    yield f"{path}: {length}; the best possible score is {made.best_score()}"
    if made.test_lines is None:
        return
    best = made.test_best_score()
    score = f"unknown, since lines were left out that {path} has or that came again" if best is None else best
    yield f"{made.test_path}: {counted(made.test_lines, 'line')}, all different and none in {path}"
    yield f"{made.test_path}: the best possible score is {score}"


def _show_task(name: str) -> None:
    """Print what `--parameters` shows."""
    from lmgen.data.made_corpora import describe_task

    task = describe_task(name)
    with TextOutput() as output:
        for line in _described(task, output.columns):
            output.write(line)


def _described(task: "TaskDescription", columns: int | None) -> Iterator[str]:
    """The lines on a task: what it is, then a row for each parameter."""
    yield f"{task.name}: {task.description}\n"
    yield f"source: {task.source}\n"
    mark = f"{task.mark} stands before the answer" if task.mark else "none"
    yield f"mark: {mark}{' (its first place in a line)' if task.mark else ''}\n"
    yield f"lines: {task.lines}, unless --count says otherwise\n"
    yield f"best possible score: {task.best}\n"
    if task.parameters:
        yield "\n"
        yield from table(PARAMETERS, map(_parameter_row, task.parameters), columns)


def _parameter_row(parameter: Parameter) -> tuple[str, ...]:
    """The cells of a parameter in the table."""
    value = parameter.default
    shown = "-" if value is None else ("off", "on")[value] if isinstance(value, bool) else str(value)
    return flag(parameter.name), shown, parameter.range, parameter.meaning.removesuffix(".")


def _row(listing: "Listing") -> tuple[str, ...]:
    """The cells of a corpus in the table."""
    place = listing.kind if listing.place == "here" else listing.place
    length = f"{listing.characters:,}" if listing.characters else "-"
    return listing.name, listing.path or place, length, listing.split or "-", listing.licence
