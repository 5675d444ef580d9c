"""
Linear interpolation of models: P(v | context) = Σ_k w_k P_k(v | context).

A mixture is a `LanguageModel` itself. Its weights come from a text that none of its models was trained on,
and that is not the one it is judged by (Jelinek and Mercer 1980).
"""

from collections.abc import Sequence

import numpy as np

from lmgen.errors import ModelError
from lmgen.models.base import Float64Array, FloatArray, IdArray, LanguageModel

STILL = 1e-9
"""EM ends when no weight moves by more."""

MOST_ROUNDS = 1000
"""EM ends after so many rounds at the latest; a few dozen are usual."""


class MixtureModel:
    """Several language models over the same vocabulary, each with its weight."""

    name = "mixture"

    def __init__(self, models: Sequence[LanguageModel], weights: Sequence[float]) -> None:
        """
        Mix models.

        Args:
            models: all with the same ids.
            weights: one a model, not negative; they sum to 1.

        Raises:
            ModelError: the vocabularies differ, or the weights are not such.
        """
        if len({model.vocabulary_size for model in models}) != 1:
            sizes = ", ".join(f"{model.name} {model.vocabulary_size}" for model in models)
            raise ModelError(f"models of different vocabularies cannot be mixed: {sizes} ids")
        if len(weights) != len(models) or min(weights) < 0 or abs(sum(weights) - 1) > 1e-6:
            raise ModelError(f"the weights {list(weights)} are not one a model, not negative, of sum 1")
        self.models = tuple(models)
        self.weights = tuple(weights)

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.models[0].vocabulary_size

    def start(self, streams: int) -> tuple[object, ...]:
        """The state of each model."""
        return tuple(model.start(streams) for model in self.models)

    def predict(self, state: tuple[object, ...]) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        each = [model.predict(part) for model, part in zip(self.models, state, strict=True)]
        return mix(np.stack(each, axis=-1), self.weights)

    def advance(self, state: tuple[object, ...], ids: IdArray) -> tuple[object, ...]:
        """The state after reading `ids`, (T, B)."""
        return tuple(model.advance(part, ids) for model, part in zip(self.models, state, strict=True))

    def score(self, state: tuple[object, ...], ids: IdArray) -> tuple[FloatArray, tuple[object, ...]]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        scored = [model.score(part, ids) for model, part in zip(self.models, state, strict=True)]
        each = np.stack([log_probabilities for log_probabilities, _ in scored], axis=-1)
        return mix(each, self.weights), tuple(after for _, after in scored)

    def select(self, state: tuple[object, ...], streams: Sequence[int]) -> tuple[object, ...]:
        """The state of the listed streams."""
        return tuple(model.select(part, streams) for model, part in zip(self.models, state, strict=True))


def mix(log_probabilities: FloatArray, weights: Sequence[float]) -> Float64Array:
    """
    Mixed log-probabilities, log Σ_k w_k exp(l_k), along the last axis: (..., K) -> (...).

    The largest is taken out first, so that nothing underflows.
    """
    each = log_probabilities.astype(np.float64)
    highest = each.max(axis=-1, keepdims=True)
    mixed: Float64Array = np.log(np.exp(each - highest) @ np.array(weights)) + highest[..., 0]
    return mixed


def fit_weights(log_probabilities: FloatArray) -> tuple[float, ...]:
    """
    The weights that make a held-out text most likely, by expectation maximisation from equal ones.

    Each round gives every token to the models in proportion to w_k P_k, and takes the mean share of each as
    its new weight. The likelihood has one maximum, and no round lowers it (Dempster, Laird and Rubin 1977).

    Args:
        log_probabilities: of each token under each model, (N, K), N at least 1.
    """
    each = log_probabilities.astype(np.float64)
    likelihoods = np.exp(each - each.max(axis=1, keepdims=True))  # only their ratios matter
    weights = np.full(each.shape[1], 1 / each.shape[1])
    for _ in range(MOST_ROUNDS):
        shares = likelihoods * weights
        shares /= shares.sum(axis=1, keepdims=True)
        before, weights = weights, shares.mean(axis=0)
        if np.abs(weights - before).max() < STILL:
            break
    weights = weights / weights.sum()
    return tuple(weights.tolist())
