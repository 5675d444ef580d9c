"""What may come after a text, P(v | w1 ... wk): the likeliest next tokens, or given continuations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.errors import ConfigError, NumericalError
from lmgen.generation.filters import NO_TOKEN
from lmgen.generation.prompts import BLOCK_STEPS, read
from lmgen.generation.still import writing
from lmgen.generation.ways import NO_PROBABILITIES, Ways, find_ways
from lmgen.models.base import LanguageModel, State, nats_of
from lmgen.settings import shown
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class NextToken:
    """A possible next token with its probability."""

    token: str
    """Spelling of the token, from `Tokenizer.piece`; without what the text has of it already."""
    probability: float
    log10: float
    """log10 of the probability."""
    token_id: int


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a text may go on with, and the probability that it does."""

    continuation: str
    probability: float
    log10: float
    """log10 of the probability."""


def next_tokens(model: LanguageModel, tokenizer: Tokenizer, text: str, top: int = 10) -> list[NextToken]:
    """
    List the most likely next tokens after a text, in falling order; ties are sorted by id.

    Where the text ends inside what may become one token, the entries are what may come after it, up to the
    end of a token: the rest of a token that begins in the text, or the first token after it. Each has the sum
    over all ways to spell it, and the id of its token in the likeliest of them.

    Args:
        model: any `LanguageModel`.
        tokenizer: tokenizer of the model.
        text: text so far; may be empty.
        top: maximum number of tokens, at least 1. The unknown token may be among them.

    Raises:
        NumericalError: the model returns NaN or probabilities above 1.
    """
    edge = tokenizer.edge(text)
    state = read(model, model.start(1), edge.ids[:, None])
    model = writing(model)
    if edge.rest is not None:
        return after_ways(model, tokenizer, state, find_ways(model, state, edge.rest))[:top]
    nats = _checked(nats_of(model.predict(state)[0]))
    best = np.argsort(nats, kind="stable")[:top]
    return [
        NextToken(tokenizer.piece(token), exp(log_p), log_p / log(10), token)
        for token, log_p in zip(best.tolist(), (0.0 - nats[best]).tolist(), strict=True)
    ]


def continuations(
    model: LanguageModel, tokenizer: Tokenizer, text: str, of: Iterable[str], *, relative: bool = False
) -> list[Continuation]:
    """
    The probability that a text goes on with each of some continuations: the product over their tokens.

    Text and continuation are split as one text. White space between them finishes the text's last word.
    Without it the text may end inside what becomes one token, as one that ends in a blank does for most
    sub-word tokenizers; then the probability is that among the texts that begin with it. `joined` says when
    there is a blank between the two.

    Args:
        model: any `LanguageModel`.
        tokenizer: tokenizer of the model.
        text: text so far; may be empty.
        of: the continuations, of one character or more each.
        relative: divide each probability by the sum of all.

    Raises:
        ConfigError: a continuation is empty, or none is given.
        NumericalError: the model returns NaN or probabilities above 1.
    """
    wanted = [] if isinstance(of, str) else list(of)
    if not wanted or not all(wanted):
        found = shown(of if isinstance(of, str) else wanted)
        raise ConfigError(f"of is {found}, but has to be a list of texts of at least one character")
    scored = _Scorer(model, tokenizer, text)
    logs = [scored.log_probability(joined(tokenizer, text, each)) for each in wanted]
    if relative:
        highest = max(logs)
        total = highest + log(sum(exp(each - highest) for each in logs)) if highest > -inf else 0.0
        logs = [each - total for each in logs]
    return [Continuation(each, exp(log_p), log_p / log(10)) for each, log_p in zip(wanted, logs, strict=True)]


def joined(tokenizer: Tokenizer, text: str, continuation: str) -> str:
    """
    A text with its continuation: with a blank between the two, unless there is a text and white space there.

    An answer touches its mark, and a punctuation mark that is a token of its own the word before it.
    """
    if text[-1:] in ("", UNIT_END) or text[-1].isspace() or continuation[0].isspace():
        return text + continuation
    if tokenizer.answer_mark in tokenizer.encode(text)[-1:].tolist():
        return text + continuation
    if tokenizer.reads_lines and len(text) in tokenizer.encode_with_offsets(text + continuation)[1]:
        return text + continuation
    return f"{text} {continuation}"


