"""
What single units of a network follow in a text: those that a person can read, found by correlation.

Karpathy, Johnson and Fei-Fei 2015 looked at one unit after the other until they found some that keep track of
quotes or of the place in the line. Here each unit is compared with what can be read off the text itself
(`FEATURES`), over all of it, and those that go with something come first.

What is compared is tanh(c) where a layer has a cell state, else h, after each token.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from lmgen.arrays import Float32Array, Float64Array, IdArray, in_short
from lmgen.errors import ModelError
from lmgen.inspection.gates import GateShare, gate_shares
from lmgen.inspection.states import ReadBlock, Selection, StateReader
from lmgen.inspection.texts import Block
from lmgen.models.base import LanguageModel
from lmgen.report.losses import places_in_lines
from lmgen.report.scored import Tokens

SHOWN = 12_000
"""Tokens at the beginning of the text whose activations are kept."""

OF_EACH = 3
"""Units that are kept of each feature at most."""

LEAST = 0.1
"""A correlation below this, plus or minus, is none worth looking at."""

STREAMS = 32
"""Parts of a text that are read side by side, each after the tokens before it."""

WARM_UP = 256
"""Tokens that each part is read after. What is further back matters little (evaluation/scoring.py)."""

STEPS = 64
"""Tokens of each part whose states are in memory together."""

OPENING, CLOSING = "([{", ")]}"
QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb'


@dataclass(frozen=True, slots=True, eq=False)
class FollowingUnit:
    """A unit that goes up or down with something in the text."""

    layer: int
    unit: int
    follows: str
    """One of FEATURES."""
    correlation: float
    """Pearson's, over all tokens of the text."""
    activations: Float32Array
    """After each of the first tokens, divided by the largest, -1 to 1, (M,)."""

    __repr__ = in_short


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """What was seen inside a network while it read the text."""

    part: str
    """What the activations are: `tanh(c)` or `h`."""
    units: list[FollowingUnit]
    """The ones that follow something most closely come first."""
    looked_at: int
    """How many units there are."""
    gates: list[GateShare]
    """How often the gates of each unit are open and closed; none if the cell has no gates."""


def inside(model: LanguageModel, tokens: Tokens) -> Inside:
    """
    Read a text with a network, and look at its units and gates.

    Raises:
        ModelError: the model is no network, or has no recurrent layers.
    """
    reader = StateReader(model, Selection(names=None))
    part = "c" if any(name.endswith(".c") for name in reader.units) else "h"
    watching = _Watching([name for name in reader.units if name.endswith(f".{part}")], tokens)
    watched = _Watched(model, watching.see)
    blocks = [Block(tokens.ids, 0, 1, True, True)]
    try:
        gates = gate_shares(watched, blocks)
    except ModelError:  # a cell without gates
        gates = []
        for _ in watched.read(blocks):
            pass
    units = watching.units()
    return Inside("tanh(c)" if part == "c" else "h", units, watching.count, gates)


class _Watched(StateReader):
    """Reads a text in parts side by side, which is faster, and shows each piece to somebody."""

    def __init__(self, model: LanguageModel, see: Callable[[ReadBlock], None]) -> None:
        super().__init__(model)
        self._see = see

    def read(self, blocks: Iterable[Block]) -> Iterator[ReadBlock]:
        """Pieces of each block, not in their order. Networks over units begin anew by themselves."""
        for block in blocks:
            for first, ids, warm_up in _side_by_side(block.ids):
                state = self._model.start(ids.shape[1])
                state = self._model.advance(state, warm_up)
                for at in range(0, len(ids), STEPS):
                    rows = ids[at : at + STEPS]
                    readings, state = self._model.read(rows, state)
                    found = {
                        f"{reading.layer}.{name}": values
                        for reading in readings
                        for name, values in {**reading.states, **reading.gates}.items()
                    }
                    for stream, begin in enumerate((first + at).tolist()):
                        piece = Block(rows[:, stream], begin, block.unit, False, False)
                        read = ReadBlock(piece, {name: each[:, stream] for name, each in found.items()})
                        self._see(read)
                        yield read


def _side_by_side(ids: IdArray) -> Iterator[tuple[IdArray, IdArray, IdArray]]:
    """
    A text in groups of parts of one length: where each begins, (B,), its tokens, (T, B), those before them.

    `abcdefgh`, two parts, W = 2: first `ab` alone, then `cde` after `ab` beside `fgh` after `de`.
    """
    head = min(len(ids), WARM_UP)
    yield np.zeros(1, np.int64), ids[:head, None], np.zeros((0, 1), np.int64)
    length = (len(ids) - head) // STREAMS
    if length:
        begins = head + length * np.arange(STREAMS)
        before = ids[begins - WARM_UP + np.arange(WARM_UP)[:, None]]
        yield begins, ids[begins + np.arange(length)[:, None]], before
    rest = head + length * STREAMS
    if rest < len(ids):
        yield np.array([rest]), ids[rest:, None], ids[rest - WARM_UP : rest, None]


