"""
How well a language model predicts a text: for the whole of it, or by record, line, word or token.

With N tokens scored and the sum of their negative log-probabilities in nats:

    perplexity           exp(nats / N)
    bits per character   nats / ln 2 / characters        comparable between models with other tokens
    word perplexity      exp(nats / words)               a line end counts as a word

units.py cuts a text into the units that are read afresh and scores them, rows.py finds the lines and words in
them and adds up their tokens, row_makers.py makes the results of results.py of them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Literal, TypeVar

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, IdArray
from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation.mixing import Mixture
from lmgen.evaluation.results import (
    NATS_PER_BIT,
    TextScore,
    exp_or_infinity,
    perplexity_of,
)
from lmgen.evaluation.row_makers import RowKind, Rows, RowScore
from lmgen.evaluation.rows import BlankWith
from lmgen.evaluation.scoring import score_each, score_ids
from lmgen.evaluation.side_by_side import ScoredBlock
from lmgen.evaluation.units import MOST_UNITS, Part, UnitReader, UnknownTokens, score_parts
from lmgen.models.base import LanguageModel
from lmgen.text.counts import TextCounter, TextCounts
from lmgen.text.reading import read_stream
from lmgen.text.units import Unit
from lmgen.tokenizers.base import Tokenizer

Item = TypeVar("Item")


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
    unit: Unit | None = None,
    exact: bool = False,
    mixture: Mixture | None = None,
    unknown: UnknownTokens | None = None,
) -> list[TextScore]:
    """
    Score one text by several models that share a tokenizer; the text is read once.

    Args:
        models: models over the tokenizer's vocabulary.
        tokenizer: turns the text into ids.
        chunks: the text in pieces cut anywhere; memory does not grow with its length. If the unit is a
            record, a stream of records (text/units.py).
        name: the text's name in the results.
        unit: what is read afresh; None: what is one text for the model.
        exact: read the text as one stream; otherwise a long text is read as parallel streams (scoring.py).
        mixture: a mixture of some of the models, to score too.
        unknown: counts the unknown tokens by their spelling.

    Returns:
        The models' scores in their order, then the mixture's.

    Raises:
        CorpusError: the text has no tokens.
        NumericalError: a model's score of a token is not a finite number.
    """
    is_own = unit in (None, tokenizer.unit)  # then models begin afresh by themselves, in one stream
    reader = UnitReader(tokenizer, "document" if unit is None or is_own else unit, unknown or UnknownTokens())
    counter = TextCounter()
    chunks = read_stream(chunks, tokenizer.reading)
    if tokenizer.answer_mark is None:
        parts = reader.parts(counter.counting(chunks))
    else:
        parts = _counting_answers(reader.parts(chunks), counter)
    first, *copies = readings(parts, 1 + len(models))
    masks = _Masks(first)
    score = _score_stream if is_own else score_parts
    scored = [score(model, copy, exact=exact) for model, copy in zip(models, copies, strict=True)]
    names = [model.name for model in models] + (["mixture"] if mixture else [])
    totals = [_Total() for _ in names]
    read = 0
    with _naming(name):
        for blocks in zip(*scored, strict=True):  # in step, so that no model's copy of the ids piles up
            nats = [block.nats for block in blocks]
            if mixture:
                nats.append(mixture.nats(read, nats))
            read += len(nats[0])
            unknown_ones, of_answers = masks.take(len(nats[0]))
            for total, of_model in zip(totals, nats, strict=True):
                total.add(unknown_ones, of_model if of_answers is None else of_model[of_answers])
    if not counter.counts.characters or not totals[0].tokens:
        raise _nothing_to_score(name, tokenizer)
    counts, words = _lengths(counter.counts, tokenizer, totals[0].tokens)
    return [
        _text_score(of_model, name, total, counts, words)
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
    for first in range(0, len(texts), MOST_UNITS):
        group = texts[first : first + MOST_UNITS]
        counters = [TextCounter() for _ in group]
        encoded = [_encoded(tokenizer, text, counter) for text, counter in zip(group, counters, strict=True)]
        names = [f"{name} {next(numbers)}" for _ in group]
        for each, (_, unknown, _) in zip(names, encoded, strict=True):
            if not len(unknown):
                raise _nothing_to_score(each, tokenizer)
        with _naming(f"{names[0]} to {names[-1]}"):
            scores = score_each(model, [ids for ids, _, _ in encoded], exact=exact)
        for each, (_, unknown, scored), nats, counter in zip(names, encoded, scores, counters, strict=True):
            total = _Total()
            total.add(unknown, nats if scored is None else nats[scored])
            yield _text_score(model.name, each, total, *_lengths(counter.counts, tokenizer, total.tokens))


def score_rows(
    models: Sequence[LanguageModel],
    tokenizer: Tokenizer,
    chunks: Iterable[str],
    name: str,
    *,
    by: RowKind,
    unit: Unit | None = None,
    exact: bool = False,
    at_once: bool = False,
    blank_with: BlankWith = "next",
    unigram_bits: Float64Array | None = None,
    unknown: UnknownTokens | None = None,
) -> Iterator[RowScore]:
    """
    Score a text by record, line, word or token, by several models that share a tokenizer.

    All units that a chunk completes are scored side by side, those of similar length together. So lines that
    arrive slowly are scored as they arrive, and many at once if they come fast. The first are scored a few at
    a time, to give the first scores early. A unit that is longer than a chunk is scored as it arrives if
    `exact`, otherwise when a segment of parallel streams is complete (scoring.py). Memory does not grow with
    the text, nor with a unit.

    Args:
        models: models over the tokenizer's vocabulary.
        tokenizer: turns the text into ids.
        chunks: the text in pieces cut anywhere. If the unit is a record, a stream of records (text/units.py).
        name: the text's name in the results.
        by: what one score covers.
        unit: what is read afresh; None: what `unit_of` says.
        exact: read long units as one stream.
        at_once: give the scores of what was read before more is read, for a text that arrives slowly.
        blank_with: by word, the word that white space is counted with.
        unigram_bits: by word, the unigram surprisal of each id, (V,).
        unknown: counts the unknown tokens by their spelling.

    Yields:
        Every model's score of the first row, then of the next, and so on.

    Raises:
        CorpusError: the text has no rows.
        NumericalError: a model's score of a token is not a finite number.
    """
    unit = unit_of(by, tokenizer) if unit is None else unit
    reader = UnitReader(
        tokenizer,
        unit,
        unknown or UnknownTokens(),
        offsets=by in ("word", "token") or (by == "line" and unit != "line"),
    )
    rows = Rows.of(by, tokenizer, unit, blank_with, unigram_bits)
    parts = map(rows.cut, reader.parts(read_stream(chunks, tokenizer.reading)))
    first, *copies = readings(parts, 1 + len(models))
    scored = [
        score_parts(model, (cut.part for cut in copy), exact=exact, at_once=at_once, measure=rows.measure)
        for model, copy in zip(models, copies, strict=True)
    ]
    makers = [rows.maker(model.name, name) for model in models]
    number = 0
    try:
        for cut, *blocks in zip(first, *scored, strict=True):
            each = [
                maker.rows(cut.answers, cut.segments, cut.scored(block))
                for maker, block in zip(makers, blocks, strict=True)
            ]
            for side_by_side in zip(*each, strict=True):
                yield from side_by_side
                number += 1
    except NumericalError as error:
        where = name if unit == "document" else f"{name}, after {by} {number}"
        raise NumericalError(f"{where}: {error}") from error
    if not number:
        raise _nothing_to_score(name, tokenizer)


def unit_of(by: Literal["document"] | RowKind, tokenizer: Tokenizer) -> Unit:
    """What is read afresh if nothing else is asked for: lines for lines and words, else the model's unit."""
    match by:
        case "record":
            return "record"
        case "line" | "word":
            return "line"
        case _:
            return tokenizer.unit


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

    def __init__(self) -> None:
        self.tokens = self.unknown_tokens = 0
        self.nats = self.unknown_nats = 0.0

    def add(self, unknown: BoolArray, nats: Float64Array) -> None:
        self.tokens += len(nats)
        self.nats += float(nats.sum())
        self.unknown_tokens += int(unknown.sum())
        self.unknown_nats += float(nats[unknown].sum())


