"""The command `lmgen`: the list of subcommands, loaded on demand, and the handling of usage errors."""

import re
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException
from typer.main import get_group

from lmgen.cli import report
from lmgen.cli.pages import Command, CommandGroup
from lmgen.cli.values import convert_plain_values
from lmgen.settings import did_you_mean, likeliest

COMMANDS = {
    "train": ("train:train", "Train a recurrent language model on a text."),
    "sample": ("sample:sample", "Complete a text with a model."),
    "perplexity": (
        "perplexity:perplexity",
        "Say how well a model predicts texts, in perplexity and in bits.",
    ),
    "answers": (
        "answers:answers",
        "Let a model answer each line of a file, and say how many answers are right.",
    ),
    "pairs": (
        "pairs:pairs",
        "Say how often the acceptable sentence of a minimal pair is likelier than the other.",
    ),
    "novelty": (
        "novelty:novelty",
        "Say what a model copies: passages of its samples that stand in its training text, and what share is "
        "new.",
    ),
    "next": (
        "next:next_",
        "List the tokens likeliest to come next after a text, P(v | w1 ... wk), best first.",
    ),
    "label": (
        "label:label",
        "Label texts, or their words, with a model of `lmgen train --labels`; or say how well it does.",
    ),
    "ngram": (
        "ngram:ngram",
        "Fit an n-gram model: interpolated modified Kneser-Ney. It is a MODEL like any other.",
    ),
    "export": (
        "export:export",
        "Write an n-gram model as an ARPA file, which KenLM, SRILM and IRSTLM read; or a network in a "
        "smaller file.",
    ),
    "compress": (
        "compress:compress",
        "Compress a file by arithmetic coding with the probabilities of a model; `lmgen decompress` gives it "
        "back.",
    ),
    "decompress": (
        "compress:decompress",
        "Write the file that `lmgen compress` made an archive of, byte for byte.",
    ),
    "tokenize": (
        "tokenize:tokenize",
        "Turn text on stdin into a model's token ids, a line for each line.",
    ),
    "detokenize": (
        "tokenize:detokenize",
        "Turn token ids on stdin, with any white space between them, back into text.",
    ),
    "info": (
        "info:info",
        "Show what a model is: tokenizer, sizes, trainable parameters layer by layer, training.",
    ),
    "inspect": (
        "inspect:inspect",
        "Look inside a model: its states and gates, how far gradients reach, how much context it uses.",
    ),
    "report": (
        "run_report:report_",
        "Write a run, or several side by side, as one page: how it learned, how well it predicts, what is "
        "inside.",
    ),
    "vectors": (
        "vectors:vectors",
        "Word vectors: train them, find the words near a word, ask analogies, draw and export them.",
    ),
    "serve": (
        "serve:serve",
        "Serve models over HTTP, to programs and to a page in the browser.",
    ),
    "runs": (
        "runs:runs",
        "List runs with corpus, size, steps, loss and age, the newest first; or say how two runs differ.",
    ),
    "corpus": (
        "corpus:corpus",
        "Named corpora: where they come from, their licence, size and split.",
    ),
}
"""Module and function of each command, and its line in the list: the first line of its help page."""


class LazyCommands(CommandGroup):
    """Lists all commands, but imports only the one that runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that `args` names; returns its name, the command, and the remaining arguments."""
        name, listed, rest = super().resolve_command(ctx, args)
        report.TRAINS = name == "train"
        return name, listed and load_command(args[0]), rest


app = typer.Typer(
    name="lmgen",
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _name, (_, _help) in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)  # placeholder for the list of commands


def load_command(name: str) -> Any:
    """Import a command and convert it to a typer command."""
    from lmgen.cli.flags import with_flags

    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(import_module(f"lmgen.cli.{module}"), attribute)
    alone = typer.Typer()
    if isinstance(command, typer.Typer):
        alone.add_typer(command, name=name)
    else:
        alone.command(name, cls=Command)(with_flags(command))
    return get_group(alone).commands[name]


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
    Run the command line, and exit with 0, 1 (failure), 2 (wrong usage) or 130 (Ctrl-C).
    """
    if sys.stdout is None:  # `lmgen ... >&-`
        sys.exit("error: there is no standard output; leave it open, or send it to /dev/null")
    # Text is UTF-8 regardless of the locale; bytes from a byte model pass through unchanged.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    convert_plain_values()
    try:
        code = app(prog_name="lmgen", standalone_mode=False)
    except TyperException as wrong:
        if wrong.format_message():  # empty after `lmgen` alone, which has already printed its help page
            report.error(_usage(wrong))
        sys.exit(wrong.exit_code)
    except typer.Abort:
        sys.exit(130)
    except SystemExit as ended:
        # typer treats it as a failure if the reader of a help page closes the pipe (`| head`).
        sys.exit(0 if isinstance(ended.__context__, BrokenPipeError) else ended.code)
    finally:  # another Ctrl-C would only interrupt Python's shutdown
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(wrong: Any) -> str:
    """Message for a usage error, with the help page to read."""
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context else "lmgen"
    if context and hasattr(wrong, "possibilities"):
        flags = [flag for param in context.command.params for flag in (*param.opts, *param.secondary_opts)]
        message = (
            f"No such option: {wrong.option_name}{did_you_mean(_likeliest_flag(wrong.option_name, flags))}"
        )
    else:
        message = wrong.format_message().rstrip(".").replace("Value error, ", "")  # a prefix that typer adds
        message, _, guesses = message.partition(". Did you mean ")
        message += did_you_mean(*guesses.removesuffix("?").replace("'", "").split(", "))
        if choice := re.search(r"'([^']*)' is not one of (.*)$", message):
            message += did_you_mean(likeliest(choice[1], re.findall(r"'(.*?)'", choice[2])))
    return f"{message}; see `{command} --help`"


def _likeliest_flag(unknown: str, flags: list[str]) -> str | None:
    """The flag that is spelled most like an unknown one."""
    names = {flag[2:].replace("-", "_"): flag for flag in flags if flag.startswith("--")}
    near = likeliest(unknown.lstrip("-"), names)
    return names[near] if near else None


if __name__ == "__main__":
    main()
