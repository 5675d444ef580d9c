"""
Fine-tuning: `lmgen train --from MODEL` trains a model further, on another text.

The model brings its tokenizer, the shape of its network and its weights. A token that the vocabulary is
extended by gets the mean of all rows of the embedding and of the output layer. Its score is then the mean of
the old tokens' scores, so its probability is at most 1 / V (Jensen's inequality), and n new tokens together
take at most a share of n / (V + n) from what the model predicts: it is as good on the old text as before. A
row drawn at random would not guarantee this.

With an adaptive output new tokens join the last cluster, that of the rarest, however frequent they are. The
same bound holds within that cluster, with V its size; the probabilities of all other tokens do not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.data.run_folder import RunFolder, find_model
from lmgen.errors import ConfigError, ModelError
from lmgen.models.model_file import has_labels, load_model
from lmgen.models.network.config import REGULARIZATION, NetworkConfig
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.runs.config import RunConfig, spelled
from lmgen.settings import NONE, shown, to_mapping
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.reading import with_reading

READING = ("lowercase", "split_punctuation", "literal_marks")
"""Settings of a tokenizer besides its vocabulary, which a saved tokenizer knows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The model that is fine-tuned."""

    path: Path
    model: RecurrentModel
    tokenizer: Tokenizer

    @property
    def network(self) -> NetworkConfig:
        """The network's settings, the size of the embedding among them."""
        config = self.model.config
        return replace(config, embedding_size=config.embedding_width)

    @property
    def shape(self) -> dict[str, Any]:
        """The settings that a fine-tuned model keeps: of the tokenizer, and the shape of the network."""
        saved = self.tokenizer.to_json()
        network = to_mapping(self.network, complete=True)
        return {
            **{name: value for name, value in network.items() if name not in REGULARIZATION},
            "tokenizer": self.tokenizer.name,
            **{name: saved[name] for name in READING if name in saved},
            "unit": self.tokenizer.reading.unit,
            "answers_after": self.tokenizer.reading.answers_after,
        }

    @property
    def reading(self) -> dict[str, Any]:
        """How the model's texts were read; the new one may be read in other ways."""
        return {name: getattr(self.tokenizer.reading, name) for name in ("newlines", "normalize")}

    def regularization_beside(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """
        The model's settings that act in training alone, to be used where `chosen` has none.

        `dropout_hidden` and `dropout_output` are special cases of `dropout`: where that is chosen, they go.
        """
        special = {"dropout_hidden", "dropout_output"} if "dropout" in chosen else set()
        names = REGULARIZATION - chosen.keys() - special
        return {name: value for name, value in to_mapping(self.network).items() if name in names}


def open_origin(name: str) -> Origin:
    """
    Open the model that is to be fine-tuned.

    Raises:
        ModelError: there is none, it is damaged, or it is no network that predicts tokens.
    """
    path = find_model(Path(name))
    if has_labels(path):
        raise ModelError(
            f"{path} labels texts, and --from goes on from a language model: train anew, without --from"
        )
    saved = load_model(path)
    network = saved.model.as_network()
    if network is None:
        raise ModelError(
            f"{path} ({saved.model.name}) is no network that training can go on from; fit an n-gram model on "
            "the new text (lmgen ngram), or give --from a network"
        )
    return Origin(path, network, saved.tokenizer)


def refuse_contradictions(given: Mapping[str, Any], origin: Origin) -> None:
    """
    Check that what the user asked for agrees with the tokenizer and the shape of the model.

    Raises:
        ConfigError: lists all settings that do not.
    """
    given = spelled(given)
    problems = [
        f"{_flag(name)} is {shown(given[name])}, but {origin.path} has {value!r}"
        for name, value in origin.shape.items()
        if name in given and given[name] != value
    ]
    problems += _vocabulary_problems(given)
    if problems:
        raise ConfigError(f"{'; '.join(problems)}: leave it out, or train without --from")


def origin_of(config: RunConfig, run: RunFolder | None = None) -> Origin | None:
    """
    The model that a run fine-tunes, if it does.

    Raises:
        ConfigError: the settings of the network are not that model's, or the run would replace its file.
        ModelError: as `open_origin`.
    """
    if config.origin is None:
        return None
    origin = open_origin(config.origin)
    same = {name: getattr(origin.network, name) for name in REGULARIZATION}
    if replace(config.network, **same) != origin.network:
        raise ConfigError(f"the settings of the network are not those of {origin.path}, which --from names")
    if run is not None and run.model.resolve() == origin.path.resolve():
        raise ConfigError(f"{run.folder} holds the model that --from names; give another --out")
    return replace(origin, tokenizer=with_reading(origin.tokenizer, config.reading))


def parameters_from(origin: Origin, vocabulary_size: int) -> dict[str, Float32Array]:
    """The model's weights, with rows for a vocabulary that begins with the model's own."""
    old = origin.model.parameters
    return {
        parameter.name: _extended(old[parameter.name], parameter.shape)
        for parameter in network_layers(origin.network, vocabulary_size).parameters
    }


def _vocabulary_problems(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with settings that choose a vocabulary: the model has one already."""
    problems = []
    if settings.get("vocab_size", NONE) != NONE:
        problems.append("--vocab-size is for a new vocabulary, and --from has its own")
    if settings.get("tokenizer_file") is not None:
        problems.append("--tokenizer-file is for a new model, and --from has its own tokenizer")
    if settings.get("min_count", 1) != 1 and not settings.get("extend_vocabulary"):
        problems.append("--min-count is for a new vocabulary, or for --extend-vocabulary")
    return problems


def _extended(array: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """An array with as many rows, or columns, as it now needs: the new ones are the mean of the old."""
    for axis, size in enumerate(shape):
        if size == array.shape[axis]:
            continue
        mean = array.mean(axis=axis, keepdims=True, dtype=np.float64).astype(np.float32)
        array = np.concatenate([array, np.repeat(mean, size - array.shape[axis], axis=axis)], axis=axis)
    return array


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
