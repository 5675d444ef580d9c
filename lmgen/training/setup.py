"""A network before its first update: seeded, on its device, in its precision."""

from collections.abc import Mapping

import numpy as np
import torch

from lmgen.arrays import Float32Array
from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.labelling import Labelling
from lmgen.training.config import TrainingConfig
from lmgen.training.distributed import ALONE, Group
from lmgen.training.network import Network
from lmgen.training.processes import own_place


def open_device(name: str) -> torch.device:
    """
    The device to train on; `auto` is a GPU if there is one.

    Raises:
        ConfigError: a GPU is asked for and there is none, or none for this one of several processes.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("torch finds no GPU here; use --device cpu, or install a torch that supports yours")
    place = own_place()
    if name == "cuda" and place.size > 1 and place.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"this machine has {torch.cuda.device_count()} GPUs, and process {place.rank} would need number "
            f"{place.local_rank} (counted from 0); start fewer processes, or take --device cpu"
        )
    if name == "cuda":
        torch.backends.cudnn.allow_tf32 = (
            False  # torch lets cuDNN round float32 by itself; precision.py asks for it
        )
    return torch.device(name)


def new_network(
    network: NetworkConfig,
    vocabulary_size: int,
    parameters: Mapping[str, Float32Array],
    training: TrainingConfig,
    labelling: Labelling | None = None,
    group: Group = ALONE,
) -> Network:
    """
    A network on its device and in its precision; torch's random number generators are seeded.

    Args:
        network: the shape of the network.
        vocabulary_size: V.
        parameters: its weights, by the names of `Layers.parameters`.
        training: `seed`, `device`, `precision` and `freeze_embeddings`.
        labelling: of a network that predicts labels; None: it predicts tokens.
        group: the processes that train it together. All start with the weights that process 0 was given, and
            each drops other units.

    Raises:
        ConfigError: as `open_device`.
    """
    seed = training.seed
    if group.rank:
        seed = int(np.random.SeedSequence([training.seed, group.rank]).generate_state(1, np.uint64)[0] >> 1)
    torch.manual_seed(seed)
    made = Network(network, vocabulary_size, parameters, labelling).to(open_device(training.device))
    if training.freeze_embeddings:
        made.freeze_embedding()
    made = made.double() if training.precision == "float64" else made
    group.spread(made.state_dict().values())
    return made