class _Scorer:
    """Log-probabilities of what may come after a text."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, text: str) -> None:
        edge = tokenizer.edge(text)
        own = np.zeros(0, np.int64) if edge.rest is None else edge.rest.ids
        self._model, self._tokenizer, self._text = model, tokenizer, text
        self._ids = np.concatenate([edge.ids, own])
        """The tokens of the text, those of earlier units left out."""
        ends = np.flatnonzero(tokenizer.encode(text) == (-1 if tokenizer.end is None else tokenizer.end))
        self._earlier = int(ends[-1]) + 1 if len(ends) else 0
        """The number of tokens of earlier units."""
        self._certain = len(edge.ids)
        self._state = read(model, model.start(1), edge.ids[:, None])
        """After the tokens that are certain."""
        self._state_after = read(model, self._state, own[:, None])
        """After all of the text's own tokens."""
        self._log_rest = (
            None if edge.rest is None else find_ways(model, self._state, edge.rest).log_probability
        )

    def log_probability(self, whole: str) -> float:
        """That the text goes on as in `whole`, which begins with it."""
        ids = self._tokenizer.encode(whole)[self._earlier :]
        if self._log_rest is None or self._is_finished(whole, ids):
            return self._score(self._state_after, ids[len(self._ids) :])
        return min(0.0, self._score(self._state, ids[self._certain :]) - self._log_rest)

    def _is_finished(self, whole: str, ids: IdArray) -> bool:
        """Whether white space follows the text's last word in `whole`, and leaves its tokens as they are."""
        size = len(self._text)
        return (
            size > 0
            and not self._text[-1].isspace()
            and whole[size].isspace()
            and np.array_equal(ids[: len(self._ids)], self._ids)
        )

    def _score(self, state: State, ids: IdArray) -> float:
        total = 0.0
        for step in range(0, len(ids), BLOCK_STEPS):
            log_probs, state = self._model.score(state, ids[step : step + BLOCK_STEPS, None])
            total -= float(_checked(nats_of(log_probs)).sum())
        return total


def after_ways(model: LanguageModel, tokenizer: Tokenizer, state: State, ways: Ways) -> list[NextToken]:
    """Whatever may come after the ways to spell the end of a text, likeliest first."""
    shares = np.exp(ways.log_shares)
    ending = ways.beyond == NO_TOKEN
    found: dict[tuple[str, bool], _Found] = {}
    for way in np.flatnonzero(~ending).tolist():
        token = int(ways.beyond[way])
        piece = ways.text_beyond(way) if ways.rest.spelling else tokenizer.piece(token)
        _add(found, piece, token, float(shares[way]), special=token in tokenizer.special_ids)
    after = [ways.within[ways.beginnings[way]].tokens for way in np.flatnonzero(ending)]
    if after:
        following = _mixture(model, state, after, shares[ending])
        for token, probability in enumerate(following.tolist()):
            special = token in tokenizer.special_ids
            _add(found, tokenizer.piece(token), token, probability, special=special)
    ranked = sorted(found.items(), key=lambda item: (-item[1].probability, item[1].token))
    return [
        NextToken(
            piece, each.probability, log(each.probability) / log(10) if each.probability else -inf, each.token
        )
        for (piece, _), each in ranked
    ]


@dataclass(slots=True)
class _Found:
    """A text that may come next."""

    probability: float
    """The sum over the ways to spell it."""
    highest: float
    """The probability of the likeliest of these."""
    token: int
    """The last token of that."""


def _add(
    found: dict[tuple[str, bool], _Found], piece: str, token: int, probability: float, *, special: bool
) -> None:
    """Count a way to spell a piece of text, or a special token, whose spelling is a name."""
    entry = found.setdefault((piece, special), _Found(0.0, -1.0, token))
    entry.probability += probability
    if probability > entry.highest:
        entry.highest, entry.token = probability, token


def _mixture(
    model: LanguageModel, state: State, paths: Sequence[Sequence[int]], shares: Float64Array
) -> Float64Array:
    """
    The probabilities of the next token, (V,), mixed over several paths.

    Args:
        model: any `LanguageModel`.
        state: of one stream, before the paths.
        paths: the tokens of each, one or more.
        shares: the weight of each.
    """
    total = np.zeros(model.vocabulary_size)
    lengths = np.array([len(path) for path in paths])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        ids = np.array([paths[row] for row in rows.tolist()]).T
        after = model.advance(model.select(state, [0] * len(rows)), ids)
        total += shares[rows] @ np.exp(-_checked(nats_of(model.predict(after))))
    return total


def _checked(nats: Float64Array) -> Float64Array:
    if np.isnan(nats).any():
        raise NumericalError(NO_PROBABILITIES)
    return nats
