"""`lmgen tokenize` and `lmgen detokenize`: text to token ids and back, line by line, in a pipe."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from lmgen.cli import report
from lmgen.cli.flags import option
from lmgen.cli.options import ModelArgument, QuietOption, open_any
from lmgen.cli.output import TextOutput, counted
from lmgen.errors import ConfigError

if TYPE_CHECKING:
    from lmgen.tokenizers.base import Tokenizer

TokenizerOption = Annotated[
    Literal["byte"] | None,
    option(help="A tokenizer that needs no training, instead of a model's."),
]
PiecesOption = Annotated[
    bool, option("--pieces", help="Tokens as they are spelled, ▁ for a blank, instead of ids.")
]


def tokenize(
    model: ModelArgument = None,
    tokenizer: TokenizerOption = None,
    pieces: PiecesOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Turn text on stdin into a model's token ids, a line for each line.

    lmgen tokenize checkpoints/demo < text.txt | lmgen detokenize checkpoints/demo
    """
    with report.reported_errors():
        from lmgen.tokenizers.streams import TokenLines

        chosen = _tokenizer(model, tokenizer)
        lines = TokenLines(chosen, pieces=pieces)
        _print(lines.write(_standard_input(chosen.reading_errors)))
        if lines.unknown:
            are, do = ("is", "does") if lines.unknown == 1 else ("are", "do")
            unknown = f"{counted(lines.unknown, 'token')} {are} unknown to the vocabulary"
            report.note(f"{unknown} and {do} not come back")


def detokenize(
    model: ModelArgument = None,
    tokenizer: TokenizerOption = None,
    pieces: PiecesOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Turn token ids on stdin, with any white space between them, back into text.

    lmgen tokenize checkpoints/demo < text.txt | lmgen detokenize checkpoints/demo
    """
    with report.reported_errors():
        from lmgen.tokenizers.streams import text_of_tokens

        _print(text_of_tokens(_tokenizer(model, tokenizer), _standard_input("strict"), pieces=pieces))


def _tokenizer(model: Path | None, name: Literal["byte"] | None) -> "Tokenizer":
    """The model's tokenizer, or the one that --tokenizer names."""
    if name is None:
        return open_any(model).tokenizer
    if model is not None:
        raise ConfigError(f"{model} has a tokenizer of its own; give a model or --tokenizer, not both")
    from lmgen.tokenizers.bytes import ByteTokenizer

    return ByteTokenizer()


def _standard_input(errors: str) -> Iterator[str]:
    from lmgen.text.sources import source

    return source("-", errors=errors, once=True).chunks()


def _print(texts: Iterable[str]) -> None:
    """Print each text without delay, because the input may arrive slowly."""
    with TextOutput() as output:
        for text in texts:
            output.write(text)
            sys.stdout.flush()
