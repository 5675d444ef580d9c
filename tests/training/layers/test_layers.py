"""Every layer computes its cell's equations and their gradients, however it goes about it."""

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
from torch import Tensor

from lmgen.autodiff import CellPrograms, programs_of, window
from lmgen.models.network.cells import CELLS, Cell, CellState, Matrix, Multiply, Step, Vector, blocks
from lmgen.models.network.functions import ACTIVATIONS, Array, exp, sigmoid, tanh
from lmgen.training.layers import fastest, products, run_recurrent

Parameters = dict[str, Tensor]
Runner = Callable[[Cell, Parameters, Tensor, CellState], tuple[Tensor, CellState]]


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


def published_gru(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """A product of a formula, by a matrix of its own: Cho et al. 2014, equations 5 to 8."""
    (h,) = state
    x_r, x_z, x_n = blocks(x, 3)
    r, z = blocks(multiply("weight_gates", h), 2)
    n = tanh(x_n + multiply("weight_candidate", sigmoid(x_r + r) * h))
    z = sigmoid(x_z + z)
    return (z * h + (1 - z) * n,)


def minimal(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """No recurrent matrix: the gates see only the input."""
    f, n = blocks(x, 2)
    return (state[0] + sigmoid(f) * (tanh(n) - state[0]),)


def feedforward(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """No memory at all."""
    return (tanh(x),)


def two_matrices(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Products of both parts of the state, two of them of the first."""
    h, c = state
    i, f = blocks(x, 2)
    c = sigmoid(f + multiply("u", h)) * c + sigmoid(i) * tanh(multiply("v", h) + multiply("u", c))
    return tanh(c), c


def repeated(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """The same matrix again and again: a product of a product, and one of a formula."""
    (h,) = state
    once = multiply("u", h)
    twice = multiply("u", once)
    return (tanh(x + twice) + 0.5 * tanh(multiply("u", sigmoid(twice) * once)),)


def everything(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Products of the input, of a vector, of a slice of a product, and a state that is a product."""
    h, c = state
    a, b = blocks(x, 2)
    p, q = blocks(multiply("w", a), 2)
    of_vector = multiply("u", vectors["v"])
    last = multiply("u", q)
    return tanh(p + of_vector + multiply("u", tanh(b) * c)) + 0.5 * h, last


def overlapping(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Slices of each array that overlap, none of them all of it."""
    (h,) = state
    r, v = multiply("u", h), vectors["v"]
    parts = [a[..., first:last] for a in (x, r, v) for first, last in ((0, 2), (1, 3), (0, 1), (1, 2))]
    column = sum(tanh(part).mean(-1, keepdims=True) for part in parts)
    return (tanh(blocks(x + r, 3)[0]) * column + blocks(x, 3)[2] * x[..., -1:],)


def operators(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    """Every operator and function that equations may use."""
    (h,) = state
    a = x + multiply("weight_recurrent", h)
    powers = a**2 - a**3 / 7 + a**0 + a**1 + (a * a + 1) ** -1.5 + (a * a + 1) ** 0.5
    quotients = 2 / (1 + a**2) - (-a) / 3 + 1 / (1 + sigmoid(h)) + h / (2 + exp(vectors["v"]))
    activated = [function(a) for function in ACTIVATIONS.values()]
    return (tanh(powers + quotients + 0.5 * sum(activated[1:], start=activated[0])),)


MORE_CELLS = {
    "operators": Cell(gates=("a",), states=("h",), step=operators, vectors={"v": Vector()}),
    "overlapping": Cell(
        gates=("a", "b", "c"),
        states=("h",),
        step=overlapping,
        matrices={"u": Matrix(3)},
        vectors={"v": Vector(3)},
    ),
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
    "published-gru": Cell(
        gates=("r", "z", "n"),
        states=("h",),
        step=published_gru,
        matrices={"weight_gates": Matrix(2), "weight_candidate": Matrix()},
    ),
    "minimal": Cell(gates=("f", "n"), states=("h",), step=minimal, matrices={}),
    "feedforward": Cell(gates=("a",), states=("h",), step=feedforward, matrices={}),
    "two-matrices": Cell(
        gates=("i", "f"), states=("h", "c"), step=two_matrices, matrices={"u": Matrix(), "v": Matrix()}
    ),
    "repeated": Cell(gates=("a",), states=("h",), step=repeated, matrices={"u": Matrix()}),
    "everything": Cell(
        gates=("a", "b"),
        states=("h", "c"),
        step=everything,
        matrices={"u": Matrix(), "w": Matrix(2)},
        vectors={"v": Vector()},
    ),
}
ONE_PRODUCT = {name: cell for name, cell in CELLS.items() if cell.matrices is None}

ALL = pytest.mark.parametrize("cell", [*CELLS.values(), *MORE_CELLS.values()], ids=[*CELLS, *MORE_CELLS])


def example(
    cell: Cell, shape: tuple[int, int, int, int], dtype: torch.dtype = torch.float64
) -> tuple[Parameters, Tensor, CellState]:
    """Random parameters, input and state for (T, B, I, H), all of which need gradients."""
    T, B, I, H = shape  # noqa: E741
    generator = torch.Generator().manual_seed(sum(shape))
    rows = len(cell.gates) * H

    def random(*sizes: int) -> Tensor:
        numbers: Tensor = torch.randn(sizes, generator=generator, dtype=torch.float64)
        numbers = (numbers / sizes[-1] ** 0.5).to(dtype)
        return numbers.requires_grad_()

    parameters = {"weight_input": random(rows, I)}
    parameters |= {name: random(matrix.blocks * H, H) for name, matrix in cell.recurrent.items()}
    parameters |= {"bias": random(rows)}
    parameters |= {name: random(vector.blocks * H) for name, vector in cell.vectors.items()}
    return parameters, random(T, B, I), tuple(random(B, H) for _ in cell.states)


def by_equations(
    cell: Cell, parameters: Parameters, values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """What a layer is, for autograd to differentiate."""
    hidden = []
    for v in values:
        x = v @ parameters["weight_input"].T + parameters["bias"]
        state = cell.step(x, state, lambda name, values: values @ parameters[name].T, parameters)
        hidden.append(state[0])
    return torch.stack(hidden), state


def results(
    run: Runner, cell: Cell, inputs: tuple[Parameters, Tensor, CellState], used: str = "hidden and last"
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
def test_values_and_gradients_are_those_of_the_equations(
    cell: Cell, shape: tuple[int, int, int, int]
) -> None:
    inputs = example(cell, shape)
    for ours, theirs in zip(
        results(run_recurrent, cell, inputs), results(by_equations, cell, inputs), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@ALL
def test_one_stream_alone_comes_out_the_same(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "LARGE_WEIGHT", 1)
    monkeypatch.setattr(products, "BLOCK_NUMBERS", 20)
    inputs = example(cell, (9, 1, 4, 5))
    alone = partial(run_recurrent, alone=True)
    for ours, theirs in zip(results(alone, cell, inputs), results(by_equations, cell, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@ALL
@pytest.mark.parametrize("used", ["hidden", "last"])
def test_gradients_come_from_whatever_is_used(cell: Cell, used: str) -> None:
    inputs = example(cell, (6, 2, 3, 4))
    ours, theirs = results(run_recurrent, cell, inputs, used), results(by_equations, cell, inputs, used)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@ALL
def test_gradients_match_finite_differences(cell: Cell) -> None:
    parameters, values, state = example(cell, (3, 2, 2, 3))
    names = list(parameters)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, tensors[: len(names)], strict=True))
        hidden, last = run_recurrent(cell, given, tensors[len(names)], tensors[len(names) + 1 :])
        return hidden, *last

    assert torch.autograd.gradcheck(run, (*parameters.values(), values, *state))


@ALL
def test_float32_is_as_exact_as_it_can_be(cell: Cell) -> None:
    """At a size where products go to other libraries than at small ones."""
    inputs = example(cell, (5, 16, 300, 256), torch.float32)
    exact = example(cell, (5, 16, 300, 256))
    for ours, theirs in zip(
        results(run_recurrent, cell, inputs), results(by_equations, cell, exact), strict=True
    ):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, atol=2e-4, rtol=2e-4)


@ALL
def test_the_same_input_gives_the_same_bits(cell: Cell) -> None:
    inputs = example(cell, (20, 16, 40, 64), torch.float32)
    first, second = results(run_recurrent, cell, inputs), results(run_recurrent, cell, inputs)

    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@ALL
def test_how_many_steps_have_their_factors_computed_together_does_not_matter(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = example(cell, (11, 3, 4, 5))
    together = results(run_recurrent, cell, inputs)
    for steps in (1, 4):
        monkeypatch.setattr(window, "FACTOR_SIZE", steps * 3 * 5)
        torch.testing.assert_close(results(run_recurrent, cell, inputs), together, atol=0, rtol=0)


@pytest.mark.slow
@ALL
def test_gradients_leave_no_more_than_they_found(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer's arrays are freed on the way back, though the loss lives on."""
    monkeypatch.setattr(window, "FACTOR_SIZE", 2 * 4 * 8)
    results(run_recurrent, cell, example(cell, (4, 4, 8, 8)))
    parameters, values, state = example(cell, (500, 4, 8, 8))
    tracemalloc.start()
    try:
        hidden, _ = run_recurrent(cell, parameters, values, state)
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
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "FACTOR_SIZE", 2 * 4 * 8)
    results(run_recurrent, cell, example(cell, (4, 4, 8, 8)))
    inputs = example(cell, (500, 4, 8, 8))
    tracemalloc.start()
    try:
        results(run_recurrent, cell, inputs)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < inputs[1].nbytes / 2


@ALL
def test_without_gradients_values_are_the_same(cell: Cell) -> None:
    parameters, values, state = example(cell, (4, 3, 2, 5), torch.float32)
    hidden, last = run_recurrent(cell, parameters, values, state)
    with torch.inference_mode():
        plain, plain_last = run_recurrent(cell, parameters, values, state)

    assert not plain.requires_grad
    torch.testing.assert_close((plain, *plain_last), (hidden, *last), atol=1e-6, rtol=1e-6)


@ALL
def test_input_need_not_be_contiguous_nor_have_gradients(cell: Cell) -> None:
    parameters, values, state = example(cell, (4, 3, 2, 5))
    turned = values.detach().transpose(0, 1).contiguous().transpose(0, 1)
    hidden, _ = run_recurrent(cell, parameters, turned, state)
    torch.testing.assert_close(hidden, by_equations(cell, parameters, values, state)[0])

    hidden.sum().backward()  # type: ignore[no-untyped-call]
    assert parameters["weight_input"].grad is not None


@ALL
def test_numbers_that_are_not_finite_pass_without_a_warning(cell: Cell) -> None:
    parameters, values, state = example(cell, (4, 3, 2, 5), torch.float32)
    with torch.no_grad():
        values[1] = torch.inf
        parameters["weight_input"][0] = 1e38
    hidden, _ = run_recurrent(cell, parameters, values, state)
    hidden.sum().backward()  # type: ignore[no-untyped-call]

    assert not torch.isfinite(values.grad).all()  # type: ignore[arg-type]


def by_absolute_value(
    x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]
) -> CellState:
    r = multiply("weight_recurrent", state[0])
    return (tanh(abs(x) + r),)


def by_condition(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    r = multiply("weight_recurrent", state[0])
    return (tanh(x + torch.where(r > 0, r, 0.1 * r)),)


def in_place(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    total = x + multiply("weight_recurrent", state[0])
    part = total[..., 0:1]
    total *= 2.0
    return (tanh(total * part),)


def compared(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    return (tanh(x + (state[0] == 0) * multiply("weight_recurrent", state[0])),)


def every_other(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    total = x + multiply("weight_recurrent", state[0])
    return (tanh(total + total[..., ::2].mean(-1, keepdims=True)),)


def of_streams(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
    return (tanh((x + multiply("weight_recurrent", state[0])) / x.shape[0]),)


@pytest.mark.parametrize(
    "step", [by_absolute_value, by_condition, in_place, compared, every_other, of_streams]
)
def test_equations_that_cannot_be_traced_are_left_to_autograd(step: Step) -> None:
    cell = Cell(gates=("a",), states=("h",), step=step)
    inputs = example(cell, (5, 3, 2, 4))

    assert programs_of(cell, 4, (("bias", 4),)) is None
    ours, theirs = results(run_recurrent, cell, inputs), results(by_equations, cell, inputs)
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_whether_equations_can_be_traced_is_found_out_once() -> None:
    calls = []

    def step(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
        calls.append(type(x))
        return (abs(x) + state[0],)

    cell = Cell(gates=("a",), states=("h",), step=step, matrices={})
    for _ in range(2):
        run_recurrent(cell, *example(cell, (5, 3, 2, 4)))

    assert [kind for kind in calls if kind is not Tensor] == calls[:1]


def programs(cell: Cell, hidden_size: int) -> CellPrograms | None:
    blocks_of = {"bias": len(cell.gates)} | {name: vector.blocks for name, vector in cell.vectors.items()}
    return programs_of(cell, hidden_size, tuple((v, hidden_size * n) for v, n in blocks_of.items()))


@ALL
def test_every_cell_here_is_traced(cell: Cell) -> None:
    """Or the tests above would compare autograd with itself."""
    assert programs(cell, 5) is not None


@pytest.mark.parametrize("cell", ONE_PRODUCT.values(), ids=ONE_PRODUCT)
def test_a_step_that_multiplies_first_is_one_program_each_way(cell: Cell) -> None:
    """The usual cells pay nothing for what others can do."""
    found = programs(cell, 3)

    assert found is not None
    assert (len(found.forward), len(found.backward)) == (1, 1)
