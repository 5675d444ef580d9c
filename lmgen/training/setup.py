"""A network before its first update: seeded, on its device, in its precision."""

from collections.abc import Mapping

import torch

from lmgen.arrays import Float32Array
from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.labelling import Labelling
from lmgen.training.config import TrainingConfig
from lmgen.training.network import Network


def open_device(name: str) -> torch.device:
    """
    The device to train on; `auto` is a GPU if there is one.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("torch finds no GPU here; use --device cpu, or install a torch that supports yours")
    return torch.device(name)


def new_network(
    network: NetworkConfig,
    vocabulary_size: int,
    parameters: Mapping[str, Float32Array],
    training: TrainingConfig,
    labelling: Labelling | None = None,
) -> Network:
    """
    A network on its device and in its precision; torch's random number generators are seeded.

    Args:
        network: the shape of the network.
        vocabulary_size: V.
        parameters: its weights, by the names of `Layers.parameters`.
        training: `seed`, `device`, `precision` and `freeze_embeddings`.
        labelling: of a network that predicts labels; None: it predicts tokens.

    Raises:
        ConfigError: as `open_device`.
    """
    torch.manual_seed(training.seed)
    made = Network(network, vocabulary_size, parameters, labelling).to(open_device(training.device))
    if training.freeze_embeddings:
        made.freeze_embedding()
    return made.double() if training.precision == "float64" else made
