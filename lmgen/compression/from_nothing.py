"""
A model that learns bytes while it codes them, from nothing.

    experts     counts of contexts that grow (models/ngram/growing/side_by_side.py)
                a network that takes a gradient step after every few bytes (training/adapting.py)
    mixed by    a gate that sees how often each context was seen, and learns from every byte (models/gates.py)

All S streams share the counts, the network and the gate.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.evaluation.adapting import adapting_network, word_rule
from lmgen.models.adapting import AdaptingConfig
from lmgen.models.gates import Heard, LogarithmicGate, Mixed, Rates
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.side_by_side import SharedCounts
from lmgen.models.opinions import Opinions
from lmgen.tokenizers.bytes import ByteTokenizer

SEED = 0
"""Of the network's first weights: those that decompressing begins with, too."""

RATES = Rates(5e-4, 5e-3, 300.0)
"""Of the gate: benchmarks/results/compression.md."""


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """A network and how it learns."""

    hidden: int
    embedding: int
    rate: float
    every: int
    """Steps of all streams between two gradient steps."""


class LearnedPredictor:
    """Predicts the bytes of an alphabet, S streams; learns from each."""

    def __init__(self, alphabet: IdArray, streams: int, order: int, network: NetworkSize | None) -> None:
        """
        Args:
            alphabet: the bytes that occur, (V,).
            streams: S.
            order: N, of the counts.
            network: the network's size; None: counts alone.
        """
        V = len(alphabet)
        words = word_rule(ByteTokenizer())
        assert words is not None
        rule = WordRule(words.values[alphabet], words.resets[alphabet])
        self._counts = SharedCounts(Contexts(order, None, rule), V, streams)
        self._network = None if network is None or V < 2 else _Network(network, V, streams)
        experts = self._counts.experts + (self._network is not None)
        self._gate = LogarithmicGate.over(self._counts.signals, experts, V, RATES)
        self._last: IdArray = np.zeros(streams, np.int64)
        self._opinions = Opinions(np.zeros(0), np.zeros(0))
        self._mixed: Mixed | None = None

    def predict(self) -> Float64Array:
        """Probabilities of the next bytes, (S, V)."""
        opinions, signals = self._counts.opinions()
        if self._network is not None:
            opinions = np.concatenate([opinions, self._network.predict()[..., None]], axis=-1)
        self._opinions = Opinions(opinions, signals)
        self._mixed = self._gate.mixed(opinions, signals, self._last)
        return self._mixed.probabilities

    def read(self, symbols: IdArray) -> None:
        """Go on by the byte of each stream, (S,), and learn from it. `predict` comes before."""
        heard = Heard(*self._opinions, symbols, self._last)
        self._gate, self._last = self._gate.learned(heard, self._mixed), symbols
        self._counts.read(symbols)
        if self._network is not None:
            self._network.read(symbols)


class _Network:
    """An adapting network that begins with random weights."""

    def __init__(self, size: NetworkSize, vocabulary_size: int, streams: int) -> None:
        config = NetworkConfig(hidden_size=size.hidden, embedding_size=size.embedding)
        parameters = initial_parameters(config, vocabulary_size, None, SEED)
        untrained = RecurrentModel(config, vocabulary_size, 0, parameters)
        self._model = adapting_network(untrained, AdaptingConfig(rate=size.rate, every=size.every))
        self._state: Any = self._model.start(streams)

    def predict(self) -> Float64Array:
        """Probabilities of the next bytes, (S, V)."""
        found = np.exp(self._model.predict(self._state).astype(np.float64))
        probabilities: Float64Array = found / found.sum(axis=1, keepdims=True)
        return probabilities

    def read(self, symbols: IdArray) -> None:
        """Go on by a byte of each stream, (S,)."""
        self._state = self._model.advance(self._state, symbols[None])
