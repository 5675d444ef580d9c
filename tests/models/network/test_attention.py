"""Attention over earlier hidden states: tiny cases by hand, the start of a text, steps against windows."""

import numpy as np
import pytest

from lmgen.models.network.attention import Attention
from lmgen.models.network.convolution import Convolution
from lmgen.models.network.layer import Arrays, arrays_of

M = 4


def random_arrays(layer: Attention, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return arrays_of(layer, {one.name: random.normal(0, 1, one.shape) for one in layer.parameters})


def state_of(layer: Attention | Convolution, streams: int) -> tuple[np.ndarray, ...]:
    """What the layer remembers at the start of a text."""
    return tuple(np.zeros((streams, size)) for size in layer.state_sizes)


def run(layer: Attention, arrays: Arrays, values: np.ndarray) -> np.ndarray:
    """The outputs for a text from its start, (T, B, m)."""
    given, _ = layer.window(arrays, values, state_of(layer, values.shape[1]))
    return np.asarray(given)


def test_three_steps_by_hand() -> None:
    """One unit, K = 2: at the third step the scores are tanh(h_3 + 2 h_1) and tanh(h_3 + 2 h_2)."""
    layer = Attention(inputs=1, reach=2)
    one = np.ones((1, 1))
    arrays = {
        **{"weight_query": one, "weight_key": 2 * one, "score": np.ones(1)},
        **{"weight_hidden": 3 * one, "weight_context": 5 * one, "bias": np.array([0.25])},
    }
    first, second, third = 0.1, -0.2, 0.3
    given = run(layer, arrays, np.array([first, second, third])[:, None, None])

    older, newer = np.exp(np.tanh(third + 2 * first)), np.exp(np.tanh(third + 2 * second))
    context = (older * first + newer * second) / (older + newer)
    expected = [3 * first, 3 * second + 5 * first, 3 * third + 5 * context]
    np.testing.assert_allclose(given[:, 0, 0], np.tanh(np.array(expected) + 0.25), rtol=1e-12)


@pytest.mark.parametrize("reach", [1, 3, 10])
def test_steps_are_a_window(reach: int) -> None:
    layer = Attention(inputs=M, reach=reach)
    arrays, values = random_arrays(layer), np.random.default_rng(1).normal(0, 1, (7, 2, M))
    whole, last = layer.window(arrays, values, state_of(layer, 2))

    state, given = state_of(layer, 2), []
    for step in values:
        y, state = layer.step(arrays, step, state)
        given.append(y)
    np.testing.assert_allclose(whole, np.stack(given), atol=1e-12)
    for part, right in zip(state, last, strict=True):
        np.testing.assert_array_equal(part, right)
    assert state[1].sum() == 2 * min(reach, 7)


def test_looking_back_at_one_state_is_a_convolution_of_width_two() -> None:
    """The softmax over a single state is 1: y_t = tanh(W_h h_t + W_c h_(t-1) + b)."""
    layer = Attention(inputs=M, reach=1)
    arrays, values = random_arrays(layer), np.random.default_rng(1).normal(0, 1, (6, 3, M))
    same = Convolution(number=0, width=2, inputs=M, outputs=M, activation="tanh")
    weight = np.concatenate([arrays["weight_hidden"], arrays["weight_context"]])
    expected, _ = same.window({"weight": weight, "bias": arrays["bias"]}, values, state_of(same, 3))

    np.testing.assert_allclose(run(layer, arrays, values), expected, atol=1e-12)


def test_equal_scores_attend_to_the_mean_of_the_states_there_are() -> None:
    layer = Attention(inputs=M, reach=3)
    arrays = random_arrays(layer) | {"score": np.zeros(M), "weight_hidden": np.zeros((M, M))}
    arrays |= {"weight_context": np.eye(M), "bias": np.zeros(M)}
    values = np.random.default_rng(1).normal(0, 0.3, (6, 1, M))
    given = run(layer, arrays, values)

    assert not given[0].any()  # nothing came before
    for step in range(1, 6):
        expected = np.tanh(values[max(0, step - 3) : step].mean(axis=0))
        np.testing.assert_allclose(given[step], expected, atol=1e-12)


def test_a_text_shorter_than_the_reach_does_not_depend_on_it() -> None:
    values = np.random.default_rng(1).normal(0, 1, (4, 2, M))
    arrays = random_arrays(Attention(inputs=M, reach=3))
    short, long = (run(Attention(inputs=M, reach=reach), arrays, values) for reach in (3, 50))

    np.testing.assert_allclose(short, long, atol=1e-12)


def test_large_scores_pick_one_state() -> None:
    """Also where exp would overflow in either direction, in float32."""
    layer = Attention(inputs=1, reach=2)
    one = np.ones((1, 1), np.float32)
    arrays = {
        **{"weight_query": 0 * one, "weight_key": 9 * one, "score": np.full(1, 1e4, np.float32)},
        **{"weight_hidden": 0 * one, "weight_context": one, "bias": np.zeros(1, np.float32)},
    }
    given = run(layer, arrays, np.array([0.5, -0.5, 0.1], np.float32)[:, None, None])

    np.testing.assert_allclose(given[:, 0, 0], [0, np.tanh(0.5), np.tanh(0.5)], rtol=1e-6)
