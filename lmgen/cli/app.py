"""The command `lmgen`: which commands there are, and the one place where a usage error ends."""

import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from lmgen.cli import report
from lmgen.cli.corpus import corpus
from lmgen.cli.export import export
from lmgen.cli.info import info
from lmgen.cli.next import next_
from lmgen.cli.ngram import ngram
from lmgen.cli.perplexity import perplexity
from lmgen.cli.sample import sample
from lmgen.cli.tokenize import detokenize, tokenize
from lmgen.cli.train import train

app = typer.Typer(
    name="lmgen",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (train, sample, perplexity, ngram, export, tokenize, detokenize, info):
    app.command()(command)
app.command("next")(next_)
app.add_typer(corpus, name="corpus")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lmgen {version('lmgen')}")
        raise typer.Exit


@app.callback()
def lmgen(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Train character, word and sub-word language models, measure them, complete text with them."""


def main() -> None:
    """
    Run the command line; exit with 0, 1 (a failure), 2 (wrong usage) or 130 (Ctrl-C).
    """
    # Text is UTF-8 whatever the locale says; bytes that a byte model wrote pass as they are.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        code = app(prog_name="lmgen", standalone_mode=False)
    except TyperException as wrong:
        if wrong.format_message():  # empty after `lmgen` alone, which has printed its help page
            report.error(_usage(wrong))
        sys.exit(wrong.exit_code)
    except typer.Abort:
        sys.exit(130)
    except SystemExit as ended:
        # A help page whose reader has had enough (`| head`): typer takes that for a failure.
        sys.exit(0 if isinstance(ended.__context__, BrokenPipeError) else ended.code)
    finally:  # one more Ctrl-C would only interrupt Python's own tidying up
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(wrong: TyperException) -> str:
    """What was wrong with the command line, and which help page to read."""
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context else "lmgen"
    message = wrong.format_message().rstrip(".").replace("Value error, ", "")  # typer's words, not the user's
    return f"{message}; see `{command} --help`"


if __name__ == "__main__":
    main()
