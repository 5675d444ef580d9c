"""The causal convolution: tiny cases by hand, steps against windows, one-hot input, its place in a file."""

from pathlib import Path

import numpy as np
import pytest

from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.convolution import Convolution
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.characters import CharacterTokenizer

V = 9


def state_of(layer: Convolution, streams: int) -> tuple[np.ndarray, ...]:
    """What the layer remembers at the start of a text."""
    return tuple(np.zeros((streams, size), np.float32) for size in layer.state_sizes)


def test_three_steps_by_hand() -> None:
    """One filter of width 2 over two features: y_t = relu(1 a_t + 2 b_t - 1 a_(t-1) + 3 b_(t-1) + 1/2)."""
    layer = Convolution(number=0, width=2, inputs=2, outputs=1, activation="relu")
    arrays = {"weight": np.array([[1.0, 2], [-1, 3]]), "bias": np.array([0.5])}
    values = np.array([[[1.0, 1]], [[2, 0]], [[-9, 0]]])  # (T, B, n)
    given, after = layer.window(arrays, values, state_of(layer, 1))

    assert given[:, 0, 0].tolist() == [1 + 2 + 0.5, 2 - 1 + 3 + 0.5, 0.0]  # relu(-9 - 2 + 0.5) is 0
    np.testing.assert_array_equal(after[0], [[-9, 0]])


@pytest.mark.parametrize("width", [1, 2, 5, 11])
def test_steps_are_a_window(width: int) -> None:
    layer = Convolution(number=0, width=width, inputs=3, outputs=4, activation="tanh")
    random = np.random.default_rng(0)
    arrays = arrays_of(layer, {one.name: random.normal(0, 1, one.shape) for one in layer.parameters})
    values = random.normal(0, 1, (7, 2, 3))
    whole, last = layer.window(arrays, values, state_of(layer, 2))

    state, given = state_of(layer, 2), []
    for step in values:
        y, state = layer.step(arrays, step, state)
        given.append(y)
    np.testing.assert_allclose(whole, np.stack(given), atol=1e-12)
    assert len(state) == len(last) == width - 1
    for part, right in zip(state, last, strict=True):
        np.testing.assert_array_equal(part, right)


@pytest.mark.parametrize(("width", "formula"), [(1, "nm + m"), (4, "4nm + m")])
def test_parameters_are_counted_by_the_formula(width: int, formula: str) -> None:
    layer = Convolution(number=0, width=width, inputs=3, outputs=5, activation="relu")

    assert layer.formula == formula
    assert sum(one.count for one in layer.parameters) == width * 3 * 5 + 5
    for one in layer.parameters:
        assert np.prod([number for _, number in one.factors]) == one.count


def test_a_width_of_one_without_recurrent_layers_is_a_dense_layer() -> None:
    """Such a network is a bigram model, whichever of the two it is made of."""
    one = NetworkConfig(layers=0, convolution="1x6", convolution_activation="tanh")
    two = NetworkConfig(layers=0, dense_layers=1, dense_size=6)
    parameters = initial_parameters(one, V, None, 0)
    renamed = {name.replace("convolution.0", "dense.0"): array for name, array in parameters.items()}
    ids = np.random.default_rng(0).integers(0, V, (6, 3))

    first, second = RecurrentModel(one, V, 0, parameters), RecurrentModel(two, V, 0, renamed)
    our_scores, _ = first.score(first.start(3), ids)
    np.testing.assert_allclose(our_scores, second.score(second.start(3), ids)[0], atol=1e-6)
    assert (first.name, second.name) == ("convolution", "dense")
    again, _ = first.score(first.start(1), np.array([[1], [2], [5], [2]]))
    after_two, _ = first.score(first.advance(first.start(1), np.array([[7], [2]])), np.array([[5]]))
    np.testing.assert_allclose(after_two[0], again[2], atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [{"convolution": "3x5"}, {"convolution": "2x5", "layers": 0}, {"layers": 0, "dense_layers": 1}, {}],
    ids=str,
)
def test_an_unknown_one_hot_token_adds_nothing(shape: dict[str, object]) -> None:
    config = NetworkConfig(**{"embedding_size": 0, "hidden_size": V, **shape})  # type: ignore[arg-type]
    drawn, plain = initial_parameters(config, V, 4, 0), initial_parameters(config, V, None, 0)

    changed = [name for name, array in plain.items() if not np.array_equal(array, drawn[name])]
    assert len(changed) == 1
    (name,) = changed
    assert not drawn[name][:, 4].any()
    np.testing.assert_array_equal(np.delete(drawn[name], 4, 1), np.delete(plain[name], 4, 1))


@pytest.mark.parametrize(
    ("shape", "version"),
    [
        ({"convolution": "3x5"}, 4),
        ({"normalization": "layer"}, 4),
        ({"layers": 0, "dense_layers": 1}, 4),
        ({"dense_layers": 1}, 3),
        ({}, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
def test_a_file_says_what_can_read_it(
    shape: dict[str, object], version: int, weights: str, tmp_path: Path
) -> None:
    config = NetworkConfig(hidden_size=6, embedding_size=4, **shape)  # type: ignore[arg-type]
    model = RecurrentModel(config, V, 0, initial_parameters(config, V, None, 0))
    save_model(tmp_path / "model.safetensors", model, CharacterTokenizer("\nabcdefg"), weights=weights)
    loaded = load_model(tmp_path / "model.safetensors").model

    assert isinstance(loaded, RecurrentModel)
    assert loaded.format_version == model.format_version == version
    network = model.to_tensors()[0]["network"]
    assert ("convolution" in network) == ("convolution" in shape)
    assert ("normalization" in network) == (not shape.keys().isdisjoint({"convolution", "normalization"}))
    assert loaded.config == model.config
    ids = np.arange(8)[:, None]
    tolerance = {"float32": 0, "float16": 1e-2, "int8": 0.1}[weights]
    expected, _ = model.score(model.start(1), ids)
    np.testing.assert_allclose(loaded.score(loaded.start(1), ids)[0], expected, atol=tolerance)