class _Masks:
    """Which tokens of a text are unknown, and which are scored, to be taken a number of tokens at a time."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._unknown = self._scored = np.zeros(0, np.bool_)
        self._all_scored = True

    def take(self, count: int) -> tuple[BoolArray, BoolArray | None]:
        """The unknown ones among the scored ones of the next tokens; and which are scored, None for all."""
        while len(self._unknown) < count:
            part = next(self._parts)
            self._unknown = np.append(self._unknown, part.unknown)
            self._scored = np.append(self._scored, _scored_of(part))
            self._all_scored &= part.scored is None or not len(part.ids)
        unknown, self._unknown = self._unknown[:count], self._unknown[count:]
        scored, self._scored = self._scored[:count], self._scored[count:]
        return (unknown, None) if self._all_scored else (unknown[scored], scored)


def _scored_of(part: Part) -> BoolArray:
    """Which tokens of a part are scored, (N,)."""
    return np.ones(len(part.ids), np.bool_) if part.scored is None else part.scored.tokens


def _counting_answers(parts: Iterable[Part], counter: TextCounter) -> Iterator[Part]:
    """Pass parts on, and count the characters of each that are scored."""
    for part in parts:
        counter.add(part.answers().text)
        yield part


def _score_stream(model: LanguageModel, parts: Iterable[Part], *, exact: bool) -> Iterator[ScoredBlock]:
    """Score the parts of one unit, in blocks that scoring.py chooses."""
    return score_ids(model, (part.ids for part in parts if len(part.ids)), exact=exact)


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
        perplexity_without_unknown=perplexity_of(total.nats - total.unknown_nats, known_tokens),
        bits_per_character=None if bits is None else bits / counts.characters,
        bits_per_byte=None if bits is None else bits / counts.bytes,
        word_perplexity=perplexity_of(total.nats, words),
    )


def _lengths(counts: TextCounts, tokenizer: Tokenizer, tokens: int) -> tuple[TextCounts, int]:
    """
    The lengths of a text, and its words and line ends.

    An end that the text lacks and the model predicts counts as a word; in a model over units as a character.
    Sentence marks in the text of a word model are no words.
    """
    added = counts.open_lines if tokenizer.sentence_end is not None else 0
    words = tokens if tokenizer.tokens_are_words else counts.words + counts.line_ends + added
    return tokenizer.closed(counts), words


def _encoded(
    tokenizer: Tokenizer, text: str, counter: TextCounter
) -> tuple[IdArray, BoolArray, BoolArray | None]:
    """The ids of a text that is counted, which scored ones are unknown, which are scored (None: all)."""
    reader = UnitReader(tokenizer, "document", UnknownTokens())
    chunks = read_stream([text], tokenizer.reading)
    if tokenizer.answer_mark is None:
        parts = list(reader.parts(counter.counting(chunks)))
    else:
        parts = list(_counting_answers(reader.parts(chunks), counter))
    ids, unknown = np.concatenate([part.ids for part in parts]), _Masks(iter(parts)).take
    return ids, *unknown(len(ids))


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say in which text a score was not a number."""
    try:
        yield
    except NumericalError as error:
        raise NumericalError(f"{where}: {error}") from error


def _nothing_to_score(name: str, tokenizer: Tokenizer) -> CorpusError:
    mark = tokenizer.reading.answers_after
    if mark is not None:
        return CorpusError(
            f"nothing to score: the model scores only what follows {mark!r} in each {tokenizer.unit}, and "
            f"{name} has nothing there"
        )
    return CorpusError(f"nothing to score: {name} has no text in it")
