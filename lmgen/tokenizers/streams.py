"""
Texts of any length as lines of tokens, and back: what `lmgen tokenize` and `lmgen detokenize` print.

Tokens are written as ids, or as pieces (tokenizers/pieces.py), with blanks between them. A line of text is a
line of tokens, and its line end is written as one of them where it has an id.
"""

import re
from collections.abc import Iterable, Iterator

from lmgen.errors import CorpusError
from lmgen.text.chunks import line_blocks
from lmgen.tokenizers.base import Tokenizer

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class TokenLines:
    """The tokens of a text, written line by line; and how many of them were unknown."""

    def __init__(self, tokenizer: Tokenizer, *, pieces: bool = False) -> None:
        """
        Args:
            tokenizer: the tokenizer.
            pieces: write tokens as they are spelled, instead of their ids.
        """
        self._tokenizer = tokenizer
        self._names = _names(tokenizer, pieces)
        self.unknown = 0
        """Tokens so far that the vocabulary lacks; they do not come back from `text_of_tokens`."""

    def write(self, chunks: Iterable[str]) -> Iterator[str]:
        """The tokens of each line of text on a line, as soon as the line is complete."""
        line_is_open = False
        for block in line_blocks(chunks):
            written = [" "] if line_is_open else []  # the rest of a very long line
            for line in _LINE.findall(block):
                written.append(" ".join(map(self._names.__getitem__, self._encode(line))))
                line_is_open = not line.endswith("\n")
                if not line_is_open:
                    written.append("\n")
            yield "".join(written)
        if line_is_open:
            yield "\n"

    def _encode(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text)
        self.unknown += int(self._tokenizer.unknown_among(text, ids).sum())
        return ids.tolist()  # type: ignore[no-any-return]


def text_of_tokens(tokenizer: Tokenizer, chunks: Iterable[str], *, pieces: bool = False) -> Iterator[str]:
    """
    The text of tokens that are written with any white space between them, as soon as it is certain.

    Args:
        tokenizer: the tokenizer.
        chunks: the written tokens, cut anywhere.
        pieces: tokens are written as they are spelled, instead of their ids.

    Raises:
        CorpusError: something is no token of this tokenizer.
    """
    ids = {name: token for token, name in enumerate(_names(tokenizer, pieces))}
    decoder = tokenizer.decoder()
    for words in _words(chunks):
        yield decoder.push([_look_up(ids, word, pieces) for word in words])
    yield decoder.finish()


def _names(tokenizer: Tokenizer, pieces: bool) -> list[str]:
    """How each token is written, by id."""
    return [
        tokenizer.escaped_piece(token) if pieces else str(token) for token in range(tokenizer.vocabulary_size)
    ]


def _words(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Lists of the words between white space; a word that is cut between two chunks is put together."""
    waiting = ""
    for chunk in chunks:
        words = (waiting + chunk).split()
        waiting = "" if chunk[-1].isspace() else words.pop()
        yield words
    if waiting:
        yield [waiting]


def _look_up(ids: dict[str, int], word: str, pieces: bool) -> int:
    """The id of a written token."""
    if word in ids:
        return ids[word]
    shown = word if len(word) <= 40 else word[:40] + "..."
    if pieces:
        raise CorpusError(f"{shown!r} is not in the vocabulary; were these tokens written by another model?")
    raise CorpusError(
        f"{shown!r} is not a token id; ids are 0 to {len(ids) - 1} (with --pieces: spelled tokens)"
    )
