"""Gates: how far to trust each of several experts."""

import json

import numpy as np
import pytest

from lmgen.models.gates import Gate, Heard, LinearGate, LogarithmicGate

N, V, K, F = 40, 5, 3, 4


def heard(gate: Gate, seed: int = 0) -> Heard:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(V), size=(N, K)).swapaxes(1, 2)
    ids, last = random.integers(V, size=(2, N))
    of_all = Heard(probabilities, random.normal(size=(N, F)), ids, last)
    return of_all if gate.needs_all else of_all._replace(probabilities=of_all.right)


def untrained() -> list[Gate]:
    return [LinearGate.new(F, K), LogarithmicGate.over(F, K, V)]


each_kind = pytest.mark.parametrize("gate", untrained(), ids=lambda gate: type(gate).__name__)


@each_kind
def test_a_step_goes_down_the_gradient_of_the_loss(gate: Gate) -> None:
    gate = gate.learned(heard(gate, seed=1))
    said = heard(gate)

    after = gate.learned(said)

    for name, array in gate.weights.items():
        place = tuple(size // 2 for size in array.shape)
        losses = []
        for step in (1e-5, -1e-5):
            moved = {**gate.weights, name: array.copy()}
            moved[name][place] += step
            losses.append(-type(gate)(moved, gate.first, gate.second).score(said).mean())
        gradient = (losses[0] - losses[1]) / 2e-5
        if name == "table":  # of plain gradient descent on the sum
            found = (array - after.weights[name])[place] / 1e-3 / N
        else:
            found = (after.first[name] - 0.9 * gate.first[name])[place] / 0.1
        assert found == pytest.approx(gradient, rel=1e-4, abs=1e-9), name


@each_kind
def test_scores_are_those_of_what_it_predicts(gate: Gate) -> None:
    gate = gate.learned(heard(gate, seed=1))
    of_all = heard(LogarithmicGate.over(F, K, V))

    predicted = gate.predict(of_all.probabilities, of_all.signals, of_all.last)

    assert np.exp(predicted).sum(axis=1) == pytest.approx(np.ones(N))
    assert gate.score(heard(gate)) == pytest.approx(predicted[np.arange(N), of_all.ids])


def test_a_linear_gate_comes_to_trust_the_expert_that_is_right() -> None:
    gate = LinearGate.new(0, 2)
    nothing, ids = np.zeros((32, 0)), np.zeros(32, np.int64)

    for _ in range(2000):
        gate = gate.learned(Heard(np.tile([0.9, 0.1], (32, 1)), nothing, ids, ids))

    assert gate.shares(np.zeros(0))[0] > 0.9


def test_a_logarithmic_gate_begins_with_the_geometric_mean() -> None:
    gate = LogarithmicGate.over(F, K, V)
    said = heard(gate)

    mixed = gate.mixed(said.probabilities, said.signals, said.last).probabilities

    mean = np.exp(np.log(said.probabilities).mean(axis=-1))
    np.testing.assert_allclose(mixed, mean / mean.sum(axis=1, keepdims=True))


def test_a_logarithmic_gate_learns_whom_to_trust_in_which_context() -> None:
    """One expert is right where the signal is up, the other where it is down."""
    random = np.random.default_rng(1)
    gate = LogarithmicGate.over(1, 2, V)
    nats = []
    for _ in range(1000):
        symbols, signals = random.integers(V, size=3), random.choice([-1.0, 1.0], size=(3, 1))
        probabilities = random.dirichlet(np.ones(V), size=(3, 2)).swapaxes(1, 2)
        right = (signals[:, 0] > 0).astype(int)
        probabilities[np.arange(3), :, right] = 0.05
        probabilities[np.arange(3), symbols, right] = 0.8
        said = Heard(probabilities, signals, symbols, np.zeros(3, np.int64))
        nats.append(-gate.score(said).mean())
        gate = gate.learned(said)

    assert nats[0] > 0.5
    assert np.mean(nats[-50:]) < 0.05  # the right one alone: 0.22, but it is right each time


def test_an_expert_without_a_probability_is_no_end() -> None:
    probabilities = np.zeros((1, 4, 2))
    probabilities[0, 0] = 1.0
    gate = LogarithmicGate.over(0, 2, 4)

    for symbol in (3, 0, 3):
        said = Heard(probabilities, np.zeros((1, 0)), np.array([symbol]), np.zeros(1, np.int64))
        mixed = gate.mixed(*said[:2], said.last)
        gate = gate.learned(said, mixed)

        assert np.isfinite(mixed.probabilities).all()
        assert abs(mixed.probabilities.sum() - 1) < 1e-12


def test_a_linear_gate_with_more_experts_weighs_those_that_it_has_as_before() -> None:
    random = np.random.default_rng(0)
    gate = LinearGate.new(3 + 2, 2)
    ids = np.zeros(50, np.int64)
    gate = gate.learned(Heard(random.random((50, 2)), random.random((50, 5)), ids, ids))
    signals = random.random(5)

    wider = gate.with_experts(2, bias=1.0)

    shares = wider.shares(np.insert(signals, [3, 3], random.random(2)))
    assert shares[2:] / shares[2:].sum() == pytest.approx(gate.shares(signals))
    assert shares[0] == shares[1]


@each_kind
def test_a_gate_is_kept_as_json(gate: Gate) -> None:
    learned = gate.learned(heard(gate))

    again = gate.restored(json.loads(json.dumps(learned.to_json())))

    assert again.steps == 1
    assert all((again.weights[name] == each).all() for name, each in learned.weights.items())
    for damaged in ({}, {**learned.to_json(), "weights": {}}, {**learned.to_json(), "steps": None}):
        with pytest.raises(ValueError, match="gate"):
            gate.restored(damaged)
    wider = [LinearGate.new(F, K + 1), LogarithmicGate.over(F, K + 1, V)][gate.needs_all]
    with pytest.raises(ValueError, match="another shape"):
        gate.restored(wider.to_json())
