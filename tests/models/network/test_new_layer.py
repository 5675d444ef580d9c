"""A layer of a new kind is one class: numpy and torch compute it without knowing it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmgen.models.model_file import load_model, save_model
from lmgen.models.network import model as numpy_network
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.functions import Array, linear, stack
from lmgen.models.network.initializers import glorot
from lmgen.models.network.layer import Arrays, LayerState, Parameter
from lmgen.models.network.layers import Layers, network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.training import network as torch_network
from lmgen.training.network import Network, TorchLanguageModel

V, H = 9, 6


@dataclass(frozen=True)
class Convolution:
    """A causal convolution over two steps: y_t = A v_t + B v_(t-1)."""

    inputs: int
    outputs: int
    kind = "convolution"
    prefix = "convolution."
    formula = "2nm"
    borrowed = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        factors, shape = (("n", self.inputs), ("m", self.outputs)), (self.outputs, self.inputs)
        return tuple(Parameter(f"convolution.{name}", shape, factors, glorot) for name in ("now", "before"))

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.inputs,)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        return linear(values, arrays["now"]) + linear(state[0], arrays["before"]), (values,)

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        given = []
        for v in values:
            y, state = self.step(arrays, v, state)
            given.append(y)
        return stack(given), state


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> Layers:
    """A network with a convolution after its recurrent layers."""
    usual = network_layers(NetworkConfig(hidden_size=H, embedding_size=4, layers=2), V)
    changed = replace(usual, hidden=(*usual.hidden, Convolution(H, H)))
    for module in (numpy_network, torch_network):
        monkeypatch.setattr(module, "network_layers", lambda config, size, labelling=None: changed)
    return changed


def test_torch_and_numpy_compute_it_alike(layers: Layers) -> None:
    random = np.random.default_rng(0)
    parameters = {one.name: one.start(one.shape, random).astype(np.float32) for one in layers.parameters}
    config = NetworkConfig(hidden_size=H, embedding_size=4, layers=2)
    ours = RecurrentModel(config, V, 0, parameters)
    theirs = TorchLanguageModel(Network(config, V, parameters), 0)
    ids = random.integers(0, V, (8, 3))

    our_scores, our_state = ours.score(ours.start(3), ids)
    their_scores, their_state = theirs.score(theirs.start(3), ids)
    np.testing.assert_allclose(our_scores, their_scores, atol=1e-5)
    np.testing.assert_allclose(ours.predict(our_state), theirs.predict(their_state), atol=1e-5)
    assert ours.layers.describe()["parameters"] == sum(array.size for array in parameters.values())


def test_it_is_described_saved_and_loaded(layers: Layers, tmp_path: Path) -> None:
    """Its file asks an lmgen that does not know it for an upgrade: it is no longer of the first format."""
    random = np.random.default_rng(0)
    parameters = {one.name: one.start(one.shape, random).astype(np.float32) for one in layers.parameters}
    model = RecurrentModel(NetworkConfig(hidden_size=H, embedding_size=4, layers=2), V, 0, parameters)
    save_model(tmp_path / "model.safetensors", model, CharacterTokenizer("\nabcdefg"))
    loaded = load_model(tmp_path / "model.safetensors").model

    row = {"name": "convolution", "kind": "convolution", "inputs": H, "outputs": H, "formula": "2nm"}
    assert {**row, "parameters": 2 * H * H} in loaded.describe()["subtotals"]
    assert loaded.format_version == model.format_version == 3
    ids = random.integers(0, V, (8, 3))
    np.testing.assert_array_equal(loaded.score(loaded.start(3), ids)[0], model.score(model.start(3), ids)[0])


def test_it_is_trained(layers: Layers) -> None:
    random = np.random.default_rng(0)
    parameters = {one.name: one.start(one.shape, random).astype(np.float32) for one in layers.parameters}
    network = Network(NetworkConfig(hidden_size=H, embedding_size=4, layers=2), V, parameters)
    ids = torch.from_numpy(random.integers(0, V, (5, 2)))
    predicted, _ = network(ids, network.initial_state(2))
    predicted.sum().backward()

    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert all(gradient is not None and gradient.any() for gradient in gradients.values())
