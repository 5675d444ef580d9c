"""
The negative log-probability of each token of a text under any LanguageModel; token ids only, no text.

A recurrent model reads 64 streams side by side several times faster than one stream as long as all of them.
So a long text is read in segments of S parallel streams, each a contiguous part of L tokens:

    text   a b c d e f g h i j k l m n o p q     W = 2 tokens of warm-up, S = 3 streams, L = 4 tokens

    head   a b                                   one stream from the start of the text: the first W tokens

                      warm-up   scored
    stream 0            a b    c d e f           each stream reads the W tokens before it, so that it knows
    stream 1            e f    g h i j           its context, and is scored on its own L tokens alone;
    stream 2            i j    k l m n           the next segment goes on after the last stream

    stream 0            m n    o p q · ·         the last segment has fewer or shorter streams; short ones
                                                 are padded, and the padding is not scored

Every token is scored exactly once, in the order of the text, and memory does not grow with the text.

The first stream of a text is exact: its warm-up is the whole text before it. The state of the others lacks
everything more than W tokens back. That is exact for an n-gram model; for recurrent models with W = 256 the
mean over a text changes by far less than 0.1% (a one-layer LSTM and a GRU on tinyshakespeare: less than
0.001%). At L = 4,096 the warm-up adds a sixteenth to the recurrent work and nothing to the output layer's.

A model that starts anew at the end of each text (`LanguageModel.resets_at`) is given whole texts as streams,
in place of parts of L tokens: exact, therefore, from the first end in a segment on.

A model that adapts while it reads (`LanguageModel.reads_in_order`) is given one stream, which carries its
state from segment to segment; and one text after the other, where others are scored side by side.

Segments, and groups of short texts, do not depend on each other, so all processors work on them
(processors.py). How a text is cut into them does not depend on the number of processors.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, IdArray
from lmgen.data.answers import AnswerMarker, Answers
from lmgen.data.token_file import Tokens, blocks_of
from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation.side_by_side import (
    BLOCK_TOKENS,
    Measure,
    ScoredBlock,
    advance,
    joined,
    most_streams,
    score_side_by_side,
)
from lmgen.models.base import LanguageModel, State, in_threads
from lmgen.processors import on_all_processors

STREAMS = 64
"""S: parallel streams of a segment. More would gain little, and each costs a warm-up."""

STREAM_LENGTH = 4096
"""L: tokens of each stream in a full segment."""

SHORTEST_STREAM = 1024
"""The fewest tokens of a stream in a segment of several: a shorter one is not worth its warm-up."""

WARM_UP = 256
"""W: tokens that a stream reads before those it is scored on. S * L has to hold the head and two streams."""

MEASURED_STREAMS = 512
"""Short texts that are measured side by side: a step for each token is slow unless many texts share it."""

WORTH_THREADS = 1 << 14
"""
The fewest tokens of several texts that are scored on all processors.

