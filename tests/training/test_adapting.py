"""A network that learns from what it reads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lmgen.errors import ConfigError, ModelError
from lmgen.models.adapting import AdaptingConfig
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.settings import from_mapping
from lmgen.training.adapting import AdaptingNetwork
from lmgen.training.network import Network, detached

V, START, END = 7, 0, 6
IDS = np.random.default_rng(1).integers(0, V, 100)


def network(unit_end: int | None = None, **settings: object) -> RecurrentModel:
    config = from_mapping(
        NetworkConfig, {"hidden_size": 8, "embedding_size": 4, "dropout": 0.3, **settings}, "a test"
    )
    return RecurrentModel(config, V, START, initial_parameters(config, V, unknown=None, seed=2), unit_end)


def adapting(**settings: object) -> AdaptingNetwork:
    config = from_mapping(AdaptingConfig, {"every": 8, "rate": 0.05, **settings}, "a test")
    return AdaptingNetwork(network(), config)


def test_without_a_step_it_says_what_the_network_says() -> None:
    model = adapting(every=1000)

    scored, _ = model.score(model.start(1), IDS[:, None])

    expected, _ = model.model.score(model.model.start(1), IDS[:, None])
    assert scored == pytest.approx(expected, abs=1e-5)


def test_clusters_of_rare_tokens_learn_nothing_from_others() -> None:
    config = from_mapping(NetworkConfig, {"hidden_size": 8, "output": "adaptive", "cutoffs": "4,6"}, "a test")
    trained = RecurrentModel(config, 9, START, initial_parameters(config, 9, unknown=None, seed=2), None)
    model = AdaptingNetwork(trained, AdaptingConfig(every=4, rate=0.05))
    frequent = np.array([1, 2, 3, 1, 2, 3, 0, 1])[:, None]

    after = model.adapted(model.advance(model.start(1), frequent))
    mixed = model.adapted(model.advance(model.start(1), np.array([1, 4, 5, 8])[:, None]))

    moved = {name for name, array in after.parameters.items() if (array != trained.parameters[name]).any()}
    assert "output.weight" in moved
    assert not any(name.startswith("output.clusters") for name in moved)
    assert (
        mixed.parameters["output.clusters.1.weight"] != trained.parameters["output.clusters.1.weight"]
    ).any()


@pytest.mark.parametrize("step", ["rms", "plain"])
def test_a_step_is_a_gradient_step_on_the_last_tokens(step: str) -> None:
    model = adapting(step=step, every=8, rate=0.05, decay=0.25)

    after = model.advance(model.start(1), IDS[:8, None])

    torch_network = Network(model.model.config, V, model.model.parameters).eval()
    hidden, state = torch_network.read(torch.tensor([[START]]), torch_network.initial_state(1))
    later, _ = torch_network.read(torch.from_numpy(IDS[:7, None]), detached(state))
    chosen = torch_network.predict(torch.cat([hidden.detach(), later]))
    loss = -chosen[torch.arange(8), 0, torch.from_numpy(IDS[:8])].mean()
    parameters = torch_network.trained_parameters()
    gradients = torch.autograd.grad(loss, parameters)
    norm = torch.cat([each.flatten() for each in gradients]).norm()
    for weights, parameter, gradient in zip(after.learned.weights, parameters, gradients, strict=True):
        scaled = gradient * min(1.0, 1 / norm.item())
        root = scaled.abs() + 1e-8 if step == "rms" else 1.0
        stepped = parameter.detach() - 0.05 * scaled / root
        expected = stepped + 0.25 * (parameter.detach() - stepped)
        clear = scaled.abs() > 1e-5  # of others the sign may be a matter of rounding
        assert clear.any()
        assert torch.allclose(weights[clear], expected[clear], atol=1e-4)


@pytest.mark.parametrize("unit_end", [None, END])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cell": "gru", "layers": 2},
        {"attention": 3},
        {"tied": True},
        {"ngram_embedding": 3, "ngram_rows": 50},
    ],
    ids=str,
)
@pytest.mark.parametrize("step", ["rms", "plain"])
def test_scores_do_not_depend_on_how_a_text_is_cut(
    step: str, unit_end: int | None, settings: dict[str, object]
) -> None:
    model = AdaptingNetwork(network(unit_end, **settings), AdaptingConfig(step=step, every=8, rate=0.02))
    scored, _ = model.score(model.start(1), IDS[:, None])

    state = model.start(1)
    for place, token in enumerate(IDS.tolist()):
        predicted = model.predict(state)
        assert np.exp(predicted).sum() == pytest.approx(1, abs=1e-5)
        assert predicted[0, token] == pytest.approx(scored[place, 0], abs=1e-4)
        state = model.advance(state, np.array([[token]]))


@pytest.mark.parametrize("unit_end", [None, END])
def test_what_is_said_of_all_tokens_at_once_agrees_with_scores(unit_end: int | None) -> None:
    model = AdaptingNetwork(network(unit_end), AdaptingConfig(every=8, rate=0.02))
    scored, after = model.score(model.start(1), IDS[:, None])

    head, state = model.predict_each(model.start(1), IDS[:13, None])
    tail, end = model.predict_each(state, IDS[13:, None])

    said = np.concatenate([head, tail])
    assert np.exp(said).sum(axis=-1) == pytest.approx(np.ones((len(IDS), 1)), abs=1e-5)
    assert said[np.arange(len(IDS)), 0, IDS] == pytest.approx(scored[:, 0], abs=1e-4)
    assert model.predict(end) == pytest.approx(model.predict(after), abs=1e-4)


def test_the_future_of_a_text_changes_no_score_before_it() -> None:
    model = adapting()
    other = IDS.copy()
    other[50:] = (other[50:] + 1) % V

    scored, _ = model.score(model.start(1), IDS[:, None])
    changed, _ = model.score(model.start(1), other[:, None])

    assert (scored[:50] == changed[:50]).all()


def test_an_older_state_still_says_what_it_said() -> None:
    model = adapting()
    state = model.advance(model.start(1), IDS[:20, None])
    before = model.predict(state)

    model.advance(state, IDS[20:60, None])

    assert (model.predict(state) == before).all()


def test_nothing_is_learned_from_tokens_that_are_context_only() -> None:
    model = adapting()
    state = model.advance(model.start(1), IDS[:20, None])

    after = model.follow(state, IDS[20:60, None])

    assert after.learned is state.learned


def test_another_text_begins_with_what_was_learned() -> None:
    model = adapting(every=8)
    state = model.advance(model.start(1), IDS[:20, None])

    again = model.restart(state)

    assert again.learned.steps == 3  # of the four tokens that were waiting, too
    assert len(again.waiting) == 0
    fresh = model.start(1)
    assert (model.predict(again) != model.predict(fresh)).any()
    assert model.restart(fresh).learned is fresh.learned


def test_what_it_has_learned_is_a_network() -> None:
    model = adapting(every=8)
    state = model.advance(model.start(1), IDS[:20, None])

    network = model.adapted(state)

    again = model.restart(state)
    assert network.predict(network.start(1)) == pytest.approx(model.predict(again), abs=1e-5)
    untaught = model.adapted(model.start(1))
    assert all((untaught.parameters[name] == each).all() for name, each in model.model.parameters.items())
    with pytest.raises(ModelError, match="--save-adapted writes the network"):
        model.to_tensors()


def test_it_learns_a_text_that_repeats_itself() -> None:
    model = adapting(rate=0.01)
    ids = np.tile([1, 2, 3, 4, 5, 1, 1, 3], 60)

    scored, _ = model.score(model.start(1), ids[:, None])

    assert -scored[-80:].mean() < 0.7 < 1 < -scored[:80].mean()


def test_the_trained_network_stays_as_it_is() -> None:
    model = adapting()
    before = {name: array.copy() for name, array in model.model.parameters.items()}

    model.advance(model.start(1), IDS[:, None])

    assert all((model.model.parameters[name] == array).all() for name, array in before.items())


@pytest.mark.parametrize("value", [torch.nan, 2000.0])
def test_weights_that_are_too_large_or_not_finite_are_rolled_back(value: float) -> None:
    notes: list[str] = []
    model = AdaptingNetwork(network(), AdaptingConfig(every=8), on_note=notes.append)
    state = model.start(1)
    weights = tuple(torch.full_like(each, value) for each in state.learned.weights)

    after = model.advance(state._replace(learned=state.learned._replace(weights=weights)), IDS[:8, None])
    model.advance(after._replace(learned=after.learned._replace(weights=weights)), IDS[8:16, None])

    assert after.learned is state.learned
    assert notes == [
        "lstm+adapt: steps of rate 0.0003 led to weights that are too large or not finite, so it went back "
        "to the trained ones; give a smaller --adapt-rate"
    ]
    trained = model.model.advance(model.model.start(1), IDS[:8, None])
    assert model.predict(after) == pytest.approx(model.model.predict(trained), abs=1e-5)


def test_steps_that_are_far_too_large_leave_finite_scores() -> None:
    notes: list[str] = []
    model = AdaptingNetwork(network(), AdaptingConfig(every=8, rate=500.0), on_note=notes.append)

    scored, _ = model.score(model.start(1), IDS[:, None])

    assert np.isfinite(scored).all()
    assert len(notes) == 1


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="every"):
        replace(AdaptingConfig(), every=0)
