"""
Training that goes on from another model: `lmgen train --from MODEL`.

The model brings its tokenizer, its network's shape and its weights. Tokens that the vocabulary is extended by
get the mean of all rows of the embedding and of the output layer. A new token's score is then the mean of the
old ones', so its probability is at most 1 / V (Jensen's inequality), and n new tokens take at most a share of
n / (V + n) from what the model predicts: it is as good on the old text as before. A row drawn at random would
promise nothing of the kind.

With an adaptive output new tokens join the last cluster, that of the rarest, however frequent they are. The
same holds there, with V the size of that cluster; what is predicted of all other tokens stays as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.data.run_folder import RunFolder, find_model
from lmgen.errors import ConfigError, ModelError
from lmgen.models.model_file import load_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.model import Float32Array, RecurrentModel, parameter_shapes
from lmgen.runs.config import RunConfig
from lmgen.settings import to_mapping
from lmgen.tokenizers.base import Tokenizer

CHANGEABLE = frozenset(
    {
        "dropout",
        "dropout_input",
        "dropout_hidden",
        "dropout_output",
        "dropout_embedding",
        "variational",
        "weight_drop",
    }
)
"""Settings of the network that act in training alone: a run may have others than the model it starts from."""

READING = ("lowercase", "split_punctuation")
"""Settings of a tokenizer that are not its vocabulary."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The model that a run starts from."""

    path: Path
    model: RecurrentModel
    tokenizer: Tokenizer

    @property
    def network(self) -> NetworkConfig:
        """The network's settings, all of them."""
        config = self.model.config
        return replace(config, embedding_size=config.embedding_width)


def open_origin(name: str) -> Origin:
    """
    Open the model that a run is to start from.

    Raises:
        ModelError: there is none, it is damaged, or it is no network.
    """
    path = find_model(Path(name))
    saved = load_model(path)
    network = saved.model.as_network()
    if network is None:
        raise ModelError(
            f"{path} ({saved.model.name}) is no network that training can go on from; fit an n-gram model on "
            "the new text (lmgen ngram), or give --from a network"
        )
    return Origin(path, network, saved.tokenizer)


def with_origin(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """
    Settings of a run, completed by those of the model that it starts from, if it does.

    Raises:
        ConfigError: one that is given contradicts the model.
        ModelError: as `open_origin`.
    """
    name = settings.get("from")
    if name is None:
        return dict(settings)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: from is {name!r}, but has to name a model")
    origin = open_origin(name)
    saved = origin.tokenizer.to_json()
    fixed = to_mapping(origin.network)
    fixed |= {"tokenizer": origin.tokenizer.name, **{name: saved[name] for name in READING if name in saved}}
    problems = [
        f"{_flag(name)} is {settings[name]!r}, but {origin.path} has {value!r}"
        for name, value in fixed.items()
        if name in settings and name not in CHANGEABLE and settings[name] != value
    ]
    problems += _vocabulary_problems(settings)
    if problems:
        raise ConfigError(f"{'; '.join(problems)}: leave it out, or train without --from")
    return {**fixed, **settings}


def origin_of(config: RunConfig, run: RunFolder | None = None) -> Origin | None:
    """
    The model that a run starts from, if it starts from one.

    Raises:
        ConfigError: the run could not start from that model, or would replace it.
        ModelError: as `open_origin`.
    """
    if config.origin is None:
        return None
    origin = open_origin(config.origin)
    same = {name: getattr(origin.network, name) for name in CHANGEABLE}
    if replace(config.network, **same) != origin.network:
        raise ConfigError(f"the settings of the network are not those of {origin.path}, which --from names")
    if run is not None and run.model.resolve() == origin.path.resolve():
        raise ConfigError(f"{run.folder} holds the model that --from names; give another --out")
    return origin


def parameters_from(origin: Origin, vocabulary_size: int) -> dict[str, Float32Array]:
    """The model's weights, for a vocabulary of which its own is the first part."""
    old = origin.model.parameters
    return {
        shape.name: _with_mean_rows(old[shape.name], shape.shape[0] - len(old[shape.name]))
        for shape in parameter_shapes(origin.network, vocabulary_size)
    }


def _vocabulary_problems(settings: Mapping[str, Any]) -> list[str]:
    """Settings that choose a vocabulary, where there is one already."""
    problems = []
    if settings.get("vocab_size") is not None:
        problems.append("--vocab-size is for a new vocabulary, and --from has its own")
    if settings.get("min_count", 1) != 1 and not settings.get("extend_vocabulary"):
        problems.append("--min-count is for a new vocabulary, or for --extend-vocabulary")
    return problems


def _with_mean_rows(array: Float32Array, count: int) -> Float32Array:
    mean = array.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    return np.concatenate([array, np.repeat(mean, count, axis=0)])


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