Beginning to do so takes a process about 10 ms the first time: what an n-gram model takes for so many tokens.
"""


def score_ids(
    model: LanguageModel,
    ids: IdArray | Iterable[IdArray],
    *,
    exact: bool = False,
    at_once: bool = False,
    state: State | None = None,
    measure: Measure | None = None,
) -> Iterator[ScoredBlock]:
    """
    Score every token of a text once, in order.

    Args:
        model: any language model.
        ids: the whole text as one array, (N,), which may be a memory map; or block by block.
        exact: read the text as one stream that carries its state from the first token to the last. Blocks
            of ids that are passed in are then scored as they come. Otherwise long texts are read as parallel
            streams (top of this file); a text shorter than two streams and a warm-up is always read exactly.
        at_once: give the scores of each segment before the next one is read, for a text that arrives slowly.
            Otherwise all processors work on several segments.
        state: of one stream, if the text is a continuation; None for the start of a text. Parallel streams
            beyond the first W tokens do not use it.
        measure: what to work out from all V probabilities of every token, which is slower. The lengths of
            the n-grams are found then, too.

    Yields:
        Consecutive blocks of the text. Where they are cut depends only on the text and on `exact`, not on
        the model, so the blocks of two models can be zipped.

    Raises:
        NumericalError: a score is not a finite number; the message gives the token's place in the text.
    """
    state = model.start(1) if state is None else state
    read = _read_exactly if exact else partial(_read_in_parallel, at_once=at_once)
    scored = 0
    for block in read(model, state, ids, measure):
        _check_finite(block, scored)
        scored += len(block.ids)
        yield block


def score_each(model: LanguageModel, texts: Sequence[IdArray], *, exact: bool = False) -> list[Float64Array]:
    """
    Score independent texts, such as the lines of a file, many side by side.

    Returns:
        For each of `texts` the nats of its tokens, (N,), the same as `score_ids` gives for it alone.
    """
    return [block.nats for block in measure_each(model, texts, exact=exact)]


def measure_each(
    model: LanguageModel,
    texts: Sequence[IdArray],
    *,
    exact: bool = False,
    measure: Measure | None = None,
    marked: Sequence[BoolArray] | None = None,
) -> list[ScoredBlock]:
    """
    Score independent texts as `score_each` does, and measure some of their tokens.

    Texts of similar length are read together; their order does not affect the result.

    Args:
        model: any language model.
        texts: the ids of each, (N,).
        exact: read each as one stream, however long it is.
        measure: what to work out from all V probabilities of a token, as in `score_ids`.
        marked: which tokens of each text to measure, (N,); None: all. In a long text, and for a model that
            reads in order, all are.

    Returns:
        For each of `texts` the same as `score_ids` gives for it alone.
    """
    long = [n for n, ids in enumerate(texts) if model.reads_in_order or not _fits_one_stream(ids)]
    short = sorted(set(range(len(texts))) - set(long), key=lambda number: len(texts[number]), reverse=True)
    streams = most_streams(model, measure, STREAMS if measure is None else MEASURED_STREAMS)
    alone = set(long)

    def score(numbers: Sequence[int]) -> list[ScoredBlock]:
        if numbers[0] in alone:
            return [joined(list(score_ids(model, texts[numbers[0]], exact=exact, measure=measure)))]
        chosen = None if marked is None else [marked[n] for n in numbers]
        state = model.start(len(numbers))
        blocks, _ = score_side_by_side(model, state, [texts[n] for n in numbers], measure, chosen)
        if not np.isfinite(
            np.concatenate([block.nats for block in blocks])
        ).all():  # once, for it takes a while
            for block in blocks:
                _check_finite(block, 0)
        return blocks

    jobs = [[number] for number in long]
    jobs += [short[first : first + streams] for first in range(0, len(short), streams)]
    is_much = sum(map(len, texts)) >= WORTH_THREADS
    done = on_all_processors(score, jobs) if is_much and in_threads(model) else map(score, jobs)
    scores: dict[int, ScoredBlock] = {}
    for numbers, blocks in zip(jobs, done, strict=True):
        scores.update(zip(numbers, blocks, strict=True))
    return [scores[number] for number in range(len(texts))]


def mean_nats(
    model: LanguageModel, ids: Tokens, limit: int | None = None, answers: Answers | None = None
) -> tuple[float, int]:
    """
    Mean negative log-probability in nats a token of a text, and how many tokens it is the mean of.

    Args:
        model: any language model.
        ids: the text, (N,): an array, or a token file.
        limit: score only this many tokens, from its start.
        answers: take the mean over the tokens of answers alone; None: over all.

    Raises:
        CorpusError: there are no tokens to take the mean of.
        NumericalError: as `score_ids`.
    """
    nats, tokens = 0.0, 0
    marker = None if answers is None else AnswerMarker(answers)
    for block in score_ids(model, blocks_of(ids, limit, STREAMS * STREAM_LENGTH)):
        scored = block.nats if marker is None else block.nats[marker.among(block.ids)]
        nats += float(scored.sum())
        tokens += len(scored)
    if not tokens:
        raise CorpusError("nothing to score: the text has no tokens")
    return nats / tokens, tokens


def _fits_one_stream(ids: IdArray) -> bool:
    """Whether a text is too short for two streams after the head."""
    return len(ids) < WARM_UP + 2 * SHORTEST_STREAM


def _read_exactly(
    model: LanguageModel, state: State, ids: IdArray | Iterable[IdArray], measure: Measure | None
) -> Iterator[ScoredBlock]:
    """One stream, its state carried from block to block."""
    for block in _pieces(ids, BLOCK_TOKENS):
        [scored], state = score_side_by_side(model, state, [block], measure)
        yield scored


def _read_in_parallel(
    model: LanguageModel,
    state: State,
    ids: IdArray | Iterable[IdArray],
    measure: Measure | None,
    *,
    at_once: bool,
) -> Iterator[ScoredBlock]:
    """The head, then segments of parallel streams; of one stream for a model that reads in order."""
    segments = _regrouped(_pieces(ids, STREAMS * STREAM_LENGTH), STREAMS * STREAM_LENGTH)
    beginning = next(segments, None)
    if beginning is None:
        return
    head = beginning if _fits_one_stream(beginning) else beginning[:WARM_UP]
    [scored], state = score_side_by_side(model, state, [head], measure)
    yield scored
    rest = chain([beginning[len(head) :]] if len(beginning) > len(head) else [], segments)
    if model.reads_in_order:
        for segment in rest:
            [scored], state = score_side_by_side(model, state, [segment], measure)
            yield scored
        return
    score = partial(_score_segment if model.resets_at is None else _score_texts, model, measure)
    after = _after_context(head, rest)
    yield from on_all_processors(score, after) if in_threads(model) and not at_once else map(score, after)


def _after_context(head: IdArray, segments: Iterable[IdArray]) -> Iterator[tuple[IdArray, IdArray]]:
    """Each segment after the W tokens before it; `head` comes before the first."""
    context = head
    for segment in segments:
        yield context, segment
        context = np.concatenate([context, segment])[-WARM_UP:]


def _score_segment(
    model: LanguageModel, measure: Measure | None, given: tuple[IdArray, IdArray]
) -> ScoredBlock:
    """Score the tokens of a segment after the W tokens of its context, in parallel streams."""
    context, segment = given
    streams = min(max(len(segment) // SHORTEST_STREAM, 1), most_streams(model, measure, STREAMS))
    length = -(-len(segment) // streams)
    begins = np.arange(0, len(segment), length)
    text = np.concatenate([context, segment])
    warm_up = text[begins + np.arange(WARM_UP)[:, None]]  # (W, B)
    state = advance(model, model.start(len(begins)), warm_up)
    blocks, _ = score_side_by_side(model, state, [segment[begin:][:length] for begin in begins], measure)
    return joined(blocks)


def _score_texts(
    model: LanguageModel, measure: Measure | None, given: tuple[IdArray, IdArray]
) -> ScoredBlock:
    """The same as `_score_segment`, but from the first end of a text on each text is read from its start."""
    context, segment = given
    ends = np.flatnonzero(segment == model.resets_at) + 1
    unfinished, *texts = (text for text in np.split(segment, ends) if len(text))
    return joined(
        [_score_segment(model, measure, (context, unfinished)), *measure_each(model, texts, measure=measure)]
    )


def _pieces(ids: IdArray | Iterable[IdArray], size: int) -> Iterator[IdArray]:
    """The ids in blocks of 1 to `size`; those that come block by block are passed on as they come."""
    for block in [ids] if isinstance(ids, np.ndarray) else ids:
        for first in range(0, len(block), size):
            yield np.asarray(block[first : first + size])


def _regrouped(blocks: Iterable[IdArray], size: int) -> Iterator[IdArray]:
    """The same ids in blocks of exactly `size`; the last may be shorter."""
    waiting: list[IdArray] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= size:
            joined = np.concatenate(waiting)
            yield joined[:size]
            waiting, count = [joined[size:]], count - size
    if count:
        yield np.concatenate(waiting)


def _check_finite(block: ScoredBlock, before: int) -> None:
    """Refuse NaN and infinite scores; `before` tokens of the text came before the block."""
    finite = np.isfinite(block.nats)
    if not finite.all():
        wrong = int(finite.argmin())
        raise NumericalError(
            f"token {before + wrong} (counted from 0) scores {block.nats[wrong]} nats: the model gives "
            "it no probability, or its weights are damaged; train again, with a smaller --learning-rate if "
            "the loss grew"
        )
