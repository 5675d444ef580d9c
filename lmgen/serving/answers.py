"""Completions as OpenAI's API gives them: whole, or piece by piece."""

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from lmgen.serving.errors import clean
from lmgen.serving.jobs import Job, ScoredToken, Update
from lmgen.serving.requests import CompletionRequest

NO_PROBABILITY = -9999.0
"""What stands for the logarithm of 0, which JSON lacks; OpenAI's API gives the same."""


class CompletionAnswer:
    """
    What is known so far of the completions that a request asked for.

    Completion j of prompt i has the index i n + j. With `echo` its text, and its tokens, begin with those of
    the prompt.
    """

    def __init__(self, request: CompletionRequest, model: str, jobs: Sequence[Job]) -> None:
        self._request, self._model, self._jobs = request, model, list(jobs)
        self._places = {id(job): place for place, job in enumerate(jobs)}
        self._id = f"cmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._choices = [
            _Choice(job, echo=request.echo, scored=request.logprobs is not None)
            for job in jobs
            for _ in range(job.num)
        ]

    def add(self, updates: Sequence[Update]) -> None:
        """Take in what an engine tells."""
        for update in updates:
            first = self._places[id(update.job)] * self._request.n
            if update.number is None:
                for choice in self._choices[first : first + self._request.n]:
                    choice.prompt_tokens.extend(update.tokens)
            else:
                self._choices[first + update.number].add(update)

    def to_json(self) -> dict[str, Any]:
        """All of it, once it is complete."""
        choices = [choice.take(index) for index, choice in enumerate(self._choices)]
        return {**self._head(), "choices": choices, "usage": self._usage()}

    def pieces(self) -> list[bytes]:
        """What came since the last call, as server-sent events."""
        usage: dict[str, Any] = {"usage": None} if self._request.include_usage else {}
        return [
            event({**self._head(), "choices": [choice.take(index)], **usage})
            for index, choice in enumerate(self._choices)
            if choice.has_news
        ]

    def end(self) -> bytes:
        """The last events."""
        done = b"data: [DONE]\n\n"
        if not self._request.include_usage:
            return done
        return event({**self._head(), "choices": [], "usage": self._usage()}) + done

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
        }

    def _usage(self) -> dict[str, int]:
        prompts = sum(len(job.ids) for job in self._jobs)
        drawn = sum(choice.drawn for choice in self._choices)
        return {"prompt_tokens": prompts, "completion_tokens": drawn, "total_tokens": prompts + drawn}


class _Choice:
    """One completion."""

    def __init__(self, job: Job, *, echo: bool, scored: bool) -> None:
        self._text = [job.prompt.text] if echo else []
        self._before = len(job.prompt.text) if echo else 0
        self._scored = scored
        self.prompt_tokens: list[ScoredToken] = []
        self._tokens: list[ScoredToken] = []
        self._stopped_by: str | None = None
        self._is_over = False
        self.drawn = 0

    def add(self, update: Update) -> None:
        self._text.append(update.text)
        self._tokens.extend(update.tokens)
        self.drawn = update.drawn
        self._stopped_by = update.stopped_by

    @property
    def has_news(self) -> bool:
        """Whether something came since it was last taken."""
        return not self._is_over and bool(any(self._text) or self._tokens or self._stopped_by)

    def take(self, index: int) -> dict[str, Any]:
        """What came since the last call."""
        text = "".join(self._text)
        logprobs = self._logprobs() if self._scored else None
        self._text, self._tokens, self.prompt_tokens = [], [], []
        reason = None
        if self._stopped_by is not None:
            self._is_over = True
            reason = "length" if self._stopped_by == "length" else "stop"
        return {"text": clean(text), "index": index, "logprobs": logprobs, "finish_reason": reason}

    def _logprobs(self) -> dict[str, list[Any]]:
        tokens = [*self.prompt_tokens, *self._tokens]
        offsets = [each.offset for each in self.prompt_tokens]
        offsets += [self._before + each.offset for each in self._tokens]
        return {
            "tokens": [clean(each.token) for each in tokens],
            "token_logprobs": [_finite(each.log_probability) for each in tokens],
            "top_logprobs": [_listed(each) for each in tokens],
            "text_offset": offsets,
        }


def event(value: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _listed(token: ScoredToken) -> dict[str, float]:
    """The likeliest tokens; of those that are spelled alike the likeliest."""
    listed: dict[str, float] = {}
    for spelling, value in token.likeliest:
        listed.setdefault(clean(spelling), _finite(value))
    return listed


def _finite(log_probability: float) -> float:
    return max(log_probability, NO_PROBABILITY)
