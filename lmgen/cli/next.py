"""`lmgen next`: list the most likely next tokens after a text."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmgen.cli import completion, report
from lmgen.cli.options import JsonOption, QuietOption, is_model, open_model
from lmgen.cli.output import TextOutput, json_line
from lmgen.cli.prompts import note_unknown, read_prompt
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.generation.next import NextToken
    from lmgen.tokenizers.base import Tokenizer

HEADINGS = ("token", "probability", "log10")


def next_(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] TEXT",
            help="A run folder or a model file (none: the newest run), and the text so far; - is stdin.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ],
    top: Annotated[int, typer.Option(help="How many tokens to list.", min=1)] = 10,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    r"""
    List the tokens likeliest to come next after a text, P(v | w1 ... wk), best first.

    In the table a blank is written as ▁, a line end as \n and so on.

    lmgen next checkpoints/demo "To be or not to"
    """
    with report.reported_errors():
        model, text = _model_and_text(arguments)
        opened = open_model(model, threads=False, for_texts="a text with blanks goes in quotes")
        note_unknown(opened, text)
        tokens = opened.next(text, top)
        with TextOutput() as output:
            output.write(_json(text, tokens) if json else _table(opened.tokenizer, tokens))


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


def _json(text: str, tokens: "list[NextToken]") -> str:
    """Format the result as one JSON object, with tokens unescaped."""
    from dataclasses import asdict

    return json_line({"text": text, "next": [asdict(token) for token in tokens]})


def _table(tokenizer: "Tokenizer", tokens: "list[NextToken]") -> str:
    """Format the result as a table with a line per token."""
    names = [tokenizer.escaped_piece(token.token_id) for token in tokens]
    width = max(map(len, [HEADINGS[0], *names]))
    rows = [
        f"{name:<{width}}  {token.probability:11.4g}  {token.log10:8.4f}\n"
        for name, token in zip(names, tokens, strict=True)
    ]
    return f"{HEADINGS[0]:<{width}}  {HEADINGS[1]:>11}  {HEADINGS[2]:>8}\n" + "".join(rows)
