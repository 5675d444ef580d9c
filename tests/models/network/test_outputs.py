"""The output layer, worked out by hand."""

import numpy as np

from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.outputs import logits, top

HIDDEN = np.array([[1.0, 2.0, 3.0]])
BIAS = np.array([0.5, -0.5])
EMBEDDING = np.array([[1.0, 10.0], [2.0, 20.0]])


def test_scores_are_the_weights_times_the_hidden_state_and_a_bias() -> None:
    weight = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    parameters = {"embedding": EMBEDDING, "output.weight": weight, "output.bias": BIAS}

    assert logits(HIDDEN, parameters).tolist() == [[4.5, 1.5]]


def test_tied_weights_are_the_embedding() -> None:
    parameters = {"embedding": EMBEDDING, "output.bias": BIAS}

    assert logits(HIDDEN[:, :2], parameters).tolist() == [[1 + 20 + 0.5, 2 + 40 - 0.5]]


def test_a_projection_comes_before_tied_weights_of_another_size() -> None:
    projection = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    parameters = {"embedding": EMBEDDING, "output.projection": projection, "output.bias": BIAS}

    assert logits(HIDDEN, parameters).tolist() == [[1 + 50 + 0.5, 2 + 100 - 0.5]]


def test_the_output_reads_the_last_layer() -> None:
    states = tuple((np.full((1, 2), h), np.zeros((1, 2))) for h in (1.0, 10.0, 100.0))

    assert top(states, NetworkConfig(layers=3)).tolist() == [[100, 100]]


def test_residual_connections_add_up_the_layers_where_widths_agree() -> None:
    states = tuple((np.full((1, 2), h), np.zeros((1, 2))) for h in (1.0, 10.0, 100.0))
    config = NetworkConfig(layers=3, hidden_size=2, residual=True)

    assert top(states, config).tolist() == [[111, 111]]
    assert [config.adds_input(layer) for layer in range(3)] == [False, True, True]
    narrower = NetworkConfig(layers=3, hidden_size=2, last_hidden_size=1, residual=True)
    assert [narrower.adds_input(layer) for layer in range(3)] == [False, True, False]
