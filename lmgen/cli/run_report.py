"""`lmgen report`: a run, or several, on one page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.options import (
    JsonOption,
    QuietOption,
    file_name,
    file_to_write,
    models_and_text,
)
from lmgen.cli.output import counted, json_line, print_result


def report_(
    out: Annotated[Path, option("--out", "-o", help="The page to write, as HTML.", callback=file_to_write)],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [TEXT]",
            help="Any number of run folders or model files (none: the newest run), and a file, folder or - "
            "for stdin (none: the text that the runs have held out).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        option(metavar="FOLDER", help="Also write each picture as a file of its own, to this folder."),
    ] = None,
    characters: Annotated[
        int, option(help="How much of the text is taken, from its beginning.", min=1)
    ] = 50_000,
    adapt: Annotated[
        bool | None,
        option(
            "--adapt/--no-adapt",
            help="Also the models that learn from the text as they read it.",
            by_default="if the run has adapted before",
        ),
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the page and the pictures.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """
    Write a run, or several side by side, as one page: how it learned, how well it predicts, what is inside.

    The page is one file that needs no network.

    lmgen report checkpoints/demo --out report.html

    lmgen report checkpoints/lstm checkpoints/gru book.txt --out compared.html --svg pictures
    """
    with report.reported_errors():
        paths, text = models_and_text(arguments or [], most=len(arguments or []))
        from lmgen.report.writing import write_report

        progress = _Progress(shown=not quiet and sys.stderr.isatty())
        written = write_report(
            paths or [None],
            out,
            text=None if text is None else file_name(text),
            svg=svg,
            characters=characters,
            adapt=adapt,
            overwrite=overwrite,
            on_note=progress.note,
            on_part=progress.part,
        )
        progress.end()
        if json:
            print_result(json_line(written.to_json()))
        else:
            pictures = f", {counted(len(written.pictures), 'picture')} in {svg}" if written.pictures else ""
            print_result(f"{written.out}: {written.bytes:,} bytes{pictures}\n")


class _Progress:
    """A line on the terminal that says what is under way."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._width = 0

    def part(self, name: str) -> None:
        """Say what begins."""
        if self._shown:
            self.end()
            line = f"report: {name} ..."
            self._width = len(line)
            sys.stderr.write(line)
            sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            self._width = 0

    def note(self, text: str) -> None:
        """Print a note in its place."""
        self.end()
        report.note(text)
