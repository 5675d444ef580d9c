"""The gate that mixes experts in the logarithms of their probabilities."""

import numpy as np

from lmgen.compression.gate import LogarithmicGate


def opinions_of(random: np.random.Generator) -> np.ndarray:
    """Of 2 experts on 5 symbols, for 3 streams."""
    found: np.ndarray = random.random((3, 5, 2))
    found /= found.sum(axis=1, keepdims=True)
    return found


def test_it_begins_with_the_geometric_mean() -> None:
    random = np.random.default_rng(1)
    opinions = opinions_of(random)

    mixed = LogarithmicGate(4, 2, 5, 3).mix(opinions, random.normal(size=(3, 4)))

    mean = np.exp(np.log(opinions).mean(axis=-1))
    np.testing.assert_allclose(mixed, mean / mean.sum(axis=1, keepdims=True))


def test_it_learns_whom_to_trust_in_which_context() -> None:
    """One expert is right where the signal is up, the other where it is down."""
    random = np.random.default_rng(1)
    gate = LogarithmicGate(1, 2, 5, 3)
    nats = []
    for _ in range(500):
        symbols, signals = random.integers(5, size=3), random.choice([-1.0, 1.0], size=(3, 1))
        opinions = opinions_of(random)
        right = (signals[:, 0] > 0).astype(int)
        opinions[np.arange(3), :, right] = 0.05
        opinions[np.arange(3), symbols, right] = 0.8
        mixed = gate.mix(opinions, signals)
        nats.append(-np.log(mixed[np.arange(3), symbols]).mean())
        gate.learn(symbols)

    assert nats[0] > 0.5
    assert np.mean(nats[-50:]) < 0.05  # the right one alone: 0.22, but it is right each time


def test_an_expert_without_a_probability_is_no_end() -> None:
    opinions = np.zeros((1, 4, 2))
    opinions[0, 0] = 1.0
    gate = LogarithmicGate(0, 2, 4, 1)

    for symbol in (3, 0, 3):
        mixed = gate.mix(opinions, np.zeros((1, 0)))
        gate.learn(np.array([symbol]))

        assert np.isfinite(mixed).all()
        assert abs(mixed.sum() - 1) < 1e-12
