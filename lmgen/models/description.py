"""What a model is, in figures: its parameters layer by layer, or its n-grams order by order."""

from typing import Any

from lmgen.models.base import LanguageModel
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.settings import to_mapping


def describe(model: LanguageModel, weights: str = "float32") -> dict[str, Any]:
    """
    JSON values that say what a model is.

    A recurrent network: `network` (its settings), `weights` (how its file stores them), `layers` (of each
    trainable array `name`, `shape`, `formula`, `parameters`) and `parameters`, their sum. An n-gram model:
    `order`, `ngrams` (how many of each order).
    """
    common: dict[str, Any] = {"name": model.name, "vocabulary_size": model.vocabulary_size}
    if isinstance(model, RecurrentModel):
        network = to_mapping(model.config)
        return {**common, "network": network, "weights": weights, **model.layers.describe()}
    if isinstance(model, NgramModel):
        return {**common, "order": model.order, "ngrams": list(model.counts)}
    return common
