"""
Complete prompts by sampling token after token from any language model.

filters.py decides which tokens may be drawn; completion.py and stops.py decide where a text ends. Each
completion has a random generator of its own and draws one number per token, so its text depends only on the
seed and its number, not on the completions that are sampled beside it.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf

import numpy as np

from lmgen.arrays import Float64Array, FloatArray, IdArray
from lmgen.errors import ConfigError, NumericalError
from lmgen.generation.completion import Completion, Continuation
from lmgen.generation.config import SamplingConfig
from lmgen.generation.filters import NO_TOKEN, NOTHING_TO_DRAW, RECENT_TOKENS, candidates
from lmgen.generation.prompts import Prompt, read
from lmgen.generation.still import writing
from lmgen.generation.ways import Ways
from lmgen.models.base import LanguageModel, State
from lmgen.settings import shown
from lmgen.tokenizers.base import Tokenizer

DIRECT_WEIGHTS = 2000
"""Up to this many weights are accumulated one by one; more are summed in blocks first, which is faster."""

BLOCK = 256
"""Number of weights in a block."""

STREAMS = 64
"""Completions sampled side by side: a model takes little longer for 64 streams than for a few."""


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
    Complete each prompt `num` times and yield the completions in order.

    Prompts are consumed in groups of up to 64 completions, so there may be any number of them. Each prompt is
    read once for all its completions. The prompts of a group are read in parallel up to the length of the
    shortest; then its completions begin, while the model reads the rest of the others token by token.

    Args:
        model: any `LanguageModel`.
        tokenizer: the one that the model was trained with.
        prompts: the texts to complete; an empty prompt begins a new text.
        config: length, filters and seed.
        num: number of completions per prompt, at least 1.
        lines: end a completion at the end of its line, too.
        stop: end a completion before the first of these texts, even one that begins or ends inside a token.
        first: number of the first completion: how many earlier calls with the same seed have yielded.

    Raises:
        ConfigError: `length` is 0 (endless), `num` is below 1, or a stop text is empty.
        NumericalError: the model's probabilities are NaN, or all zero.
    """
    if config.length == 0:
        raise ConfigError(
            "length 0 is endless: it works only for a single completion, printed as it is generated"
        )
    if num < 1:
        raise ConfigError(f"num is {num}, but has to be at least 1")
    sampler = _Sampler(model, tokenizer, config, _checked(stop), lines, _seed(config), config.plain)
    remaining = iter(prompts)
    number = first
    most = 1 if model.reads_in_order else max(1, STREAMS // num)  # no prompt teaches it for another
    while group := list(islice(remaining, most)):
        alone = number == 0 and len(group) * num == 1 and not lines  # with `lines`, more calls may follow
        yield from sampler.group(group, num, number, alone=alone)
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
    Complete one prompt and yield its text in pieces, each as soon as it is final.

    Joined, the pieces are the text of the first completion that `complete` yields. With `length` 0 they never
    end, and memory does not grow.

    Raises:
        ConfigError: a stop text is empty.
        NumericalError: the model's probabilities are NaN, or all zero.
    """
    return (text for text, _ in stream_scored(model, tokenizer, prompt, config, stop=stop))


def stream_scored(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    config: SamplingConfig,
    *,
    stop: Sequence[str] = (),
) -> Iterator[tuple[str, float]]:
    """
    As `stream`, each piece with its surprisal: -Σ log p of its tokens in nats, before all filters.

    A piece is a token, unless text had to wait for the next one: an unfinished character, or what may be the
    start of a stop text.
    """
    sampler = _Sampler(model, tokenizer, config, _checked(stop), False, _seed(config), config.plain)
    only = sampler.continuation(Prompt(prompt, tokenizer.edge(prompt)), 0)
    before = 0.0
    for _ in sampler.steps(model.start(1), [only]):
        if text := only.release():
            yield text, only.nats - before
            before = only.nats


def new_seed() -> int:
    """A random 32-bit seed, for when the user gives none; short enough to type."""
    return secrets.randbits(32)


def draw(weights: FloatArray, uniforms: Sequence[float]) -> list[int]:
    """
    Draw one token per stream by inverting its cumulative distribution.

    Args:
        weights: unnormalised probabilities, (B, V).
        uniforms: one number in [0, 1) per stream.

    Returns:
        For each stream the first id at which the cumulative weight exceeds the given share of the total; its
        weight is never 0.

    Raises:
        NumericalError: the weights of a row are all 0, or one is infinite or NaN.
    """
    if weights.shape[-1] > DIRECT_WEIGHTS:
        return [_draw_in_blocks(row, uniform) for row, uniform in zip(weights, uniforms, strict=True)]
    cumulative = np.add.accumulate(weights, axis=-1, dtype=np.float64)
    return [
        _first_above(row, uniform * row.item(-1)) for row, uniform in zip(cumulative, uniforms, strict=True)
    ]


def _draw_in_blocks(weights: FloatArray, uniform: float) -> int:
    """As `draw`, for the weights of one stream, (V,): finds the block of tokens, then the token in it."""
    sums = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK))
    before = sums.cumsum(dtype=np.float64)
    share = uniform * before.item(-1)
    block = _first_above(before, share)
    inside = np.add.accumulate(weights[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64)
    begin = before.item(block - 1) if block else 0.0
    return block * BLOCK + _first_above(inside, min(share - begin, inside.item(-1)))


def _first_above(cumulative: Float64Array, share: float) -> int:
    """The first index at which cumulative weights, (V,), exceed `share`, which is in their units."""
    total = cumulative.item(-1)
    if not 0 < total < inf:
        raise NumericalError(NOTHING_TO_DRAW)
    index = int(cumulative.searchsorted(share, "right"))
    # Rounding can make the share equal to the total: then take the last index with a positive weight.
    return index if index < len(cumulative) else int(cumulative.searchsorted(total))


@dataclass(frozen=True, slots=True)
class _Sampler:
    """Samples the completions of one call, which share the model and all settings."""

    model: LanguageModel
    tokenizer: Tokenizer
    config: SamplingConfig
    stop: Sequence[str]
    lines: bool
    seed: int
    plain: bool
    """Whether to draw from the model's own distribution: no filter, temperature 1."""

    def group(self, prompts: Sequence[str], num: int, first: int, *, alone: bool) -> Iterator[Completion]:
        """
        Complete a few prompts `num` times each.

        Args:
            prompts: at most `STREAMS` completions' worth, or a single one.
            num: number of completions of each.
            first: number of the first completion, which selects its random generator.
            alone: whether the run has only this one completion. Otherwise a single prompt is read as two
                streams, since one stream alone is rounded differently (models/network/model.py).
        """
        opened = [Prompt(prompt, self.tokenizer.edge(prompt)) for prompt in prompts]
        common = min(len(prompt.edge.ids) for prompt in opened)
        block = np.stack([prompt.edge.ids[:common] for prompt in opened], axis=1)  # (T, B)
        state = self.model.start(1 if alone else max(len(prompts), 2))
        state = read(self.model, self.model.select(state, range(len(prompts))), block)
        learning = self.model.reads_in_order and self.config.learn_from_itself
        for copies in _batches(num, 1 if learning else STREAMS):  # several only for a single prompt
            rows = [row for row in range(len(prompts)) for _ in copies]
            streams = [
                self.continuation(prompt, first + row * num + copy)
                for row, prompt in enumerate(opened)
                for copy in copies
            ]
            for stream in streams:
                stream.read(common)
            for _ in self.steps(self.model.select(state, rows), streams):
                pass
            yield from (stream.completion(self.seed) for stream in streams)

    def continuation(self, prompt: Prompt, number: int) -> Continuation:
        """A new completion of a prompt; `number` selects its random generators."""
        return Continuation(
            prompt,
            self.tokenizer,
            length=self.config.length,
            stop=self.stop,
            lines=self.lines,
            random=_generator(self.seed, number),
            random_way=_generator(self.seed, number, 1),
        )

    def steps(self, state: State, streams: Sequence[Continuation]) -> Iterator[None]:
        """Draw one token per stream and yield, until all streams have ended; drop each as it ends."""
        live = list(streams)
        reading = True
        writer = writing(self.model, learn_from_itself=self.config.learn_from_itself)
        while live:
            if reading:
                if common := min(len(stream.unread) for stream in live):
                    block = np.stack([stream.read(common) for stream in live], axis=1)
                    state = read(self.model, state, block)
                for row, stream in enumerate(live):
                    if stream.is_open and not len(stream.unread):
                        ways = stream.prompt.ways_after(writer, state, row)
                        stream.go(ways, self._choose(ways, stream))
                reading = any(len(stream.unread) for stream in live)
            ids = self._next_ids(state, live) if reading else self._extend(self.model.predict(state), live)
            yield
            kept = [row for row, stream in enumerate(live) if stream.stopped_by is None]
            if len(kept) < len(live):
                live, ids = [live[row] for row in kept], ids[kept]
                state = self.model.select(state, kept)
            if live:
                state = writer.advance(state, ids[None])

    def _next_ids(self, state: State, live: Sequence[Continuation]) -> IdArray:
        """The next token of each stream, (B,): the next to be read if there is one, else drawn."""
        ids = np.zeros(len(live), np.intp)
        drawing = []
        for row, stream in enumerate(live):
            if len(stream.unread):
                ids[row] = stream.read(1)[0]
            else:
                drawing.append(row)
        if drawing:
            ids[drawing] = self._extend(self.model.predict(state)[drawing], [live[row] for row in drawing])
        return ids

    def _choose(self, ways: Ways, stream: Continuation) -> int:
        """
        Draw a way to go on from the end of a prompt, as a token is drawn: with the same filters.

        The repetition penalty counts the token that goes beyond the prompt.
        """
        log_shares = ways.log_shares.copy()
        if self.tokenizer.unknown is not None:
            log_shares[ways.beyond == self.tokenizer.unknown] = -np.inf
        recent = list(stream.recent) if self._penalised else []
        repeated = np.append(np.flatnonzero(np.isin(ways.beyond, recent)), NO_TOKEN)
        kept = candidates(log_shares[None], self.config, repeated[None], None)
        [column] = draw(np.exp(kept.log_weights), [stream.random_way.random()])
        return int(kept.tokens(np.array([column]))[0])

    def _extend(self, log_probabilities: FloatArray, streams: Sequence[Continuation]) -> IdArray:
        """Draw a token for each stream from log-probabilities (B, V), append it, and return all, (B,)."""
        drawn = self._draw(log_probabilities, streams)
        for stream, row, token in zip(streams, log_probabilities, drawn.tolist(), strict=True):
            stream.take(token, -row.item(token))
        return drawn

    def _draw(self, log_probabilities: FloatArray, streams: Sequence[Continuation]) -> IdArray:
        """Draw a token for each stream, (B,), from log-probabilities (B, V), after applying the filters."""
        uniforms = [stream.random.random() for stream in streams]
        unknown = self.tokenizer.unknown
        if self.plain:
            weights = np.exp(log_probabilities)
            if unknown is not None:
                weights[:, unknown] = 0
            return np.array(draw(weights, uniforms))
        recent = _recent_tokens(streams) if self._penalised else None
        kept = candidates(log_probabilities, self.config, recent, unknown)
        return kept.tokens(np.array(draw(np.exp(kept.log_weights), uniforms)))

    @property
    def _penalised(self) -> bool:
        return self.config.repetition_penalty not in (None, 1)


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))


def _recent_tokens(streams: Sequence[Continuation]) -> IdArray:
    """The last tokens of each stream, (B, W), padded with `NO_TOKEN`."""
    recent = np.full((len(streams), RECENT_TOKENS), NO_TOKEN)
    for row, stream in zip(recent, streams, strict=True):
        row[: len(stream.recent)] = stream.recent
    return recent


def _checked(stop: Sequence[str]) -> Sequence[str]:
    """Return the stop texts; refuse an empty one, which would end every text at once, and a bare str."""
    listed = isinstance(stop, Sequence) and not isinstance(stop, str)
    if not listed or not all(isinstance(text, str) and text for text in stop):
        raise ConfigError(f"stop is {shown(stop)}, but has to be a list of texts of at least one character")
    return stop


def _seed(config: SamplingConfig) -> int:
    """The seed of the settings, or a new one."""
    return new_seed() if config.seed is None else config.seed


def _batches(num: int, most: int) -> list[range]:
    """Split 0 .. num - 1 into ranges of at most `most`."""
    return [range(first, min(first + most, num)) for first in range(0, num, most)]
