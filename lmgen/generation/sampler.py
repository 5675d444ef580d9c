"""
Complete prompts by sampling token after token from any language model.

drawing.py draws the tokens; completion.py and stops.py decide where a text ends. The text of a completion
depends only on the seed and its number, not on the completions that are sampled beside it. So many of them
are sampled in several processes, one for each processor (forks.py), to the same texts.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, groupby, islice
from math import ceil
from typing import NamedTuple

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import ConfigError
from lmgen.forks import can_fork, in_forks
from lmgen.generation.completion import Completion, Continuation
from lmgen.generation.config import SamplingConfig
from lmgen.generation.drawing import Drawing, generator
from lmgen.generation.prompts import Prompt, read
from lmgen.generation.still import writing
from lmgen.models.base import LanguageModel, State, in_threads
from lmgen.processors import free_processors
from lmgen.settings import shown
from lmgen.tokenizers.base import Tokenizer

STREAMS = 64
"""Completions sampled side by side: a model takes little longer for 64 streams than for a few."""

FEWEST_STREAMS = 16
"""Completions for which a process is worth starting: a network takes as long for fewer."""

FEWEST_TOKENS = 1 << 12
"""
Tokens for which a process is worth starting, if the completions become as long as they may.

To draw them takes 70 ms or more, and to start and end a process of a few hundred megabytes 5 to 25 ms.
"""


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

    Each prompt is read once for all its completions. The prompts of a group of up to 64 completions are read
    in parallel up to the length of the shortest; then its completions begin, while the model reads the rest
    of the others token by token.

    All processors work on the completions of a list, if there are many. Those of an iterator, which may come
    slowly, are taken group by group.

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
    sampler = _Sampler(
        model, tokenizer, config, _checked(stop), lines, _seed(config), Drawing.of(config, tokenizer), num
    )
    for group in [prompts] if isinstance(prompts, Sequence) else sampler.groups(prompts):
        yield from sampler.completions(group, first)
        first += len(group) * num


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
    sampler = _Sampler(
        model, tokenizer, config, _checked(stop), False, _seed(config), Drawing.of(config, tokenizer)
    )
    only = sampler.continuation(Prompt(prompt, tokenizer.edge(prompt)), 0)
    before = 0.0
    for _ in sampler.steps(model.start(1), [only]):
        if text := only.release():
            yield text, only.nats - before
            before = only.nats


def new_seed() -> int:
    """A random 32-bit seed, for when the user gives none; short enough to type."""
    return secrets.randbits(32)


class _Batch(NamedTuple):
    """Completions that are sampled side by side."""

    prompts: Sequence[str]
    copies: range
    """Which completions of each prompt: some of 0 .. num - 1."""
    first: int
    """Number of the first completion of the first prompt."""
    alone: bool
    """
    Whether the run has only this one completion. Otherwise a single prompt is read as two streams, since one
    stream alone is rounded differently (models/network/model.py).
    """


@dataclass(frozen=True, slots=True)
class _Sampler:
    """Samples the completions of one call, which share the model and all settings."""

    model: LanguageModel
    tokenizer: Tokenizer
    config: SamplingConfig
    stop: Sequence[str]
    lines: bool
    seed: int
    drawing: Drawing
    num: int = 1
    """Completions of each prompt."""

    def groups(self, prompts: Iterable[str]) -> Iterator[list[str]]:
        """Prompts that are completed side by side, taken as they are needed."""
        remaining = iter(prompts)
        while group := list(islice(remaining, self.together(STREAMS))):
            yield group

    def together(self, streams: int) -> int:
        """How many prompts are completed side by side, in so many streams or one prompt's."""
        if self.model.reads_in_order:  # no prompt teaches it for another
            return 1
        return max(1, streams // self.num)

    def completions(self, prompts: Sequence[str], first: int) -> Iterator[Completion]:
        """
        Complete prompts, in several processes if there is much to do.

        Args:
            prompts: any number.
            first: number of the first completion, which selects its random generators.
        """
        total = len(prompts) * self.num
        most = min(ceil(total / FEWEST_STREAMS), total * self.config.length // FEWEST_TOKENS)
        shared = most > 1 and in_threads(self.model) and not self.model.reads_in_order and can_fork()
        with free_processors() if shared else nullcontext(1) as processors:
            count = min(processors, most)
            if count < 2:
                done = self.completed(self.batches(prompts, first, STREAMS))
            else:
                rounds = ceil(total / (count * STREAMS))
                batches = list(self.batches(prompts, first, ceil(total / (count * rounds))))
                self.model.predict(self.model.start(2))  # what its first use makes is shared then, too
                done = in_forks(self.completed, batches, min(count, len(batches)))
            yield from chain.from_iterable(done)

    def batches(self, prompts: Sequence[str], first: int, streams: int) -> Iterator[_Batch]:
        """All completions of some prompts in batches of at most so many streams, in order."""
        together = self.together(streams)
        # With `lines`, more calls may follow.
        alone = first == 0 and self.num * min(len(prompts), self.together(STREAMS)) == 1 and not self.lines
        learning = self.model.reads_in_order and self.config.learn_from_itself
        for begin in range(0, len(prompts), together):
            group = prompts[begin : begin + together]
            for copies in _ranges(self.num, 1 if learning else streams):  # several only for a single prompt
                yield _Batch(group, copies, first + begin * self.num, alone and not begin)

    def completed(self, batches: Iterable[_Batch]) -> Iterator[list[Completion]]:
        """The completions of each batch. A prompt of several of them, one after the other, is read once."""
        for _, same in groupby(batches, key=lambda batch: batch.first):
            batch = next(same)
            opened = [Prompt(prompt, self.tokenizer.edge(prompt)) for prompt in batch.prompts]
            common = min(len(prompt.edge.ids) for prompt in opened)
            block = np.stack([prompt.edge.ids[:common] for prompt in opened], axis=1)  # (T, B)
            state = self.model.start(1 if batch.alone else max(len(opened), 2))
            state = read(self.model, self.model.select(state, range(len(opened))), block)
            for each in chain([batch], same):
                rows = [row for row in range(len(opened)) for _ in each.copies]
                streams = [
                    self.continuation(prompt, each.first + row * self.num + copy)
                    for row, prompt in enumerate(opened)
                    for copy in each.copies
                ]
                for stream in streams:
                    stream.read(common)
                for _ in self.steps(self.model.select(state, rows), streams):
                    pass
                yield [stream.completion(self.seed) for stream in streams]

    def continuation(self, prompt: Prompt, number: int) -> Continuation:
        """A new completion of a prompt; `number` selects its random generators."""
        return Continuation(
            prompt,
            self.tokenizer,
            length=self.config.length,
            stop=self.stop,
            lines=self.lines,
            random=generator(self.seed, number),
            random_way=generator(self.seed, number, 1),
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
                        stream.go(ways, self.drawing.choose(ways, stream))
                reading = any(len(stream.unread) for stream in live)
            ids = (
                self._next_ids(state, live)
                if reading
                else self.drawing.extend(self.model.predict(state), live)
            )
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
            ids[drawing] = self.drawing.extend(
                self.model.predict(state)[drawing], [live[row] for row in drawing]
            )
        return ids


def _checked(stop: Sequence[str]) -> Sequence[str]:
    """Return the stop texts; refuse an empty one, which would end every text at once, and a bare str."""
    listed = isinstance(stop, Sequence) and not isinstance(stop, str)
    if not listed or not all(isinstance(text, str) and text for text in stop):
        raise ConfigError(f"stop is {shown(stop)}, but has to be a list of texts of at least one character")
    return stop


def _seed(config: SamplingConfig) -> int:
    """The seed of the settings, or a new one."""
    return new_seed() if config.seed is None else config.seed


def _ranges(num: int, most: int) -> list[range]:
    """Split 0 .. num - 1 into ranges of at most `most`."""
    return [range(first, min(first + most, num)) for first in range(0, num, most)]