class _Watching:
    """Adds up what the correlations need, and keeps the activations at the beginning of the text."""

    def __init__(self, series: list[str], tokens: Tokens) -> None:
        self._series = series
        self._features = np.stack(
            [each[_last_characters(tokens)] for each in features(tokens.text).values()], 1
        )
        self._features -= self._features.mean(axis=0)
        self._length = len(tokens.ids)
        self._shown = min(self._length, SHOWN)
        self._kept: dict[str, Float32Array] = {}
        self._sums: dict[str, Float64Array] = {}

    def see(self, read: ReadBlock) -> None:
        """Take in some tokens."""
        first = read.block.first
        of_tokens = self._features[first : first + len(read.block.ids)]
        for name in self._series:
            values = read.series[name]
            seen: Float32Array = np.tanh(values) if name.endswith(".c") else values
            wide = seen.astype(np.float64)
            if name not in self._sums:
                self._sums[name] = np.zeros((2 + of_tokens.shape[1], wide.shape[1]))
                self._kept[name] = np.zeros((self._shown, wide.shape[1]), np.float32)
            self._sums[name] += np.concatenate(
                [wide.sum(0)[None], (wide**2).sum(0)[None], of_tokens.T @ wide]
            )
            kept = self._kept[name][first : first + len(seen)]
            kept[...] = seen[: len(kept)]

    @property
    def count(self) -> int:
        """How many units there are."""
        return sum(each.shape[1] for each in self._sums.values())

    def units(self) -> list[FollowingUnit]:
        """The units that follow something, the closest first; each once, with what it follows most."""
        names = list(FEATURES)
        found: list[tuple[float, int, int, str]] = []
        for layer, series in enumerate(self._series):
            correlations = self._correlations(series)
            best = np.abs(correlations).argmax(axis=0)
            for unit, feature in enumerate(best.tolist()):
                found.append((float(correlations[feature, unit]), layer, unit, names[feature]))
        found.sort(key=lambda each: (-abs(each[0]), each[1:]))
        taken = dict.fromkeys(names, 0)
        chosen = []
        for correlation, layer, unit, feature in found:
            if abs(correlation) >= LEAST and taken[feature] < OF_EACH:
                taken[feature] += 1
                activations = self._kept[self._series[layer]][:, unit]
                largest = max(float(np.abs(activations).max()), 1e-9)
                chosen.append(FollowingUnit(layer, unit, feature, correlation, activations / largest))
        return chosen

    def _correlations(self, series: str) -> Float64Array:
        """Pearson's correlation of each feature with each unit, (F, U); 0 where one of them is constant."""
        total, squares, *products = self._sums[series]
        variance = np.maximum(squares - total**2 / self._length, 0)
        spread = np.sqrt((self._features**2).sum(axis=0)[:, None] * variance)
        found: Float64Array = np.zeros_like(spread)
        np.divide(np.array(products), spread, out=found, where=spread > 1e-9)
        return found


def _last_characters(tokens: Tokens) -> IdArray:
    """The last character that has been read after each token, (N,)."""
    return np.maximum(tokens.ends, tokens.offsets + 1).clip(1, len(tokens.text)) - 1


def features(text: str) -> dict[str, Float64Array]:
    """What can be read off a text at each character, by the names of FEATURES, each (characters,)."""
    return {name: np.array(feature(text), np.float64) for name, feature in FEATURES.items()}


def _in_quotes(text: str) -> Iterator[int]:
    """1 between a quotation mark and the next one; a blank line ends a quotation that nobody closed."""
    is_open, before = 0, ""
    for letter in text:
        if letter in QUOTES:
            is_open = 1 - is_open
        elif letter == before == "\n":
            is_open = 0
        before = letter
        yield is_open


def _in_brackets(text: str) -> Iterator[int]:
    """How many brackets are open; a blank line closes them."""
    depth, before = 0, ""
    for letter in text:
        if letter in OPENING:
            depth += 1
        elif letter in CLOSING:
            depth = max(depth - 1, 0)
        elif letter == before == "\n":
            depth = 0
        before = letter
        yield depth


def _length_of_word(text: str) -> Iterator[int]:
    """How many letters of the word have been read."""
    return accumulate(text, lambda length, letter: length + 1 if letter.isalnum() else 0, initial=0)


def _indent(text: str) -> Iterator[int]:
    """How many blanks the line begins with, as far as it has been read."""
    indent, is_leading = 0, True
    for letter in text:
        if letter == "\n":
            indent, is_leading = 0, True
        elif is_leading and letter in " \t":
            indent += 1
        else:
            is_leading = False
        yield indent


FEATURES: dict[str, Callable[[str], object]] = {
    "position in the line": places_in_lines,
    "inside quotes": lambda text: list(_in_quotes(text)),
    "inside brackets": lambda text: list(_in_brackets(text)),
    "capital letters": lambda text: [letter.isupper() for letter in text],
    "length of the word": lambda text: list(_length_of_word(text))[1:],
    "blanks between words": lambda text: [letter.isspace() for letter in text],
    "digits": lambda text: [letter.isdigit() for letter in text],
    "indentation": lambda text: list(_indent(text)),
}
"""What units are compared with, and how it is read off a text: a number for each character."""
