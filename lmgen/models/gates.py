"""
Gates: how far to trust each of several experts on the next token, learned from token to token.

    s       signals: how often the context of each expert was seen, how well it predicted the last few tokens
    w(s)    B tanh(A s + a) + C s + b

    P(v) = Σ_k softmax(w)_k p_k(v)                            LinearGate
    P(v) ∝ exp(Σ_k (w + t[last token])_k log p_k(v))          LogarithmicGate

Weights that are a function of what is seen are as old as "mixtures of experts" (Jacobs, Jordan, Nowlan and
Hinton 1991); that a gate learns from every symbol is what strong compressors do (Mattern 2012; Knoll and de
Freitas 2012). Mixing in the logarithms, with a set of weights chosen by the last symbol, is what PAQ does
(Mahoney 2005): weights may then add up to more than 1, for experts that know different things together are
surer than each alone. It needs the opinions on all V tokens where the linear gate needs those on one.

A gate is never changed in place: each step makes another one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from lmgen.arrays import Float64Array, IdArray

UNITS = 32
SEED = 0
DECAYS = 0.9, 0.999
SMALLEST = 1e-8
LEAST_PROBABILITY = 1e-9
"""In the logarithms, stands for smaller ones."""

TABLE_RATE = 1e-3

Weights = Mapping[str, Float64Array]
"""Arrays by name: `hidden` (F, U), `hidden_bias` (U,), `output` (U, K), `direct` (F, K), `bias` (K,)."""


class Heard(NamedTuple):
    """N tokens and what was known before each of them."""

    probabilities: Float64Array
    """Of each token under K experts, (N, K); for a gate that `needs_all`, those of all tokens, (N, V, K)."""
    signals: Float64Array
    """(N, F)."""
    ids: IdArray
    """The tokens, (N,)."""
    last: IdArray
    """The token before each, (N,)."""

    @property
    def right(self) -> Float64Array:
        """Probabilities of the tokens that came, (N, K)."""
        if self.probabilities.ndim == 2:
            return self.probabilities
        found: Float64Array = self.probabilities[np.arange(len(self.ids)), self.ids]
        return found

    def cut(self, part: slice) -> "Heard":
        """Some of the tokens."""
        return Heard(self.probabilities[part], self.signals[part], self.ids[part], self.last[part])

    def with_more(self, more: "Heard") -> "Heard":
        """The same with more tokens after them."""
        return Heard(
            np.concatenate([self.probabilities, more.probabilities]),
            np.concatenate([self.signals, more.signals]),
            np.concatenate([self.ids, more.ids]),
            np.concatenate([self.last, more.last]),
        )


class Rates(NamedTuple):
    """Sizes of Adam's steps: from the first down to the last, most of the way within so many steps."""

    last: float
    first: float
    fast_steps: float

    def at(self, steps: int) -> float:
        """The rate after so many steps."""
        return float(self.last + (self.first - self.last) * np.exp(-steps / self.fast_steps))


LINEAR_RATES = Rates(2e-3, 2e-3, 1.0)
LOGARITHMIC_RATES = Rates(2e-4, 3e-3, 200.0)


