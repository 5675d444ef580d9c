"""One completion, while it grows and when it is done. Which token comes next is decided in sampler.py."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmgen.generation.filters import RECENT_TOKENS
from lmgen.generation.prompts import decoder_after, ends_in_separator
from lmgen.generation.stops import StopWatch
from lmgen.models.base import IdArray
from lmgen.tokenizers.base import Tokenizer

LINE_END = "\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that went on."""

    prompt: str
    text: str
    """What was generated: without the prompt, and without the stop text or line end that ended it."""
    tokens: int
    """How many were drawn, those of the stop text or line end too."""
    nats: float
    """-Σ log p of these tokens under the model as it is, without filters."""
    stopped_by: str
    """`length`, `stop` (a stop text) or `end` (the end of the line)."""
    seed: int
    """The seed of the whole run; its n-th completion draws from the n-th random stream of that seed."""


class Continuation:
    """A completion that grows: what of its prompt is still unread, and what has been generated."""

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
        Stand behind a prompt.

        Args:
            prompt: the text that goes on.
            ids: its tokens.
            tokenizer: turns tokens into text.
            length: tokens to generate; 0 is endless.
            stop: texts to end before.
            lines: end at the end of the line, too.
            random: this completion's own random numbers.
        """
        self.prompt = prompt
        self.unread = ids
        """The tokens of the prompt that the model has not read yet."""
        self.recent = deque(ids[-RECENT_TOKENS:].tolist(), maxlen=RECENT_TOKENS)
        """The last tokens, of the prompt and generated."""
        self.random = random
        self.stopped_by: str | None = None
        self._length = length
        self._lines = lines
        self._line_end = tokenizer.line_end if lines else None
        self._stops = StopWatch((*stop, LINE_END) if lines else stop)
        self._decoder = decoder_after(tokenizer, self.recent)
        self._drop_blank = ends_in_separator(tokenizer, prompt, ids)
        self._pending: list[int] = []
        """Tokens taken whose text nobody has asked for yet: many are decoded faster at once."""
        self._text: list[str] = []
        self._tokens = 0
        self._nats = 0.0

    def read(self, count: int) -> IdArray:
        """Take the next `count` tokens of the prompt."""
        ids, self.unread = self.unread[:count], self.unread[count:]
        return ids

    def take(self, token: int, nats: float) -> None:
        """Go on by a token that was drawn; `nats` is its negative log-probability."""
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
        """The text that has become certain since the last call."""
        self._decode()
        text = "".join(self._text)
        self._text.clear()
        return text

    def completion(self, seed: int) -> Completion:
        """The result, once `stopped_by` is set and if nothing has been released."""
        assert self.stopped_by is not None
        return Completion(self.prompt, self.release(), self._tokens, self._nats, self.stopped_by, seed)

    def _decode(self) -> None:
        """Turn pending tokens into text, without a blank that the prompt ends in already."""
        text = self._decoder.push(self._pending)
        self._pending.clear()
        if self._drop_blank and text:
            self._drop_blank = False
            text = text.removeprefix(" ")
        self._text.append(self._stops.push(text))

    def _end(self, reason: str) -> None:
        """Take what was held back; a stop text may still turn up in it."""
        self._decode()
        self._text.append(self._stops.finish(self._decoder.finish()))
        self.stopped_by = reason
        if self._stops.found is not None:
            self._stop()

    def _stop(self) -> None:
        """A stop text was found: say what it means."""
        self.stopped_by = "end" if self._lines and self._stops.found == LINE_END else "stop"
