"""
How well a language model predicts a text: for the whole of it, line by line, or token by token.

With N tokens scored and the sum of their negative log-probabilities in nats:

    perplexity           exp(nats / N)
    bits per character   nats / ln 2 / characters        comparable between models with other tokens
    word perplexity      exp(nats / words)               a line end counts as a word

scoring.py scores token ids; this module adds up their nats over texts, lines and tokens.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, count, pairwise
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation.mixing import Mixture
from lmgen.evaluation.scoring import score_each, score_ids
from lmgen.models.base import LanguageModel
from lmgen.text.counts import TextCounter, TextCounts
from lmgen.text.sources import line_blocks
from lmgen.tokenizers.base import Tokenizer

NATS_PER_BIT = math.log(2)

FIRST_LINES, MOST_LINES = 64, 1024
"""Lines scored together: 64 at first, then twice as many each time, up to 1,024."""

Item = TypeVar("Item")


class _Row:
    """A dataclass of results that can be printed."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def values(self) -> dict[str, Any]:
        """The values by their names, in order."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values; JSON has no infinity, so an infinite value is None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in self.values().items()
        }

    def _repr_html_(self) -> str:
        from lmgen.evaluation.tables import html_table

        return html_table([self])


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScore(_Row):
    """How well a model predicts a text."""

    model: str
    """The model's name."""
    text: str
    """The text's name."""
    tokens: int
    """Tokens of the text; all of them were scored."""
    characters: int
    bytes: int
    """Length of the text in UTF-8."""
    words: int
    """Words between white space, and line ends."""
    unknown_tokens: int
    """Tokens that are not in the vocabulary; they are scored as the unknown token."""
    nats: float
    """Sum of the negative log-probabilities of all tokens."""
    nats_per_token: float
    perplexity: float
    perplexity_without_unknown: float | None
    """Perplexity of the known tokens, with unknown ones as context only; None if all are unknown."""
    bits_per_character: float | None
    """None if tokens are unknown, for then less than the text was predicted."""
    bits_per_byte: float | None
    """None if tokens are unknown."""
    word_perplexity: float | None
    """None if there are no words; infinite if it is too large for a float."""

    def __repr__(self) -> str:
        """The figures that matter most: `<TextScore lstm, book.txt: 2,000 tokens, perplexity 3.21, ...>`."""
        bits = self.bits_per_character
        per_character = "" if bits is None else f", {bits:.4g} bits per character"
        return (
            f"<{type(self).__name__} {self.model}, {self.text}: {self.tokens:,} tokens, perplexity "
            f"{self.perplexity:.4g}{per_character}>"
        )

    @property
    def note(self) -> str | None:
        """What a reader of these figures should know; None if there is nothing."""
        if not self.unknown_tokens:
            return None
        return (
            f"{self.text}: {self.unknown_tokens:,} of {self.tokens:,} tokens are unknown to the vocabulary, "
            "so there are no bits per character or byte"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedTextScore(TextScore):
    """A TextScore beside the size of the model, to compare n-gram models of several orders."""

    __repr__ = TextScore.__repr__

    parameters: int | None
    """Numbers that were estimated: a network's weights, an n-gram model's n-grams; None for a mixture."""

    @classmethod
    def of(cls, score: TextScore, parameters: int | None) -> Self:
        """The same score with the number of parameters."""
        return cls(**score.values(), parameters=parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineScore(_Row):
    """How well a model predicts one line, scored as a text of its own. Fields are those of TextScore."""

    model: str
    text: str
    line: int
    """The line's number in the text, from 1."""
    tokens: int
    """Tokens of the line. The line end is one if the line has one, or if the tokenizer reads lines."""
    nats: float
    perplexity: float | None
    bits_per_character: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScore(_Row):
    """How surprising one token of a text is."""

    model: str
    text: str
    index: int
    """The token's place in the text, in tokens from 0."""
    offset: int
    """Where the token begins in the text, in characters from 0."""
    token: str
    """The token's spelling, white space and control characters escaped (tokenizers/pieces.py)."""
    surprisal_bits: float
    """Its negative log-probability, to base 2."""
    rank: int
    """1 if no other token was more likely here."""


def score_text(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> TextScore:
    """Score a whole text by one model. Args and Raises are those of `compare_models`."""
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
        models: models over the tokenizer's vocabulary.
        tokenizer: turns the text into ids.
        chunks: the text in pieces cut anywhere; memory does not grow with its length.
        name: the text's name in the results.
        exact: read the text as one stream; otherwise a long text is read as parallel streams (scoring.py).
        mixture: a mixture of some of the models, to score too.

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
        for blocks in zip(*scored, strict=True):  # in step, so that no model's copy of the ids piles up
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


def score_texts(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], name: str, *, exact: bool = False
) -> Iterator[TextScore]:
    """
    Score many texts held in memory, each on its own, many side by side.

    Args and Raises are those of `compare_models`; the n-th text is called `NAME n`.

    Yields:
        The texts' scores, in their order.
    """
    numbers = count(1)
    for first in range(0, len(texts), MOST_LINES):
        group = texts[first : first + MOST_LINES]
        counters = [TextCounter() for _ in group]
        encoded = [
            np.concatenate([np.zeros(0, np.int64), *tokenizer.encode_stream(counter.counting([text]))])
            for text, counter in zip(group, counters, strict=True)
        ]
        names = [f"{name} {next(numbers)}" for _ in group]
        for each, ids in zip(names, encoded, strict=True):
            if not len(ids):
                raise _nothing_to_score(each)
        with _naming(f"{names[0]} to {names[-1]}"):
            scores = score_each(model, encoded, exact=exact)
        for each, ids, nats, counter in zip(names, encoded, scores, counters, strict=True):
            total = _Total(tokenizer.unknown)
            total.add(ids, nats)
            counts = counter.counts
            yield _text_score(model.name, each, total, counts, _words(counts, tokenizer))


def score_lines(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> Iterator[LineScore]:
    """
    Score each line of a text as a text of its own, its line end included where it has one.

    All lines that a chunk completes are scored side by side, lines of similar length together. So lines that
    arrive slowly are scored as they arrive, and many at once if they come fast. The first are scored a few at
    a time, to give the first scores early. Memory does not grow with the text, nor with a line.

    Args and Raises are those of `compare_models`.

    Yields:
        The lines' scores, in the order of the text.
    """
    number = 0
    try:
        for number, line in enumerate(_lines(model, tokenizer, chunks, exact), 1):
            yield _line_score(model.name, name, number, line)
    except NumericalError as error:
        raise NumericalError(f"{name}, after line {number}: {error}") from error
    if not number:
        raise _nothing_to_score(name)


def score_tokens(
    model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], name: str, *, exact: bool = False
) -> Iterator[TokenScore]:
    """
    Score a text token by token, in order.

    Args and Raises are those of `compare_models`. With `exact`, scores are yielded as the text arrives;
    otherwise when a segment of parallel streams is complete.
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
                    model=model.name,
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
    Independent iterators over one stream. An item is freed as soon as all have read it.

    (`itertools.tee` frees 57 items at a time, and an item here is a quarter of a million characters.)
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
    """Running totals of a text: tokens, nats, and those of unknown tokens."""

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
    """Totals of a line."""

    characters: int
    tokens: int
    unknown_tokens: int
    nats: float


def _text_score(model: str, text: str, total: _Total, counts: TextCounts, words: int) -> TextScore:
    """The score of a whole text, which has at least one token and one character."""
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


def _line_score(model: str, text: str, number: int, line: _Line) -> LineScore:
    bits = None if line.unknown_tokens else line.nats / NATS_PER_BIT / line.characters
    return LineScore(
        model=model,
        text=text,
        line=number,
        tokens=line.tokens,
        nats=line.nats,
        perplexity=_perplexity(line.nats, line.tokens),
        bits_per_character=bits,
    )


def _perplexity(nats: float, count: int) -> float | None:
    """exp(nats / count); None if the count is 0."""
    return exp_or_infinity(nats / count) if count else None


def exp_or_infinity(nats: float) -> float:
    """exp(nats); infinite if the result is too large for a float."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def _words(counts: TextCounts, tokenizer: Tokenizer) -> int:
    """Words and line ends, with the end of an unfinished last line if the tokenizer predicts one."""
    return counts.words + counts.line_ends + (counts.open_lines if tokenizer.reads_lines else 0)


def _lines(model: LanguageModel, tokenizer: Tokenizer, chunks: Iterable[str], exact: bool) -> Iterator[_Line]:
    """The totals of each line."""
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
