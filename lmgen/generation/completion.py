"""A completion in progress, and the finished result. sampler.py draws the tokens."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmgen.arrays import IdArray
from lmgen.generation.filters import NO_TOKEN, RECENT_TOKENS
from lmgen.generation.prompts import Prompt, decoder_after
from lmgen.generation.stops import StopWatch
from lmgen.generation.ways import Ways
from lmgen.tokenizers.base import Tokenizer

LINE_END = "\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished completion. The fields are those of `lmgen sample --json`."""

    prompt: str
    text: str
    """The generated text, without the prompt and without the stop text or line end that ended it."""
    tokens: int
    """Number of tokens drawn, including those of the stop text, line end or end of the unit."""
    nats: float
    """
    -Σ log p of all tokens drawn, under the model's distribution before filters and temperature.

    Where the prompt ends inside what may become one token: given that the text begins with the prompt.
    """
    stopped_by: str
    """`length`, `stop` (a stop text) or `end` (of the line, or of the unit that the model learned)."""
    seed: int
    """Seed of the whole call; completion n uses random stream n of that seed."""


class Continuation:
    """A completion in progress: the part of the prompt still to be read, and the text generated so far."""

    def __init__(
        self,
        prompt: Prompt,
        tokenizer: Tokenizer,
        *,
        length: int,
        stop: Sequence[str],
        lines: bool,
        random: np.random.Generator,
        random_way: np.random.Generator | None = None,
    ) -> None:
        """
        Args:
            prompt: the text to complete.
            tokenizer: turns tokens into text.
            length: maximum number of tokens to generate; 0: unlimited, unit after unit.
            stop: texts that end the completion; they are not part of it.
            lines: also end at the end of the line.
            random: random generator of this completion.
            random_way: another one, which chooses the way to go on from a prompt that ends inside a token.
        """
        self.prompt = prompt
        self.unread = prompt.edge.ids
        """The tokens that the model has not read yet: of the prompt, and of the way to go on from it."""
        self.is_open = prompt.edge.rest is not None
        """Whether the way to go on from the prompt's last tokens is still to be chosen."""
        self.recent = deque(self.unread[-RECENT_TOKENS:].tolist(), maxlen=RECENT_TOKENS)
        """The last tokens of the prompt and the completion, for the repetition penalty."""
        self.random = random
        self.random_way = random_way or random
        self.stopped_by: str | None = None
        self._length = length
        self._lines = lines or (tokenizer.unit == "line" and length > 0)
        self._ends = {tokenizer.line_end} if self._lines else set()
        if length:
            self._ends.add(tokenizer.end)
        self._stops = StopWatch((*stop, LINE_END) if self._lines else stop)
        self._decoder = decoder_after(tokenizer, self.recent)
        self._drop_blank = prompt.edge.after_blank
        """Whether to drop a blank at the start of the text to come, which the prompt ends in already."""
        self._keep: int | None = None
        """How many of the last characters to keep of the pending text, which begins in the prompt."""
        self._pending: list[int] = []
        """Tokens not decoded yet, because decoding many at once is faster."""
        self._text: list[str] = []
        self._tokens = 0
        self.nats = 0.0
        """-Σ log p of the tokens drawn so far, as in `Completion`."""

    def read(self, count: int) -> IdArray:
        """Take the next `count` tokens that the model has to read."""
        ids, self.unread = self.unread[:count], self.unread[count:]
        return ids

    def go(self, ways: Ways, way: int) -> None:
        """Go on from the prompt's last tokens in one of the ways."""
        within = ways.within[ways.beginnings[way]].tokens
        nats = 0.0 - float(ways.log_shares[way])
        self.is_open = False
        self.recent.extend(within)
        self._decoder.push(within)
        token = int(ways.beyond[way])
        if token == NO_TOKEN:
            self.unread = np.array(within)
            self.nats += nats
            return
        self.unread = np.array([*within, token])
        if ways.rest.spelling:
            self._keep = len(ways.text_beyond(way))
        self.take(token, nats)
        if self.stopped_by is None:
            self._decode()

    def take(self, token: int, nats: float) -> None:
        """Append a drawn token; `nats` is its negative log-probability."""
        self._tokens += 1
        self.nats += nats
        self.recent.append(token)
        if token in self._ends:
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
        return Completion(self.prompt.text, self.release(), self._tokens, self.nats, self.stopped_by, seed)

    def _decode(self) -> None:
        """Decode pending tokens; drop what the prompt has of the first."""
        text = self._decoder.push(self._pending)
        self._pending.clear()
        if self._keep is not None:
            text = text[len(text) - self._keep :]
            self._keep = None
        elif self._drop_blank and text:
            text = text.removeprefix(" ")
            self._drop_blank = False
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
