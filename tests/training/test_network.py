"""The torch network computes what the numpy model computes, and its gradients are right."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.functions import ACTIVATIONS
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.training.network import Network, TorchLanguageModel, detached

V = 9


def random_parameters(config: NetworkConfig, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        shape.name: random.normal(0, 0.3, shape.shape).astype(np.float32)
        for shape in network_layers(config, V).parameters
    }


SHAPES: list[dict[str, Any]] = [
    *({"cell": cell, "layers": layers} for cell, layers in product(CELLS, (1, 2, 3))),
    {"layers": 2, "tied": True, "embedding_size": None},
    {"cell": "gru", "tied": True, "embedding_size": None},
    {"layers": 2, "tied": True},
    {"layers": 3, "last_hidden_size": 4, "tied": True},
    {"cell": "gru", "layers": 2, "last_hidden_size": 9},
    {"layers": 3, "residual": True, "embedding_size": 6},
    {"cell": "rnn", "layers": 3, "residual": True, "last_hidden_size": 4, "tied": True},
    {"output": "adaptive", "cutoffs": "2,4"},
    {"output": "adaptive", "cutoffs": "3", "layers": 3, "residual": True},
    {"output": "adaptive", "cutoffs": "1,2", "layers": 2, "last_hidden_size": 9},
    {"embedding_size": 0, "layers": 2},
    {"dense_layers": 2, "dense_size": 5, "cell": "gru"},
    *({"dense_layers": 1, "dense_activation": name, "tied": True} for name in ACTIVATIONS),
    {"dense_layers": 1, "dense_size": 9, "output": "adaptive", "cutoffs": "2,4", "embedding_size": 0},
    {"convolution": "3x5"},
    {"convolution": "3x5, 2x6", "cell": "gru", "layers": 2, "residual": True},
    {"convolution": "1x5,14x4", "convolution_activation": "none", "embedding_size": 0},
    {"convolution": "4x7", "layers": 0, "tied": True},
    {"convolution": "3x5", "layers": 0, "dense_layers": 1, "output": "adaptive", "cutoffs": "2,4"},
    {"attention": 1},
    {"attention": 3, "cell": "gru", "layers": 2, "dense_layers": 1, "convolution": "2x5"},
    {"attention": 20, "last_hidden_size": 5, "layers": 2, "tied": True},
    {"normalization": "layer"},
    {"normalization": "layer", "cell": "gru", "layers": 3, "residual": True, "attention": 3},
    {"normalization": "layer", "embedding_size": 0, "convolution": "3x5", "dense_layers": 1},
    {"normalization": "layer", "layers": 2, "last_hidden_size": 5, "tied": True, "embedding_size": 9},
    {"layers": 0, "dense_layers": 1},
    {"layers": 0, "dense_layers": 2, "embedding_size": 0},
    {"ngram_embedding": 2, "ngram_rows": 1},
    {"ngram_embedding": 4, "ngram_rows": 50, "layers": 2, "tied": True},
    {"ngram_embedding": 16, "ngram_rows": 7, "cell": "gru", "convolution": "2x5", "attention": 2},
]


@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_torch_and_numpy_agree(shape: dict[str, Any], streams: int) -> None:
    config = NetworkConfig(**{"hidden_size": 6, "embedding_size": 4, **shape})
    parameters = random_parameters(config)
    ours = RecurrentModel(config, V, 0, parameters)
    theirs = TorchLanguageModel(Network(config, V, parameters), 0)
    ids = np.random.default_rng(1).integers(0, V, (12, streams))

    our_scores, our_state = ours.score(ours.start(streams), ids)
    their_scores, their_state = theirs.score(theirs.start(streams), ids)
    np.testing.assert_allclose(our_scores, their_scores, atol=1e-5)
    np.testing.assert_allclose(ours.predict(our_state), theirs.predict(their_state), atol=1e-5)

    chosen = [streams - 1, 0]
    np.testing.assert_allclose(
        ours.predict(ours.select(our_state, chosen)),
        theirs.predict(theirs.select(their_state, chosen)),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "shape",
    [
        *({"cell": cell} for cell in CELLS),
        {"embedding_size": 0},
        *({"dense_layers": 2, "dense_activation": name} for name in ACTIVATIONS),
        {"convolution": "2x3,3x2", "convolution_activation": "tanh"},
        {"convolution": "3x4", "convolution_activation": "softplus", "layers": 0, "embedding_size": 0},
        {"attention": 1},
        {"attention": 3},
        {"normalization": "layer"},
        {"ngram_embedding": 3, "ngram_rows": 8},
    ],
    ids=str,
)
def test_gradients_match_finite_differences(shape: dict[str, Any]) -> None:
    """Every parameter of every cell and layer, through two recurrent layers and four steps, in float64."""
    config = NetworkConfig(**{"layers": 2, "hidden_size": 3, "embedding_size": 2, **shape})
    network = Network(config, V, random_parameters(config)).double()
    ids = torch.from_numpy(np.random.default_rng(2).integers(0, V, (5, 2)))

    def loss() -> torch.Tensor:
        scores, _ = network(ids[:-1], network.initial_state(2))
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), ids[1:].flatten())

    loss().backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        numbers, gradient = parameter.detach().view(-1), parameter.grad.view(-1)
        for index in np.random.default_rng(3).integers(0, len(numbers), 6):
            before = numbers[index].item()
            numbers[index] = before + 1e-6
            above = loss().item()
            numbers[index] = before - 1e-6
            below = loss().item()
            numbers[index] = before
            assert gradient[index].item() == pytest.approx((above - below) / 2e-6, abs=1e-7), name


@pytest.mark.parametrize(
    "shape",
    [
        *({"cell": cell} for cell in CELLS),
        {"convolution": "3x5,20x4"},
        {"convolution": "3x5,2x4", "layers": 0},
        {"attention": 3},
        {"attention": 40, "cell": "gru"},
        {"normalization": "layer"},
    ],
    ids=str,
)
def test_carried_windows_are_one_long_sequence(shape: dict[str, Any]) -> None:
    """Windows of 16 steps with the state carried give the logits of one pass over all 64."""
    config = NetworkConfig(**{"layers": 2, "hidden_size": 6, "embedding_size": 4, **shape})
    network = Network(config, V, random_parameters(config))
    ids = torch.from_numpy(np.random.default_rng(4).integers(0, V, (64, 3)))
    whole, _ = network(ids, network.initial_state(3))

    state, parts = network.initial_state(3), []
    for window in torch.chunk(ids, 4):
        part, after = network(window, state)
        parts.append(part)
        state = detached(after)
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [{"layers": 2}, {"layers": 0}, {"attention": 4}], ids=str)
def test_the_future_changes_nothing_before(shape: dict[str, Any]) -> None:
    """Another token at step 9 changes no prediction made before it was read, and some after."""
    config = NetworkConfig(hidden_size=6, embedding_size=4, convolution="3x5,4x6", **shape)
    network = Network(config, V, random_parameters(config)).eval()
    ids = torch.from_numpy(np.random.default_rng(6).integers(0, V - 1, (16, 2)))
    changed = ids.clone()
    changed[9] += 1
    first, second = (network(each, network.initial_state(2))[0] for each in (ids, changed))

    torch.testing.assert_close(first[:9], second[:9], atol=0, rtol=0)
    assert not torch.equal(first[9], second[9])
    reach = 3 - 1 + 4 - 1  # a feed-forward network sees no token of longer ago
    assert torch.equal(first[9 + reach + 1 :], second[9 + reach + 1 :]) == (config.layers == 0)


def test_gradients_end_where_the_state_is_detached() -> None:
    config = NetworkConfig(hidden_size=4, embedding_size=3)
    network = Network(config, V, random_parameters(config))
    _, after = network(torch.tensor([[1], [2]]), network.initial_state(1))

    assert all(part.requires_grad for layer in after for part in layer)
    assert not any(part.requires_grad for layer in detached(after) for part in layer)


def test_a_residual_connection_passes_on_what_a_layer_has_read() -> None:
    """With a second layer that always says 0 the output reads the first, as with one layer alone."""
    config = NetworkConfig(layers=2, hidden_size=6, residual=True)
    parameters = random_parameters(config)
    for name in parameters:
        if name.startswith("layers.1."):
            parameters[name][...] = 0
    ids = torch.tensor([[1], [2], [3]])
    two, one = Network(config, V, parameters), Network(NetworkConfig(hidden_size=6), V, parameters)

    torch.testing.assert_close(two(ids, two.initial_state(1))[0], one(ids, one.initial_state(1))[0])


def test_dropout_acts_in_training_only() -> None:
    config = NetworkConfig(hidden_size=16, dropout=0.5)
    network = Network(config, V, random_parameters(config))
    ids = torch.tensor([[1], [2], [3]])
    first, _ = network(ids, network.initial_state(1))
    second, _ = network(ids, network.initial_state(1))
    assert not torch.equal(first, second)

    network.eval()
    third, _ = network(ids, network.initial_state(1))
    fourth, _ = network(ids, network.initial_state(1))
    assert torch.equal(third, fourth)


def test_scoring_leaves_the_mode_as_it_was() -> None:
    config = NetworkConfig(dropout=0.5)
    network = Network(config, V, random_parameters(config)).train()
    model = TorchLanguageModel(network, 0)
    model.score(model.start(1), np.array([[1]]))

    assert network.training


def test_arrays_are_the_parameters_by_name() -> None:
    config = NetworkConfig(cell="gru", layers=2, hidden_size=4, embedding_size=3)
    parameters = random_parameters(config)
    arrays = Network(config, V, parameters).arrays()

    assert arrays.keys() == parameters.keys()
    assert all(np.array_equal(arrays[name], parameters[name]) for name in parameters)


def test_the_torch_network_saves_and_describes_itself_as_the_numpy_network() -> None:
    config = NetworkConfig(hidden_size=6, embedding_size=4)
    parameters = random_parameters(config)
    ours = RecurrentModel(config, V, 0, parameters)
    theirs = TorchLanguageModel(Network(config, V, parameters), 0)

    assert (theirs.kind, theirs.describe()) == (ours.kind, ours.describe())
    (our_config, our_arrays), (their_config, their_arrays) = ours.to_tensors(), theirs.to_tensors()
    assert their_config == our_config
    assert their_arrays.keys() == our_arrays.keys()
    for name, array in our_arrays.items():
        np.testing.assert_array_equal(their_arrays[name], array)
