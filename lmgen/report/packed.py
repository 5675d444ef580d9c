"""
The numbers of every token, small enough for a page: rounded to bytes, compressed, as text (base64).

A page gets one packet a model: for N tokens and G guesses

    surprisal     N bytes         tenths of a bit, up to 25.5
    rank          N, then N       low and high bytes, up to 65,535
    guesses       G times as many bytes for each token as the list of spellings needs, low bytes first
    chances       G times N       (byte / 255)²; so 1 is a chance of 0.0015%

all of them one after the other, by zlib. page.js unpacks them.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float64Array, Int64Array
from lmgen.evaluation.results import NATS_PER_BIT
from lmgen.report.collected import Collected
from lmgen.report.scored import Predicted, Tokens
from lmgen.report.units import Inside
from lmgen.tokenizers.base import Tokenizer

LEVELS = 15
"""Steps of an activation on either side of 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The tokens of a text as a page shows them: the bytes of one character are one."""

    firsts: Int64Array
    """The number of the first token of each, (N,)."""
    lasts: Int64Array
    """And of the last, (N,)."""
    lengths: Int64Array
    """In the units of JavaScript's texts, (N,)."""

    def summed(self, values: Float64Array) -> Float64Array:
        """Values of tokens, added up for each that is shown."""
        sums: Float64Array = np.add.reduceat(values, self.firsts)
        return sums

    def place_of(self, token: int) -> int:
        """The one that a token is in."""
        return int(np.searchsorted(self.lasts, token))


def shown_tokens(tokens: Tokens) -> Shown:
    """Which tokens are shown together."""
    lengths = tokens.ends - tokens.offsets
    lasts = np.flatnonzero(lengths > 0)
    units = np.cumsum([0, *(1 + (letter > "\uffff") for letter in tokens.text)])
    places = units[np.append(tokens.offsets[lasts], len(tokens.text))]
    return Shown(np.append(0, lasts[:-1] + 1), lasts, np.diff(places))


def page_data(models: Sequence[Collected], names: Sequence[str]) -> dict[str, Any]:
    """
    What page.js gets: the texts, and for each model its tokens and what is known of each.

    Args:
        models: in their order on the page.
        names: what the switch calls them.
    """
    texts = list(dict.fromkeys(model.tokens.text for model in models))
    return {
        "texts": texts,
        "runs": [
            {"name": name, "text": texts.index(model.tokens.text), **_of_model(model)}
            for name, model in zip(names, models, strict=True)
        ],
    }


def _of_model(model: Collected) -> dict[str, Any]:
    shown = shown_tokens(model.tokens)
    tokenizer = model.subject.tokenizer
    single = bool((shown.lengths == 1).all())
    scored = model.tokens.scored[shown.firsts]
    return {
        "count": len(shown.lasts),
        "lengths": None if single else _packet(_bytes_of(shown.lengths, 3)),
        "scored": None if scored.all() else _packet([scored.astype(np.uint8)]),
        "models": [_predictions(each, model.tokens.ids, shown, tokenizer) for each in model.predicted],
        "cells": None if model.inside is None else _cells(model.inside, shown),
    }


def _predictions(predicted: Predicted, ids: Int64Array, shown: Shown, tokenizer: Tokenizer) -> dict[str, Any]:
    guesses = at_their_ranks(predicted, ids)[shown.firsts]
    used, places = np.unique(guesses, return_inverse=True)
    places = places.reshape(guesses.shape)
    width = 1 if len(used) <= 256 else 2 if len(used) <= 65536 else 3
    bits = shown.summed(predicted.nats) / NATS_PER_BIT
    chances = predicted.chances[shown.firsts]
    return {
        "name": predicted.model,
        "spellings": [tokenizer.escaped_piece(token) for token in used.tolist()],
        "width": width,
        "guesses": guesses.shape[1],
        "packet": _packet(
            [
                np.minimum(np.rint(bits * 10), 255).astype(np.uint8),
                *_bytes_of(np.minimum(predicted.ranks[shown.firsts], 65535), 2),
                *(plane for guess in places.T for plane in _bytes_of(guess, width)),
                *np.rint(np.sqrt(chances.T) * 255).astype(np.uint8),
            ]
        ),
    }


def at_their_ranks(predicted: Predicted, ids: Int64Array) -> Int64Array:
    """
    The guesses, (N, G), each token of the text in the place of its rank where that is among them.

    Of equally likely tokens the one that came stands first, so a rank of 2 is always the second guess.
    """
    guesses = predicted.guesses.copy()
    rows = np.flatnonzero(predicted.ranks <= guesses.shape[1])
    came, places = ids[rows], predicted.ranks[rows] - 1
    other = guesses[rows, places]
    at, place = np.nonzero(guesses[rows] == came[:, None])
    guesses[rows[at], place] = other[at]
    guesses[rows, places] = came
    return guesses


def _cells(inside: Inside, shown: Shown) -> dict[str, Any]:
    """The activations of each unit after each of the first tokens, as LEVELS steps on either side of 0."""
    count = len(inside.units[0].activations) if inside.units else 0
    at = shown.lasts[shown.lasts < count]
    rounded = [np.rint(each.activations[at] * LEVELS) + LEVELS for each in inside.units]
    return {
        "count": len(at),
        "levels": LEVELS,
        "units": [[each.layer, each.unit, each.follows, round(each.correlation, 3)] for each in inside.units],
        "packet": _packet([each.astype(np.uint8) for each in rounded]),
    }


def _bytes_of(values: Int64Array, width: int) -> list[npt.NDArray[np.uint8]]:
    """The bytes of whole numbers, the low ones first: `width` arrays."""
    return [(values >> (8 * place) & 255).astype(np.uint8) for place in range(width)]


def _packet(planes: Sequence[npt.NDArray[np.uint8]]) -> str:
    """Bytes one after the other, compressed, as text."""
    joined = b"".join(plane.tobytes() for plane in planes)
    return base64.b64encode(zlib.compress(joined, 9)).decode("ascii")
