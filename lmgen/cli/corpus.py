"""`lmgen corpus`: list, print, download and generate named corpora, which lmgen/text defines."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.downloads import downloads_shown
from lmgen.cli.options import JsonOption, QuietOption, with_opposites
from lmgen.cli.output import TextOutput, json_line, print_result
from lmgen.cli.tables import Column, table

if TYPE_CHECKING:
    from lmgen.text.corpora import Listing

corpus = typer.Typer(
    help="Named corpora: where they come from, their licence, size and split.", no_args_is_help=True
)

COLUMNS = (
    Column("name", least=18),
    Column("where"),
    Column("characters", is_number=True),
    Column("split"),
    Column("licence"),
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A name from `lmgen corpus list`.",
        show_default=False,
        autocompletion=completion.corpora,
    ),
]


@corpus.command("list")
@with_opposites
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


@corpus.command()
@with_opposites
def show(
    name: NameArgument,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option(
            help="Only this part, cut as `lmgen train` cuts it by default (all).", show_default=False
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            help="The field that holds the text in CSV, TSV and JSON, and in JSON Lines (text).",
            show_default=False,
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="The character encoding of a file or folder.")] = "utf-8",
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Print the text of a corpus, file or folder, to be piped on.

    lmgen corpus show wikitext-2 --split test > test.txt

    lmgen corpus show talks.csv --field text | head
    """
    from lmgen.data.named_corpora import corpus_text

    with report.reported_errors(), downloads_shown():
        chunks = corpus_text(name, split, field=field, encoding=encoding, on_note=report.note)
        with TextOutput() as output:
            for chunk in chunks:
                output.write(chunk)


@corpus.command()
@with_opposites
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


@corpus.command()
@with_opposites
def make(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A synthetic corpus.",
            show_default=False,
            autocompletion=completion.synthetic_corpora,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write.", show_default=False)],
    characters: Annotated[int, typer.Option(help="Length of the text, in characters.", min=1)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of the random text.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --out.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    """
    Write a synthetic corpus, and print the best possible score on it.

    lmgen corpus make synthetic-markov --characters 200000 --out markov.txt
    """
    from lmgen.data.named_corpora import make_corpus
    from lmgen.text.synthetic import SYNTHETIC

    with report.reported_errors():
        made = make_corpus(name, out, characters=characters, seed=seed, overwrite=overwrite)
        if json:
            print_result(json_format.dumps(made.to_json()) + "\n")
        else:
            best = SYNTHETIC[name].best_score()
            print_result(f"{out}: {characters} characters; the best possible score is {best}\n")


def _row(listing: "Listing") -> tuple[str, ...]:
    """The cells of a corpus in the table."""
    place = listing.kind if listing.place == "here" else listing.place
    length = f"{listing.characters:,}" if listing.characters else "-"
    return listing.name, listing.path or place, length, listing.split or "-", listing.licence
