"""The models of a server: each with its name, and an engine in a thread of its own."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.data.run_folder import named_by
from lmgen.errors import ConfigError
from lmgen.generation.prompts import Prompt
from lmgen.serving.config import ServingConfig
from lmgen.serving.engine import Engine
from lmgen.serving.errors import ApiError, clean
from lmgen.serving.jobs import Job, Update
from lmgen.serving.requests import CompletionRequest, checked_ids, suggestion
from lmgen.settings import shown
from lmgen.text.reading import read_text
from lmgen.text_model import TextModel
from lmgen.tokenizers.edges import Edge

LINE_END = "\n"

MOST_LOGPROBS = 500_000
"""The most log-probabilities of one answer: what one completion may have that fills the default limits."""


class ServedModel:
    """One model."""

    def __init__(
        self, opened: TextModel, limits: ServingConfig, deliver: Callable[[Sequence[Update]], None]
    ) -> None:
        """
        Args:
            opened: the model.
            limits: how much may be asked of it.
            deliver: called with the updates of its jobs, from the engine's thread.
        """
        self.id = model_id(opened.path)
        self.tokenizer = opened.tokenizer
        self.created = int(opened.path.stat().st_mtime) if opened.path.exists() else 0
        self._limits = limits
        self._new_engine = partial(
            Engine, opened.model, opened.tokenizer, deliver, waiting=limits.max_waiting
        )

    def start(self) -> None:
        """Begin to work, with an engine that has nothing to do yet; after `stop` once more."""
        self.engine = self._new_engine()
        self._thread = threading.Thread(target=self.engine.run, name=f"lmgen {self.id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give up what is under way, and wait until that is done."""
        self.engine.close()
        self._thread.join()

    def to_json(self) -> dict[str, Any]:
        """Its entry in the list of models."""
        return {
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": "lmgen",
            "max_model_len": self.max_model_len,
        }

    @property
    def max_model_len(self) -> int:
        """The most tokens of a prompt and its completion together."""
        return self._limits.max_prompt + self._limits.max_length

    def describe_tokenizer(self) -> dict[str, Any]:
        """
        What there is to know of its tokens.

        `bos_token` and `eos_token` are the text of the token that stands before a text, if it is one: a line
        end. What follows it is predicted as the beginning of a line.
        """
        of = self.tokenizer
        begin = LINE_END if of.encode(LINE_END).tolist() == [of.start] else None
        return {
            "model": self.id,
            "tokenizer_class": of.name,
            "unit": of.unit,
            "vocab_size": of.vocabulary_size,
            "bos_token": begin,
            "bos_token_id": of.start,
            "eos_token": begin,
            "eos_token_id": of.start,
            "unk_token": None if of.unknown is None else of.piece(of.unknown),
            "unk_token_id": of.unknown,
            "pad_token": None,
            "chat_template": None,
            "max_model_len": self.max_model_len,
        }

    def tokenize(self, text: str, *, with_pieces: bool) -> dict[str, Any]:
        """The tokens of a text, read as the prompt of a completion is."""
        ids = self.tokenizer.encode(read_text(text, self.tokenizer.reading)).tolist()
        pieces = [clean(self.tokenizer.piece(token)) for token in ids] if with_pieces else None
        return {
            "count": len(ids),
            "max_model_len": self.max_model_len,
            "tokens": ids,
            "token_strs": pieces,
        }

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        return clean(self.tokenizer.decode(checked_ids(tokens, self.tokenizer.vocabulary_size, "tokens")))

    def jobs(self, request: CompletionRequest) -> list[Job]:
        """
        What the engine has to do for a request, a job for each prompt.

        Raises:
            ApiError: the prompts have too many tokens, or ids that do not exist; or the answer would list too
                many log-probabilities.
        """
        jobs = []
        total = 0
        for place, given in enumerate(request.prompts):
            total += len(given) if isinstance(given, list) else 0
            self._check_length(total)
            prompt, ids, offsets = self._read(given)
            total += 0 if isinstance(given, list) else len(ids)
            self._check_length(total)
            jobs.append(
                Job(
                    prompt=prompt,
                    ids=ids,
                    offsets=offsets,
                    config=request.config,
                    length=request.max_tokens,
                    stop=request.stop,
                    num=request.n,
                    seed=request.seed,
                    first=place * request.n,
                    likeliest=request.logprobs,
                    scores_prompt=request.echo and request.logprobs is not None,
                    streams=request.stream,
                )
            )
        if request.logprobs is not None:
            read = total if request.echo else 0
            scored = request.n * (read + len(jobs) * request.max_tokens)
            _check_logprobs(scored * (1 + request.logprobs))
        return jobs

    def _check_length(self, tokens: int) -> None:
        if tokens > self._limits.max_prompt:
            raise ApiError(
                f"the prompt has more than {self._limits.max_prompt:,} tokens, which is the most that one "
                "request may have; shorten it, or start the server with a larger --max-prompt",
                param="prompt",
                code="context_length_exceeded",
            )

    def _read(self, given: str | list[int]) -> tuple[Prompt, Any, list[int]]:
        """A prompt, its tokens, and where each begins in its text."""
        if isinstance(given, str):
            text = read_text(given, self.tokenizer.reading)
            ids, offsets = self.tokenizer.encode_with_offsets(text)
            return Prompt(text, self.tokenizer.edge(text)), ids, offsets.tolist()
        known = checked_ids(given, self.tokenizer.vocabulary_size, "prompt")
        decoder = self.tokenizer.decoder()
        parts: list[str] = []
        offsets_of_ids = []
        length = 0
        for token in known:
            offsets_of_ids.append(length)
            parts.append(decoder.push([token]))
            length += len(parts[-1])
        parts.append(decoder.finish())
        ids = np.array(known, np.int64)
        return Prompt("".join(parts), Edge(ids)), ids, offsets_of_ids


def _check_logprobs(count: int) -> None:
    if count > MOST_LOGPROBS:
        raise ApiError(
            f"the answer may list {count:,} log-probabilities, but at most {MOST_LOGPROBS:,}; ask for fewer "
            "logprobs, tokens or completions, or send several requests",
            param="logprobs",
            code="out_of_range",
        )


class ServedModels:
    """All models of a server, by their names."""

    def __init__(self, served: Sequence[ServedModel]) -> None:
        """
        Args:
            served: one or more.

        Raises:
            ConfigError: two have the same name.
        """
        self.by_id = {each.id: each for each in served}
        if len(self.by_id) < len(served):
            names = [each.id for each in served]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(
                f"two models are called {shown(twice)}, and clients ask for a model by the name of its "
                "folder or file; rename one"
            )

    def find(self, name: str | None) -> ServedModel:
        """
        A model by its name; without one the first.

        Raises:
            ApiError: there is none of that name.
        """
        if name is None:
            return next(iter(self.by_id.values()))
        if name in self.by_id:
            return self.by_id[name]
        near = suggestion(name, self.by_id) or f"; there is {', '.join(self.by_id)}"
        raise ApiError(
            f"there is no model {shown(name)}{near}", status=404, param="model", code="model_not_found"
        )


def model_id(path: Path) -> str:
    """What clients call a model: the name of its run folder, or of its file."""
    return clean(named_by(path).absolute().name)
