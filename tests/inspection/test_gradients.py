"""Gradients with respect to states before: against torch, against differences, and where they are known."""

from itertools import groupby
from typing import Any

import numpy as np
import pytest
import torch

from lmgen.errors import ConfigError, CorpusError
from lmgen.inspection.gradients import GradientNorm, gradient_norms
from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.recurrent import Recurrent

V = 11
IDS = np.random.default_rng(3).integers(0, V, 40)


def network(unit_end: int | None = None, seed: int = 1, **settings: Any) -> RecurrentModel:
    config = NetworkConfig(**settings)
    parameters = initial_parameters(config, V, None, seed)
    noise = np.random.default_rng(seed)
    shaken = {
        name: (each + noise.normal(0, 0.1, each.shape)).astype(np.float32)
        for name, each in parameters.items()
    }
    return RecurrentModel(config, V, 0, shaken, unit_end)


def by_torch(model: RecurrentModel, ids: np.ndarray) -> list[dict[tuple[str, str], np.ndarray]]:
    """
    The same for one window from the start token to the last of `ids`, by torch's autograd.

    Returns:
        For each distance from 0 on the gradient with respect to each part of a layer's state.
    """
    parameters = {name: torch.tensor(each, dtype=torch.float64) for name, each in model.parameters.items()}
    layers = model.layers
    states: list[tuple[Any, ...]] = [
        tuple(torch.zeros(1, size, dtype=torch.float64) for size in layer.state_sizes)
        for layer in layers.hidden
    ]
    seen = []
    for token in [model.start_token, *ids[:-1].tolist()]:
        values = layers.embedding.step(parameters, torch.tensor([token]), ())[0].double()
        for number, layer in enumerate(layers.hidden):
            values, states[number] = layer.step(arrays_of(layer, parameters), values, states[number])
        for part in (part for state in states for part in state):
            part.requires_grad_()
            part.retain_grad()
        seen.append(list(states))
    output = arrays_of(layers.output, parameters)
    (-layers.output.log_probabilities(output, values)[0, int(ids[-1])]).backward()
    return [
        {
            (layer.prefix.rstrip("."), name): part.grad.numpy()[0]
            for layer, state in zip(layers.hidden, step, strict=True)
            if isinstance(layer, Recurrent)
            for name, part in zip(layer.cell.states, state, strict=True)
        }
        for step in reversed(seen)
    ]


def norms_of(model: RecurrentModel, ids: np.ndarray, **asked: Any) -> list[dict[tuple[str, str], float]]:
    """For each distance the norm by layer and state."""
    found = gradient_norms(model, ids, **asked)
    return [
        {(each.layer, each.state): each.norm for each in group}
        for _, group in groupby(found, key=lambda each: each.distance)
    ]


def assert_same_as_torch(model: RecurrentModel, ids: np.ndarray) -> None:
    distance = len(ids) - 2
    [*expected, _] = by_torch(model, ids)  # the last one is after the start token
    found = norms_of(model, ids, distance=distance, positions=1)
    assert len(found) == len(expected) == distance + 1
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for key, norm in ours.items():
            assert norm == pytest.approx(float(np.linalg.norm(theirs[key])), rel=1e-5, abs=1e-30)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_in_stacked_layers_has_the_gradients_of_torch(cell: str) -> None:
    assert_same_as_torch(network(cell=cell, layers=2, hidden_size=5, embedding_size=4), IDS[:12])


