"""
A network with a continuous cache of what it read (Grave, Joulin and Usunier 2017).

    p(v) = (1 - λ) p_network(v) + λ p_cache(v)
    p_cache(v) ∝ Σ_i [v = x_{i+1}] exp(θ h_t · h_i)            i over the K tokens before the present one

h_t is what the output layer multiplies with its weights to predict x_{t+1}. A word that came after a similar
h_i is likely to come again. Nothing is trained, and K pairs (h_i, x_{i+1}) are all that is remembered.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmgen.arrays import Float32Array, Float64Array, IdArray, Tensors
from lmgen.errors import ModelError
from lmgen.models.adapting import CacheConfig
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.tiles import RecurrentState
from lmgen.models.opinions import Opinions, opinions_one_by_one

ROWS = 256
"""Tokens whose similarities to those before them are computed at once."""


class Remembered(NamedTuple):
    """What the cache of one stream holds, oldest first; never changed in place."""

    hidden: Float32Array
    """h_i, (n, H)."""
    ids: IdArray
    """x_{i+1}, the token that came after each, (n,)."""

    def with_more(self, hidden: Float32Array, ids: IdArray, size: int) -> "Remembered":
        """The same after T more tokens, (T, H) and (T,), without those that are now too old."""
        kept = max(size - len(ids), 0)
        first = max(len(self.ids) - kept, 0)
        return Remembered(
            np.concatenate([self.hidden[first:], hidden[-size:]]),
            np.concatenate([self.ids[first:], ids[-size:]]),
        )

    def probabilities(self, hidden: Float32Array, sharpness: float, vocabulary_size: int) -> Float64Array:
        """p_cache of all tokens that may come after h_t, (H,), as (V,); there has to be something in it."""
        scores = sharpness * (self.hidden @ hidden)
        weights = np.exp(scores - scores.max())
        found = np.bincount(self.ids, weights, vocabulary_size).astype(np.float64, copy=False)
        probabilities: Float64Array = found / found.sum()
        return probabilities


def cached_probabilities(
    before: Remembered, hidden: Float32Array, ids: IdArray, config: CacheConfig
) -> Float64Array:
    """
    p_cache of T tokens that one stream reads, each with a cache of those before it.

    Args:
        before: what was read before them.
        hidden: h before each of them, (T, H).
        ids: (T,).
        config: K and θ.

    Returns:
        (T,); NaN for a token before which nothing was read.
    """
    keys = np.concatenate([before.hidden, hidden])
    tokens = np.concatenate([before.ids, ids])
    found = np.empty(len(ids))
    for first in range(0, len(ids), ROWS):
        now = slice(first, first + ROWS)
        at = len(before.ids) + np.arange(len(ids))[now, None]
        seen = slice(max(int(at[0, 0]) - config.size, 0), int(at[-1, 0]))
        places = np.arange(seen.start, seen.stop)
        scores = hidden[now] @ keys[seen].T
        scores *= config.sharpness
        scores[(places >= at) | (places < at - config.size)] = -np.inf
        highest = scores.max(axis=1, keepdims=True, initial=-np.inf)
        scores -= np.where(np.isfinite(highest), highest, 0)
        weights = np.exp(scores, out=scores)
        right = np.where(tokens[seen] == ids[now, None], weights, 0)
        with np.errstate(invalid="ignore"):  # 0 / 0 before the first token
            found[now] = right.sum(axis=1, dtype=np.float64) / weights.sum(axis=1, dtype=np.float64)
    return found


class CacheState(NamedTuple):
    """The state of a network with a cache."""

    network: RecurrentState
    streams: tuple[Remembered, ...]


class NetworkAndCache:
    """
    A network and the cache of what it read, as two experts of a gated mixture (gated.py).

    A cache that holds nothing yet says what the network says.
    """

    experts, signals = 2, 0

    def __init__(self, network: RecurrentModel, config: CacheConfig) -> None:
        """
        Args:
            network: stays as it is.
            config: how much the cache holds, and how sharply it tells what is similar.
        """
        self.network = network
        self.config = config

    def start(self, streams: int) -> CacheState:
        """The state before the first token of a text, for B streams, with nothing in the cache."""
        state = self.network.start(streams)
        size = self.network.read_by_output(state).shape[1]
        nothing = Remembered(np.zeros((0, size), np.float32), np.zeros(0, np.int64))
        return CacheState(state, (nothing,) * streams)

    def restart(self, state: CacheState, streams: int | None = None) -> CacheState:
        """The state of the same streams before the first token of other texts, with all that is cached."""
        return state._replace(network=self.network.start(len(state.streams) if streams is None else streams))

    def opinions(self, state: CacheState) -> Opinions:
        """Probabilities under the network and the cache, (B, V, 2)."""
        of_network = np.exp(self.network.predict(state.network).astype(np.float64))
        hidden = self.network.read_by_output(state.network)
        sharpness, size = self.config.sharpness, self.network.vocabulary_size
        of_cache = [
            stream.probabilities(own, sharpness, size) if len(stream.ids) else alone
            for stream, own, alone in zip(state.streams, hidden, of_network, strict=True)
        ]
        found = np.stack([of_network, np.stack(of_cache)], axis=-1)
        return Opinions(found, np.zeros((len(found), 0)))

    def score(self, state: CacheState, ids: IdArray) -> tuple[Opinions, CacheState]:
        """Probabilities of `ids`, (T, B, 2), and the state after them, which has them in the cache."""
        hidden, after = self.network.read_before(state.network, ids)
        of_network = np.exp(self.network.chosen(hidden, ids).astype(np.float64))
        found = np.stack([of_network, of_network], axis=-1)
        streams = []
        for place, stream in enumerate(state.streams):
            own = np.ascontiguousarray(hidden[:, place]), ids[:, place]
            of_cache = cached_probabilities(stream, *own, self.config)
            known = ~np.isnan(of_cache)
            found[known, place, 1] = of_cache[known]
            streams.append(stream.with_more(*own, self.config.size))
        opinions = Opinions(found, np.zeros((*ids.shape, 0)))
        return opinions, CacheState(after, tuple(streams))

    def opinions_each(self, state: CacheState, ids: IdArray) -> tuple[Opinions, CacheState]:
        """Probabilities under the network and the cache before each of `ids`, (T, B, V, 2)."""
        return opinions_one_by_one(self, state, ids)

    def follow(self, state: CacheState, ids: IdArray) -> CacheState:
        """The state after tokens, (T, B), that are context only: they are not put in the cache."""
        return state._replace(network=self.network.advance(state.network, ids))

    def select(self, state: CacheState, streams: Sequence[int]) -> CacheState:
        """The state of the listed streams."""
        network = self.network.select(state.network, streams)
        return CacheState(network, tuple(state.streams[stream] for stream in streams))


class CachedNetwork:
    """A network interpolated with the cache of what it read; itself a `LanguageModel`."""

    kind = "cached"
    reads_in_order = True
    resets_at = None

    def __init__(self, both: NetworkAndCache) -> None:
        """The weight λ of the cache is the `share` of its configuration."""
        self._both = both
        self._weights = np.array([1 - both.config.share, both.config.share])

    @property
    def name(self) -> str:
        """`lstm+cache`."""
        return f"{self._both.network.name}+cache"

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._both.network.vocabulary_size

    def start(self, streams: int) -> CacheState:
        """The state before the first token, for B streams."""
        return self._both.start(streams)

    def restart(self, state: CacheState) -> CacheState:
        """The state before the first token of other texts, with all that is cached."""
        return self._both.restart(state)

    def predict(self, state: CacheState) -> Float64Array:
        """Log-probabilities of the next token, (B, V)."""
        return self._mixed(self._both.opinions(state))

    def score(self, state: CacheState, ids: IdArray) -> tuple[Float64Array, CacheState]:
        """Log-probability of each of `ids`, (T, B), and the state after them, which has them in the cache."""
        opinions, after = self._both.score(state, ids)
        return self._mixed(opinions), after

    def advance(self, state: CacheState, ids: IdArray) -> CacheState:
        """The state after reading `ids`, (T, B), with them in the cache."""
        return self.score(state, ids)[1]

    def follow(self, state: CacheState, ids: IdArray) -> CacheState:
        """The state after tokens, (T, B), that are context only: they are not put in the cache."""
        return self._both.follow(state, ids)

    def select(self, state: CacheState, streams: Sequence[int]) -> CacheState:
        """The state of the listed streams."""
        return self._both.select(state, streams)

    def describe(self) -> dict[str, Any]:
        """What the network says of itself, under its own name."""
        return {**self._both.network.describe(), "name": self.name}

    @property
    def format_version(self) -> int:
        """As `to_tensors`."""
        raise self._not_saved()

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """
        Not possible: a cache holds what was read last.

        Raises:
            ModelError: always.
        """
        raise self._not_saved()

    def as_network(self) -> RecurrentModel:
        """The network without the cache."""
        return self._both.network

    def as_ngrams(self) -> None:
        """None: it has no tables of n-grams."""

    def _mixed(self, opinions: Opinions) -> Float64Array:
        mixed: Float64Array = np.log(opinions.probabilities @ self._weights)
        return mixed

    def _not_saved(self) -> ModelError:
        return ModelError(f"{self.name} has no file: the network is saved, and its cache begins empty")
