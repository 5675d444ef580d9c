"""
How surprised any LanguageModel is by each token of a text, on token ids alone.

A recurrent model reads 64 streams side by side several times faster than one stream as long as all of them.
So a long text is read in segments of S parallel streams, each a contiguous part of L tokens:

    text   a b c d e f g h i j k l m n o p q     W = 2 tokens of warm-up, S = 3 streams, L = 4 tokens

    head   a b                                   one stream from the start of the text: the first W tokens

                      warm-up   scored
    stream 0            a b    c d e f           each stream reads the W tokens before it, so that it knows
    stream 1            e f    g h i j           its context, and is scored on its own L tokens alone;
    stream 2            i j    k l m n           the next segment goes on after the last stream

    stream 0            m n    o p q · ·         the last segment has fewer streams or shorter ones: what
                                                 is missing is padded, and the padding not counted

So every token is scored exactly once, in the order of the text, and memory does not grow with the text.

The first stream of a text is exact: its warm-up is all there is before it. The others begin with a state
that does not know what is more than W tokens back: exact for an n-gram model, and for recurrent models with
W = 256 so near that the mean over a text differs by far less than 0.1% (a one-layer LSTM and a GRU on
tinyshakespeare: by less than 0.001%). At L = 4,096 the warm-up adds a sixteenth to the recurrent work and
nothing to that of the output layer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmgen.errors import CorpusError, NumericalError
from lmgen.models.base import Float64Array, IdArray, LanguageModel, State, nats_of

STREAMS = 64
"""S: parallel streams of a segment. Many more would gain little and cost a warm-up each."""

STREAM_LENGTH = 4096
"""L: tokens of each stream in a full segment."""

SHORTEST_STREAM = 1024
"""A segment has as many streams as leave each so many tokens: for fewer a warm-up is not worth its time."""

WARM_UP = 256
"""W: tokens that a stream reads before those it is scored on. S * L has to hold the head and two streams."""

BLOCK_TOKENS = 4096
"""Tokens of all streams that a model is given at once (T * B)."""

BLOCK_FLOATS = 4_000_000
"""Log-probabilities that a model may have to hold at once (T * B * V)."""

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """Consecutive tokens of a text with their scores, each array (N,)."""

    ids: IdArray
    nats: Float64Array
    """Negative log-probability of each token given all before it."""
    ranks: Int64Array | None
    """1 for the token that was most likely at its place; tokens equally likely share the better rank."""


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
            streams, see above; a text of less than two streams and a warm-up is always read exactly.
        state: of one stream, where the text goes on from it; None for the start of a text. Parallel streams
            beyond the first W tokens do not know what is in it.
        ranks: find each token's rank too. Slower: it needs all V probabilities of every token.

    Yields:
        Blocks that join into the text. Where they are cut depends on the text and on `exact` alone, so the
        blocks of two models go side by side.

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
    Score texts that have nothing to do with each other, such as the lines of a file, many side by side.

    Texts of similar length are read together; their order does not matter to the result.

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
        limit: score only so many tokens from its start.

    Raises:
        CorpusError: there is no token, so no mean.
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
    """The head, then segments of parallel streams."""
    context = None
    for segment in _regrouped(_pieces(ids, STREAMS * STREAM_LENGTH), STREAMS * STREAM_LENGTH):
        if context is None:
            head = segment if _fits_one_stream(segment) else segment[:WARM_UP]
            [scored], _ = _score_side_by_side(model, state, [head], ranks)
            yield scored
            context, segment = head, segment[len(head) :]
        if len(segment):
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
        streams: the ids of each, longest first. A stream that has ended is padded to the end of the T
            tokens, then left out.
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
    """Streams as the columns of one array, (T, B), T being the longest's length; id 0 fills the others up."""
    block = np.zeros((len(streams[0]), len(streams)), np.int64)
    for stream, ids in enumerate(streams):
        block[: len(ids), stream] = ids
    return block


def _most_streams(model: LanguageModel) -> int:
    """S, or fewer where a single step of S streams would be too many log-probabilities."""
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
    """Refuse scores that are no numbers; `before` tokens of the text came before the block."""
    wrong = np.flatnonzero(~np.isfinite(block.nats))
    if len(wrong):
        raise NumericalError(
            f"token {before + wrong[0]} (counted from 0) scores {block.nats[wrong[0]]} nats: the model gives "
            "it no probability, or its weights are damaged; train again, with a smaller --learning-rate if "
            "the loss grew"
        )