@pytest.mark.parametrize(
    "settings",
    [
        {"residual": True, "layers": 3, "hidden_size": 4},
        {"dense_layers": 2, "dense_size": 3, "hidden_size": 4, "dense_activation": "elu"},
        {"tied": True, "embedding_size": 3, "hidden_size": 4},
        {"embedding_size": 0, "hidden_size": 4},
        {"output": "adaptive", "cutoffs": "3,7", "hidden_size": 20},
        {"convolution": "3x4,2x3", "hidden_size": 4, "convolution_activation": "tanh"},
        {"attention": 1, "hidden_size": 4},
        {"attention": 3, "layers": 2, "hidden_size": 4, "dense_layers": 1},
        {"attention": 20, "hidden_size": 4, "cell": "gru", "convolution": "2x4"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_other_layers_have_the_gradients_of_torch(settings: dict[str, Any]) -> None:
    for last in (1, 5, 9):  # with adaptive: in the head, in the first cluster and in the second
        assert_same_as_torch(network(**settings), np.append(IDS[:8], last))


def test_a_gradient_is_what_small_changes_of_the_state_do_to_the_loss() -> None:
    """By differences, from the states before a window, in the network as it is used."""
    model = network(cell="lstm", layers=2, hidden_size=3, embedding_size=2)
    ids = IDS[:10]
    state = model.advance(model.start(1), ids[:1, None])
    [(_, _, (), _)] = state.tiles  # two layers, the embedding and the output's input
    step, distance = 1e-2, len(ids) - 2
    found = norms_of(model, ids, distance=distance, positions=1)[-1]
    squares = {("layers.0", "h"): 0.0, ("layers.1", "h"): 0.0}
    for layer in range(2):
        for unit in range(3):
            losses = []
            for sign in (1, -1):
                tile = [[part.copy() for part in parts] for parts in state.tiles[0]]
                tile[layer][0][unit] += sign * step
                if layer == 0:  # the layer above has read h already
                    tile = _second_layer_again(model, tile, state_before=model.start(1))
                changed = state._replace(tiles=(tuple(map(tuple, tile)),))
                losses.append(-float(model.score(changed, ids[1:, None])[0][-1, 0]))
            squares[f"layers.{layer}", "h"] += ((losses[0] - losses[1]) / (2 * step)) ** 2
    for key, square in squares.items():
        assert found[key] == pytest.approx(square**0.5, rel=0.03)


def _second_layer_again(model: RecurrentModel, tile: list[Any], state_before: Any) -> list[Any]:
    layer = model.layers.hidden[1]
    before = tuple(part.T for part in state_before.tiles[0][1])
    values, after = layer.step(arrays_of(layer, model.parameters), tile[0][0].T, before)
    return [tile[0], [part.T for part in after], [], [values.T]]


def test_the_mean_over_positions_is_that_of_their_norms() -> None:
    model = network(cell="gru", hidden_size=4)
    ids = np.random.default_rng(5).integers(0, V, 90)

    together = norms_of(model, ids[:70], distance=30, positions=20)  # in two groups
    alone = [norms_of(model, ids[at : at + 70], distance=30, positions=1) for at in range(20)]

    for k, norms in enumerate(together):
        of_each = [each[k]["layers.0", "h"] for each in alone]
        assert norms["layers.0", "h"] == pytest.approx(np.mean(of_each), rel=1e-5)


def vanilla(recurrent: np.ndarray) -> RecurrentModel:
    """A vanilla network without input weights: it goes on from 0 and stays there."""
    size = len(recurrent)
    config = NetworkConfig(cell="rnn", hidden_size=size, embedding_size=2)
    parameters = initial_parameters(config, V, None, 0)
    parameters["layers.0.weight_input"][:] = 0
    parameters["layers.0.weight_recurrent"][:] = recurrent
    return RecurrentModel(config, V, 0, parameters)


def column(found: list[GradientNorm], state: str = "h") -> np.ndarray:
    return np.array([each.norm for each in found if each.state == state])


def orthogonal(size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]


def test_an_orthogonal_matrix_scaled_by_a_half_halves_the_gradient_with_each_step() -> None:
    norms = column(gradient_norms(vanilla(0.5 * orthogonal(6)), IDS, distance=30))

    assert norms / norms[0] == pytest.approx(0.5 ** np.arange(31), rel=1e-5)


def test_an_orthogonal_matrix_scaled_up_makes_gradients_explode() -> None:
    norms = column(gradient_norms(vanilla(2 * orthogonal(6)), IDS, distance=30))

    assert norms / norms[0] == pytest.approx(2.0 ** np.arange(31), rel=1e-5)


def test_a_vanilla_network_with_tanh_forgets_at_least_as_fast() -> None:
    model = network(cell="rnn", hidden_size=8)
    model.parameters["layers.0.weight_recurrent"][:] = 0.5 * orthogonal(8)

    norms = column(gradient_norms(model, IDS, distance=20))

    assert (norms <= norms[0] * 0.5 ** np.arange(21) * (1 + 1e-6)).all()


def test_the_cell_state_of_an_lstm_with_an_open_forget_gate_keeps_gradients() -> None:
    config = NetworkConfig(cell="lstm", hidden_size=8)
    parameters = initial_parameters(config, V, None, 0)
    parameters["layers.0.weight_recurrent"][:] = 0
    parameters["layers.0.weight_input"][8:16] = 0
    parameters["layers.0.bias"][8:16] = 10  # i, f, g, o
    found = gradient_norms(RecurrentModel(config, V, 0, parameters), IDS, distance=30)

    assert column(found, "c") / column(found, "c")[0] == pytest.approx(np.ones(31), rel=2e-3)
    assert column(found, "h")[1:].max() == 0  # without recurrent weights nothing reads h but the output


@pytest.mark.parametrize("layers", [{}, {"attention": 5}, {"convolution": "5x4"}], ids=str)
def test_no_gradient_crosses_the_end_of_a_unit(layers: dict[str, Any]) -> None:
    ids = np.array([1, 2, 3, 10, 4, 5, 6, 7])
    model = network(unit_end=10, cell="gru", hidden_size=4, **layers)
    norms = column(gradient_norms(model, ids, distance=6, positions=1))

    assert (norms[:3] > 0).all()  # after 6, 5, 4
    assert (norms[3:] == 0).all()


def test_a_text_that_is_too_short_and_wrong_numbers_are_refused() -> None:
    model = network(hidden_size=4)

    with pytest.raises(
        CorpusError, match="too few tokens for gradients over 100: the text has 40; give one of at least 102"
    ):
        gradient_norms(model, IDS)
    with pytest.raises(ConfigError, match="at least 0 tokens and 1 position"):
        gradient_norms(model, IDS, distance=-1)
