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

A model that adapts while it reads (`LanguageModel.reads_in_order`) is given one stream, which carries its
state from segment to segment.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmgen.arrays import Float64Array, IdArray, Int64Array, in_short
from lmgen.errors import CorpusError, NumericalError
from lmgen.models.base import LanguageModel, State, nats_of

STREAMS = 64
"""S: parallel streams of a segment. More would gain little, and each costs a warm-up."""

STREAM_LENGTH = 4096
"""L: tokens of each stream in a full segment."""

SHORTEST_STREAM = 1024
"""The fewest tokens of a stream in a segment of several: a shorter one is not worth its warm-up."""

WARM_UP = 256
"""W: tokens that a stream reads before those it is scored on. S * L has to hold the head and two streams."""

BLOCK_TOKENS = 4096
"""The most tokens, of all streams together, that a model is given at once (T * B)."""

BLOCK_FLOATS = 4_000_000
"""The most log-probabilities that a model may have to hold at once (T * B * V)."""


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """Consecutive tokens of a text with their scores, each array (N,)."""

    ids: IdArray
    nats: Float64Array
    """Negative log-probability of each token given all before it."""
    ranks: Int64Array | None
    """1 for the most likely token at its place; equally likely tokens share the better rank."""

    __repr__ = in_short


def score_ids(
    model: LanguageModel,
    ids: IdArray | Iterable[IdArray],
    *,
    exact: bool = False,
    state: State | None = None,
    ranks: bool = False,
) -> Iterator[ScoredBlock]:
    """
    Score every token of a text once, in order.

    Args:
        model: any language model.
        ids: the whole text as one array, (N,), which may be a memory map; or block by block.
        exact: read the text as one stream that carries its state from the first token to the last. Blocks
            of ids that are passed in are then scored as they come. Otherwise long texts are read as parallel
            streams (top of this file); a text shorter than two streams and a warm-up is always read exactly.
        state: of one stream, if the text is a continuation; None for the start of a text. Parallel streams
            beyond the first W tokens do not use it.
        ranks: find each token's rank too. Slower: it needs all V probabilities of every token.

    Yields:
        Consecutive blocks of the text. Where they are cut depends only on the text and on `exact`, not on
        the model, so the blocks of two models can be zipped.

    Raises:
        NumericalError: a score is not a finite number; the message gives the token's place in the text.
    """
    state = model.start(1) if state is None else state
    read = _read_exactly if exact else _read_in_parallel
    scored = 0
    for block in read(model, state, ids, ranks):
        _check_finite(block, scored)
        scored += len(block.ids)
        yield block


def score_each(model: LanguageModel, texts: Sequence[IdArray], *, exact: bool = False) -> list[Float64Array]:
    """
    Score independent texts, such as the lines of a file, many side by side.

    Texts of similar length are read together; their order does not affect the result.

    Returns:
        For each of `texts` the nats of its tokens, (N,), the same as `score_ids` gives for it alone.
    """
    scores = [np.zeros(0)] * len(texts)
    long = [number for number, ids in enumerate(texts) if not _fits_one_stream(ids)]
    for number in long:
        scores[number] = np.concatenate([part.nats for part in score_ids(model, texts[number], exact=exact)])
    short = sorted(set(range(len(texts))) - set(long), key=lambda number: len(texts[number]), reverse=True)
    streams = _most_streams(model)
    for first in range(0, len(short), streams):
        numbers = short[first : first + streams]
        blocks, _ = _score_side_by_side(model, model.start(len(numbers)), [texts[n] for n in numbers])
        for number, block in zip(numbers, blocks, strict=True):
            _check_finite(block, 0)
            scores[number] = block.nats
    return scores


def mean_nats(model: LanguageModel, ids: IdArray, limit: int | None = None) -> tuple[float, int]:
    """
    Mean negative log-probability in nats a token of a text, and how many tokens it is the mean of.

    Args:
        model: any language model.
        ids: the text, (N,); a memory map will do.
        limit: score only this many tokens, from its start.

    Raises:
        CorpusError: there are no tokens to take the mean of.
        NumericalError: as `score_ids`.
    """
    nats, tokens = 0.0, 0
    for block in score_ids(model, ids[:limit]):
        nats += float(block.nats.sum())
        tokens += len(block.nats)
    if not tokens:
        raise CorpusError("nothing to score: the text has no tokens")
    return nats / tokens, tokens


def _fits_one_stream(ids: IdArray) -> bool:
    """Whether a text is too short for two streams after the head."""
    return len(ids) < WARM_UP + 2 * SHORTEST_STREAM


def _read_exactly(
    model: LanguageModel, state: State, ids: IdArray | Iterable[IdArray], ranks: bool
) -> Iterator[ScoredBlock]:
    """One stream, its state carried from block to block."""
    for block in _pieces(ids, BLOCK_TOKENS):
        [scored], state = _score_side_by_side(model, state, [block], ranks)
        yield scored


