import json

import numpy as np
import pytest

from lmgen.models.gated import LATELY, STRIDE, Gate, GatedMixture, lately_right
from lmgen.models.ngram.growing.contexts import Contexts
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.model import NgramModel
from lmgen.models.opinions import OneExpert

V = 6
IDS = np.random.default_rng(5).choice(V, 700, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])


def mixture() -> GatedMixture:
    fixed = NgramModel.fit(IDS[:200], order=2, vocabulary_size=V)
    return GatedMixture(
        [GrowingCounts(Contexts(4, None), V, IDS[:200]), OneExpert(fixed)], V, "mixture+adapt"
    )


def test_a_step_goes_down_the_gradient_of_the_loss() -> None:
    random = np.random.default_rng(0)
    gate = Gate.new(3, 4)
    signals, probabilities = random.random((50, 3)), random.random((50, 4))
    gate = gate.learned(signals, probabilities)

    def loss(gate: Gate) -> float:
        return float(-np.log((gate.shares(signals) * probabilities).sum(axis=1)).mean())

    gradients = gate.gradients(signals, probabilities)
    for name, array in gate.weights.items():
        place = tuple(size // 2 for size in array.shape)
        moved = []
        for step in (1e-6, -1e-6):
            weights = {**gate.weights, name: array.copy()}
            weights[name][place] += step
            moved.append(loss(Gate(weights, gate.first, gate.second)))
        assert gradients[name][place] == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-7)


def test_it_comes_to_trust_the_expert_that_is_right() -> None:
    gate = Gate.new(0, 2)

    for _ in range(2000):
        gate = gate.learned(np.zeros((STRIDE, 0)), np.tile([0.9, 0.1], (STRIDE, 1)))

    assert gate.shares(np.zeros(0))[0] > 0.9


def test_probabilities_sum_to_one_and_agree_with_scores_however_a_text_is_cut() -> None:
    model = mixture()
    scored, end = model.score(model.start(1), IDS[200:400, None])

    state = model.start(1)
    for place, token in enumerate(IDS[200:400].tolist()):
        predicted = model.predict(state)
        assert np.exp(predicted).sum() == pytest.approx(1, abs=1e-6)
        assert predicted[0, token] == pytest.approx(scored[place, 0], abs=1e-9)
        state = model.advance(state, np.array([[token]]))
    assert model.predict(state) == pytest.approx(model.predict(end), abs=1e-9)

    head, state = model.score(model.start(1), IDS[200:333, None])
    tail, _ = model.score(state, IDS[333:400, None])
    assert np.concatenate([head, tail]) == pytest.approx(scored, abs=1e-9)


def test_the_future_of_a_text_changes_no_score_before_it() -> None:
    model = mixture()
    other = np.concatenate([IDS[200:500], IDS[600:700]])

    scored, _ = model.score(model.start(1), IDS[200:600, None])
    changed, _ = model.score(model.start(1), other[:, None])

    assert (scored[:300] == changed[:300]).all()
    assert (scored[301:] != changed[301:]).any()


def test_nothing_is_learned_from_context_only() -> None:
    model = mixture()
    state = model.advance(model.start(1), IDS[200:300, None])

    after = model.follow(state, IDS[300:400, None])

    assert after.streams is state.streams


def test_streams_are_told_apart() -> None:
    model = mixture()
    state = model.advance(model.start(2), IDS[200:400].reshape(2, 100).T)

    second = model.select(state, [1])
    alone = model.advance(model.start(1), IDS[300:400, None])

    assert model.predict(second) == pytest.approx(model.predict(alone), abs=1e-9)


def test_how_well_experts_predicted_lately_is_a_moving_average() -> None:
    probabilities = np.array([[0.5, 0.1], [0.2, 0.2], [0.1, 0.9]])

    found = lately_right(probabilities, np.zeros(2))

    expected = np.zeros(2)
    for row, before in zip(probabilities, found, strict=False):
        assert before == pytest.approx(expected)
        expected = LATELY * expected + (1 - LATELY) * (np.log(row) - np.log(row).mean())
    assert found[-1] == pytest.approx(expected)
    assert (found[1:] == lately_right(probabilities[1:], found[1])[:]).all()


def test_a_gate_with_more_experts_weighs_those_that_it_has_as_before() -> None:
    random = np.random.default_rng(0)
    gate = Gate.new(3 + 2, 2)
    gate = gate.learned(random.random((50, 5)), random.random((50, 2)))
    signals = random.random(5)

    wider = gate.with_experts(2, bias=1.0)

    shares = wider.shares(np.insert(signals, [3, 3], random.random(2)))
    assert shares[2:] / shares[2:].sum() == pytest.approx(gate.shares(signals))
    assert shares[0] == shares[1]


def test_a_gate_is_kept_as_json() -> None:
    gate = Gate.new(3, 2).learned(np.ones((5, 3)), np.full((5, 2), 0.5))

    again = Gate.from_json(json.loads(json.dumps(gate.to_json())), like=Gate.new(3, 2))

    assert again.steps == 1
    assert all((again.weights[name] == each).all() for name, each in gate.weights.items())
    for damaged in ({}, {**gate.to_json(), "weights": {}}, {**gate.to_json(), "steps": None}):
        with pytest.raises(ValueError, match="gate"):
            Gate.from_json(damaged, like=gate)
    with pytest.raises(ValueError, match="another shape"):
        Gate.from_json(gate.to_json(), like=Gate.new(3, 4))


def test_another_text_begins_with_what_was_learned() -> None:
    model = mixture()
    state = model.advance(model.start(1), IDS[200:400, None])

    again = model.restart(state)

    assert again.streams[0].gate is state.streams[0].gate
    fresh, knowing = (model.score(start, IDS[200:400, None])[0].mean() for start in (model.start(1), again))
    assert knowing > fresh + 0.2  # it has read this text before
