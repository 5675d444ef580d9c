"""
A mixture whose weights depend on the context and learn online.

    P(v | context) = Σ_k w_k(s) p_k(v | context)          w(s) = softmax(B tanh(A s + a) + C s + b)

The p_k are the opinions of the members' experts. The signals s tell how far to trust each: how often its
context was seen. After every STRIDE tokens of a stream the gate takes a step of Adam (Kingma and Ba 2015) on
their log-likelihood, so a token is predicted before anything is learned from it. Weights that are a function
of what is seen are as old as "mixtures of experts" (Jacobs, Jordan, Nowlan and Hinton 1991); that a gate
learns from every symbol is what strong compressors do (Mattern 2012; Knoll and de Freitas 2012).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lmgen.arrays import Float64Array

STRIDE = 32
"""Tokens of a stream between two steps."""

UNITS = 32
RATE = 2e-3
DECAYS = 0.9, 0.999
SMALLEST = 1e-8

Weights = Mapping[str, Float64Array]


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """The weights of a gate at one moment, with what Adam remembers; never changed in place."""

    weights: dict[str, Float64Array]
    first: dict[str, Float64Array]
    second: dict[str, Float64Array]
    steps: int = 0

    @classmethod
    def new(cls, signals: int, experts: int, seed: int = 0) -> "Gate":
        """A gate that trusts all experts alike."""
        random = np.random.default_rng(seed)
        weights = {
            "hidden": random.normal(size=(signals, UNITS)) / np.sqrt(max(signals, 1)),
            "hidden_bias": np.zeros(UNITS),
            "output": np.zeros((UNITS, experts)),
            "direct": np.zeros((signals, experts)),
            "bias": np.zeros(experts),
        }
        nothing = {name: np.zeros_like(each) for name, each in weights.items()}
        return cls(weights, nothing, dict(nothing))

    def shares(self, signals: Float64Array) -> Float64Array:
        """The weight of each expert: (..., F) -> (..., K)."""
        return self._forward(signals)[1]

    def learned(self, signals: Float64Array, probabilities: Float64Array) -> "Gate":
        """
        The gate after a step on N tokens.

        Args:
            signals: (N, F).
            probabilities: of each token under each expert, (N, K).
        """
        hidden, shares = self._forward(signals)
        joint = shares * probabilities
        errors = (shares - joint / joint.sum(axis=-1, keepdims=True)) / len(signals)
        back = (errors @ self.weights["output"].T) * (1 - hidden * hidden)
        gradients = {
            "hidden": signals.T @ back,
            "hidden_bias": back.sum(axis=0),
            "output": hidden.T @ errors,
            "direct": signals.T @ errors,
            "bias": errors.sum(axis=0),
        }
        return self._stepped(gradients)

    def _forward(self, signals: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Hidden units and shares."""
        weights = self.weights
        hidden = np.tanh(signals @ weights["hidden"] + weights["hidden_bias"])
        scores = hidden @ weights["output"] + signals @ weights["direct"] + weights["bias"]
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return hidden, shares / shares.sum(axis=-1, keepdims=True)

    def _stepped(self, gradients: Weights) -> "Gate":
        steps = self.steps + 1
        weights, first, second = {}, {}, {}
        for name, gradient in gradients.items():
            first[name] = DECAYS[0] * self.first[name] + (1 - DECAYS[0]) * gradient
            second[name] = DECAYS[1] * self.second[name] + (1 - DECAYS[1]) * gradient**2
            mean = first[name] / (1 - DECAYS[0] ** steps)
            scale = np.sqrt(second[name] / (1 - DECAYS[1] ** steps)) + SMALLEST
            weights[name] = self.weights[name] - RATE * mean / scale
        return replace(self, weights=weights, first=first, second=second, steps=steps)
