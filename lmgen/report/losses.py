"""What the scores of tokens come to: by place, frequency and word; whether probabilities can be trusted."""

from dataclasses import dataclass

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, Int64Array
from lmgen.evaluation.results import NATS_PER_BIT
from lmgen.report.scored import Predicted, Tokens

FEWEST = 20
"""A mean of fewer tokens says little, and is left out."""

BINS = 10
"""Bars of the reliability curve."""

LONGEST_PLACE = 120
"""Places in a line or record are told apart up to this one."""

WORDS = 12
"""Words that are listed where one model is better, and as many where the other is."""

AROUND = 30
"""Characters of context on either side of a listed word."""


@dataclass(frozen=True, slots=True)
class Means:
    """The loss of one model in groups of tokens, bits a token."""

    model: str
    xs: list[float]
    """What each group has in common."""
    bits: list[float]
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often the likeliest token comes, by the probability that a model gives it."""

    model: str
    confidence: list[float]
    """Mean probability of the likeliest token, of each bin that has tokens."""
    accuracy: list[float]
    """The share of these tokens that came."""
    tokens: list[int]
    error: float
    """
    Expected calibration error: the mean of |accuracy - confidence| over bins, weighted by their tokens.

    (Guo, Pleiss, Sun and Weinberger 2017, equation 3.)
    """


@dataclass(frozen=True, slots=True)
class DifferentWord:
    """A word that one model predicts better than the other."""

    word: str
    before: str
    after: str
    token: int
    """The number of its first token in the text."""
    bits: tuple[float, float]
    """Under the one model and the other."""
    count: int
    """How often the text has the word."""


def by_place(tokens: Tokens, predicted: Predicted, *, in_units: bool) -> Means:
    """The loss by the place of a token in its unit, from 1; or by the characters before it in its line."""
    places = _places_in_units(tokens) if in_units else _places_in_lines(tokens)
    chosen = tokens.scored & (places <= LONGEST_PLACE)
    return _means(predicted, places.astype(np.float64), chosen)


def by_frequency(tokens: Tokens, predicted: Predicted, counts: Int64Array) -> Means:
    """
    The loss by how often a token stands in the training text: 1 to 9 times, 10 to 99 and so on; 0.1 is never.

    Args:
        tokens: of the text.
        predicted: what the model makes of them.
        counts: of each id in the training text, (V,).
    """
    powers = np.floor(np.log10(np.maximum(counts[tokens.ids], 0.1)))
    return _means(predicted, 10.0**powers, tokens.scored)


def calibration(tokens: Tokens, predicted: Predicted) -> Calibration:
    """Compare the probability of the likeliest token with how often it comes."""
    confidence = predicted.chances[:, 0][tokens.scored]
    came = (predicted.guesses[:, 0] == tokens.ids)[tokens.scored]
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    means = np.bincount(bins, confidence, BINS)[filled] / counts[filled]
    shares = np.bincount(bins, came, BINS)[filled] / counts[filled]
    error = float((np.abs(shares - means) * counts[filled]).sum() / max(counts.sum(), 1))
    return Calibration(predicted.model, means.tolist(), shares.tolist(), counts[filled].tolist(), error)


def different_words(
    tokens: Tokens, one: Predicted, other: Predicted
) -> tuple[list[DifferentWord], list[DifferentWord]]:
    """
    The words that the first model predicts better by most bits, and those that the second does.

    A word is what stands between white space, with the blank before it. Of each spelling the one place is
    listed where the difference is largest.
    """
    spans, word_of = _words(tokens.text)
    if not spans:
        return [], []
    first = word_of[np.minimum(tokens.offsets, len(tokens.text) - 1)]
    words = np.minimum(first, len(spans) - 1)  # blanks at the end of the text go with the last word
    bits = [
        np.bincount(words, np.where(tokens.scored, each.nats, 0), len(spans)) / NATS_PER_BIT
        for each in (one, other)
    ]
    gains = bits[1] - bits[0]
    begins = np.searchsorted(words, np.arange(len(spans)))
    spelled = [tokens.text[begin:end] for begin, end in spans]
    counts: dict[str, int] = {}
    for word in spelled:
        counts[word] = counts.get(word, 0) + 1

    def listed(order: Int64Array, sign: int) -> list[DifferentWord]:
        found: dict[str, DifferentWord] = {}
        for at in order.tolist():
            if len(found) == WORDS or sign * gains[at] <= 0:
                break
            begin, end = spans[at]
            if spelled[at] in found or int(begins[at]) >= len(words) or words[begins[at]] != at:
                continue
            found[spelled[at]] = DifferentWord(
                spelled[at],
                tokens.text[max(begin - AROUND, 0) : begin],
                tokens.text[end : end + AROUND],
                int(begins[at]),
                (float(bits[0][at]), float(bits[1][at])),
                counts[spelled[at]],
            )
        return list(found.values())

    order = np.argsort(-gains, kind="stable")
    return listed(order, 1), listed(order[::-1], -1)


def _means(predicted: Predicted, groups: Float64Array, chosen: BoolArray) -> Means:
    """The mean loss of each group of tokens that is large enough."""
    values, members = np.unique(groups[chosen], return_inverse=True)
    sums = np.bincount(members, predicted.nats[chosen], len(values)) / NATS_PER_BIT
    counts = np.bincount(members, minlength=len(values))
    large = counts >= FEWEST
    return Means(
        predicted.model,
        values[large].tolist(),
        (sums[large] / counts[large]).tolist(),
        counts[large].tolist(),
    )


def _places_in_units(tokens: Tokens) -> Int64Array:
    """The place of each token in its unit, from 1."""
    firsts = np.searchsorted(tokens.units, tokens.units)
    return np.arange(len(tokens.ids)) - firsts + 1


def _places_in_lines(tokens: Tokens) -> Int64Array:
    """How many characters of its line stand before each token."""
    return places_in_lines(tokens.text)[np.minimum(tokens.offsets, len(tokens.text) - 1)]


def places_in_lines(text: str) -> Int64Array:
    """How many characters of its line stand before each character."""
    starts = np.zeros(len(text), np.int64)
    at = 0
    for line in text.split("\n"):
        starts[at : at + len(line) + 1] = at
        at += len(line) + 1
    return np.arange(len(text)) - starts


def _words(text: str) -> tuple[list[tuple[int, int]], Int64Array]:
    """Where words between white space begin and end; and the word of each character, blanks with the next."""
    space = np.array([letter.isspace() for letter in text], np.bool_)
    starts = ~space & np.append(True, space[:-1])
    begins = np.flatnonzero(starts)
    ends = np.flatnonzero(~space & np.append(space[1:], True)) + 1
    word_of = np.cumsum(starts) - 1 + space
    return list(zip(begins.tolist(), ends.tolist(), strict=True)), word_of
