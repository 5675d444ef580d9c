"""The output layer, worked out by hand."""

import numpy as np

from lmgen.models.network.layer import arrays_of
from lmgen.models.network.output import Softmax

HIDDEN = np.array([[1.0, 2.0, 3.0]])
BIAS = np.array([0.5, -0.5])
EMBEDDING = np.array([[1.0, 10.0], [2.0, 20.0]])


def test_scores_are_the_weights_times_the_hidden_state_and_a_bias() -> None:
    weight = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    scores = Softmax(inputs=3, outputs=2).logits({"weight": weight, "bias": BIAS}, HIDDEN)

    assert scores.tolist() == [[4.5, 1.5]]


def test_tied_weights_are_the_embedding() -> None:
    layer = Softmax(inputs=2, outputs=2, tied_to=2)
    scores = layer.logits(arrays_of(layer, {"embedding": EMBEDDING, "output.bias": BIAS}), HIDDEN[:, :2])

    assert scores.tolist() == [[1 + 20 + 0.5, 2 + 40 - 0.5]]


def test_a_projection_comes_before_tied_weights_of_another_size() -> None:
    layer = Softmax(inputs=3, outputs=2, tied_to=2)
    projection = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    parameters = {"embedding": EMBEDDING, "output.projection": projection, "output.bias": BIAS}

    assert layer.logits(arrays_of(layer, parameters), HIDDEN).tolist() == [[1 + 50 + 0.5, 2 + 100 - 0.5]]
