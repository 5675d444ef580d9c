"""What scoring finds: one dataclass for each size of result, from a whole text to a single token."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

NATS_PER_BIT = math.log(2)


class _Row:
    """A dataclass of results that can be printed."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def values(self) -> dict[str, Any]:
        """The values by their names, in order."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values; JSON has no infinity, so an infinite value is None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in self.values().items()
        }

    def _repr_html_(self) -> str:
        from lmgen.evaluation.tables import html_table

        return html_table([self])


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScore(_Row):
    """How well a model predicts a text."""

    model: str
    """The model's name."""
    text: str
    """The text's name."""
    tokens: int
    """Tokens of the text; all of them were scored."""
    characters: int
    bytes: int
    """Length of the text in UTF-8."""
    words: int
    """Words between white space, and line ends."""
    unknown_tokens: int
    """Tokens that are not in the vocabulary; they are scored as the unknown token."""
    nats: float
    """Sum of the negative log-probabilities of all tokens."""
    nats_per_token: float
    perplexity: float
    perplexity_without_unknown: float | None
    """Perplexity of the known tokens, with unknown ones as context only; None if all are unknown."""
    bits_per_character: float | None
    """None if tokens are unknown, for then less than the text was predicted."""
    bits_per_byte: float | None
    """None if tokens are unknown."""
    word_perplexity: float | None
    """None if there are no words; infinite if it is too large for a float."""

    def __repr__(self) -> str:
        """The figures that matter most: `<TextScore lstm, book.txt: 2,000 tokens, perplexity 3.21, ...>`."""
        bits = self.bits_per_character
        per_character = "" if bits is None else f", {bits:.4g} bits per character"
        return (
            f"<{type(self).__name__} {self.model}, {self.text}: {self.tokens:,} tokens, perplexity "
            f"{self.perplexity:.4g}{per_character}>"
        )

    @property
    def note(self) -> str | None:
        """What a reader of these figures should know; None if there is nothing."""
        if not self.unknown_tokens:
            return None
        return (
            f"{self.text}: {self.unknown_tokens:,} of {self.tokens:,} tokens are unknown to the vocabulary, "
            "so there are no bits per character or byte"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedTextScore(TextScore):
    """A TextScore beside the size of the model, to compare n-gram models of several orders."""

    __repr__ = TextScore.__repr__

    parameters: int | None
    """Numbers that were estimated: a network's weights, an n-gram model's n-grams; None for a mixture."""
    possible: int | None
    """
    V^n for an n-gram model, the n-grams that V tokens can form; None for other models.

    `parameters` counts the n-grams that the model has, shorter ones and those that begin with `<s>` too.
    """

    @classmethod
    def of(cls, score: TextScore, parameters: int | None, possible: int | None) -> Self:
        """The same score with the number of parameters and that of possible n-grams."""
        return cls(**score.values(), parameters=parameters, possible=possible)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineScore(_Row):
    """How well a model predicts one line, or one record. Fields are those of TextScore."""

    model: str
    text: str
    line: int
    """The number of the line, or of the record, in the text, from 1."""
    tokens: int
    """Tokens of the line. The line end is one if the line has one, or if the model predicts it anyway."""
    nats: float
    perplexity: float | None
    bits_per_character: float | None
    log10: float
    """The log-probability of the line to base 10, as KenLM and SRILM print it."""
    unknown_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WordScore(_Row):
    """How surprising one word is. The words of a unit, and its end, sum to the score of the unit."""

    model: str
    text: str
    unit: int
    """The number of the line, record or document that is read afresh, from 1."""
    index: int
    """The word's place in its unit, from 0."""
    word: str
    """
    The word as the text spells it; `</s>` for the end of the unit with any white space before it.

    White space after the last word of a unit whose end is not in the text is a row without a word. A word
    that is itself spelled `</s>` gets a backslash.
    """
    surprisal_bits: float
    """Negative log-probability, to base 2, summed over the word's tokens and the blanks counted with it."""
    log10: float
    """The same as a log-probability to base 10."""
    entropy_bits: float | None
    """Entropy of the next token where the word begins, with its blank; None if no token begins there."""
    unigram_bits: float | None
    """
    Negative log of the relative frequencies of its tokens in the run's training text, summed.

    None without a run, or if one of the tokens does not occur there.
    """
    length: int
    """Characters of the word; 0 for an end."""
    unknown: bool
    """Whether a token of it is not in the vocabulary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScore(_Row):
    """How surprising one token of a text is."""

    model: str
    text: str
    index: int
    """The token's place in the text, in tokens from 0."""
    offset: int
    """Where the token begins in the text, in characters from 0."""
    token: str
    """The token's spelling, white space and control characters escaped (tokenizers/pieces.py)."""
    surprisal_bits: float
    """Its negative log-probability, to base 2."""
    rank: int
    """1 if no other token was more likely here."""
    unit: int
    """The number of the line, record or document that is read afresh, from 1."""
    log10: float
    """Its log-probability, to base 10."""
    matched: int | None
    """Length of the n-gram that it is predicted by, 1 for a unigram; None if the model has no n-grams."""


def log10_of(nats: float) -> float:
    """The log-probability to base 10; never -0."""
    return 0.0 - nats / math.log(10)


def perplexity_of(nats: float, count: int) -> float | None:
    """exp(nats / count); None if the count is 0."""
    return exp_or_infinity(nats / count) if count else None


def exp_or_infinity(nats: float) -> float:
    """exp(nats); infinite if the result is too large for a float."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