@dataclass(frozen=True, slots=True, eq=False)
class Gate(ABC):
    """The weights of a gate at one moment, with what Adam (Kingma and Ba 2015) remembers."""

    weights: dict[str, Float64Array]
    first: dict[str, Float64Array]
    second: dict[str, Float64Array]
    steps: int = 0
    rates: Rates = LINEAR_RATES

    needs_all: ClassVar[bool] = False
    """Whether it mixes opinions on all tokens, and not only on those that come."""

    @classmethod
    def new(cls, signals: int, experts: int) -> Self:
        """A gate that trusts all K = `experts` alike, whatever the F = `signals` are."""
        random = np.random.default_rng(SEED)
        weights = {
            "hidden": random.normal(size=(signals, UNITS)) / np.sqrt(max(signals, 1)),
            "hidden_bias": np.zeros(UNITS),
            "output": np.zeros((UNITS, experts)),
            "direct": np.zeros((signals, experts)),
            "bias": np.zeros(experts),
        }
        nothing = {name: np.zeros_like(each) for name, each in weights.items()}
        return cls(weights, nothing, dict(nothing))

    @abstractmethod
    def predict(self, probabilities: Float64Array, signals: Float64Array, last: IdArray) -> Float64Array:
        """
        Log-probabilities of all tokens at each of N places, (N, V).

        Args:
            probabilities: the experts', (N, V, K).
            signals: (N, F).
            last: the token before, (N,).
        """

    @abstractmethod
    def score(self, heard: Heard) -> Float64Array:
        """Log-probability of each of N tokens, (N,)."""

    @abstractmethod
    def learned(self, heard: Heard) -> Self:
        """The gate after a step on N tokens."""

    @property
    def experts(self) -> int:
        """K."""
        return len(self.weights["bias"])

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        parts = {"weights": self.weights, "first": self.first, "second": self.second}
        arrays = {part: {name: each.tolist() for name, each in own.items()} for part, own in parts.items()}
        return {**arrays, "steps": self.steps}

    def restored(self, values: Mapping[str, Any]) -> Self:
        """
        The gate that `to_json` gave as values, which was of this one's kind.

        Raises:
            ValueError: it is something else, or of other shapes.
        """
        parts: dict[str, Any] = {}
        try:
            for part in ("weights", "first", "second"):
                like: Weights = getattr(self, part)
                parts[part] = {name: np.array(values[part][name], np.float64) for name in like}
                for name, each in like.items():
                    found = parts[part][name]
                    if found.shape != each.shape or not np.isfinite(found).all():
                        raise ValueError(f"{name} of a gate has another shape, or is not finite")
            return replace(self, **parts, steps=int(values["steps"]))
        except (KeyError, TypeError) as error:
            raise ValueError("these are not the values of a gate") from error

    def _forward(self, signals: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Hidden units, (..., U), and w(s), (..., K)."""
        weights = self.weights
        hidden = np.tanh(signals @ weights["hidden"] + weights["hidden_bias"])
        return hidden, hidden @ weights["output"] + signals @ weights["direct"] + weights["bias"]

    def _backward(self, signals: Float64Array, hidden: Float64Array, errors: Float64Array) -> Weights:
        """Gradients of the weights from those of w(s), (N, K), summed over N tokens."""
        back = (errors @ self.weights["output"].T) * (1 - hidden * hidden)
        return {
            "hidden": signals.T @ back,
            "hidden_bias": back.sum(axis=0),
            "output": hidden.T @ errors,
            "direct": signals.T @ errors,
            "bias": errors.sum(axis=0),
        }

    def _stepped(self, gradients: Weights, **others: Float64Array) -> Self:
        """The gate after a step of Adam; `others` are weights that it has found in another way."""
        steps = self.steps + 1
        weights, first, second = dict(others), {}, {}
        for name, gradient in gradients.items():
            first[name] = DECAYS[0] * self.first[name] + (1 - DECAYS[0]) * gradient
            second[name] = DECAYS[1] * self.second[name] + (1 - DECAYS[1]) * gradient**2
            mean = first[name] / (1 - DECAYS[0] ** steps)
            scale = np.sqrt(second[name] / (1 - DECAYS[1] ** steps)) + SMALLEST
            weights[name] = self.weights[name] - self.rates.at(steps) * mean / scale
        return replace(self, weights=weights, first=first, second=second, steps=steps)


@dataclass(frozen=True, slots=True, eq=False)
class LinearGate(Gate):
    """Mixes probabilities: each token's is a mean of the experts'."""

    def with_experts(self, more: int, bias: float) -> "LinearGate":
        """
        The same for a mixture with more experts, which come before those that it has.

        Args:
            more: how many; the gate gets a signal of how well each predicted lately, too.
            bias: of theirs, beside those of the others as they are.
        """
        lately = len(self.weights["direct"]) - self.experts  # where those signals begin

        def widened(arrays: Weights, bias: float) -> dict[str, Float64Array]:
            rows = {
                name: np.insert(arrays[name], [lately] * more, 0.0, axis=0) for name in ("hidden", "direct")
            }
            return {
                "hidden": rows["hidden"],
                "hidden_bias": arrays["hidden_bias"],
                "output": np.insert(arrays["output"], [0] * more, 0.0, axis=1),
                "direct": np.insert(rows["direct"], [0] * more, 0.0, axis=1),
                "bias": np.insert(arrays["bias"], [0] * more, bias),
            }

        return replace(
            self,
            weights=widened(self.weights, bias),
            first=widened(self.first, 0.0),
            second=widened(self.second, 0.0),
        )

    def shares(self, signals: Float64Array) -> Float64Array:
        """The weight of each expert: (..., F) -> (..., K)."""
        return self._with_hidden(signals)[1]

    def predict(self, probabilities: Float64Array, signals: Float64Array, last: IdArray) -> Float64Array:  # noqa: ARG002
        """As `Gate.predict`."""
        mixed: Float64Array = np.log(np.einsum("nvk,nk->nv", probabilities, self.shares(signals)))
        return mixed

    def score(self, heard: Heard) -> Float64Array:
        """Log-probability of each of N tokens, (N,)."""
        found: Float64Array = np.log((self.shares(heard.signals) * heard.probabilities).sum(axis=-1))
        return found

    def learned(self, heard: Heard) -> Self:
        """The gate after a step on N tokens."""
        return self._stepped(self.gradients(heard.signals, heard.probabilities))

    def gradients(self, signals: Float64Array, probabilities: Float64Array) -> Weights:
        """
        Gradients of the mean negative log-probability of N tokens.

        Args:
            signals: (N, F).
            probabilities: of each token under each expert, (N, K).
        """
        hidden, shares = self._with_hidden(signals)
        joint = shares * probabilities
        errors = (shares - joint / joint.sum(axis=-1, keepdims=True)) / len(signals)
        return self._backward(signals, hidden, errors)

    def _with_hidden(self, signals: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Hidden units and shares."""
        hidden, scores = self._forward(signals)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return hidden, shares / shares.sum(axis=-1, keepdims=True)


class Mixed(NamedTuple):
    """What a logarithmic gate says of N tokens, and how it came to that."""

    log_probabilities: Float64Array
    """(N, V)."""
    logarithms: Float64Array
    """Of the experts' probabilities, (N, V, K)."""
    hidden: Float64Array
    """(N, U)."""

    @property
    def probabilities(self) -> Float64Array:
        """(N, V)."""
        return np.exp(self.log_probabilities)


@dataclass(frozen=True, slots=True, eq=False)
class LogarithmicGate(Gate):
    """
    Mixes logarithms of probabilities.

    Its `table` t, (V, K), is one more of its weights, which takes steps of plain gradient descent.
    """

    rates: Rates = LOGARITHMIC_RATES

    needs_all: ClassVar[bool] = True

    @classmethod
    def over(cls, signals: int, experts: int, vocabulary_size: int, rates: Rates | None = None) -> Self:
        """A gate that begins with the geometric mean of all K = `experts`."""
        gate = cls.new(signals, experts)
        gate.weights["bias"] = np.full(experts, 1 / experts)
        gate.weights["table"] = np.zeros((vocabulary_size, experts))
        return gate if rates is None else replace(gate, rates=rates)

    def mixed(self, probabilities: Float64Array, signals: Float64Array, last: IdArray) -> Mixed:
        """As `predict`, with what led there, for `learned`."""
        hidden, scores = self._forward(signals)
        weights = scores + self.weights["table"][last]
        logarithms = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
        sums = np.matmul(logarithms, weights[..., None])[..., 0]
        sums -= sums.max(axis=-1, keepdims=True)
        sums -= np.log(np.exp(sums).sum(axis=-1, keepdims=True))
        return Mixed(sums, logarithms, hidden)

    def predict(self, probabilities: Float64Array, signals: Float64Array, last: IdArray) -> Float64Array:
        """As `Gate.predict`."""
        return self.mixed(probabilities, signals, last).log_probabilities

    def score(self, heard: Heard) -> Float64Array:
        """Log-probability of each of N tokens, (N,)."""
        found = self.predict(heard.probabilities, heard.signals, heard.last)
        return found[np.arange(len(heard.ids)), heard.ids]

    def learned(self, heard: Heard, mixed: Mixed | None = None) -> Self:
        """The gate after a step on N tokens; `mixed` is what it says of them, if that is known."""
        mixed = mixed or self.mixed(heard.probabilities, heard.signals, heard.last)
        right = mixed.logarithms[np.arange(len(heard.ids)), heard.ids]
        expected = np.matmul(mixed.probabilities[:, None], mixed.logarithms)[:, 0]
        errors = expected - right
        table = self.weights["table"].copy()
        np.add.at(table, heard.last, -TABLE_RATE * errors)
        gradients = self._backward(heard.signals, mixed.hidden, errors / len(errors))
        return self._stepped(gradients, table=table)
