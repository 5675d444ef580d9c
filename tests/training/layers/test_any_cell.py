"""Whatever equations a cell has, a layer of it computes them and their gradients."""

from collections.abc import Mapping
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.autodiff import programs_of
from lmgen.models.network.cells import Cell, CellState, Matrix, Multiply, Vector, blocks, normalise
from lmgen.models.network.functions import (
    Array,
    elu,
    exp,
    leaky_relu,
    relu,
    sigmoid,
    softplus,
    tanh,
)
from lmgen.training.layers import run_recurrent
from tests.training.layers.test_layers import by_equations, example, results


def random_cell(seed: int) -> Cell:
    """A cell whose equations are drawn, and bounded so that they do not explode."""
    draw = Random(seed)
    gates, states, vectors = draw.randint(1, 3), draw.randint(1, 3), draw.randint(0, 2)
    matrices = {f"u{number}": Matrix(draw.randint(1, 3)) for number in range(draw.randint(0, 3))}

    def step(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
        choose = Random(seed)
        size = state[0].shape[-1]

        def product(operand: Array) -> list[Array]:
            if not matrices:
                return [operand]
            name = choose.choice(list(matrices))
            return blocks(multiply(name, operand), matrices[name].blocks)

        wide = [x, tanh(x), x * x, normalise(x)]
        known = [part for part in choose.choices(wide, k=2) for part in blocks(part, gates)]
        known += [*state, *(vectors[name] for name in sorted(vectors) if name.startswith("v"))]
        known += product(choose.choice(state))
        for _ in range(choose.randint(1, 8)):
            of_units = [array for array in known if array.shape[-1] == size]
            if choose.random() < 0.25:
                known += product(choose.choice(of_units[-5:]))
            else:
                known.append(combined(choose, choose.choice(known), choose.choice(known)))
        of_units = [array for array in known if array.shape[-1] == size]
        return tuple(
            choose.choice([tanh(choose.choice(of_units[-4:])) + 0.5 * part, state[-1]]) for part in state
        )

    return Cell(
        gates=tuple("abc"[:gates]),
        states=tuple("hkl"[:states]),
        step=step,
        matrices=matrices,
        vectors={f"v{number}": Vector() for number in range(vectors)},
    )


def combined(choose: Random, a: Array, b: Array) -> Array:
    """One more formula of two that are known."""
    number, width = choose.choice([0.5, -1.0, 2.0, 0.0]), a.shape[-1]
    first, last = sorted(choose.choices(range(width + 1), k=2))
    ways = [
        lambda: a + b,
        lambda: a - b,
        lambda: a * b,
        lambda: number * a,
        lambda: number - a,
        lambda: -a,
        lambda: a / 3,
        lambda: 1.5 / (a * a + 1),
        lambda: a / (sigmoid(b) + 1.0),
        lambda: a**2,
        lambda: a**3,
        lambda: a**0,
        lambda: (a * a + 1) ** -1.5,
        lambda: exp(tanh(a)),
        lambda: leaky_relu(a) * b,
        lambda: elu(a),
        lambda: softplus(a) - b,
        lambda: tanh(a) * b,
        lambda: sigmoid(a),
        lambda: relu(a),
        lambda: a.mean(-1, keepdims=True) * b,
        lambda: a[..., 0:1] * b,
        lambda: a[..., first:last].mean(-1, keepdims=True) * b if first < last else a,
        lambda: normalise(a),
    ]
    return choose.choice(ways)()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(1, 4),
    streams=st.integers(1, 3),
    units=st.integers(1, 4),
    used=st.sampled_from(["hidden", "last", "hidden and last"]),
)
def test_values_and_gradients_are_those_of_autograd(
    seed: int, length: int, streams: int, units: int, used: str
) -> None:
    cell = random_cell(seed)
    inputs = example(cell, (length, streams, 2, units))
    ours, theirs = results(run_recurrent, cell, inputs, used), results(by_equations, cell, inputs, used)

    assert programs_of(cell, units, tuple((v, len(inputs[0][v])) for v in ["bias", *cell.vectors]))
    for mine, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, right, atol=1e-7, rtol=1e-6)
