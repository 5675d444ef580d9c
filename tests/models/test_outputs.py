"""The output layer, worked out by hand."""

import numpy as np

from lmgen.models.outputs import logits

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
