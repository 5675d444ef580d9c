"""Mixtures: hand-worked numbers, and what every LanguageModel promises."""

from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import ModelError
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel, fit_weights, mix
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.fakes import CountingModel, random_bigram_model, uniform_model

V = 6
MODEL = MixtureModel([random_bigram_model(V, 1), random_bigram_model(V, 2)], [0.25, 0.75])


def test_a_mixture_is_the_weighted_mean_of_probabilities() -> None:
    mixed = mix(np.log([[0.5, 0.1], [0.2, 0.2]]), [0.25, 0.75])

    assert np.exp(mixed) == pytest.approx([0.25 * 0.5 + 0.75 * 0.1, 0.2])


def test_what_is_nearly_impossible_does_not_underflow() -> None:
    assert mix(np.array([[-2000.0, -3000.0]]), [0.5, 0.5])[0] == pytest.approx(-2000 + log(0.5))


def test_predictions_are_distributions() -> None:
    predicted = MODEL.predict(MODEL.advance(MODEL.start(3), np.array([[1, 2, 3]])))

    assert np.exp(predicted).sum(axis=1) == pytest.approx([1, 1, 1])


def test_scoring_is_predicting_step_by_step() -> None:
    ids = np.random.default_rng(0).integers(0, V, (5, 2))
    scored, after = MODEL.score(MODEL.start(2), ids)

    state = MODEL.start(2)
    for step, tokens in enumerate(ids):
        np.testing.assert_allclose(scored[step], MODEL.predict(state)[[0, 1], tokens])
        state = MODEL.advance(state, tokens[None])
    np.testing.assert_allclose(MODEL.predict(after), MODEL.predict(state))
    np.testing.assert_allclose(MODEL.predict(MODEL.select(after, [1, 1])), MODEL.predict(after)[[1, 1]])


def test_all_weight_on_one_model_is_that_model() -> None:
    alone = MixtureModel(MODEL.models, [1, 0])

    np.testing.assert_allclose(alone.predict(alone.start(1)), MODEL.models[0].predict(np.array([0])))


def test_em_finds_the_weights_that_a_text_was_drawn_with() -> None:
    """Tokens drawn from two coins, three out of ten from the first."""
    random = np.random.default_rng(0)
    first = np.log([0.9, 0.1])
    second = np.log([0.2, 0.8])
    coins = random.random(200_000) < 0.3
    tokens = np.where(coins, random.random(200_000) < 0.1, random.random(200_000) < 0.8).astype(int)

    assert fit_weights(np.stack([first[tokens], second[tokens]], 1))[0] == pytest.approx(0.3, abs=0.01)


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_no_other_weight_is_better_than_em_s(seed: int, tokens: int) -> None:
    """Up to a ten-thousandth of a nat a token: EM slows down where one model alone is hardly better."""
    each = np.random.default_rng(seed).normal(-3, 1, (tokens, 2))
    fitted = mix(each, fit_weights(each)).sum()

    for weight in np.linspace(0, 1, 21):
        with np.errstate(divide="ignore"):
            assert mix(each, [weight, 1 - weight]).sum() <= fitted + 1e-4 * tokens


def test_a_mixture_is_never_worse_than_its_best_model_where_it_was_fitted() -> None:
    each = np.random.default_rng(3).normal(-3, 1, (400, 3))

    assert mix(each, fit_weights(each)).mean() >= each.mean(axis=0).max()


def test_equal_models_share_equally() -> None:
    each = np.full((7, 2), log(0.5))

    assert fit_weights(each) == (0.5, 0.5)
    assert exp(mix(each, fit_weights(each))[0]) == pytest.approx(0.5)


def test_models_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ModelError, match="different vocabularies cannot be mixed: uniform 3, uniform 4 ids"):
        MixtureModel([uniform_model(3), uniform_model(4)], [0.5, 0.5])
    with pytest.raises(ModelError, match="are not one a model"):
        MixtureModel(MODEL.models, [0.5, 0.6])


def saved_mixture() -> MixtureModel:
    """A network, an n-gram model, and a mixture of two n-gram models, over the ids of TOKENIZER."""
    config = NetworkConfig(cell="gru", hidden_size=4, embedding_size=3)
    network = RecurrentModel(config, V, 1, initial_parameters(config, V, 0, seed=1))
    ids = np.random.default_rng(0).integers(0, V, 200)
    trigrams, bigrams = (NgramModel.fit(ids, order=order, vocabulary_size=V) for order in (3, 2))
    return MixtureModel([network, trigrams, MixtureModel([bigrams, trigrams], [0.1, 0.9])], [0.2, 0.3, 0.5])


TOKENIZER = CharacterTokenizer("\nabcd")


@pytest.mark.parametrize(("weights", "tolerance"), [("float32", 0), ("int8", 0.01)])
def test_a_mixture_is_saved_as_one_file_with_its_models_inside(
    weights: str, tolerance: float, tmp_path: Path
) -> None:
    mixture = saved_mixture()
    save_model(tmp_path / "mixture.safetensors", mixture, TOKENIZER, {"steps": 3}, weights)
    saved = load_model(tmp_path / "mixture.safetensors")
    ids = np.array([[1, 2], [3, 1], [0, 5]])

    assert (saved.training, saved.weights, saved.model.kind) == ({"steps": 3}, weights, "mixture")
    assert saved.model.describe() == mixture.describe()
    before, _ = mixture.score(mixture.start(2), ids)
    after, _ = saved.model.score(saved.model.start(2), ids)
    np.testing.assert_allclose(after, before, atol=tolerance, rtol=0)


def test_a_mixture_describes_its_models() -> None:
    described = saved_mixture().describe()

    assert [each["name"] for each in described["models"]] == ["gru", "ngram-3", "mixture"]
    assert [each["weight"] for each in described["models"]] == [0.2, 0.3, 0.5]
    assert described["parameters"] == sum(each["parameters"] for each in described["models"])


def rebuilt(kind: str, config: object, tensors: object) -> LanguageModel:
    """A model that is not looked at."""
    assert kind == "ngram"
    return uniform_model(3)


MEMBER = {"kind": "ngram", "weight": 0.5, "config": {}}


@pytest.mark.parametrize(
    ("config", "names", "message"),
    [
        ({}, [], "lacks models, a list"),
        ({"models": []}, [], "lacks models, a list"),
        ({"models": [MEMBER, {**MEMBER, "weight": True}]}, [], "model 1 lacks kind, weight or config"),
        ({"models": [MEMBER, {**MEMBER, "weight": float("nan")}]}, [], "are not one a model"),
        ({"models": [MEMBER]}, [], "are not one a model"),
        ({"models": [MEMBER, MEMBER]}, ["models.2.x"], "its tensor models.2.x belongs to no model"),
        ({"models": [MEMBER, MEMBER]}, ["bias"], "its tensor bias belongs to no model"),
    ],
)
def test_a_damaged_mixture_is_refused(config: dict[str, object], names: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        MixtureModel.from_tensors(config, {name: np.zeros(1) for name in names}, rebuilt)


def test_a_mixture_with_a_model_that_adapts_reads_in_order() -> None:
    assert not MODEL.reads_in_order
    assert MixtureModel([uniform_model(3), CountingModel(3)], [0.5, 0.5]).reads_in_order
