"""The adaptive output: a distribution over all tokens, the same whoever computes it, all or a part of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import ConfigError, ModelError
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.functions import Array
from lmgen.models.network.layer import Arrays, arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.words import WordTokenizer

V, H = 40, 64


def random_parameters(config: NetworkConfig, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        shape.name: random.normal(0, 0.4, shape.shape).astype(np.float32)
        for shape in network_layers(config, V).parameters
    }


def adaptive(cutoffs: str | None = "6,20", **settings: object) -> NetworkConfig:
    sizes = {"hidden_size": H, "embedding_size": 5, **settings}
    return NetworkConfig(output="adaptive", cutoffs=cutoffs, **sizes)  # type: ignore[arg-type]


def log_probabilities(config: NetworkConfig, parameters: Arrays, hidden: Array) -> Array:
    layer = network_layers(config, V).output
    return layer.log_probabilities(arrays_of(layer, parameters), hidden)


def log_probabilities_of(
    config: NetworkConfig, parameters: Arrays, hidden: Array, ids: Array, size: int = V
) -> Array:
    layer = network_layers(config, size).output
    return layer.log_probabilities_of(arrays_of(layer, parameters), hidden, ids)


def random_model(seed: int = 0, **settings: object) -> RecurrentModel:
    config = adaptive(**settings)  # type: ignore[arg-type]
    return RecurrentModel(config, V, 0, random_parameters(config, seed))


def random_hidden(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(*shape, H)).astype(np.float32)


@given(st.sets(st.integers(1, V - 1), min_size=1, max_size=5))
def test_probabilities_sum_to_one_wherever_the_cutoffs_are(cutoffs: set[int]) -> None:
    config = adaptive(",".join(map(str, sorted(cutoffs))))
    predicted = log_probabilities(config, random_parameters(config), random_hidden(3, 2))

    assert predicted.shape == (3, 2, V)
    np.testing.assert_allclose(np.exp(predicted).sum(axis=-1), 1, rtol=1e-5)


def test_it_is_the_adaptive_softmax_of_torch() -> None:
    """`torch.nn.AdaptiveLogSoftmaxWithLoss` with the same weights, whose projections are H/2 and H/4 long."""
    config = adaptive("6,20")
    parameters = random_parameters(config)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(H, V, [6, 20], div_value=2.0, head_bias=True)
    names = {
        "head.weight": "output.weight",
        "head.bias": "output.bias",
        "tail.0.0.weight": "output.clusters.0.projection",
        "tail.0.1.weight": "output.clusters.0.weight",
        "tail.1.0.weight": "output.clusters.1.projection",
        "tail.1.1.weight": "output.clusters.1.weight",
    }
    theirs.load_state_dict({theirs: torch.from_numpy(parameters[ours]) for theirs, ours in names.items()})
    hidden = random_hidden(7)

    ours = log_probabilities(config, parameters, hidden)
    with torch.no_grad():
        np.testing.assert_allclose(ours, theirs.log_prob(torch.from_numpy(hidden)), atol=1e-5)


@pytest.mark.parametrize("clusters", [(), (6, 20), (1,), (V - 1,)])
@pytest.mark.parametrize("ids", [range(V), range(6), [39, 0, 39], [19, 20, 5, 6]])
def test_the_probability_of_one_token_is_that_among_all(clusters: tuple[int, ...], ids: range) -> None:
    """In numpy and torch, for tokens of all clusters, and where there are none of some."""
    config = adaptive(",".join(map(str, clusters))) if clusters else NetworkConfig(hidden_size=H)
    parameters = random_parameters(config)
    wanted, hidden = np.array(ids), random_hidden(len(ids))
    every = log_probabilities(config, parameters, hidden)
    tensors = {name: torch.from_numpy(array) for name, array in parameters.items()}
    read = torch.from_numpy(hidden)

    expected = every[np.arange(len(wanted)), wanted]
    one = log_probabilities_of(config, parameters, hidden, wanted)
    np.testing.assert_allclose(one, expected, atol=1e-5)
    np.testing.assert_allclose(log_probabilities(config, tensors, read), every, atol=1e-5)
    one = log_probabilities_of(config, tensors, read, torch.from_numpy(wanted))
    np.testing.assert_allclose(one, expected, atol=1e-5)


def test_gradients_are_right() -> None:
    """Of every array and the hidden states, against finite differences in float64."""
    config = NetworkConfig(output="adaptive", cutoffs="3,7", hidden_size=4, embedding_size=2)
    random = np.random.default_rng(0)
    shapes = [shape for shape in network_layers(config, 11).parameters if shape.name.startswith("output")]
    arrays = [torch.from_numpy(random.normal(size=shape.shape)).requires_grad_() for shape in shapes]
    hidden = torch.from_numpy(random.normal(size=(6, 4))).requires_grad_()
    ids = torch.tensor([0, 2, 3, 6, 7, 10])

    def chosen(hidden: torch.Tensor, *arrays: torch.Tensor) -> torch.Tensor:
        named = {shape.name: array for shape, array in zip(shapes, arrays, strict=True)}
        return log_probabilities_of(config, named, hidden, ids, size=11)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(chosen, (hidden, *arrays))


def test_scoring_a_model_is_predicting_step_by_step() -> None:
    model = random_model(layers=2)
    block = np.random.default_rng(2).integers(0, V, (9, 3))
    scored, after = model.score(model.start(3), block)

    state = model.start(3)
    for step, row in enumerate(block):
        predicted = model.predict(state)
        np.testing.assert_allclose(np.exp(predicted).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(scored[step], predicted[np.arange(3), row], atol=1e-5)
        state = model.advance(state, row[None])
    np.testing.assert_allclose(model.predict(after), model.predict(state), atol=1e-5)


@pytest.mark.parametrize("streams", [1, 2, 15, 17])
def test_what_a_stream_says_does_not_depend_on_those_beside_it(streams: int) -> None:
    model = random_model()
    everyone = model.advance(model.start(40), np.random.default_rng(3).integers(0, V, (5, 40)))
    chosen = list(np.random.default_rng(streams).permutation(40)[:streams])

    np.testing.assert_array_equal(
        model.predict(model.select(everyone, chosen)), model.predict(everyone)[chosen]
    )


@pytest.mark.parametrize(
    ("vocabulary_size", "starts"),
    [
        (250_000, (1302, 5208, 20833, 83333)),
        (33_278, (693, 2773, 11092)),
        (10_000, (833, 3333)),
        (5_000, (1666,)),
        (2, (1,)),
    ],
)
def test_clusters_follow_from_the_vocabulary(vocabulary_size: int, starts: tuple[int, ...]) -> None:
    assert adaptive(None).cluster_starts(vocabulary_size) == starts
    assert NetworkConfig().cluster_starts(vocabulary_size) == ()


def test_parameters_are_far_fewer_than_those_of_a_softmax() -> None:
    shapes = {
        shape.name: shape for shape in network_layers(adaptive("100,400", hidden_size=256), 1000).parameters
    }

    assert shapes["output.weight"].shape == (102, 256)
    assert shapes["output.bias"].shape == (102,)
    assert shapes["output.clusters.0.projection"].shape == (128, 256)
    assert shapes["output.clusters.0.weight"].shape == (300, 128)
    assert shapes["output.clusters.1.projection"].shape == (64, 256)
    assert shapes["output.clusters.1.weight"].shape == (600, 64)
    assert shapes["output.weight"].formula == "n (C0 + 2)"
    assert shapes["output.clusters.0.weight"].formula == "D0 (C1 - C0)"
    assert shapes["output.clusters.1.weight"].formula == "D1 (m - C1)"


def test_clusters_keep_sixteen_numbers_where_there_are_so_many() -> None:
    widths = [adaptive(hidden_size=size).cluster_width(index) for size in (64, 8) for index in range(4)]

    assert widths == [32, 16, 16, 16, 8, 8, 8, 8]


def test_clusters_read_a_last_layer_of_its_own_size() -> None:
    config = adaptive("100,400", layers=2, hidden_size=256, last_hidden_size=64)
    shapes = {shape.name: shape for shape in network_layers(config, 1000).parameters}

    assert shapes["output.weight"].shape == (102, 64)
    assert shapes["output.weight"].formula == "n (C0 + 2)"
    assert shapes["output.clusters.0.projection"].shape == (32, 64)
    assert shapes["output.clusters.0.projection"].formula == "n D0"


@pytest.mark.parametrize("cutoffs", ["", "a", "5,5", "9,3", "0,4", "-2", "1.5", "3;4", "²"])
def test_cutoffs_that_are_not_rising_numbers_are_refused(cutoffs: str) -> None:
    with pytest.raises(ConfigError, match=r"--cutoffs are .*, but have to be rising numbers above 0"):
        adaptive(cutoffs)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="cutoffs 6,40 go beyond the vocabulary of 40 tokens"):
        adaptive("6,40").cluster_starts(V)
    with pytest.raises(ConfigError, match="--cutoffs are for the output adaptive"):
        NetworkConfig(cutoffs="5")
    with pytest.raises(ConfigError, match="--tied is for the output softmax"):
        NetworkConfig(output="adaptive", tied=True)


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
def test_a_model_file_holds_it_in_any_form(weights: str, tmp_path: Path) -> None:
    """The default cutoffs are in the file, so that a later default does not change what it means."""
    words = [f"w{number}" for number in range(V - 2)]
    tokenizer = WordTokenizer.train(lambda: [" ".join(words)], TokenizerConfig(tokenizer="word"))
    model = random_model(cutoffs=None)
    save_model(tmp_path / "m.safetensors", model, tokenizer, weights=weights)
    loaded = load_model(tmp_path / "m.safetensors").model

    assert isinstance(loaded, RecurrentModel)
    assert loaded.config.cutoffs == "13"
    expected, found = (np.exp(each.predict(each.start(2))) for each in (model, loaded))
    np.testing.assert_allclose(found, expected, rtol=0 if weights == "float32" else 0.2, atol=1e-8)


def test_a_damaged_cutoff_is_refused() -> None:
    config, tensors = random_model().to_tensors()
    for cutoffs in ("6,21", "6", "x"):
        config["network"]["cutoffs"] = cutoffs
        with pytest.raises((ModelError, ConfigError)):
            RecurrentModel.from_tensors(config, tensors)
