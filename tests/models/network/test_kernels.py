"""Kernels compute what their layers say."""

from typing import Any

import numpy as np
import pytest

from lmgen.models.network.attention import Attention
from lmgen.models.network.cells import CELLS
from lmgen.models.network.convolution import Convolution
from lmgen.models.network.dense import Dense
from lmgen.models.network.kernels import kernel, recurrent_kernel, state_sizes
from lmgen.models.network.layer import Layer, arrays_of
from lmgen.models.network.normalization import LayerNormalization
from lmgen.models.network.output import AdaptiveSoftmax, Softmax
from lmgen.models.network.output_kernels import output_kernel
from lmgen.models.network.recurrent import Recurrent

H, E, V = 6, 5, 9


def random_arrays(layer: Layer) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    parameters = {one.name: random.normal(0, 1, one.shape).astype(np.float32) for one in layer.parameters}
    return arrays_of(layer, parameters)


def columns(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("streams", [1, 4, 16])
@pytest.mark.parametrize(
    "layer",
    [
        *(Recurrent(number=0, cell_name=name, inputs=E, outputs=H) for name in CELLS),
        *(Recurrent(number=1, cell_name=name, inputs=H, outputs=H, residual=True) for name in CELLS),
        Dense(number=0, inputs=E, outputs=H, activation="tanh"),
        Convolution(number=0, width=3, inputs=E, outputs=H, activation="elu"),
        LayerNormalization(number=0, inputs=H),
    ],
    ids=str,
)
def test_a_kernel_computes_what_its_layer_says(layer: Layer, streams: int) -> None:
    arrays, values = random_arrays(layer), columns(layer.inputs, streams)
    state = tuple(columns(size, streams, seed=number) for number, size in enumerate(layer.state_sizes))
    before = [part.copy() for part in state]

    ready = kernel(layer, arrays)
    given, after = ready.step(values, state, ready.workspace(streams))

    expected, wanted = layer.step(arrays, values.T, tuple(part.T for part in state))
    np.testing.assert_allclose(given.T, expected, atol=2e-6)
    for part, right in zip(after, wanted, strict=True):
        np.testing.assert_allclose(part.T, right, atol=2e-6)
    for part, kept in zip(state, before, strict=True):
        np.testing.assert_array_equal(part, kept)


@pytest.mark.parametrize("streams", [1, 4, 16])
@pytest.mark.parametrize("reach", [1, 3, 10])
def test_attention_keeps_the_keys_of_the_states_it_remembers(reach: int, streams: int) -> None:
    """Step by step from the start of a text as in one window, with the keys after the layer's own state."""
    layer, steps = Attention(inputs=H, reach=reach), 7
    arrays, values = random_arrays(layer), columns(steps, H, streams)
    ready = kernel(layer, arrays)
    space, given = ready.workspace(streams), []
    state = tuple(np.zeros((size, streams), np.float32) for size in state_sizes(layer))
    for step in values:
        before, kept = state, [part.copy() for part in state]
        y, state = ready.step(step, state, space)
        given.append(y)
        for part, same in zip(before, kept, strict=True):
            np.testing.assert_array_equal(part, same)

    start = tuple(np.zeros((streams, size), np.float32) for size in layer.state_sizes)
    expected, after = layer.window(arrays, values.swapaxes(1, 2), start)
    np.testing.assert_allclose(np.stack(given), expected.swapaxes(1, 2), atol=2e-6)
    *own, keys = state
    for part, right in zip(own, after, strict=True):
        np.testing.assert_array_equal(part, right.T)
    for key, hidden in zip(np.split(keys, reach), np.split(own[0], reach), strict=True):
        np.testing.assert_allclose(key, arrays["weight_key"] @ hidden, atol=2e-6)


@pytest.mark.parametrize("streams", [1, 4, 16])
@pytest.mark.parametrize("cell", CELLS)
def test_inputs_can_be_projected_before(cell: str, streams: int) -> None:
    layer = Recurrent(number=0, cell_name=cell, inputs=E, outputs=H)
    arrays, values = random_arrays(layer), columns(E, streams)
    state = tuple(columns(size, streams, seed=number) for number, size in enumerate(layer.state_sizes))

    ready = recurrent_kernel(layer, arrays)
    projected = np.ascontiguousarray(ready.project(values.T).T)
    given, _ = ready.step_projected(projected, state, ready.workspace(streams))

    expected, _ = layer.step(arrays, values.T, tuple(part.T for part in state))
    np.testing.assert_allclose(given.T, expected, atol=2e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_one_hot_inputs_are_projected_without_a_product(cell: str) -> None:
    layer = Recurrent(number=0, cell_name=cell, inputs=E, outputs=H)
    ready = recurrent_kernel(layer, random_arrays(layer))

    np.testing.assert_array_equal(ready.project_one_hot(), ready.project(np.eye(E, dtype=np.float32)))


OUTPUTS: list[tuple[Any, dict[str, np.ndarray]]] = [
    (Softmax(inputs=H, outputs=V), {}),
    (Softmax(inputs=H, outputs=V, tied_to=H), {"embedding": columns(V, H)}),
    (Softmax(inputs=H, outputs=V, tied_to=E), {"embedding": columns(V, E)}),
    (AdaptiveSoftmax(inputs=H, outputs=V, starts=(3, 5), widths=(3, 2)), {}),
]


@pytest.mark.parametrize(("layer", "others"), OUTPUTS, ids=str)
def test_an_output_kernel_computes_what_its_layer_says(layer: Any, others: dict[str, np.ndarray]) -> None:
    random = np.random.default_rng(0)
    parameters = {one.name: random.normal(0, 1, one.shape).astype(np.float32) for one in layer.parameters}
    arrays, hidden, ids = arrays_of(layer, {**others, **parameters}), columns(H, 4), np.array([0, 4, 8, 3])

    ready = output_kernel(layer, arrays)
    prepared = ready.prepare(hidden)
    every = ready.log_probabilities(prepared)

    assert prepared.shape == (ready.size, 4)
    np.testing.assert_allclose(every, layer.log_probabilities(arrays, hidden.T), atol=2e-6)
    np.testing.assert_allclose(
        ready.chosen(np.ascontiguousarray(prepared.T), ids), every[range(4), ids], atol=2e-6
    )
