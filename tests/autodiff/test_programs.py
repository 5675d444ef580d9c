"""Programs compute formulas step by step, in memory of their own and of the caller."""

import numpy as np
import pytest

from lmgen.autodiff.formulas import Formula, array
from lmgen.autodiff.programs import Program, Routine, routine_for, slice_of


def two_arrays() -> tuple[Formula, Formula]:
    return array("a", 4), array("b", 4)


def test_a_result_is_written_where_the_caller_wants_it() -> None:
    a, b = two_arrays()
    program = Program([a, b], [(a + b).tanh() * b])
    routine = Routine(program, (2,), "float64")
    A, B, result = np.random.default_rng(0).normal(size=(3, 5, 2, 4))
    for row in program.rows([A, B], [result]):
        routine(row)

    np.testing.assert_allclose(result, np.tanh(A + B) * B)


def test_results_that_are_given_sliced_or_wanted_twice_are_written_too() -> None:
    a, b = two_arrays()
    total = a + b
    program = Program([a, b], [total, b, total, total[..., 1:3]], [total[..., 2:4] * 2.0])
    A, B, first, same, second = np.random.default_rng(0).normal(size=(5, 3, 2, 4))
    part = np.empty((3, 2, 2))
    routine = Routine(program, (2,), "float64")
    for row in program.rows([A, B], [first, same, second, part]):
        routine(row)

    np.testing.assert_array_equal(first, A + B)
    np.testing.assert_array_equal(same, B)
    np.testing.assert_array_equal(second, A + B)
    np.testing.assert_array_equal(part, (A + B)[..., 1:3])
    np.testing.assert_array_equal(routine[total[..., 2:4] * 2.0], 2 * (A + B)[-1, :, 2:4])


def test_memory_is_used_again_only_when_nobody_needs_what_is_there() -> None:
    """A slice keeps the array alive that it is cut from; so does being kept."""
    a, b = two_arrays()
    total = a + b
    kept = total * a
    late = (((a * b).tanh() + a).sigmoid() * b)[..., 0:2]
    wanted = [((kept + b).tanh() + total[..., 0:4]) * a, late + total[..., 2:4]]
    routine = Routine(Program([a, b], [], [kept, *wanted]), (3,), "float64")
    A, B = np.random.default_rng(1).normal(size=(2, 3, 4))
    routine((A, B))

    np.testing.assert_allclose(routine[kept], (A + B) * A)
    np.testing.assert_allclose(routine[wanted[0]], (np.tanh((A + B) * A + B) + A + B) * A)
    sigmoid = 1 / (1 + np.exp(-(np.tanh(A * B) + A)))
    np.testing.assert_allclose(routine[wanted[1]], (sigmoid * B)[:, :2] + (A + B)[:, 2:])


@pytest.mark.parametrize("shape", [(2,), (3, 2)])
def test_a_program_serves_one_step_or_several(shape: tuple[int, ...]) -> None:
    a, b = two_arrays()
    mean = (a * b).mean(-1, keepdims=True)
    routine = routine_for(Program([a, b], [], [mean]), shape, "float64")
    A, B = np.random.default_rng(2).normal(size=(2, *shape, 4))
    routine((A, B))

    np.testing.assert_allclose(routine[mean], (A * B).mean(-1, keepdims=True))


def test_a_slice_of_a_slice_is_cut_from_the_root() -> None:
    a = array("long", 9)
    part = a[..., 2:8][..., 1:4]

    assert part.root is a
    np.testing.assert_array_equal(slice_of(part, np.arange(9.0)), [3, 4, 5])
