"""
Experts mixed in the logarithms of their probabilities, by weights that see the context and learn online.

    P(v) ∝ exp(Σ_k w_k log p_k(v))        w = B tanh(A s + a) + C s + b + t[last byte]

The signals s tell how often the context of each expert was seen. Unlike shares of a linear mixture, the
weights may add up to more than 1: experts that know different things together are surer than each alone.
Choosing a set of weights by the last byte and mixing in the logistic domain is what PAQ does (Mahoney 2005;
Mattern 2012). After every step of all streams the network takes a step of Adam, fast at first, and the table
t one of plain gradient descent.
"""

import numpy as np

from lmgen.arrays import Float64Array, IdArray

UNITS = 32
SEED = 0
RATE, FIRST_RATE, FAST_STEPS = 5e-4, 5e-3, 300
"""Of Adam: from the first rate down to the other, most of the way within so many steps."""

TABLE_RATE = 1e-3
DECAYS = 0.9, 0.999
SMALLEST = 1e-8
LEAST_PROBABILITY = 1e-9


class LogarithmicGate:
    """Mixes K experts for S streams; changes in place as it learns."""

    def __init__(self, signals: int, experts: int, vocabulary_size: int, streams: int) -> None:
        """
        Args:
            signals: F.
            experts: K.
            vocabulary_size: V.
            streams: S.
        """
        random = np.random.default_rng(SEED)
        self._weights = {
            "hidden": random.normal(size=(signals, UNITS)) / np.sqrt(max(signals, 1)),
            "hidden_bias": np.zeros(UNITS),
            "output": np.zeros((UNITS, experts)),
            "direct": np.zeros((signals, experts)),
            "bias": np.full(experts, 1 / experts),
        }
        self._first = {name: np.zeros_like(each) for name, each in self._weights.items()}
        self._second = {name: np.zeros_like(each) for name, each in self._weights.items()}
        self._steps = 0
        self._table = np.zeros((vocabulary_size, experts))
        self._last: IdArray = np.zeros(streams, np.int64)
        self._logarithms = self._mixed = self._signals = self._hidden = np.zeros(0)

    def mix(self, opinions: Float64Array, signals: Float64Array) -> Float64Array:
        """
        Probabilities of the next symbols, (S, V).

        Args:
            opinions: the experts', (S, V, K).
            signals: (S, F).
        """
        weights = self._weights
        self._signals = signals
        self._hidden = np.tanh(signals @ weights["hidden"] + weights["hidden_bias"])
        shares = self._hidden @ weights["output"] + signals @ weights["direct"] + weights["bias"]
        shares += self._table[self._last]
        self._logarithms = np.log(np.maximum(opinions, LEAST_PROBABILITY))
        scores = np.matmul(self._logarithms, shares[..., None])[..., 0]
        mixed = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self._mixed = mixed / mixed.sum(axis=-1, keepdims=True)
        return self._mixed

    def learn(self, symbols: IdArray) -> None:
        """Learn from the symbol of each stream, (S,), that `mix` has just given probabilities for."""
        right = self._logarithms[np.arange(len(symbols)), symbols]
        expected = np.matmul(self._mixed[:, None], self._logarithms)[:, 0]
        errors = expected - right
        np.add.at(self._table, self._last, -TABLE_RATE * errors)
        self._step(errors / len(symbols))
        self._last = symbols

    def _step(self, errors: Float64Array) -> None:
        """Take a step of Adam; `errors` are the gradients of the scores, (S, K)."""
        back = (errors @ self._weights["output"].T) * (1 - self._hidden**2)
        gradients = {
            "hidden": self._signals.T @ back,
            "hidden_bias": back.sum(axis=0),
            "output": self._hidden.T @ errors,
            "direct": self._signals.T @ errors,
            "bias": errors.sum(axis=0),
        }
        self._steps += 1
        rate = RATE + (FIRST_RATE - RATE) * np.exp(-self._steps / FAST_STEPS)
        for name, gradient in gradients.items():
            first, second = self._first[name], self._second[name]
            first += (1 - DECAYS[0]) * (gradient - first)
            second += (1 - DECAYS[1]) * (gradient**2 - second)
            mean = first / (1 - DECAYS[0] ** self._steps)
            scale = np.sqrt(second / (1 - DECAYS[1] ** self._steps)) + SMALLEST
            self._weights[name] -= rate * mean / scale
