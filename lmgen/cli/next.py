"""`lmgen next`: list the most likely next tokens after a text, or the probabilities of continuations."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.listed import listed_texts
from lmgen.cli.options import CacheOption, JsonOption, QuietOption, is_model, open_model
from lmgen.cli.output import TextOutput, json_line
from lmgen.cli.prompts import BYTE_ORDER_MARK, note_unknown, read_prompt
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError
from lmgen.tokenizers.pieces import escape

if TYPE_CHECKING:
    from lmgen.generation.next import Continuation, NextToken
    from lmgen.tokenizers.base import Tokenizer

BAR = 30
"""Columns of a full bar."""

EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█")
"""The beginning of a bar's last column, by eighths of it."""

LISTED = 10
"""How many tokens are listed if --top is not given."""


def next_(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] TEXT",
            help="A run folder or a model file, and the text so far, - for stdin (default: the newest run).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ],
    top: Annotated[int | None, option(help="How many tokens to list.", by_default=str(LISTED), min=1)] = None,
    of: Annotated[
        list[str] | None,
        option(
            help="Only these continuations, each of any length; may be repeated. "
            "One with a comma is put in double quotes: 'one,\"two, three\"'.",
            metavar="TEXT,TEXT,...",
        ),
    ] = None,
    relative: Annotated[
        bool, option("--relative", help="Divide the probabilities of --of by their sum.")
    ] = False,
    adapt: Annotated[
        bool, option("--adapt", help="Learn from the text before saying what comes next.")
    ] = False,
    cache: CacheOption = False,
    bars: Annotated[
        bool, option("--bars", help="Draw each probability as a bar, the highest one full.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    r"""
    List the tokens likeliest to come next after a text, P(v | w1 ... wk), best first.

    With --of, the probabilities that the text goes on with each of the given continuations, in their order. A
    blank is put before a continuation, unless it begins with white space or the text ends in it.

    In the table a blank is written as ▁, a line end as \n and so on.

    lmgen next checkpoints/demo "To be or not to"

    lmgen next checkpoints/demo "To be or not to" --of be,see,"have been"
    """
    with report.reported_errors():
        model, text = _model_and_text(arguments)
        text = text.removeprefix(BYTE_ORDER_MARK)
        wanted = listed_texts("--of", of or [])
        if wanted and top is not None:
            raise ConfigError("--top lists the likeliest tokens and --of given ones; leave one of them out")
        if relative and not wanted:
            raise ConfigError("--relative goes with --of; leave it out, or name continuations")
        if bars and json:
            raise ConfigError("--bars draws a table, which --json is not: leave one of them out")
        opened = open_model(model, threads=False, for_texts="a text with blanks goes in quotes")
        if adapt or cache:
            opened = opened.adapting(adapt=adapt, cache=cache, on_note=report.note)
        note_unknown(opened, text, *wanted, finished=bool(wanted))
        if wanted:
            found: Sequence[NextToken | Continuation] = opened.next(text, of=wanted, relative=relative)
            heading, names = "continuation", list(map(escape, wanted))
        else:
            found = tokens = opened.next(text, LISTED if top is None else top)
            heading, names = "token", [_shown(opened.tokenizer, token) for token in tokens]
        with TextOutput() as output:
            if json:
                output.write(_json(text, found))
                return
            columns, rows = _columns(heading), _rows(names, found)
            if bars:
                columns.append(Column(""))
                rows = [(*row, bar) for row, bar in zip(rows, _bars(found), strict=True)]
            for line in table(columns, rows, fit=output.columns if bars else None):
                output.write(line)


def _model_and_text(arguments: list[str]) -> tuple[Path | None, str]:
    """Parse MODEL TEXT or TEXT; a TEXT of - is read from stdin."""
    if len(arguments) > 2:
        raise ConfigError(
            f"next takes a model and a text, but was given {len(arguments)} arguments; "
            "put quotes around a text with blanks"
        )
    *models, text = arguments
    if not models and is_model(text):
        raise ConfigError(f"{text} is a model, but there is no text; give the text so far after it")
    return Path(models[0]) if models else None, read_prompt("-") if text == "-" else text


def _json(text: str, found: "Sequence[NextToken | Continuation]") -> str:
    """Format the result as one JSON object, with tokens unescaped."""
    from dataclasses import asdict

    return json_line({"text": text, "next": [asdict(each) for each in found]})


def _shown(tokenizer: "Tokenizer", token: "NextToken") -> str:
    """The spelling of a token, or of what comes of it after the text, without white space."""
    whole = token.token == tokenizer.piece(token.token_id)
    return tokenizer.escaped_piece(token.token_id) if whole else escape(token.token)


def _columns(heading: str) -> list[Column]:
    """The columns of the table; the first has the tokens or the continuations."""
    return [Column(heading), Column("probability", is_number=True), Column("log10", is_number=True, least=8)]


def _rows(names: list[str], found: "Sequence[NextToken | Continuation]") -> list[tuple[str, ...]]:
    return [
        (name, f"{each.probability:.4g}", f"{each.log10:.4f}")
        for name, each in zip(names, found, strict=True)
    ]


def _bars(found: "Sequence[NextToken | Continuation]") -> Iterator[str]:
    """A bar for each probability, in eighths of a column; that of the highest one is full."""
    highest = max(each.probability for each in found)
    for each in found:
        eighths = round(8 * BAR * each.probability / highest) if highest else 0
        yield EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8]
