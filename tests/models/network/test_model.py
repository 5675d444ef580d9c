"""The numpy model: shapes, parameter counts, and what every LanguageModel promises."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lmgen.errors import ConfigError, ModelError
from lmgen.models.network import model as recurrent
from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.tiles import joined

V = 11


def random_model(seed: int = 0, unit_end: int | None = None, **settings: object) -> RecurrentModel:
    """A network with random weights everywhere, biases too, large enough that no part is idle."""
    config = NetworkConfig(**{"hidden_size": 7, "embedding_size": 5, **settings})  # type: ignore[arg-type]
    random = np.random.default_rng(seed)
    parameters = {
        shape.name: random.normal(0, 0.6, shape.shape).astype(np.float32)
        for shape in network_layers(config, V).parameters
    }
    return RecurrentModel(config, V, 0, parameters, unit_end)


MODELS: list[dict[str, object]] = [
    *({"cell": cell, "layers": 2} for cell in CELLS),
    {"tied": True, "layers": 2},
    {"last_hidden_size": 4, "layers": 3},
    {"residual": True, "layers": 3},
    {"embedding_size": 0},
    {"dense_layers": 2, "dense_size": 6, "dense_activation": "elu"},
    {"convolution": "3x6,2x4", "layers": 2},
    {"convolution": "4x6", "embedding_size": 0},
    {"convolution": "3x6", "layers": 0},
    {"layers": 0, "dense_layers": 1},
    {"attention": 4, "layers": 2, "dense_layers": 1},
    {"normalization": "layer", "layers": 3, "residual": True},
]


@pytest.fixture(params=MODELS, ids=str)
def model(request: pytest.FixtureRequest) -> RecurrentModel:
    return random_model(**request.param)


def ids(steps: int, streams: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, (steps, streams))


def test_predictions_are_distributions(model: RecurrentModel) -> None:
    predicted = model.predict(model.advance(model.start(3), ids(4, 3)))

    assert predicted.shape == (3, V)
    np.testing.assert_allclose(np.exp(predicted).sum(axis=1), 1, rtol=1e-5)


def test_scoring_is_predicting_and_advancing_step_by_step(model: RecurrentModel) -> None:
    block = ids(6, 3)
    scored, after = model.score(model.start(3), block)

    state = model.start(3)
    for step, tokens in enumerate(block):
        predicted = model.predict(state)[np.arange(3), tokens]
        np.testing.assert_allclose(scored[step], predicted, atol=1e-5, rtol=1e-5)
        state = model.advance(state, tokens[None])
    np.testing.assert_allclose(model.predict(after), model.predict(state), atol=1e-5, rtol=1e-5)


def test_scores_do_not_depend_on_where_blocks_are_cut(model: RecurrentModel) -> None:
    block = ids(9, 2)
    whole, _ = model.score(model.start(2), block)

    state, parts = model.start(2), []
    for piece in np.split(block, [1, 5]):
        part, state = model.score(state, piece)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5, rtol=1e-5)


def test_a_stream_does_not_depend_on_those_beside_it(model: RecurrentModel) -> None:
    block = ids(8, 5)
    together, _ = model.score(model.start(5), block)
    alone, _ = model.score(model.start(1), block[:, 2:3])

    np.testing.assert_allclose(together[:, 2:3], alone, atol=1e-5, rtol=1e-5)


def test_select_repeats_drops_and_reorders_streams(model: RecurrentModel) -> None:
    state = model.advance(model.start(3), ids(2, 3))
    selected = model.predict(model.select(state, [2, 0, 2]))

    np.testing.assert_array_equal(selected, model.predict(state)[[2, 0, 2]])


def test_a_state_is_not_changed_by_its_use(model: RecurrentModel) -> None:
    state = model.start(2)
    before = model.predict(state).copy()
    model.score(state, ids(3, 2))

    np.testing.assert_array_equal(model.predict(state), before)


def test_tensors_make_the_same_model_again(model: RecurrentModel) -> None:
    again = RecurrentModel.from_tensors(*model.to_tensors())

    np.testing.assert_array_equal(again.predict(again.start(1)), model.predict(model.start(1)))


@pytest.mark.parametrize(
    ("cell", "count"),
    [
        # Of an LSTM with n units and m inputs: 4 (n m + n n + n).
        ("lstm", 4 * (7 * 5 + 7 * 7 + 7)),
        # Of a GRU 3 (n m + n n + n), and n for the bias inside the reset gate's product.
        ("gru", 3 * (7 * 5 + 7 * 7 + 7) + 7),
        ("rnn", 7 * 5 + 7 * 7 + 7),
    ],
)
def test_parameters_of_a_layer_count_as_the_textbooks_say(cell: str, count: int) -> None:
    config = NetworkConfig(cell=cell, hidden_size=7, embedding_size=5)
    shapes = network_layers(config, V).parameters

    assert sum(shape.count for shape in shapes if shape.name.startswith("layers.")) == count
    assert sum(shape.count for shape in shapes) == V * 5 + count + V * 7 + V


def test_tied_weights_are_counted_once() -> None:
    shapes = network_layers(NetworkConfig(tied=True, hidden_size=7), V).parameters

    assert [shape.name for shape in shapes if "output" in shape.name] == ["output.bias"]
    assert shapes[0].shape == (V, 7)


def test_tying_other_sizes_takes_a_projection() -> None:
    shapes = network_layers(NetworkConfig(tied=True, hidden_size=7, embedding_size=5), V).parameters

    found = [(shape.name, shape.shape, shape.formula) for shape in shapes if "output" in shape.name]
    assert found == [("output.projection", (5, 7), "n E"), ("output.bias", (V,), "m")]


def test_a_last_layer_of_its_own_size_needs_no_projection_where_it_is_as_wide_as_the_embedding() -> None:
    config = NetworkConfig(layers=3, tied=True, hidden_size=7, embedding_size=5, last_hidden_size=5)
    found = {shape.name: (shape.shape, shape.formula) for shape in network_layers(config, V).parameters}

    assert found["layers.1.weight_input"] == ((28, 7), "4 n m")
    assert found["layers.2.weight_input"] == ((20, 7), "4 n m")
    assert found["layers.2.weight_recurrent"] == ((20, 5), "4 m²")
    assert "output.projection" not in found
    assert NetworkConfig(tied=True, hidden_size=7, last_hidden_size=5, layers=2).embedding_width == 5


def test_the_published_awd_lstm_has_the_published_number_of_weights() -> None:
    """24 million for Penn Treebank's 10,000 words: Merity, Keskar and Socher 2017, table 1."""
    config = NetworkConfig(layers=3, hidden_size=1150, last_hidden_size=400, embedding_size=400, tied=True)

    assert sum(shape.count for shape in network_layers(config, 10_000).parameters) == pytest.approx(
        24e6, rel=0.01
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.pop("layers.0.bias"), "layers.0.bias are missing"),
        (lambda p: p.update(extra=np.zeros(1, np.float32)), "extra belong to no layer"),
        (lambda p: p.update({"output.bias": np.zeros(3, np.float32)}), r"has to be float32 \(11,\)"),
        (lambda p: p.update({"output.bias": np.zeros(V)}), "is float64"),
        (lambda p: p["embedding"].__setitem__((0, 0), np.nan), "embedding holds values that are not finite"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(damage: object, message: str) -> None:
    model = random_model()
    parameters = {name: array.copy() for name, array in model.parameters.items()}
    damage(parameters)  # type: ignore[operator]

    with pytest.raises(ModelError, match=message):
        RecurrentModel(model.config, V, 0, parameters)


class TestInitialization:
    def test_recurrent_weights_are_orthogonal_gate_by_gate(self) -> None:
        drawn = initial_parameters(NetworkConfig(hidden_size=8), V, None, seed=3)
        for block in np.split(drawn["layers.0.weight_recurrent"], 4):
            np.testing.assert_allclose(block @ block.T, np.eye(8), atol=1e-6)

    def test_only_the_forget_gate_has_a_bias(self) -> None:
        drawn = initial_parameters(NetworkConfig(hidden_size=2), V, None, seed=3)

        assert drawn["layers.0.bias"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]

    def test_the_unknown_token_starts_from_zero(self) -> None:
        drawn = initial_parameters(NetworkConfig(), V, 0, seed=3)

        assert not drawn["embedding"][0].any()
        assert drawn["embedding"][1].any()

    def test_the_same_seed_draws_the_same_weights(self) -> None:
        first, second, other = (initial_parameters(NetworkConfig(), V, 0, seed) for seed in (1, 1, 2))

        assert all(np.array_equal(first[name], second[name]) for name in first)
        assert not np.array_equal(first["embedding"], other["embedding"])


SIDE_BY_SIDE: list[dict[str, object]] = [
    {"cell": "lstm", "layers": 2},
    {"convolution": "3x33"},
    {"convolution": "3x64,5x40", "layers": 0, "dense_layers": 1},
    {"attention": 3},
    {"attention": 40, "cell": "gru"},
    {"normalization": "layer", "layers": 2},
]


@pytest.mark.parametrize("shape", SIDE_BY_SIDE, ids=str)
@pytest.mark.parametrize("streams", [1, 2, 15, 16, 17, 40])
def test_what_a_stream_says_is_bit_for_bit_the_same_whichever_others_run_beside_it(
    streams: int, shape: dict[str, object]
) -> None:
    model = random_model(**{"hidden_size": 64, **shape})  # type: ignore[arg-type]
    block = ids(5, 40)
    everyone = model.advance(model.start(40), block)
    chosen = list(np.random.default_rng(streams).permutation(40)[:streams])
    some = model.advance(model.select(model.start(40), chosen), block[:, chosen])

    np.testing.assert_array_equal(model.predict(some), model.predict(everyone)[chosen])
    np.testing.assert_array_equal(
        model.predict(model.select(everyone, chosen)), model.predict(everyone)[chosen]
    )


def test_one_stream_alone_agrees_with_many() -> None:
    model = random_model(cell="gru", layers=2)
    block = ids(20, 3)
    together = model.predict(model.advance(model.start(3), block))
    alone = model.predict(model.advance(model.start(1), block[:, :1]))

    np.testing.assert_allclose(alone, together[:1], atol=1e-5)


def test_a_vocabulary_too_large_to_project_in_advance_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    block = ids(6, 3)
    usual = random_model(cell="lstm", layers=2).score(random_model(cell="lstm", layers=2).start(3), block)[0]
    monkeypatch.setattr(recurrent, "PROJECTED_FLOATS", 10)
    model = random_model(cell="lstm", layers=2)

    np.testing.assert_allclose(model.score(model.start(3), block)[0], usual, atol=1e-5, rtol=1e-5)


def test_threads_may_share_a_model() -> None:
    model = random_model(cell="lstm", layers=2, hidden_size=64)
    streams = [ids(300, 1, seed) for seed in range(4)]

    def last(block: np.ndarray) -> np.ndarray:
        return model.predict(model.advance(model.start(1), block))

    alone = [last(block) for block in streams]
    with ThreadPoolExecutor(4) as pool:
        for expected, found in zip(alone, pool.map(last, streams), strict=True):
            np.testing.assert_array_equal(found, expected)


class TestReading:
    """What a network in use shows of its inside."""

    @pytest.mark.parametrize("cell", CELLS)
    def test_states_and_gates_are_those_of_the_equations(self, cell: str) -> None:
        model = random_model(cell=cell, layers=2)
        tokens = ids(5, 3)
        readings, after = model.read(tokens, model.start(3))

        state = model.start(3)
        for step, row in enumerate(tokens):
            state = model.advance(state, row[None])
            for reading, layer in zip(readings, joined(state), strict=False):
                for seen, part in zip(reading.states.values(), layer, strict=True):
                    np.testing.assert_allclose(seen[step].T, part, atol=1e-5)
        np.testing.assert_allclose(model.predict(after), model.predict(state), rtol=1e-5, atol=1e-5)
        assert [reading.layer for reading in readings] == ["layers.0", "layers.1"]
        assert tuple(readings[0].states) == CELLS[cell].states

    def test_an_lstms_gates_explain_its_cell_state(self) -> None:
        """C' = f c + i g and h = o tanh(c'), at every step."""
        model = random_model()
        [reading], _ = model.read(ids(6, 2), model.start(2))
        gates, c = reading.gates, reading.states["c"]

        assert set(gates) == {"input", "forget", "candidate", "output"}
        expected = gates["forget"][1:] * c[:-1] + gates["input"][1:] * gates["candidate"][1:]
        np.testing.assert_allclose(c[1:], expected, atol=1e-5)
        np.testing.assert_allclose(reading.states["h"], gates["output"] * np.tanh(c), atol=1e-5)

    def test_layers_without_a_state_are_passed_through(self) -> None:
        model = random_model(dense_layers=1, residual=True, layers=2)
        readings, after = model.read(ids(4, 1), model.start(1))
        expected = model.advance(model.start(1), ids(4, 1))

        assert len(readings) == 2
        np.testing.assert_allclose(model.predict(after), model.predict(expected), atol=1e-5)

    @pytest.mark.parametrize("shape", [{"attention": 3}, {"convolution": "3x5"}], ids=str)
    def test_layers_that_remember_tokens_go_on_as_in_use(self, shape: dict[str, object]) -> None:
        """Also where the start, or the end of a unit, lies within what they look back at."""
        model = random_model(unit_end=1, **shape)  # type: ignore[arg-type]
        tokens = np.array([[2, 3], [1, 4], [5, 2], [6, 1], [3, 3]])
        state = model.advance(model.start(2), tokens[:1])
        _, after = model.read(tokens[1:3], state)
        _, after = model.read(tokens[3:], after)
        expected = model.advance(model.start(2), tokens)

        scores, _ = model.score(after, tokens)
        np.testing.assert_allclose(scores, model.score(expected, tokens)[0], atol=1e-5)

    def test_nothing_is_read_of_no_tokens(self) -> None:
        model = random_model()
        readings, after = model.read(ids(0, 2), model.start(2))

        assert readings[0].states["h"].shape == (0, 2, 7)
        np.testing.assert_array_equal(model.predict(after), model.predict(model.start(2)))


def test_a_one_hot_input_is_an_embedding_whose_table_is_the_identity() -> None:
    one_hot = random_model(embedding_size=0)
    parameters = {**one_hot.parameters, "embedding": np.eye(V, dtype=np.float32)}
    table = RecurrentModel(NetworkConfig(hidden_size=7, embedding_size=V), V, 0, parameters)
    block = ids(6, 3)

    np.testing.assert_allclose(
        one_hot.score(one_hot.start(3), block)[0], table.score(table.start(3), block)[0], atol=1e-6
    )


def test_a_one_hot_input_of_many_tokens_takes_little_time_and_memory() -> None:
    """No one-hot vectors, and the first layer's weights are arranged once: no product of V x V x G*H."""
    size = 8_000
    weights = initial_parameters(NetworkConfig(embedding_size=0, hidden_size=16), size, None, seed=3)
    model = RecurrentModel(NetworkConfig(embedding_size=0, hidden_size=16), size, 0, weights)

    tracemalloc.start()
    model.start(3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5 * weights["layers.0.weight_input"].nbytes


def test_the_weights_of_an_unknown_one_hot_token_start_from_zero() -> None:
    drawn = initial_parameters(NetworkConfig(embedding_size=0), V, 2, seed=3)

    assert "embedding" not in drawn
    assert not drawn["layers.0.weight_input"][:, 2].any()
    assert drawn["layers.0.weight_input"][:, 1].any()


def test_parameters_are_listed_layer_by_layer_and_add_up() -> None:
    model = random_model(
        layers=2, dense_layers=1, dense_size=3, convolution="3x4,2x5", attention=3, normalization="layer"
    )
    described = model.layers.describe()
    names = [layer["name"] for layer in described["subtotals"]]

    convolutions = ["convolution.0", "convolution.1"]
    recurrent = ["layers.0", "normalization.0", "layers.1", "normalization.1"]
    assert names == ["embedding", *convolutions, *recurrent, "attention", "dense.0", "output"]
    assert [described["subtotals"][place]["formula"] for place in (1, 2)] == ["3nm + m", "2nm + m"]
    for layer in described["subtotals"]:
        own = [array["parameters"] for array in described["layers"] if array["layer"] == layer["name"]]
        assert sum(own) == layer["parameters"]
    assert sum(layer["parameters"] for layer in described["subtotals"]) == described["parameters"]
    for array in described["layers"]:
        assert np.prod([int(number) for number in array["numbers"].split(" x ")]) == array["parameters"]
        assert np.prod(array["shape"]) == array["parameters"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"tied": True, "embedding_size": 0}, "--embedding-size 0 has none"),
        ({"dense_size": 3}, "add --dense-layers 1"),
        ({"dense_layers": 1, "dense_activation": "swish"}, "dense_activation is 'swish'"),
        ({"convolution": "3x5", "convolution_activation": "swish"}, "convolution_activation is 'swish'"),
        *(
            ({"convolution": c}, "has to be WIDTHxFILTERS")
            for c in ("", "3", "3x", "x5", "0x5", "3x5,", "3x-5")
        ),
        ({"convolution": "99999x5"}, "widths up to 1,000"),
        ({"attention": 0}, "attention is 0"),
        ({"attention": 1001}, "attention is 1001"),
        ({"attention": 3, "layers": 0, "dense_layers": 1}, "attention looks back"),
        ({"normalization": "layer", "layers": 0, "dense_layers": 1}, "is of recurrent layers"),
        ({"normalization": "weight"}, "normalization is 'weight'"),
        ({"normalization": "batch", "layers": 0, "dense_layers": 1}, "is of recurrent layers"),
        ({"normalization": "batch", "cell": "lstm-layernorm"}, "normalises its input products itself"),
        ({"normalization": "batch", "cell": "lstm-coupled-rmsnorm"}, "take another --cell"),
        ({"layers": 0}, "add --convolution 5x256 or --dense-layers 1"),
        ({"layers": 0, "dense_layers": 1, "weight_drop": 0.5}, "are for recurrent layers"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        NetworkConfig(**settings)  # type: ignore[arg-type]
