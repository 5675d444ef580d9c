"""
What clients ask for, checked: the body of `/v1/completions` as OpenAI's clients send it, and the others.

A field that would change the answer and is not supported is an error; one that asks for nothing is not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmgen.errors import ConfigError, CorpusError
from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import STREAMS, new_seed
from lmgen.serving.config import ServingConfig
from lmgen.serving.errors import ApiError
from lmgen.settings import LONGEST_NAME, did_you_mean, likeliest, shown
from lmgen.text.given import refuse_surrogates
from lmgen.tokenizers.base import plain_ids

DEFAULT_LENGTH = 16
"""`max_tokens` of OpenAI's completions where a request has none."""

MOST_LISTED = 20
"""The most of the likeliest tokens that are listed beside each; OpenAI lists 5."""

MOST_COMPLETIONS = 128
"""The most completions that one request may ask for, of all its prompts together."""

MOST_STOPS = 16
LONGEST_STOP = 1000

FILTERS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""Fields that are settings of `lmgen sample`; OpenAI has the first two."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "suffix": ("",),
}
"""Fields of OpenAI's that are not supported, and the values that ask for nothing."""

KNOWN = {"model", "prompt", "max_tokens", "n", "stop", "seed", "stream", "stream_options", "echo", "logprobs"}
IGNORED = {"user"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A request for completions."""

    model: str | None
    """None: the first one served."""
    prompts: Sequence[str | list[int]]
    config: SamplingConfig
    max_tokens: int
    """0: no tokens are drawn."""
    n: int
    stop: tuple[str, ...]
    seed: int
    stream: bool
    include_usage: bool
    """With `stream`: whether a last piece says how many tokens there were."""
    echo: bool
    logprobs: int | None

    @classmethod
    def of(cls, body: object, limits: ServingConfig) -> "CompletionRequest":
        """
        The request that a body of JSON makes.

        Raises:
            ApiError: something in it is unknown, not supported, out of range or of the wrong type.
        """
        fields = _Fields(body, KNOWN | set(FILTERS) | set(NEUTRAL) | IGNORED)
        n = fields.whole("n", 1, least=1, most=STREAMS)
        if fields.given("best_of") == n:
            fields.forget("best_of")
        fields.refuse_unsupported()
        prompts = _prompts(fields.given("prompt"))
        most = min(MOST_COMPLETIONS, STREAMS + limits.max_waiting)
        if len(prompts) * n > most:
            raise ApiError(
                f"{len(prompts)} prompts with n = {n} are {len(prompts) * n} completions, and one request "
                f"may ask for {most}; send several requests",
                param="n" if n > 1 else "prompt",
            )
        seed = fields.given("seed")
        stream = fields.flag("stream")
        return cls(
            model=fields.text("model"),
            prompts=prompts,
            config=_filters(fields),
            max_tokens=fields.whole("max_tokens", DEFAULT_LENGTH, least=0, most=limits.max_length),
            n=n,
            stop=_stops(fields.given("stop")),
            seed=new_seed() if seed is None else fields.whole("seed", 0, least=0, most=2**63 - 1),
            stream=stream,
            include_usage=_include_usage(fields.given("stream_options"), stream=stream),
            echo=fields.flag("echo"),
            logprobs=None
            if fields.given("logprobs") is None
            else fields.whole("logprobs", 0, least=0, most=MOST_LISTED),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRequest:
    """A request for the tokens of a text."""

    model: str | None
    prompt: str
    with_pieces: bool

    @classmethod
    def of(cls, body: object) -> "TokenizeRequest":
        """
        The request that a body of JSON makes.

        Raises:
            ApiError: something in it is unknown or of the wrong type.
        """
        fields = _Fields(body, {"model", "prompt", "add_special_tokens", "return_token_strs"})
        prompt = fields.text("prompt")
        if prompt is None:
            raise ApiError("prompt is missing: the text whose tokens are wanted", param="prompt")
        fields.flag("add_special_tokens")  # there are none to add: a model begins every text by itself
        return cls(
            model=fields.text("model"), prompt=_a_text(prompt), with_pieces=fields.flag("return_token_strs")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetokenizeRequest:
    """A request for the text of tokens."""

    model: str | None
    tokens: list[int]

    @classmethod
    def of(cls, body: object) -> "DetokenizeRequest":
        """
        The request that a body of JSON makes.

        Raises:
            ApiError: something in it is unknown or of the wrong type.
        """
        fields = _Fields(body, {"model", "tokens"})
        tokens = fields.given("tokens")
        if not _are_ids(tokens):
            raise ApiError(f"tokens is {shown(tokens)}, but has to be a list of token ids", param="tokens")
        return cls(model=fields.text("model"), tokens=tokens)


def suggestion(name: str, known: Collection[str]) -> str:
    """What an error adds to a misspelt name; nothing for a long one, which would take long to compare."""
    return did_you_mean(likeliest(name, known)) if len(name) <= LONGEST_NAME else ""


def checked_ids(ids: Sequence[int], vocabulary_size: int, param: str) -> list[int]:
    """
    Token ids of a request that exist.

    Raises:
        ApiError: one does not.
    """
    try:
        return plain_ids(ids, vocabulary_size)
    except CorpusError as error:
        raise ApiError(str(error), param=param) from error


class _Fields:
    """The fields of a request; null is as good as none."""

    def __init__(self, body: object, known: set[str], *, param: str | None = None) -> None:
        if not isinstance(body, Mapping):
            raise ApiError(
                f"{param or 'the body'} is {shown(body)}, but has to be a JSON object", param=param
            )
        for name in body:
            if name not in known:
                near = suggestion(name, known)
                raise ApiError(f"there is no field {shown(name)}{near}", param=name, code="unknown_parameter")
        self._values = {name: value for name, value in body.items() if value is not None}

    def given(self, name: str) -> Any:
        """The value of a field, or None."""
        return self._values.get(name)

    def forget(self, name: str) -> None:
        """Take a field for one that was not given."""
        self._values.pop(name, None)

    def refuse_unsupported(self) -> None:
        """Raise an error for a field that is not supported and asks for something."""
        for name, neutral in NEUTRAL.items():
            if self.given(name) is not None and self.given(name) not in neutral:
                raise ApiError(
                    f"{name} is not supported; leave it out", param=name, code="unsupported_parameter"
                )

    def text(self, name: str) -> str | None:
        """A text, or None."""
        return self._of(name, None, str, "a text")  # type: ignore[no-any-return]

    def flag(self, name: str) -> bool:
        """True or false; false if it is not given."""
        return self._of(name, False, bool, "true or false")  # type: ignore[no-any-return]

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within limits."""
        value: int = self._of(name, default, int, "a whole number")
        if not least <= value <= most:
            raise ApiError(
                f"{name} is {shown(value)}, but has to be from {least} to {most:,}",
                param=name,
                code="out_of_range",
            )
        return value

    def _of(self, name: str, default: Any, kind: type, wanted: str) -> Any:
        value = self._values.get(name, default)
        if value is not default and type(value) is not kind:
            raise ApiError(f"{name} is {shown(value)}, but has to be {wanted}", param=name)
        return value


def _prompts(given: Any) -> list[str | list[int]]:
    """One text or several, the token ids of one or several; without any, one that begins from scratch."""
    if given is None:
        return [""]
    if isinstance(given, str):
        return [_a_text(given)]
    if isinstance(given, list) and given:
        if _are_ids(given):
            return [given]
        if all(isinstance(each, str) for each in given):
            return [_a_text(each) for each in given]
        if all(map(_are_ids, given)):
            return given
    raise ApiError(
        f"prompt is {shown(given)}, but has to be a text, a list of texts, a list of token ids, or a list of "
        "such lists",
        param="prompt",
    )


def _a_text(text: str) -> str:
    try:
        refuse_surrogates(text, "the prompt")
    except CorpusError as error:
        raise ApiError(str(error).partition(";")[0], param="prompt") from error
    return text


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(type(each) is int for each in value)


def _filters(fields: _Fields) -> SamplingConfig:
    """The settings of sampling; a top_p of 1, as some clients send it, is none."""
    given: dict[str, Any] = {}
    for name in FILTERS:
        value = fields.given(name)
        if value is None or (name == "top_p" and value == 1):
            continue
        try:
            SamplingConfig(**{name: value})
        except ConfigError as error:
            raise ApiError(str(error), param=name) from error
        given[name] = value
    return SamplingConfig(**given)


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(stops, list) or not all(map(_is_stop, stops)) or len(stops) > MOST_STOPS:
        raise ApiError(
            f"stop is {shown(given)}, but has to be a text or a list of at most {MOST_STOPS} texts, each of "
            f"1 to {LONGEST_STOP:,} characters",
            param="stop",
        )
    return tuple(stops)


def _is_stop(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_STOP


def _include_usage(given: Any, *, stream: bool) -> bool:
    """What `stream_options` say."""
    if given is None:
        return False
    if not stream:
        raise ApiError("stream_options goes with stream; leave it out", param="stream_options")
    options = _Fields(given, {"include_usage", "include_obfuscation"}, param="stream_options")
    options.flag("include_obfuscation")
    return options.flag("include_usage")
