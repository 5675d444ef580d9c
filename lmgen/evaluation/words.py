"""
What a model says at the beginning of a word: how uncertain it is, and how likely the word before ends there.

Sub-words carry the blank before a word, as in " cat". Where the blank is to be counted with the word before,
the probability of such a token is cut in two:

    P(" cat") = P(a token that begins with " ") P(" cat" | a token that begins with " ")

So the word before pays for its end, and "cat" for the rest. The two add up to what the token costs. A
sub-word that is a blank and nothing else is cut after it, for the word might have been spelled otherwise. Any
token that holds the end of one word and the beginning of another is cut at its first boundary.

Sources: Pimentel and Meister 2024 (https://arxiv.org/abs/2406.14561), Oh and Schuler 2024
(https://arxiv.org/abs/2406.10851).
"""

import re
from bisect import bisect_left
from functools import cached_property

import numpy as np

from lmgen.arrays import Float64Array, FloatArray, IdArray, Int64Array
from lmgen.data.token_file import Tokens, token_counts
from lmgen.tokenizers.base import Tokenizer

_BOUNDARIES = {"next": re.compile(r"(?<=\S)\s"), "previous": re.compile(r"(?<=\s)\S")}
"""Where a word begins inside a token, by the word that white space is counted with."""


class SharedTokens:
    """The tokens of a vocabulary that may belong to two words, and what is measured at words."""

    def __init__(self, tokenizer: Tokenizer, blank_with: str) -> None:
        """
        Args:
            tokenizer: has the vocabulary.
            blank_with: the word that white space is counted with, `next` or `previous`.
        """
        special = tokenizer.special_ids
        ids = range(tokenizer.vocabulary_size)
        self.pieces = ["" if token in special else tokenizer.piece(token) for token in ids]
        self._members: dict[str, Int64Array] = {}
        boundary = _BOUNDARIES[blank_with]
        found = [boundary.search(piece) for piece in self.pieces]
        self.cut = np.array([match.start() if match else 0 for match in found])
        """Characters of each token before its first boundary, which may be its end, (V,); 0: it has none."""
        if blank_with == "previous":
            for token, piece in enumerate(self.pieces):
                if piece.isspace() and len(self._beginning_with(piece)) > 1:
                    self.cut[token] = len(piece)
        self.begins_with_blank = np.array([piece[:1].isspace() for piece in self.pieces])
        """Whether each token begins with white space, (V,)."""
        self.spells_last = np.array([piece[:1].isspace() and not piece.isspace() for piece in self.pieces])
        """Whether each token is white space and then something else, (V,)."""

    def measure(self, predicted: FloatArray, ids: IdArray) -> Float64Array:
        """
        A `Measure` of scoring.py.

        Returns:
            The entropy of the next token in bits; and the negative log-probability, in nats, of all tokens
            that begin as the next one does up to its first boundary, NaN if it has none. (B, 2).
        """
        measured = np.full((len(ids), 2), np.nan)
        measured[:, 0] = entropy_bits(predicted)
        cuts = self.cut[ids]
        for row in np.flatnonzero(cuts).tolist():
            beginning = self.pieces[ids[row]][: cuts[row]]
            log_probabilities = predicted[row, self._beginning_with(beginning)].astype(np.float64)
            measured[row, 1] = -np.logaddexp.reduce(log_probabilities)
        return measured

    def _beginning_with(self, beginning: str) -> Int64Array:
        """The ids of all tokens that begin so."""
        if beginning not in self._members:
            pieces, ids = self._sorted
            first = bisect_left(pieces, beginning)
            end = bisect_left(pieces, beginning + "\U0010ffff", first)
            self._members[beginning] = ids[first:end]
        return self._members[beginning]

    @cached_property
    def _sorted(self) -> tuple[list[str], Int64Array]:
        """The pieces in order, and their ids."""
        order = sorted(range(len(self.pieces)), key=self.pieces.__getitem__)
        return [self.pieces[token] for token in order], np.array(order)


def entropy_bits(predicted: FloatArray) -> Float64Array:
    """The entropy of each distribution of log-probabilities, (B, V) -> (B,), in bits."""
    nats = predicted.astype(np.float64)
    terms = np.where(np.isneginf(nats), 0, np.exp(nats) * nats)
    entropies: Float64Array = 0.0 - terms.sum(axis=1) / np.log(2)
    return entropies


def unigram_bits(ids: Tokens, vocabulary_size: int) -> Float64Array:
    """
    -log2 of the relative frequency of each token in a text, (V,); infinite for a token it does not have.

    Args:
        ids: the text, (N,).
        vocabulary_size: V.
    """
    counts = token_counts(ids, vocabulary_size)
    with np.errstate(divide="ignore"):
        bits: Float64Array = np.log2(max(len(ids), 1)) - np.log2(counts)
    return bits
