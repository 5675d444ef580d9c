"""Networks that label texts: what the layers do that see the future, and that padding changes nothing."""

from typing import Any

import numpy as np
import pytest

from lmgen.errors import ConfigError, ModelError
from lmgen.models.network.bidirectional import Bidirectional, backward_order
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.labelling import Labelling, check_labelling
from lmgen.models.network.labels import LabelNetwork
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.pooling import Pooling

V, END = 9, 1
LABELS = ("good", "bad", "so so")

SHAPES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"bidirectional": True}),
    ({"layers": 2, "cell": "gru"}, {"bidirectional": True, "pool": "last"}),
    ({"layers": 3, "residual": True, "cell": "rnn"}, {"bidirectional": True, "pool": "max"}),
    ({"layers": 2, "last_hidden_size": 3, "dense_layers": 1}, {"bidirectional": True, "pool": "mean"}),
    ({}, {"pool": "last"}),
    ({"attention": 2}, {}),
    ({"convolution": "3x5,2x4", "layers": 0}, {"pool": "max"}),
    ({"layers": 0, "dense_layers": 1}, {"pool": "mean"}),
    ({"layers": 0, "dense_layers": 1, "embedding_size": 0}, {"pool": "mean"}),
    ({"embedding_size": 0}, {"bidirectional": True, "pool": "max"}),
]


def network(shape: dict[str, Any], labelling: dict[str, Any]) -> LabelNetwork:
    config = NetworkConfig(**{"hidden_size": 4, "embedding_size": 3, **shape})
    outputs = Labelling(labels=len(LABELS), unit_end=END, **labelling)
    return LabelNetwork(
        config, V, outputs, LABELS, initial_parameters(config, V, 0, seed=1, labelling=outputs)
    )


def texts(*lengths: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [np.append(random.integers(2, V, length), END) for length in lengths]


def test_a_text_is_read_backwards_from_its_end_and_padding_stays_in_place() -> None:
    ids = np.array([[5, 7, END], [6, 8, 0], [END, END, END], [0, 3, 4]])

    assert backward_order(ids, END).T.tolist() == [[2, 1, 0, 3], [2, 1, 0, 3], [0, 1, 2, 3]]
    assert backward_order(np.array([[5], [6]]), END).T.tolist() == [[1, 0]]


@pytest.mark.parametrize(("shape", "labelling"), SHAPES)
def test_a_text_alone_has_the_labels_that_it_has_among_others(
    shape: dict[str, Any], labelling: dict[str, Any]
) -> None:
    model = network(shape, labelling)
    several = texts(7, 0, 3, 7, 1)

    together = model.log_probabilities(several)

    assert [scores.shape for scores in together] == [(len(text), 3) for text in several]
    for text, scores in zip(several, together, strict=True):
        np.testing.assert_allclose(model.log_probabilities([text])[0], scores, atol=1e-6)
        np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-6)


def test_many_texts_are_read_in_groups_and_given_in_their_order() -> None:
    model = network({}, {"bidirectional": True, "pool": "max"})
    many = texts(*(n % 11 for n in range(150)))

    for text, scores in zip(many, model.log_probabilities(many), strict=True):
        np.testing.assert_allclose(model.log_probabilities([text])[0], scores, atol=1e-6)
    assert model.log_probabilities([]) == []


def test_only_a_bidirectional_network_sees_what_follows() -> None:
    first, second = np.array([5, 6, 7, END]), np.array([5, 6, 3, END])
    for both in (False, True):
        model = network({}, {"bidirectional": both})
        one, other = model.log_probabilities([first, second])
        assert np.allclose(one[:2], other[:2]) is not both


def test_a_bidirectional_layer_is_two_recurrent_ones() -> None:
    config, outputs = NetworkConfig(hidden_size=4), Labelling(labels=2, unit_end=END, bidirectional=True)
    [layer] = network_layers(config, V, outputs).hidden
    assert isinstance(layer, Bidirectional)
    arrays = arrays_of(layer, initial_parameters(config, V, None, 0, labelling=outputs))
    [plain] = network_layers(NetworkConfig(hidden_size=4), V).hidden
    values = np.random.default_rng(1).normal(size=(5, 2, layer.inputs)).astype(np.float32)
    zeros = (np.zeros((2, 4), np.float32),) * 2

    given, _ = layer.window(arrays, values, ())
    for direction, half, steps in (("forwards", given[..., :4], 1), ("backwards", given[..., 4:], -1)):
        own = {name.removeprefix(f"{direction}."): array for name, array in arrays.items()}
        read, _ = plain.window(own, values[::steps], zeros)
        np.testing.assert_allclose(half[::steps], read, atol=1e-6)
    assert layer.formula == "2(4(nH + H² + H))"
    assert sum(one.count for one in layer.parameters) == 2 * sum(one.count for one in plain.parameters)


@pytest.mark.parametrize("pool", ["max", "mean", "last"])
def test_pooling_of_all_steps_is_at_the_last(pool: str) -> None:
    values = np.random.default_rng(0).normal(size=(6, 2, 4)).astype(np.float32)
    layer = Pooling(inputs=4, pool=pool)
    zeros = tuple(np.zeros((2, size), np.float32) for size in layer.state_sizes)

    given, after = layer.window({}, values, zeros)
    first, state = layer.window({}, values[:2], zeros)
    second, _ = layer.window({}, values[2:], state)

    wanted = {
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "last": np.concatenate([values[-1, :, :2], values[0, :, 2:]], axis=1),
    }
    np.testing.assert_allclose(given[-1], wanted[pool], atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([first, second]), given)
    assert len(after) == 2


def test_a_saved_network_is_the_same_again_and_a_damaged_one_is_refused() -> None:
    model = network({"layers": 2}, {"bidirectional": True, "pool": "last"})
    config, tensors = model.to_tensors()

    again = LabelNetwork.from_tensors(config, tensors)

    assert (again.labels, again.of, again.name) == (LABELS, "line", "bidirectional lstm")
    np.testing.assert_array_equal(again.log_probabilities(texts(4))[0], model.log_probabilities(texts(4))[0])
    for change in (
        {"labels": ["good", "good", "bad"]},
        {"labels": ["good"]},
        {"labels": [1, 2, 3]},
        {"unit_end": V},
        {"unit_end": True},
        {"pool": "best"},
        {"bidirectional": False},
    ):
        with pytest.raises(ModelError):
            LabelNetwork.from_tensors({**config, **change}, tensors)


@pytest.mark.parametrize(
    ("settings", "both", "message"),
    [
        ({"tied": True}, False, "--tied shares"),
        ({"output": "adaptive"}, False, "--output adaptive is for tokens"),
        ({"layers": 0, "convolution": "3x4"}, True, "--bidirectional is for recurrent layers"),
        ({"attention": 3}, True, "--attention looks back only"),
    ],
)
def test_what_cannot_label_is_refused(settings: dict[str, Any], both: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_labelling(NetworkConfig(**settings), bidirectional=both)
