"""
Linear interpolation of models: P(v | context) = Σ_k w_k P_k(v | context).

The weights w_k are fitted on held-out text: none of the models was trained on it, and the mixture is not
evaluated on it (Jelinek and Mercer 1980).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float64Array, FloatArray, IdArray, Tensors
from lmgen.errors import ModelError
from lmgen.models.base import LanguageModel, SharedModel, in_threads

TOLERANCE = 1e-9
"""EM ends when no weight changes by more."""

MOST_ROUNDS = 1000
"""EM ends after at most this many rounds; a few dozen are usual."""

MixtureState = tuple[object, ...]
"""The state of each model, in their order."""


class MixtureModel:
    """Several language models over the same vocabulary, each with a weight; itself a `LanguageModel`."""

    kind = name = "mixture"
    format_version = 3

    def __init__(self, models: Sequence[LanguageModel], weights: Sequence[float]) -> None:
        """
        Mix models.

        Args:
            models: at least one, all with the same ids.
            weights: one for each model, not negative, of sum 1.

        Raises:
            ModelError: the vocabularies differ, or the weights do not fit.
        """
        if len({model.vocabulary_size for model in models}) != 1:
            sizes = ", ".join(f"{model.name} {model.vocabulary_size}" for model in models)
            raise ModelError(f"models of different vocabularies cannot be mixed: {sizes} ids")
        if len(weights) != len(models) or min(weights) < 0 or not abs(sum(weights) - 1) <= 1e-6:
            raise ModelError(f"the weights {list(weights)} are not one a model, not negative, of sum 1")
        self.models = tuple(models)
        self.weights = tuple(map(float, weights))

    def __str__(self) -> str:
        members = zip(self.weights, self.models, strict=True)
        return f"mixture of {' and '.join(f'{weight:.2g} {model}' for weight, model in members)}"

    def __repr__(self) -> str:
        return f"<MixtureModel {self}, V = {self.vocabulary_size}>"

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.models[0].vocabulary_size

    @property
    def reads_in_order(self) -> bool:
        """Whether one of the models has to read a text from its first token to its last."""
        return any(model.reads_in_order for model in self.models)

    @property
    def in_threads(self) -> bool:
        """Whether several threads may use it at once, which all its models have to allow."""
        return all(map(in_threads, self.models))

    @property
    def resets_at(self) -> int | None:
        """The token at which one of the models starts anew."""
        return next((model.resets_at for model in self.models if model.resets_at is not None), None)

    def start(self, streams: int) -> MixtureState:
        """The state before the first token, for B streams."""
        return tuple(model.start(streams) for model in self.models)

    def predict(self, state: MixtureState) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        each = [model.predict(part) for model, part in zip(self.models, state, strict=True)]
        return mix(np.stack(each, axis=-1), self.weights)

    def advance(self, state: MixtureState, ids: IdArray) -> MixtureState:
        """The state after reading `ids`, (T, B)."""
        return tuple(model.advance(part, ids) for model, part in zip(self.models, state, strict=True))

    def score(self, state: MixtureState, ids: IdArray) -> tuple[FloatArray, MixtureState]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        scored = [model.score(part, ids) for model, part in zip(self.models, state, strict=True)]
        each = np.stack([log_probabilities for log_probabilities, _ in scored], axis=-1)
        return mix(each, self.weights), tuple(after for _, after in scored)

    def select(self, state: MixtureState, streams: Sequence[int]) -> MixtureState:
        """The state of the listed streams."""
        return tuple(model.select(part, streams) for model, part in zip(self.models, state, strict=True))

    def join(self, states: Sequence[MixtureState]) -> MixtureState:
        """The state of the streams of several states, one after another."""
        each = zip(self.models, zip(*states, strict=True), strict=True)
        return tuple(cast(SharedModel, model).join(parts) for model, parts in each)

    def describe(self) -> dict[str, Any]:
        """Its `models`: the weight of each, and what it says of itself."""
        described = [model.describe() for model in self.models]
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "parameters": sum(each["parameters"] for each in described),
            "models": [
                {"weight": weight, **each} for weight, each in zip(self.weights, described, strict=True)
            ],
        }

    def as_network(self) -> None:
        """None: training goes on from one network, not from several models."""

    def as_ngrams(self) -> None:
        """None: a mixture is no table of n-grams, even where its models are."""

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """
        What a model file keeps: kind, weight and configuration of each model; their arrays.

        Arrays of the k-th model have names that begin with `models.k.`.
        """
        members: list[dict[str, Any]] = []
        tensors: dict[str, npt.NDArray[Any]] = {}
        for number, (model, weight) in enumerate(zip(self.models, self.weights, strict=True)):
            config, arrays = model.to_tensors()
            members.append({"kind": model.kind, "weight": weight, "config": config})
            tensors |= {f"models.{number}.{name}": array for name, array in arrays.items()}
        return {"models": members}, tensors

    @classmethod
    def from_tensors(
        cls,
        config: Mapping[str, Any],
        tensors: Tensors,
        rebuilt: Callable[[str, Mapping[str, Any], Tensors], LanguageModel],
    ) -> "MixtureModel":
        """
        Make a mixture of what `to_tensors` gave.

        Args:
            config: the configuration.
            tensors: the arrays.
            rebuilt: makes a model of its kind, configuration and arrays.

        Raises:
            ModelError: something is missing or does not fit.
        """
        members = config.get("models")
        if not isinstance(members, list) or not members:
            raise ModelError("its configuration lacks models, a list of those that are mixed")
        arrays = _arrays_by_model(tensors, len(members))
        models, weights = [], []
        for number, (member, own) in enumerate(zip(members, arrays, strict=True)):
            match member:
                case {"kind": str(kind), "weight": float(weight), "config": dict(inner)}:
                    models.append(rebuilt(kind, inner, own))
                    weights.append(weight)
                case _:
                    raise ModelError(f"its configuration of model {number} lacks kind, weight or config")
        return cls(models, weights)


def _arrays_by_model(tensors: Tensors, models: int) -> list[dict[str, npt.NDArray[Any]]]:
    """`{"models.0.bias": b, "models.1.bias": c}` -> `[{"bias": b}, {"bias": c}]`."""
    places = {str(number): number for number in range(models)}
    arrays: list[dict[str, npt.NDArray[Any]]] = [{} for _ in places]
    for name, array in tensors.items():
        match name.split(".", 2):
            case ["models", number, own_name] if number in places:
                arrays[places[number]][own_name] = array
            case _:
                raise ModelError(f"its tensor {name} belongs to no model of this mixture")
    return arrays


def mix(log_probabilities: FloatArray, weights: Sequence[float]) -> Float64Array:
    """
    Mixed log-probabilities, log Σ_k w_k exp(l_k), along the last axis: (..., K) -> (...).

    The largest l_k is subtracted first, so that nothing underflows.
    """
    each = log_probabilities.astype(np.float64)
    highest = each.max(axis=-1, keepdims=True)
    mixed: Float64Array = np.log(np.exp(each - highest) @ np.array(weights)) + highest[..., 0]
    return mixed


def fit_weights(log_probabilities: FloatArray) -> tuple[float, ...]:
    """
    The weights that maximise the likelihood of a held-out text, by expectation maximisation.

    Weights start equal. Each round computes every model's responsibility for each token, in proportion to
    w_k P_k, and takes its mean over the text as the new weight. The likelihood has one maximum, and no round
    lowers it (Dempster, Laird and Rubin 1977).

    Args:
        log_probabilities: of each token under each model, (N, K), N at least 1.
    """
    each = log_probabilities.astype(np.float64)
    likelihoods = np.exp(each - each.max(axis=1, keepdims=True))  # only ratios within a row matter
    weights = np.full(each.shape[1], 1 / each.shape[1])
    for _ in range(MOST_ROUNDS):
        shares = likelihoods * weights
        shares /= shares.sum(axis=1, keepdims=True)
        before, weights = weights, shares.mean(axis=0)
        if np.abs(weights - before).max() < TOLERANCE:
            break
    weights = weights / weights.sum()
    return tuple(weights.tolist())