def _read_in_parallel(
    model: LanguageModel, state: State, ids: IdArray | Iterable[IdArray], ranks: bool
) -> Iterator[ScoredBlock]:
    """The head, then segments of parallel streams; of one stream for a model that reads in order."""
    context = None
    for segment in _regrouped(_pieces(ids, STREAMS * STREAM_LENGTH), STREAMS * STREAM_LENGTH):
        if context is None:
            head = segment if _fits_one_stream(segment) else segment[:WARM_UP]
            [scored], state = _score_side_by_side(model, state, [head], ranks)
            yield scored
            context, segment = head, segment[len(head) :]
        if not len(segment):
            continue
        if model.reads_in_order:
            [scored], state = _score_side_by_side(model, state, [segment], ranks)
            yield scored
        else:
            yield _score_segment(model, context, segment, ranks)
            context = np.concatenate([context, segment])[-WARM_UP:]


def _score_segment(model: LanguageModel, context: IdArray, segment: IdArray, ranks: bool) -> ScoredBlock:
    """Score the tokens of `segment`, which follows the W tokens of `context`, in parallel streams."""
    streams = min(max(len(segment) // SHORTEST_STREAM, 1), _most_streams(model))
    length = -(-len(segment) // streams)
    begins = np.arange(0, len(segment), length)
    text = np.concatenate([context, segment])
    warm_up = text[begins + np.arange(WARM_UP)[:, None]]  # (W, B)
    state = _advance(model, model.start(len(begins)), warm_up)
    blocks, _ = _score_side_by_side(model, state, [segment[begin:][:length] for begin in begins], ranks)
    return ScoredBlock(
        segment,
        np.concatenate([block.nats for block in blocks]),
        np.concatenate([block.ranks for block in blocks if block.ranks is not None]) if ranks else None,
    )


def _score_side_by_side(
    model: LanguageModel, state: State, streams: Sequence[IdArray], ranks: bool = False
) -> tuple[list[ScoredBlock], State]:
    """
    Score B streams at once, T tokens of each at a time.

    Args:
        model: any language model.
        state: of the B streams, each before its first token.
        streams: the ids of each, longest first. A stream that ends is padded to the end of the T tokens,
            then dropped.
        ranks: find each token's rank too.

    Returns:
        The scores of each stream, and the state after the longest ones.
    """
    lengths = np.array([len(stream) for stream in streams])
    shape = (int(lengths[0]), len(streams))
    nats, rank = np.zeros(shape), np.zeros(shape, np.int64)
    steps = max(min(BLOCK_TOKENS, BLOCK_FLOATS // model.vocabulary_size) // len(streams), 1)
    running = len(streams)
    for first in range(0, len(nats), steps):
        going_on = int((lengths > first).sum())
        if going_on < running:
            running = going_on
            state = model.select(state, range(running))
        block = _padded([stream[first : first + steps] for stream in streams[:running]])  # (T, B)
        part = np.s_[first : first + len(block), :running]
        if ranks:
            nats[part], rank[part], state = _rank(model, state, block)
        else:
            log_probabilities, state = model.score(state, block)
            nats[part] = nats_of(log_probabilities)
    blocks = [
        ScoredBlock(ids, nats[: len(ids), stream], rank[: len(ids), stream] if ranks else None)
        for stream, ids in enumerate(streams)
    ]
    return blocks, state


def _rank(model: LanguageModel, state: State, ids: IdArray) -> tuple[Float64Array, Int64Array, State]:
    """Nats and ranks of each of `ids`, (T, B), and the state after them."""
    nats, ranks = np.zeros(ids.shape), np.zeros(ids.shape, np.int64)
    for step, row in enumerate(ids):
        predicted = model.predict(state)  # (B, V)
        chosen = predicted[np.arange(len(row)), row]
        nats[step] = nats_of(chosen)
        ranks[step] = 1 + (predicted > chosen[:, None]).sum(axis=1)
        state = model.advance(state, row[None])
    return nats, ranks, state


def _advance(model: LanguageModel, state: State, ids: IdArray) -> State:
    """The state after reading `ids`, (T, B), a bounded number of them at a time."""
    steps = max(BLOCK_TOKENS // ids.shape[1], 1)
    for first in range(0, len(ids), steps):
        state = model.advance(state, ids[first : first + steps])
    return state


def _padded(streams: Sequence[IdArray]) -> Int64Array:
    """Streams as the columns of one array, (T, B), T the longest's length; others are padded with id 0."""
    block = np.zeros((len(streams[0]), len(streams)), np.int64)
    for stream, ids in enumerate(streams):
        block[: len(ids), stream] = ids
    return block


def _most_streams(model: LanguageModel) -> int:
    """S, or fewer if one step of S streams would be too many log-probabilities; 1 if read in order."""
    if model.reads_in_order:
        return 1
    return max(min(STREAMS, BLOCK_FLOATS // model.vocabulary_size), 1)


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
    wrong = np.flatnonzero(~np.isfinite(block.nats))
    if len(wrong):
        raise NumericalError(
            f"token {before + wrong[0]} (counted from 0) scores {block.nats[wrong[0]]} nats: the model gives "
            "it no probability, or its weights are damaged; train again, with a smaller --learning-rate if "
            "the loss grew"
        )
