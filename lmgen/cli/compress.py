"""`lmgen compress` and `lmgen decompress`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.options import JsonOption, QuietOption
from lmgen.cli.output import json_line, print_result
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.compression.files import CodingProgress, Compressed, OnCoding


def compress(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to compress; - is standard input.")],
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="A run folder or a model file, which decompressing needs again (default: a model that is "
            "made while FILE is read, and once more when it is decompressed).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            "--out", "-o", help="The archive to write; - is standard output.", by_default="- if FILE is -"
        ),
    ] = None,
    preset: Annotated[
        Literal["quick", "good"] | None,
        option(
            help="Without MODEL, how much work each byte takes. With quick, counts of contexts; with good, a "
            "network, too.",
            by_default="good",
        ),
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
) -> None:
    """
    Compress a file by arithmetic coding with the probabilities of a model; `lmgen decompress` gives it back.

    The archive is decompressed and compared with FILE before it gets its name. To decompress it takes the
    same machine, or one that computes alike, and as much time.

    lmgen compress book.txt --out book.lmgen

    lmgen compress other.txt checkpoints/book --out other.lmgen

    cat book.txt | lmgen compress - > book.lmgen
    """
    with report.reported_errors():
        from lmgen.compression import files

        out = _destination(file, out, json=json)
        with _progress() as on_progress:
            done = files.compress(
                file, model, out, preset=preset, overwrite=overwrite, on_progress=on_progress
            )
        sizes = f"{_named(file)}: {done.bytes:,} -> {done.archive_bytes:,} bytes"
        _report(done, sizes, json=json)
        if done.stored:
            report.note("no smaller archive was found, so it holds the file as it is")


def decompress(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An archive of `lmgen compress`; - is standard input.")
    ],
    out: Annotated[
        Path | None,
        option("--out", "-o", help="The file to write; - is standard output.", by_default="- if FILE is -"),
    ] = None,
    model: Annotated[
        Path | None,
        option(
            "--model",
            help="Where the model is now that the archive was made with.",
            by_default="where it was then, from here or from the folder of FILE",
            metavar="MODEL",
        ),
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
) -> None:
    """
    Write the file that `lmgen compress` made an archive of, byte for byte.

    lmgen decompress book.lmgen --out book.txt

    lmgen decompress - < book.lmgen | less
    """
    with report.reported_errors():
        from lmgen.compression import files

        out = _destination(file, out, json=json)
        with _progress() as on_progress:
            done = files.decompress(file, out, model=model, overwrite=overwrite, on_progress=on_progress)
        _report(done, f"{_named(file)}: {done.archive_bytes:,} -> {done.bytes:,} bytes", json=json)


def _destination(file: Path, out: Path | None, *, json: bool) -> Path:
    """
    Where to write.

    Raises:
        ConfigError: neither `--out` nor FILE says it, or JSON is to go there, too.
    """
    found = file if out is None and str(file) == "-" else out
    if found is None:
        raise ConfigError("name the file to write with --out (- is standard output)")
    if json and str(found) == "-":
        raise ConfigError(
            "--json is printed on standard output, where the result goes; name a file with --out"
        )
    return found


def _named(file: Path) -> str:
    return "standard input" if str(file) == "-" else str(file)


def _report(done: "Compressed", sizes: str, *, json: bool) -> None:
    """Sizes and bits per character: on stderr, or as JSON on stdout."""
    if json:
        print_result(json_line(done.to_json()))
        return
    bits = ""
    if done.bits_per_character is not None:
        bits = f", {done.bits_per_character:.4f} bits per character"
    elif done.bits_per_byte is not None:
        bits = f", {done.bits_per_byte:.4f} bits per byte"
    report.note(sizes + bits)


@contextmanager
def _progress() -> "Iterator[OnCoding | None]":
    """A bar with the bits per character so far, if stderr is a terminal and `--quiet` is not set."""
    if report.QUIET or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # takes a while to load
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn("{task.fields[bits]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def show(coding: "CodingProgress") -> None:
            if coding.phase not in tasks:
                tasks[coding.phase] = progress.add_task(coding.phase, total=1.0, bits="")
            bits, unit = coding.bits_per_character, "character"
            if bits is None:
                bits, unit = coding.bits_per_byte, "byte"
            progress.update(tasks[coding.phase], completed=coding.share, bits=f"{bits:.3f} bits per {unit}")

        yield show
