"""
Sampling: drawing one token after the other from any language model.

filters.py decides which tokens may be drawn, completion.py and stops.py where a text ends. Each completion
has a random stream of its own and takes one number a token. So its text depends on the seed and on its place
in the order of completions, not on the completions drawn beside it.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf

import numpy as np

from lmgen.errors import ConfigError, NumericalError
from lmgen.generation.completion import Completion, Continuation
from lmgen.generation.config import SamplingConfig
from lmgen.generation.filters import NO_TOKEN, NOTHING_TO_DRAW, RECENT_TOKENS, candidates
from lmgen.generation.prompts import read
from lmgen.models.base import Float64Array, FloatArray, IdArray, LanguageModel, State
from lmgen.tokenizers.base import Tokenizer

FEW_WEIGHTS = 2000
"""Up to this many weights are summed one by one; with more, blocks are summed first, which is faster."""

BLOCK = 256
"""Weights in such a block."""

STREAMS = 64
"""The most completions drawn side by side: 64 take a model little longer than a few."""


def complete(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    config: SamplingConfig,
    *,
    num: int = 1,
    lines: bool = False,
    stop: Sequence[str] = (),
    first: int = 0,
) -> Iterator[Completion]:
    """
    Complete each prompt `num` times, in order.

    Prompts are taken as they are needed, in groups of up to 64 completions, so there may be any number of
    them. A prompt is read once for all its completions. Prompts of a group are read side by side. Once the
    shortest has been read, its completions begin while longer prompts are still read token by token.

    Args:
        model: any `LanguageModel`.
        tokenizer: the one that the model was trained with.
        prompts: the texts to complete; an empty one starts from scratch.
        config: length, seed and controls of sampling.
        num: completions per prompt, at least 1.
        lines: a completion also ends at the end of its line.
        stop: end before any of these texts, wherever tokens are cut.
        first: number of completions that earlier calls with the same seed have given, if this one continues
            them.

    Raises:
        ConfigError: `length` is 0, which never ends; `num` is below 1; or a stop text is empty.
        NumericalError: the model gives NaN.
    """
    if config.length == 0:
        raise ConfigError("length 0 is endless: it goes with one completion alone, printed while it grows")
    if num < 1:
        raise ConfigError(f"num is {num}, but has to be at least 1")
    drawing = _Drawing(model, tokenizer, config, _checked(stop), lines, _seed(config), config.plain)
    coming = iter(prompts)
    number = first
    while group := list(islice(coming, max(1, STREAMS // num))):
        alone = number == 0 and len(group) * num == 1 and not lines  # of lines, more may come
        yield from drawing.group(group, num, number, alone=alone)
        number += len(group) * num


def stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    config: SamplingConfig,
    *,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """
    Complete one prompt and yield its text piece by piece, as it is generated.

    The pieces join to the text of the first completion that `complete` gives. With `length` 0 they never end,
    and memory does not grow.

    Raises:
        ConfigError: a stop text is empty.
        NumericalError: the model gives NaN.
    """
    drawing = _Drawing(model, tokenizer, config, _checked(stop), False, _seed(config), config.plain)
    only = drawing.continuation(prompt, tokenizer.encode(prompt), 0)
    for _ in drawing.steps(model.start(1), [only]):
        if text := only.release():
            yield text


def new_seed() -> int:
    """A random seed, short enough to be typed."""
    return secrets.randbits(32)


def draw(weights: FloatArray, uniforms: Sequence[float]) -> list[int]:
    """
    Draw a token for each stream by inverting its cumulative distribution.

    Args:
        weights: (B, V), not negative, of any sum.
        uniforms: a number in [0, 1) for each stream.

    Returns:
        For each stream the first id whose cumulative weight exceeds the given share of the sum. An id of
        weight 0 is never drawn.

    Raises:
        NumericalError: the weights of a stream are all 0, or one is NaN or infinite.
    """
    if weights.shape[-1] > FEW_WEIGHTS:
        return [_drawn_of_many(row, uniform) for row, uniform in zip(weights, uniforms, strict=True)]
    cumulative = np.add.accumulate(weights, axis=-1, dtype=np.float64)
    return [_inverted(row, uniform * row.item(-1)) for row, uniform in zip(cumulative, uniforms, strict=True)]


def _drawn_of_many(weights: FloatArray, uniform: float) -> int:
    """A token drawn by many weights, (V,): first its block is found, then the token in the block."""
    sums = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK))
    before = sums.cumsum(dtype=np.float64)
    share = uniform * before.item(-1)
    block = _inverted(before, share)
    inside = np.add.accumulate(weights[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64)
    begin = before.item(block - 1) if block else 0.0
    return block * BLOCK + _inverted(inside, min(share - begin, inside.item(-1)))


def _inverted(cumulative: Float64Array, share: float) -> int:
    """The first place where cumulative weights, (V,), exceed a value."""
    total = cumulative.item(-1)
    if not 0 < total < inf:
        raise NumericalError(NOTHING_TO_DRAW)
    index = int(cumulative.searchsorted(share, "right"))
    # Rounding may put the share at the total: then it is the last id that has any weight.
    return index if index < len(cumulative) else int(cumulative.searchsorted(total))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The model and settings that all completions of one call share."""

    model: LanguageModel
    tokenizer: Tokenizer
    config: SamplingConfig
    stop: Sequence[str]
    lines: bool
    seed: int
    plain: bool
    """Draw from the model's own distribution: no filter, temperature 1."""

    def group(self, prompts: Sequence[str], num: int, first: int, *, alone: bool) -> Iterator[Completion]:
        """
        Complete a few prompts `num` times each.

        Args:
            prompts: prompts with up to `STREAMS` completions together.
            num: completions of each prompt.
            first: the number of the first random stream.
            alone: there is only one completion in all. If there are more, none is computed as a single
                stream, whose numbers are rounded in another way (models/network/model.py).
        """
        encoded = [self.tokenizer.encode(prompt) for prompt in prompts]
        common = min(map(len, encoded))
        block = np.stack([ids[:common] for ids in encoded], axis=1)  # (T, B)
        state = self.model.start(1 if alone else max(len(prompts), 2))
        state = read(self.model, self.model.select(state, range(len(prompts))), block)
        for copies in _batches(num):  # more than one only if there is a single prompt
            rows = [row for row in range(len(prompts)) for _ in copies]
            streams = [
                self.continuation(prompt, ids, first + row * num + copy)
                for row, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True))
                for copy in copies
            ]
            for stream in streams:
                stream.read(common)
            for _ in self.steps(self.model.select(state, rows), streams):
                pass
            yield from (stream.completion(self.seed) for stream in streams)

    def continuation(self, prompt: str, ids: IdArray, number: int) -> Continuation:
        """A completion before its first token."""
        return Continuation(
            prompt,
            ids,
            self.tokenizer,
            length=self.config.length,
            stop=self.stop,
            lines=self.lines,
            random=np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, number]))),
        )

    def steps(self, state: State, streams: Sequence[Continuation]) -> Iterator[None]:
        """Draw a token for each stream, yield, and repeat until all have ended; ended streams are dropped."""
        live = list(streams)
        reading = True
        while live:
            if reading:
                if common := min(len(stream.unread) for stream in live):
                    block = np.stack([stream.read(common) for stream in live], axis=1)
                    state = read(self.model, state, block)
                reading = any(len(stream.unread) for stream in live)
            ids = self._next_ids(state, live) if reading else self._drawn(self.model.predict(state), live)
            yield
            kept = [row for row, stream in enumerate(live) if stream.stopped_by is None]
            if len(kept) < len(live):
                live, ids = [live[row] for row in kept], ids[kept]
                state = self.model.select(state, kept)
            if live:
                state = self.model.advance(state, ids[None])

    def _next_ids(self, state: State, live: Sequence[Continuation]) -> IdArray:
        """The next token of each stream, (B,): from its prompt as long as that lasts, then drawn."""
        ids = np.zeros(len(live), np.intp)
        drawing = []
        for row, stream in enumerate(live):
            if len(stream.unread):
                ids[row] = stream.read(1)[0]
            else:
                drawing.append(row)
        ids[drawing] = self._drawn(self.model.predict(state)[drawing], [live[row] for row in drawing])
        return ids

    def _drawn(self, log_probabilities: FloatArray, streams: Sequence[Continuation]) -> IdArray:
        """Draw a token for each stream and append it; (B,), from log-probabilities (B, V)."""
        drawn = self._draw(log_probabilities, streams)
        for stream, row, token in zip(streams, log_probabilities, drawn.tolist(), strict=True):
            stream.take(token, -row.item(token))
        return drawn

    def _draw(self, log_probabilities: FloatArray, streams: Sequence[Continuation]) -> IdArray:
        uniforms = [stream.random.random() for stream in streams]
        unknown = self.tokenizer.unknown
        if self.plain:
            weights = np.exp(log_probabilities)
            if unknown is not None:
                weights[:, unknown] = 0
            return np.array(draw(weights, uniforms))
        penalised = self.config.repetition_penalty not in (None, 1)
        recent = _recent_tokens(streams) if penalised else None
        kept = candidates(log_probabilities, self.config, recent, unknown)
        return kept.tokens(np.array(draw(np.exp(kept.log_weights), uniforms)))


def _recent_tokens(streams: Sequence[Continuation]) -> IdArray:
    """The last tokens of each stream, (B, W), padded with `NO_TOKEN`."""
    recent = np.full((len(streams), RECENT_TOKENS), NO_TOKEN)
    for row, stream in zip(recent, streams, strict=True):
        row[: len(stream.recent)] = stream.recent
    return recent


def _checked(stop: Sequence[str]) -> Sequence[str]:
    """Refuse an empty stop text, which would end every completion at once."""
    if isinstance(stop, str) or not all(stop):
        raise ConfigError(f"stop is {stop!r}, but has to be a list of texts of at least one character")
    return stop


def _seed(config: SamplingConfig) -> int:
    """The given seed, or a new one."""
    return new_seed() if config.seed is None else config.seed


def _batches(num: int) -> list[range]:
    """0 .. num - 1, in as many parts as it takes to draw at most `STREAMS` side by side."""
    return [range(first, min(first + STREAMS, num)) for first in range(0, num, STREAMS)]
