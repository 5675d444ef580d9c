"""Every layer computes its cell's equations and their gradients, however it goes about it."""

import gc
import tracemalloc
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from lmgen.models.network.cells import CELLS, Cell, CellState, Multiply, Vector, blocks
from lmgen.models.network.functions import Array, sigmoid, tanh
from lmgen.training.layers import traced as recurrence
from lmgen.training.layers.fastest import run_layer

Parameters = dict[str, Tensor]
Runner = Callable[[str, Parameters, Tensor, CellState], tuple[Tensor, CellState]]


def peephole(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Gates that see the cell state, before and after."""
    r = multiply("weight_recurrent", state[0])
    _, c = state
    i, f, o = blocks(x + r, 3)
    c = sigmoid(f + vectors["p_f"] * c) * c + sigmoid(i) * tanh(i)
    return sigmoid(o + vectors["p_o"] * c) * tanh(c), c


def layer_normalised(
    x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]
) -> CellState:
    """Units that depend on each other, and a step that reads its bias."""
    r = multiply("weight_recurrent", state[0])
    _, c = state
    bias = vectors["bias"]
    i, o = blocks(normalised(x - bias) + vectors["gain"] * normalised(r) + bias, 2)
    c = c - sigmoid(i) * c + 0.5 * tanh(i)
    return sigmoid(o) * normalised(c), c


def normalised(array: Array) -> Array:
    centred = array - array.mean(-1, keepdims=True)
    return centred / ((centred * centred).mean(-1, keepdims=True) + 1e-5) ** 0.5


def uneven(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Columns that nothing reads, and a part of the state that passes unchanged."""
    r = multiply("weight_recurrent", state[0])
    h, kept = state
    a, _, b = blocks(x, 3)
    _, s, _ = blocks(r, 3)
    return (1 - sigmoid(s)) * (a * h - 2 * s) + tanh(b).mean(-1, keepdims=True) - 0.5 * h, kept


def leaky(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Factors that are made of vectors and numbers alone."""
    r = multiply("weight_recurrent", state[0])
    (h,) = state
    a = sigmoid(vectors["tau"])
    return (h + a * (0.5 * (0.5 * tanh(x + r)) - h),)


def multiplicative(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Factors that read the recurrent product itself."""
    r = multiply("weight_recurrent", state[0])
    return (tanh(x * r + vectors["alpha"] * x + vectors["beta"] * r),)


def one_gate(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """A column for all units, cut from a block that is used whole as well."""
    r = multiply("weight_recurrent", state[0])
    h, other = state
    a, b = blocks(x + r, 2)
    return (sigmoid(a[..., 0:1]) * tanh(b) + tanh(a) + 0.5 * other, tanh(b[..., 0:1]) * h)


MORE_CELLS = {
    "leaky": Cell(gates=("a",), states=("h",), step=leaky, vectors={"tau": Vector()}),
    "multiplicative": Cell(
        gates=("a",), states=("h",), step=multiplicative, vectors={"alpha": Vector(), "beta": Vector()}
    ),
    "one-gate": Cell(gates=("a", "b"), states=("h", "other"), step=one_gate),
    "peephole": Cell(
        gates=("i", "f", "o"), states=("h", "c"), step=peephole, vectors={"p_f": Vector(), "p_o": Vector()}
    ),
    "layer-normalised": Cell(
        gates=("i", "o"), states=("h", "c"), step=layer_normalised, vectors={"gain": Vector(2)}
    ),
    "uneven": Cell(gates=("a", "b", "c"), states=("h", "kept"), step=uneven),
}
ALL = pytest.mark.parametrize("cell", [*CELLS, *MORE_CELLS])


@pytest.fixture(autouse=True)
def more_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cell in MORE_CELLS.items():
        monkeypatch.setitem(CELLS, name, cell)


def example(
    cell: str, shape: tuple[int, int, int, int], dtype: torch.dtype = torch.float64
) -> tuple[Parameters, Tensor, CellState]:
    """Random parameters, input and state for (T, B, I, H), all of which need gradients."""
    T, B, I, H = shape  # noqa: E741
    generator = torch.Generator().manual_seed(sum(shape))
    rows = len(CELLS[cell].gates) * H

    def random(*sizes: int) -> Tensor:
        numbers: Tensor = torch.randn(sizes, generator=generator, dtype=torch.float64)
        numbers = (numbers / sizes[-1] ** 0.5).to(dtype)
        return numbers.requires_grad_()

    parameters = {"weight_input": random(rows, I), "weight_recurrent": random(rows, H), "bias": random(rows)}
    parameters |= {name: random(vector.blocks * H) for name, vector in CELLS[cell].vectors.items()}
    return parameters, random(T, B, I), tuple(random(B, H) for _ in CELLS[cell].states)


def by_equations(
    cell: str, parameters: Parameters, values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """What a layer is, for autograd to differentiate."""
    hidden = []
    for v in values:
        x = v @ parameters["weight_input"].T + parameters["bias"]
        state = CELLS[cell].step(x, state, lambda name, values: values @ parameters[name].T, parameters)
        hidden.append(state[0])
    return torch.stack(hidden), state


def results(
    run: Runner, cell: str, inputs: tuple[Parameters, Tensor, CellState], used: str = "hidden and last"
) -> list[Tensor]:
    """Hidden states, last state, and the gradients of everything, through those of the two that are used."""
    parameters, values, state = inputs
    hidden, last = run(cell, parameters, values, state)
    loss = values.new_zeros(())
    if "hidden" in used:
        loss = loss + (hidden * torch.arange(hidden.numel()).view_as(hidden).sin()).sum()
    if "last" in used:
        loss = loss + sum((part**2).sum() for part in last)
    wanted = [*parameters.values(), values, *state]
    gradients = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    return [hidden, *last, *gradients]


@ALL
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 4, 5), (8, 3, 2, 1), (33, 4, 6, 8)])
def test_values_and_gradients_are_those_of_the_equations(cell: str, shape: tuple[int, int, int, int]) -> None:
    inputs = example(cell, shape)
    for ours, theirs in zip(
        results(run_layer, cell, inputs), results(by_equations, cell, inputs), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@ALL
@pytest.mark.parametrize("used", ["hidden", "last"])
def test_gradients_come_from_whatever_is_used(cell: str, used: str) -> None:
    inputs = example(cell, (6, 2, 3, 4))
    ours, theirs = results(run_layer, cell, inputs, used), results(by_equations, cell, inputs, used)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@ALL
def test_gradients_match_finite_differences(cell: str) -> None:
    parameters, values, state = example(cell, (3, 2, 2, 3))
    names = list(parameters)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, tensors[: len(names)], strict=True))
        hidden, last = run_layer(cell, given, tensors[len(names)], tensors[len(names) + 1 :])
        return hidden, *last

    assert torch.autograd.gradcheck(run, (*parameters.values(), values, *state))


