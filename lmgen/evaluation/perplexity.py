"""
How well a language model predicts a text: for the whole of it, line by line, or token by token.

With N tokens scored and the sum of their negative log-probabilities in nats:

    perplexity           exp(nats / N)
    bits per character   nats / ln 2 / characters        so that models with other tokens compare
    word perplexity      exp(nats / words)               a line end is a word

Scoring token ids is for scoring.py; here is what the ids are of.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, count, pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation.mixing import Mixture
from lmgen.evaluation.scoring import score_each, score_ids
from lmgen.models.base import Float64Array, IdArray, LanguageModel
from lmgen.text.counts import TextCounter, TextCounts
from lmgen.text.sources import line_blocks
from lmgen.tokenizers.base import Tokenizer

NATS_PER_BIT = math.log(2)

FIRST_LINES, MOST_LINES = 64, 1024
"""So many lines are scored first and passed on; then twice as many each time, up to the second number."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScore:
    """What a model makes of a text."""

    model: str
    text: str
    """The text's name."""
    tokens: int
    """How many were predicted: all of them."""
    characters: int
    bytes: int
    """Of the text in UTF-8."""
    words: int
    """What stands between white space, and line ends."""
    unknown_tokens: int
    """How many tokens the vocabulary lacks; they are scored as the unknown token."""
    nats: float
    """Of all tokens together."""
    nats_per_token: float
    perplexity: float
    perplexity_without_unknown: float | None
    """Over the known tokens alone, the unknown ones still being context; None where there are none."""
    bits_per_character: float | None
    """None where tokens are unknown: what was predicted is then less than the text."""
    bits_per_byte: float | None
    """None where tokens are unknown."""
    word_perplexity: float | None
    """None where there are no words; infinite where it is too large for a float."""

    @property
    def note(self) -> str | None:
        """What a reader of the figures has to know, if anything."""
        if not self.unknown_tokens:
            return None
        return (
            f"{self.text}: {self.unknown_tokens:,} of {self.tokens:,} tokens are unknown to the vocabulary, "
            "so there are no bits per character or byte"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineScore:
    """What a model makes of a line, taken as a text of its own; the fields mean what TextScore's do."""

    text: str
    line: int
    """Counted from 1."""
    tokens: int
    """The line end among them, where the line has one or the tokenizer reads lines."""
    nats: float
    perplexity: float | None
    bits_per_character: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScore:
    """How surprising a token is where it stands."""

    text: str
    index: int
    """Counted from 0, in tokens."""
    offset: int
    """Where the token begins, counted from 0, in characters."""
    token: str
    """How it is spelled, without white space and control characters (tokenizers/pieces.py)."""
    surprisal_bits: float
    rank: int
    """1 where no other token was more likely."""


def score_text(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> TextScore:
    """
    Score a text from its first token to its last; see `compare_models`.
    """
    return compare_models([model], tokenizer, chunks, name, exact=exact)[0]


def compare_models(
    models: Sequence[LanguageModel],
    tokenizer: Tokenizer,
    chunks: Iterable[str],
    name: str,
    *,
    exact: bool = False,
    mixture: Mixture | None = None,
) -> list[TextScore]:
    """
    Score one text by several models that share a tokenizer; the text is read once.

    Args:
        models: each with the tokenizer's vocabulary.
        tokenizer: turns the text into ids.
        chunks: the text in pieces cut anywhere; memory does not grow with its length.
        name: what the text is called in the results.
        exact: read the text as one stream; otherwise a long one as parallel streams, see scoring.py.
        mixture: of some of the models, to be scored too.

    Returns:
        The models' scores in their order, then the mixture's.

    Raises:
        CorpusError: the text has no tokens.
        NumericalError: a model's score of a token is not a finite number.
    """
    counter = TextCounter()
    copies = readings(tokenizer.encode_stream(counter.counting(chunks)), len(models))
    scored = [score_ids(model, ids, exact=exact) for model, ids in zip(models, copies, strict=True)]
    names = [model.name for model in models] + (["mixture"] if mixture else [])
    totals = [_Total(tokenizer.unknown) for _ in names]
    with _naming(name):
        for blocks in zip(*scored, strict=True):  # side by side, so that no copy of the ids grows long
            nats = [block.nats for block in blocks]
            if mixture:
                nats.append(mixture.nats(totals[0].tokens, nats))
            for total, of_model in zip(totals, nats, strict=True):
                total.add(blocks[0].ids, of_model)
    if not counter.counts.characters or not totals[0].tokens:
        raise _nothing_to_score(name)
    words = _words(counter.counts, tokenizer)
    return [
        _text_score(of_model, name, total, counter.counts, words)
        for of_model, total in zip(names, totals, strict=True)
    ]


def score_lines(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> Iterator[LineScore]:
    """
    Score each line of a text as a text of its own, its line end included where it has one.

    The lines that a chunk completes are scored side by side, those of similar length together, so that lines
    that arrive slowly are scored as they arrive, and many at once if they come fast. The first are scored a
    few at a time: their scores come out while the others still wait. Memory does not grow with the text, nor
    with a line.

    Args and Raises are those of `compare_models`.

    Yields:
        The lines' scores, in the order of the text.
    """
    number = 0
    try:
        for number, line in enumerate(_lines(model, tokenizer, chunks, exact), 1):
            yield _line_score(name, number, line)
    except NumericalError as error:
        raise NumericalError(f"{name}, after line {number}: {error}") from error
    if not number:
        raise _nothing_to_score(name)


def score_tokens(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> Iterator[TokenScore]:
    """
    Score a text, token by token, in order.

    Args and Raises are those of `compare_models`. With `exact` the tokens come as the text does; otherwise
    a segment of parallel streams at a time.
    """
    for_ids, for_offsets = readings(tokenizer.encode_stream_with_offsets(chunks), 2)
    offsets = chain.from_iterable(block.tolist() for _, block in for_offsets)
    spelled = cache(tokenizer.escaped_piece)
    indices = count()
    with _naming(name):
        for block in score_ids(model, (ids for ids, _ in for_ids), exact=exact, ranks=True):
            assert block.ranks is not None
            for token, nats, rank in zip(block.ids.tolist(), block.nats, block.ranks.tolist(), strict=True):
                yield TokenScore(
                    text=name,
                    index=next(indices),
                    offset=next(offsets),
                    token=spelled(token),
                    surprisal_bits=float(nats) / NATS_PER_BIT,
                    rank=rank,
                )
    if next(indices) == 0:
        raise _nothing_to_score(name)


def readings(items: Iterable[Item], count: int) -> list[Iterator[Item]]:
    """
    Several readings of one stream. What all have read is let go at once.

    (`itertools.tee` lets go of 57 items at a time, and an item here is a quarter of a million characters.)
    """
    source = iter(items)
    waiting: list[deque[Item]] = [deque() for _ in range(count)]

    def reading(own: deque[Item]) -> Iterator[Item]:
        while True:
            if not own:
                try:
                    item = next(source)
                except StopIteration:
                    return
                for each in waiting:
                    each.append(item)
                del item
            yield own.popleft()

    return [reading(own) for own in waiting]


class _Total:
    """Sums of what has been scored so far."""

    def __init__(self, unknown: int | None) -> None:
        self._unknown = unknown
        self.tokens = self.unknown_tokens = 0
        self.nats = self.unknown_nats = 0.0

    def add(self, ids: IdArray, nats: Float64Array) -> None:
        self.tokens += len(ids)
        self.nats += float(nats.sum())
        if self._unknown is not None:
            unknown = ids == self._unknown
            self.unknown_tokens += int(unknown.sum())
            self.unknown_nats += float(nats[unknown].sum())


class _Line(NamedTuple):
    """Sums of what has been scored of a line."""

    characters: int
    tokens: int
    unknown_tokens: int
    nats: float


def _text_score(model: str, text: str, total: _Total, counts: TextCounts, words: int) -> TextScore:
    """The figures of a whole text; it has at least one token and one character."""
    bits = None if total.unknown_tokens else total.nats / NATS_PER_BIT
    known_tokens = total.tokens - total.unknown_tokens
    return TextScore(
        model=model,
        text=text,
        tokens=total.tokens,
        characters=counts.characters,
        bytes=counts.bytes,
        words=words,
        unknown_tokens=total.unknown_tokens,
        nats=total.nats,
        nats_per_token=total.nats / total.tokens,
        perplexity=exp_or_infinity(total.nats / total.tokens),
        perplexity_without_unknown=_perplexity(total.nats - total.unknown_nats, known_tokens),
        bits_per_character=None if bits is None else bits / counts.characters,
        bits_per_byte=None if bits is None else bits / counts.bytes,
        word_perplexity=_perplexity(total.nats, words),
    )


def _line_score(text: str, number: int, line: _Line) -> LineScore:
    bits = None if line.unknown_tokens else line.nats / NATS_PER_BIT / line.characters
    return LineScore(
        text=text,
        line=number,
        tokens=line.tokens,
        nats=line.nats,
        perplexity=_perplexity(line.nats, line.tokens),
        bits_per_character=bits,
    )


def _perplexity(nats: float, count: int) -> float | None:
    """exp(nats / count); None where there is nothing to take the mean of."""
    return exp_or_infinity(nats / count) if count else None


def exp_or_infinity(nats: float) -> float:
    """The perplexity of a loss; infinite where the number is too large to be written."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def _words(counts: TextCounts, tokenizer: Tokenizer) -> int:
    """Words between white space and line ends; the end of an open last line where it is predicted."""
    return counts.words + counts.line_ends + (counts.open_lines if tokenizer.reads_lines else 0)


def _lines(model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], exact: bool) -> Iterator[_Line]:
    """The sums of each line."""
    blocks = line_blocks(chunks)
    most = FIRST_LINES
    for block in blocks:
        rest = block
        while rest:
            lines, rest = _complete_lines(rest)
            while lines:
                yield from _score_complete_lines(model, tokenizer, lines[:most], exact)
                lines, most = lines[most:], min(2 * most, MOST_LINES)
            if rest:
                after: list[str] = []
                yield _score_open_line(model, tokenizer, _up_to_line_end(rest, blocks, after), exact)
                rest = "".join(after)


def _complete_lines(block: str) -> tuple[list[str], str]:
    r"""The lines of a block with their line ends, and its open last line: `"a\nb"` -> `["a\n"], "b"`."""
    *lines, open_line = block.split("\n")
    return [line + "\n" for line in lines], open_line


def _up_to_line_end(beginning: str, blocks: Iterator[str], after: list[str]) -> Iterator[str]:
    """A line that has begun, to its end in one of the next blocks; what follows there goes to `after`."""
    yield beginning
    for block in blocks:
        line, line_end, rest = block.partition("\n")
        yield line + line_end
        if line_end:
            after.append(rest)
            return


def _score_complete_lines(
    model: LanguageModel, tokenizer: Tokenizer, lines: Sequence[str], exact: bool
) -> Iterator[_Line]:
    """The sums of each of some lines, scored side by side."""
    encoded = _encoded(tokenizer, lines)
    tokens = [len(ids) for ids in encoded]
    begins = np.cumsum([0, *tokens[:-1]])
    nats = np.add.reduceat(np.concatenate(score_each(model, encoded, exact=exact)), begins)
    is_unknown = np.concatenate(encoded) == tokenizer.unknown  # none is where that is None
    unknown = np.add.reduceat(is_unknown, begins, dtype=np.intp)
    return map(_Line, map(len, lines), tokens, unknown.tolist(), nats.tolist())


def _encoded(tokenizer: Tokenizer, lines: Sequence[str]) -> list[IdArray]:
    """The ids of each of some lines, which all end in a line end; at once where a line end has an id."""
    if tokenizer.line_end is None:
        return [tokenizer.encode(line) for line in lines]
    ids = tokenizer.encode("".join(lines))
    ends = np.flatnonzero(ids == tokenizer.line_end) + 1
    return [ids[begin:end] for begin, end in pairwise([0, *ends.tolist()])]


def _score_open_line(model: LanguageModel, tokenizer: Tokenizer, pieces: Iterable[str], exact: bool) -> _Line:
    """The sums of a line that comes in pieces: a very long one, or one without a line end."""
    counter = TextCounter()
    total = _Total(tokenizer.unknown)
    for block in score_ids(model, tokenizer.encode_stream(counter.counting(pieces)), exact=exact):
        total.add(block.ids, block.nats)
    return _Line(counter.counts.characters, total.tokens, total.unknown_tokens, total.nats)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say in which text a score was not a number."""
    try:
        yield
    except NumericalError as error:
        raise NumericalError(f"{where}: {error}") from error


def _nothing_to_score(name: str) -> CorpusError:
    return CorpusError(f"nothing to score: {name} has no text in it")
