"""A completion in progress, and the finished result. sampler.py draws the tokens."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmgen.arrays import IdArray
from lmgen.generation.filters import RECENT_TOKENS
from lmgen.generation.prompts import decoder_after, ends_in_separator
from lmgen.generation.stops import StopWatch
from lmgen.tokenizers.base import Tokenizer

LINE_END = "\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished completion. The fields are those of `lmgen sample --json`."""

    prompt: str
    text: str
    """The generated text, without the prompt and without the stop text or line end that ended it."""
    tokens: int
    """Number of tokens drawn, including those of the stop text or line end."""
    nats: float
    """-Σ log p of all tokens drawn, under the model's distribution before filters and temperature."""
    stopped_by: str
    """`length`, `stop` (a stop text) or `end` (the end of the line)."""
    seed: int
    """Seed of the whole call; completion n uses random stream n of that seed."""


class Continuation:
    """A completion in progress: the part of the prompt still to be read, and the text generated so far."""

    def __init__(
        self,
        prompt: str,
        ids: IdArray,
        tokenizer: Tokenizer,
        *,
        length: int,
        stop: Sequence[str],
        lines: bool,
        random: np.random.Generator,
    ) -> None:
        """
        Args:
            prompt: the text to complete.
            ids: tokens of the prompt.
            tokenizer: turns tokens into text.
            length: maximum number of tokens to generate; 0: unlimited.
            stop: texts that end the completion; they are not part of it.
            lines: also end at the end of the line.
            random: random generator of this completion.
        """
        self.prompt = prompt
        self.unread = ids
        """The tokens of the prompt that the model has not read yet."""
        self.recent = deque(ids[-RECENT_TOKENS:].tolist(), maxlen=RECENT_TOKENS)
        """The last tokens of the prompt and the completion, for the repetition penalty."""
        self.random = random
        self.stopped_by: str | None = None
        self._length = length
        self._lines = lines
        self._line_end = tokenizer.line_end if lines else None
        self._stops = StopWatch((*stop, LINE_END) if lines else stop)
        self._decoder = decoder_after(tokenizer, self.recent)
        self._drop_blank = ends_in_separator(tokenizer, prompt, ids)
        self._pending: list[int] = []
        """Tokens not decoded yet, because decoding many at once is faster."""
        self._text: list[str] = []
        self._tokens = 0
        self._nats = 0.0

    def read(self, count: int) -> IdArray:
        """Take the next `count` tokens of the prompt."""
        ids, self.unread = self.unread[:count], self.unread[count:]
        return ids

    def take(self, token: int, nats: float) -> None:
        """Append a drawn token; `nats` is its negative log-probability."""
        self._tokens += 1
        self._nats += nats
        self.recent.append(token)
        if token == self._line_end:
            self._end("end")
            return
        self._pending.append(token)
        if self._stops.watching:
            self._decode()
        if self._stops.found is not None:
            self._stop()
        elif self._tokens == self._length:
            self._end("length")

    def release(self) -> str:
        """Return the text since the last call, except for an end that may be the start of a stop text."""
        self._decode()
        text = "".join(self._text)
        self._text.clear()
        return text

    def completion(self, seed: int) -> Completion:
        """Return the finished completion, if `stopped_by` is set and `release` was never called."""
        assert self.stopped_by is not None
        return Completion(self.prompt, self.release(), self._tokens, self._nats, self.stopped_by, seed)

    def _decode(self) -> None:
        """Decode pending tokens; drop a leading blank if the prompt already ends in one."""
        text = self._decoder.push(self._pending)
        self._pending.clear()
        if self._drop_blank and text:
            self._drop_blank = False
            text = text.removeprefix(" ")
        self._text.append(self._stops.push(text))

    def _end(self, reason: str) -> None:
        """Decode and release everything held back; a stop text may still turn up in it."""
        self._decode()
        self._text.append(self._stops.finish(self._decoder.finish()))
        self.stopped_by = reason
        if self._stops.found is not None:
            self._stop()

    def _stop(self) -> None:
        """Set `stopped_by` after a stop text was found."""
        self.stopped_by = "end" if self._lines and self._stops.found == LINE_END else "stop"