@ALL
def test_float32_is_as_exact_as_it_can_be(cell: str) -> None:
    """At a size where products go to other libraries than at small ones."""
    inputs = example(cell, (5, 16, 300, 256), torch.float32)
    exact = example(cell, (5, 16, 300, 256))
    for ours, theirs in zip(
        results(run_layer, cell, inputs), results(by_equations, cell, exact), strict=True
    ):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, atol=2e-4, rtol=2e-4)


@ALL
def test_the_same_input_gives_the_same_bits(cell: str) -> None:
    inputs = example(cell, (20, 16, 40, 64), torch.float32)
    first, second = results(run_layer, cell, inputs), results(run_layer, cell, inputs)

    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@ALL
def test_how_many_steps_have_their_factors_computed_together_does_not_matter(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = example(cell, (11, 3, 4, 5))
    together = results(run_layer, cell, inputs)
    for steps in (1, 4):
        monkeypatch.setattr(recurrence, "FACTOR_SIZE", steps * 3 * 5)
        torch.testing.assert_close(results(run_layer, cell, inputs), together, atol=0, rtol=0)


@pytest.mark.slow
@ALL
def test_gradients_leave_no_more_than_they_found(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer's arrays are freed on the way back, though the loss lives on."""
    monkeypatch.setattr(recurrence, "FACTOR_SIZE", 2 * 4 * 8)
    results(run_layer, cell, example(cell, (4, 4, 8, 8)))
    parameters, values, state = example(cell, (500, 4, 8, 8))
    tracemalloc.start()
    try:
        hidden, _ = run_layer(cell, parameters, values, state)
        loss = hidden.sum()
        del hidden
        forward, _ = tracemalloc.get_traced_memory()
        gradients = torch.autograd.grad(loss, [values, *parameters.values()], allow_unused=True)
        del gradients
        gc.collect()
        back, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert loss.grad_fn is not None
    assert back < values.nbytes / 2, f"{forward:,} bytes before, {back:,} after"


@pytest.mark.slow
@ALL
def test_nothing_of_a_window_is_kept_when_its_gradients_are_known(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrence, "FACTOR_SIZE", 2 * 4 * 8)
    results(run_layer, cell, example(cell, (4, 4, 8, 8)))
    inputs = example(cell, (500, 4, 8, 8))
    tracemalloc.start()
    try:
        results(run_layer, cell, inputs)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < inputs[1].nbytes / 2


@ALL
def test_without_gradients_values_are_the_same(cell: str) -> None:
    parameters, values, state = example(cell, (4, 3, 2, 5), torch.float32)
    hidden, last = run_layer(cell, parameters, values, state)
    with torch.inference_mode():
        plain, plain_last = run_layer(cell, parameters, values, state)

    assert not plain.requires_grad
    torch.testing.assert_close((plain, *plain_last), (hidden, *last), atol=1e-6, rtol=1e-6)


@ALL
def test_input_need_not_be_contiguous_nor_have_gradients(cell: str) -> None:
    parameters, values, state = example(cell, (4, 3, 2, 5))
    turned = values.detach().transpose(0, 1).contiguous().transpose(0, 1)
    hidden, _ = run_layer(cell, parameters, turned, state)
    torch.testing.assert_close(hidden, by_equations(cell, parameters, values, state)[0])

    hidden.sum().backward()  # type: ignore[no-untyped-call]
    assert parameters["weight_recurrent"].grad is not None


@ALL
def test_numbers_that_are_not_finite_pass_without_a_warning(cell: str) -> None:
    parameters, values, state = example(cell, (4, 3, 2, 5), torch.float32)
    with torch.no_grad():
        values[1] = torch.inf
        parameters["weight_input"][0] = 1e38
    hidden, _ = run_layer(cell, parameters, values, state)
    hidden.sum().backward()  # type: ignore[no-untyped-call]

    assert not torch.isfinite(values.grad).all()  # type: ignore[arg-type]
