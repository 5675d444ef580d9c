"""A trained network in use on a GPU. In use on a CPU it needs no torch (models/network/)."""

from lmgen.models.network.model import RecurrentModel
from lmgen.training.network import Network, TorchLanguageModel
from lmgen.training.setup import open_device


def on_device(model: RecurrentModel, device: str) -> TorchLanguageModel:
    """
    A network as a language model that computes with torch.

    Args:
        model: its weights are copied.
        device: `cuda`, or `cpu`.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    opened = open_device(device)
    network = Network(model.config, model.vocabulary_size, model.parameters).to(opened).eval()
    return TorchLanguageModel(network, model.start_token, model.unit_end)
