"""The n-gram embedding: a tiny case by hand, steps against windows, numpy against torch, model files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmgen.errors import ConfigError
from lmgen.models.model_file import load_model, load_tensors, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.embedding import Embedding
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.ngram_embedding import MULTIPLIER, PRIME, NgramEmbedding
from lmgen.tokenizers.characters import CharacterTokenizer

V, E = 7, 3


def layer_of(order: int, rows: int) -> NgramEmbedding:
    return NgramEmbedding(tokens=Embedding(inputs=V, outputs=E), order=order, rows=rows)


def arrays_for(layer: NgramEmbedding, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {each.name: random.normal(size=each.shape).astype(np.float32) for each in layer.parameters}


def nothing_before(layer: NgramEmbedding, streams: int) -> tuple[np.ndarray, ...]:
    return tuple(np.zeros((streams, size), np.float32) for size in layer.state_sizes)


def model_of(**settings: Any) -> RecurrentModel:
    config = NetworkConfig(hidden_size=5, embedding_size=E, **settings)
    random = np.random.default_rng(1)
    drawn = {
        each.name: random.normal(0, 0.4, each.shape).astype(np.float32)
        for each in network_layers(config, V).parameters
    }
    return RecurrentModel(config, V, 0, drawn)


def row_of(ngram: list[int], rows: int) -> int:
    """The row of an n-gram, the oldest token first; 1 + id each, 0 where the text had not begun."""
    key = ngram[-1]
    for before in reversed(ngram[:-1]):
        key = (key * MULTIPLIER + before) % PRIME
    return key % rows


def test_a_vector_is_the_sum_of_those_of_the_token_and_its_ngrams() -> None:
    layer = layer_of(order=3, rows=11)
    arrays = arrays_for(layer)
    given, (after,) = layer.window(arrays, np.array([[4], [2], [6]]), nothing_before(layer, 1))

    tokens, ngrams = arrays["embedding"], arrays["ngram_embedding"]
    for step, (id_, bigram, trigram) in enumerate(
        [(4, [0, 5], [0, 0, 5]), (2, [5, 3], [0, 5, 3]), (6, [3, 7], [5, 3, 7])]
    ):
        expected = tokens[id_] + ngrams[row_of(bigram, 11)] + ngrams[row_of(trigram, 11)]
        np.testing.assert_allclose(given[step, 0], expected, rtol=1e-6)
    assert after.tolist() == [[3, 7]]


def test_the_same_tokens_in_another_order_are_other_ngrams() -> None:
    layer = layer_of(order=2, rows=1 << 20)
    found = {
        int(layer.ngrams(np.array([[a], [b]]), nothing_before(layer, 1))[0][1, 0, 0])
        for a in range(V)
        for b in range(V)
    }

    assert len(found) == V * V


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("order", [2, 5])
def test_a_window_is_its_steps_for_numpy_and_torch(order: int, steps: int) -> None:
    layer = layer_of(order, rows=13)
    arrays = arrays_for(layer)
    ids = np.random.default_rng(2).integers(0, V, (steps, 4))
    state = nothing_before(layer, 4)
    _, state = layer.window(arrays, ids[::-1], state)  # which some came before

    together, after = layer.window(arrays, ids, state)
    one_by_one, now = [], state
    for row in ids:
        values, now = layer.step(arrays, row, now)
        one_by_one.append(values)
    theirs, their_state = layer.window(
        {name: torch.from_numpy(array) for name, array in arrays.items()},
        torch.from_numpy(ids),
        tuple(map(torch.from_numpy, state)),
    )

    np.testing.assert_allclose(together, one_by_one, rtol=1e-6)
    np.testing.assert_allclose(together, theirs, rtol=1e-6)
    assert np.array_equal(after[0], now[0])
    assert np.array_equal(after[0], their_state[0])
    assert after[0].dtype == np.float32


def test_a_new_network_predicts_what_one_without_ngrams_predicts() -> None:
    """Their vectors start at 0."""
    plain = NetworkConfig(hidden_size=5, embedding_size=E)
    config = NetworkConfig(hidden_size=5, embedding_size=E, ngram_embedding=3, ngram_rows=10)
    ids = np.random.default_rng(3).integers(0, V, (20, 2))
    scores = []
    for each in (plain, config):
        model = RecurrentModel(each, V, 0, initial_parameters(each, V, None, 5))
        scores.append(model.score(model.start(2), ids)[0])

    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_what_is_predicted_depends_on_the_ngram_itself() -> None:
    model = model_of(ngram_embedding=3, ngram_rows=500)
    ids = np.array([[1, 5], [2, 2], [3, 3]])  # two trigrams with a bigram in common
    changed = {**model.parameters, "ngram_embedding": np.zeros((500, E), np.float32)}
    before = model.predict(model.advance(model.start(2), ids))
    without = RecurrentModel(model.config, V, 0, changed)

    assert not np.allclose(before, without.predict(without.advance(without.start(2), ids)), atol=1e-3)


def test_a_model_in_use_is_the_same_alone_and_among_others() -> None:
    model = model_of(ngram_embedding=4, ngram_rows=50, layers=2)
    ids = np.random.default_rng(4).integers(0, V, (15, 40))
    together = model.predict(model.advance(model.start(40), ids))
    part = model.select(model.start(40), [17, 3])
    among_others = model.predict(model.advance(part, ids[:, [17, 3]]))

    assert np.array_equal(together[[17, 3]], among_others)
    alone = model.predict(model.advance(model.start(1), ids[:, :1]))
    np.testing.assert_allclose(alone, together[:1], atol=1e-5)


def test_a_text_that_begins_anew_has_no_tokens_before_it() -> None:
    model = model_of(ngram_embedding=4, ngram_rows=50)
    ending = RecurrentModel(model.config, V, 0, model.parameters, unit_end=6)
    read = ending.advance(ending.start(2), np.array([[1, 2], [3, 1], [6, 6]]))

    np.testing.assert_allclose(ending.predict(read), ending.predict(ending.start(2)), atol=1e-6)


def test_it_stands_in_a_file_that_older_versions_refuse(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer("abcde")
    size = tokenizer.vocabulary_size
    config = NetworkConfig(hidden_size=4, embedding_size=3, ngram_embedding=3, ngram_rows=9)
    model = RecurrentModel(config, size, tokenizer.start, initial_parameters(config, size, None, 0))
    file = tmp_path / "model.safetensors"
    save_model(file, model, tokenizer)

    header, tensors = load_tensors(file)
    assert header["format_version"] == 5
    assert tensors["ngram_embedding"].shape == (9, 3)
    loaded = load_model(file).model
    ids = np.array([[1], [2], [1]])
    assert np.array_equal(loaded.score(loaded.start(1), ids)[0], model.score(model.start(1), ids)[0])


def test_its_parameters_are_counted() -> None:
    layers = network_layers(
        NetworkConfig(hidden_size=5, embedding_size=E, ngram_embedding=4, ngram_rows=100), V
    )
    embedding = layers.describe()["subtotals"][0]

    assert (embedding["kind"], embedding["formula"]) == ("n-gram embedding", "nm + Rm")
    assert embedding["parameters"] == V * E + 100 * E


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ngram_embedding": 1}, "ngram_embedding is 1"),
        ({"ngram_embedding": 17}, "ngram_embedding is 17"),
        ({"ngram_embedding": 2, "ngram_rows": 0}, "ngram_rows is 0"),
        ({"ngram_embedding": 2, "embedding_size": 0}, "--ngram-embedding adds to the embedding"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetworkConfig(**settings)
