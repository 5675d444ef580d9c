"""`lmgen tokenize` and `lmgen detokenize`: text to token ids and back, line by line, in a pipe."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import report
from lmgen.cli.options import ModelArgument, QuietOption, open_model
from lmgen.cli.output import TextOutput
from lmgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from lmgen.tokenizers.base import Tokenizer

TokenizerOption = Annotated[
    Literal["byte"] | None,
    typer.Option(help="Instead of a model: the tokenizer that needs no training.", show_default=False),
]
PiecesOption = Annotated[
    bool, typer.Option("--pieces", help="Tokens as they are spelled, ▁ for a blank, instead of ids.")
]

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


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
        chosen = _tokenizer(model, tokenizer)
        text = _standard_input(chosen.reading_errors)
        unknown = _Unknown(chosen)
        _print(_lines_of_tokens(unknown.encode, text, _names(chosen, pieces)))
        if unknown.count:
            report.note(f"{unknown.count:,} tokens are unknown to the vocabulary and do not come back")


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
        chosen = _tokenizer(model, tokenizer)
        ids = {name: token for token, name in enumerate(_names(chosen, pieces))}
        _print(_decoded(chosen, ids, _words(_standard_input("strict")), pieces))


class _Unknown:
    """Encodes, and counts what is lost by it."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        self.count = 0

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        ids = self._tokenizer.encode(text)
        if self._tokenizer.unknown is not None:
            self.count += int((ids == self._tokenizer.unknown).sum())
        return ids.tolist()  # type: ignore[no-any-return]


def _tokenizer(model: Path | None, name: Literal["byte"] | None) -> "Tokenizer":
    """The tokenizer that the command line means."""
    if name is None:
        return open_model(model).tokenizer
    if model is not None:
        raise ConfigError(f"{model} has a tokenizer of its own; give a model or --tokenizer, not both")
    from lmgen.tokenizers.bytes import ByteTokenizer

    return ByteTokenizer()


def _standard_input(errors: str) -> Iterator[str]:
    from lmgen.text.sources import source

    return source("-", errors=errors, once=True).chunks()


def _names(tokenizer: "Tokenizer", pieces: bool) -> list[str]:
    """How each token is written, by id."""
    return [
        tokenizer.escaped_piece(token) if pieces else str(token) for token in range(tokenizer.vocabulary_size)
    ]


def _print(texts: Iterable[str]) -> None:
    """Write what comes out of each piece of input at once: the input may be growing slowly."""
    with TextOutput() as output:
        for text in texts:
            output.write(text)
            sys.stdout.flush()


def _lines_of_tokens(
    encode: Callable[[str], list[int]], chunks: Iterable[str], names: list[str]
) -> Iterator[str]:
    """The tokens of each line of text on a line, as soon as the line is complete."""
    from lmgen.text.sources import line_blocks

    line_is_open = False
    for block in line_blocks(chunks):
        written = [" "] if line_is_open else []  # the rest of a very long line
        for line in _LINE.findall(block):
            written.append(" ".join(map(names.__getitem__, encode(line))))
            line_is_open = not line.endswith("\n")
            if not line_is_open:
                written.append("\n")
        yield "".join(written)
    if line_is_open:
        yield "\n"


def _decoded(
    tokenizer: "Tokenizer", ids: dict[str, int], words: Iterable[list[str]], pieces: bool
) -> Iterator[str]:
    """The text of tokens, of which `words` holds some at a time."""
    decoder = tokenizer.decoder()
    for some in words:
        yield decoder.push([_look_up(ids, word, pieces) for word in some])
    yield decoder.finish()


def _words(chunks: Iterable[str]) -> Iterator[list[str]]:
    """What stands between white space, in lists; a word that is cut between two chunks is put together."""
    waiting = ""
    for chunk in chunks:
        words = (waiting + chunk).split()
        waiting = "" if chunk[-1].isspace() else words.pop()
        yield words
    if waiting:
        yield [waiting]


def _look_up(ids: dict[str, int], word: str, pieces: bool) -> int:
    """The id that a word on stdin means."""
    if word in ids:
        return ids[word]
    shown = word if len(word) <= 40 else word[:40] + "..."
    if pieces:
        raise CorpusError(f"{shown!r} is not in the vocabulary; were these tokens written by another model?")
    raise CorpusError(
        f"{shown!r} is not a token id; ids are 0 to {len(ids) - 1} (with --pieces: spelled tokens)"
    )
