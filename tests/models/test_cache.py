"""A network with a cache of what it read."""

from dataclasses import replace

import numpy as np
import pytest

from lmgen.arrays import Float64Array
from lmgen.errors import ConfigError, ModelError
from lmgen.evaluation.learning_to_adapt import best_cache
from lmgen.models.adapting import CacheConfig
from lmgen.models.cache import CachedNetwork, NetworkAndCache
from lmgen.models.gated import GatedMixture
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.settings import from_mapping

V, START, END = 7, 0, 6
IDS = np.random.default_rng(1).integers(0, V, 600)
CONFIG = CacheConfig(size=50, sharpness=2.0, share=0.3)


def network(unit_end: int | None = None, **settings: object) -> RecurrentModel:
    config = from_mapping(NetworkConfig, {"hidden_size": 8, "embedding_size": 4, **settings}, "a test")
    return RecurrentModel(config, V, START, initial_parameters(config, V, unknown=None, seed=2), unit_end)


def cached(config: CacheConfig = CONFIG, trained: RecurrentModel | None = None) -> CachedNetwork:
    return CachedNetwork(NetworkAndCache(trained or network(), config))


def test_it_is_the_equation_of_the_paper() -> None:
    model = cached()
    plain = model.as_network()
    scored, _ = model.score(model.start(1), IDS[:120, None])

    state = plain.start(1)
    seen: list[tuple[Float64Array, int]] = []
    for place, token in enumerate(IDS[:120].tolist()):
        hidden = plain.read_by_output(state)[0].astype(np.float64)
        weights = np.zeros(V)
        for before, word in seen[-CONFIG.size :]:
            weights[word] += np.exp(CONFIG.sharpness * hidden @ before)
        expected = np.exp(plain.predict(state)[0, token])
        if seen:
            expected = 0.7 * expected + 0.3 * weights[token] / weights.sum()
        assert scored[place, 0] == pytest.approx(np.log(expected), abs=1e-5)
        seen.append((hidden, token))
        state = plain.advance(state, np.array([[token]]))


@pytest.mark.parametrize("unit_end", [None, END])
@pytest.mark.parametrize(
    "settings",
    [{}, {"cell": "gru", "layers": 2}, {"tied": True}, {"output": "adaptive", "cutoffs": "3"}],
    ids=str,
)
def test_scores_do_not_depend_on_how_a_text_is_cut(unit_end: int | None, settings: dict[str, object]) -> None:
    model = cached(trained=network(unit_end, **settings))
    scored, end = model.score(model.start(1), IDS[:, None])

    state = model.start(1)
    for place, token in enumerate(IDS.tolist()):
        predicted = model.predict(state)
        assert np.exp(predicted).sum() == pytest.approx(1, abs=1e-6)
        assert predicted[0, token] == pytest.approx(scored[place, 0], abs=1e-5)
        state = model.advance(state, np.array([[token]]))
    assert model.predict(state) == pytest.approx(model.predict(end), abs=1e-5)

    head, state = model.score(model.start(1), IDS[:333, None])
    tail, _ = model.score(state, IDS[333:, None])
    assert np.concatenate([head, tail]) == pytest.approx(scored, abs=1e-5)


def test_the_future_of_a_text_changes_no_score_before_it() -> None:
    model = cached()
    other = IDS.copy()
    other[300:] = (other[300:] + 1) % V

    scored, _ = model.score(model.start(1), IDS[:, None])
    changed, _ = model.score(model.start(1), other[:, None])

    assert (scored[:300] == changed[:300]).all()
    assert (scored[301:] != changed[301:]).any()


def test_an_older_state_still_says_what_it_said() -> None:
    model = cached()
    state = model.advance(model.start(1), IDS[:20, None])
    before = model.predict(state)

    model.advance(state, IDS[20:100, None])

    assert (model.predict(state) == before).all()


def test_streams_are_told_apart() -> None:
    model = cached()
    state = model.advance(model.start(2), IDS[:200].reshape(2, 100).T)

    second = model.select(state, [1, 1])
    alone = model.advance(model.start(1), IDS[100:200, None])

    assert model.predict(second)[1] == pytest.approx(model.predict(alone)[0], abs=1e-5)


def test_a_cache_that_holds_nothing_says_what_the_network_says() -> None:
    model = cached()
    plain = model.as_network()

    assert model.predict(model.start(2)) == pytest.approx(plain.predict(plain.start(2)), abs=1e-6)


def test_tokens_that_are_context_only_are_not_cached_and_texts_may_share_a_cache() -> None:
    model = cached()
    state = model.advance(model.start(1), IDS[:20, None])

    assert model.follow(state, IDS[20:60, None]).streams is state.streams
    again = model.restart(state)
    assert again.streams is state.streams
    assert (model.predict(again) != model.predict(model.start(1))).any()


def test_a_word_that_was_just_said_is_likelier() -> None:
    model = cached(replace(CONFIG, share=0.5))
    ids = np.tile([1, 2, 3, 4, 5, 1, 1, 3], 20)[:, None]

    fresh, _ = model.as_network().score(model.as_network().start(1), ids)
    scored, _ = model.score(model.start(1), ids)

    assert scored[-80:].mean() > fresh[-80:].mean() + 0.2


def test_sharpness_and_share_are_those_that_predict_a_text_best() -> None:
    plain = network()
    repeated = np.tile([1, 2, 3, 4, 5, 1, 1, 3], 100)

    def nats(config: CacheConfig) -> float:
        model = CachedNetwork(NetworkAndCache(plain, config))
        return -float(model.score(model.start(1), repeated[:, None])[0].mean())

    best = best_cache(plain, CONFIG, repeated)

    assert best.size == CONFIG.size
    assert nats(best) < nats(CONFIG)
    assert nats(best) <= nats(replace(best, sharpness=best.sharpness * 2)) + 1e-6
    assert nats(best) <= nats(replace(best, share=best.share * 0.9)) + 1e-6
    assert best_cache(plain, CONFIG, repeated, ["cache_sharpness", "cache_share"]) == CONFIG
    assert best_cache(plain, CONFIG, repeated, ["cache_sharpness"]).sharpness == CONFIG.sharpness


def test_a_gate_sees_the_cache_as_an_expert_of_its_own() -> None:
    both = NetworkAndCache(network(), CONFIG)
    model = GatedMixture([both], V, "lstm+cache")
    ids = np.tile([1, 2, 3, 4, 5, 1, 1, 3], 100)[:, None]

    scored, end = model.score(model.start(1), ids)

    state = model.start(1)
    for place, token in enumerate(ids[:50, 0].tolist()):
        predicted = model.predict(state)
        assert np.exp(predicted).sum() == pytest.approx(1, abs=1e-6)
        assert predicted[0, token] == pytest.approx(scored[place, 0], abs=1e-5)
        state = model.advance(state, np.array([[token]]))
    assert scored[-100:].mean() > scored[:100].mean()
    assert model.restart(end).members[0].streams is end.members[0].streams


def test_it_has_no_file_and_describes_its_network() -> None:
    model = cached()

    assert model.describe() == {**model.as_network().describe(), "name": "lstm+cache"}
    with pytest.raises(ModelError, match="has no file"):
        model.to_tensors()


@pytest.mark.parametrize("values", [{"size": 0}, {"sharpness": -1.0}, {"share": 1.0}])
def test_settings_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        CacheConfig(**values)  # type: ignore[arg-type]
