"""Whatever equations a cell has, a layer of it computes them and their gradients."""

from collections.abc import Mapping
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.models.network.cells import CELLS, Cell, CellState, Multiply, Vector, blocks, normalise
from lmgen.models.network.functions import Array, relu, sigmoid, tanh
from lmgen.training.layers.fastest import run_layer
from tests.training.layers.test_layers import by_equations, example, results


def random_cell(seed: int) -> Cell:
    """A cell whose equations are drawn, and bounded so that they do not explode."""
    draw = Random(seed)
    gates, states, vectors = draw.randint(1, 3), draw.randint(1, 3), draw.randint(0, 2)

    def step(x: Array, state: CellState, multiply: Multiply, vectors: Mapping[str, Array]) -> CellState:
        r = multiply("weight_recurrent", state[0])
        choose = Random(seed)
        wide = [x, r, x + r, x * r, tanh(x) + r, normalise(r)]
        known = [part for part in choose.choices(wide, k=3) for part in blocks(part, gates)]
        known += [*state, *(vectors[name] for name in sorted(vectors) if name.startswith("v"))]
        for _ in range(choose.randint(1, 8)):
            known.append(combined(choose, choose.choice(known), choose.choice(known)))
        of_units = [array for array in known if array.shape[-1] == state[0].shape[-1]]
        return tuple(
            choose.choice([tanh(choose.choice(of_units[-4:])) + 0.5 * part, state[-1]]) for part in state
        )

    return Cell(
        gates=tuple("abc"[:gates]),
        states=tuple("hkl"[:states]),
        step=step,
        vectors={f"v{number}": Vector() for number in range(vectors)},
    )


def combined(choose: Random, a: Array, b: Array) -> Array:
    """One more formula of two that are known."""
    number = choose.choice([0.5, -1.0, 2.0, 0.0])
    ways = [
        lambda: a + b,
        lambda: a - b,
        lambda: a * b,
        lambda: number * a,
        lambda: number - a,
        lambda: tanh(a) * b,
        lambda: sigmoid(a),
        lambda: relu(a),
        lambda: a / (sigmoid(b) + 1.0),
        lambda: a.mean(-1, keepdims=True) * b,
        lambda: a[..., 0:1] * b,
        lambda: normalise(a),
    ]
    return choose.choice(ways)()


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CELLS, "random", random_cell(seed))
        inputs = example("random", (length, streams, 2, units))
        ours = results(run_layer, "random", inputs, used)
        theirs = results(by_equations, "random", inputs, used)

    for mine, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, right, atol=1e-7, rtol=1e-6)
