"""Compressed weights are near what they were: how near is promised, and held for any matrix."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lmgen.errors import ConfigError, ModelError
from lmgen.models.network.compression import compress, expand

Matrix = npt.NDArray[np.float32]

MATRICES = array_shapes(min_dims=2, max_dims=2, max_side=8)


def matrices(largest: float) -> st.SearchStrategy[Matrix]:
    """Of any finite values up to a size."""
    bound = float(np.float32(largest))
    return arrays(np.float32, MATRICES, elements=st.floats(-bound, bound, width=32))


@given(matrices(65504))
def test_float16_is_within_half_a_unit_in_the_last_place(matrix: Matrix) -> None:
    after = expand(compress({"w": matrix}, "float16"), "float16")["w"]

    assert after.dtype == np.float32
    assert (np.abs(after - matrix) <= np.maximum(np.abs(matrix) * 2.0**-11, 2.0**-25)).all()


@given(matrices(1e30))
def test_int8_is_within_half_a_step_of_its_row(matrix: Matrix) -> None:
    tensors = compress({"w": matrix}, "int8")
    after = expand(tensors, "int8")["w"]
    half_steps = tensors["w.scale"][:, None].astype(np.float64) / 2

    assert tensors["w"].dtype == np.int8
    assert after.dtype == np.float32
    assert (np.abs(after.astype(np.float64) - matrix) <= half_steps * 1.0001).all()  # float32 rounds, too


@given(matrices(1e30))
def test_int8_loses_nothing_the_second_time(matrix: Matrix) -> None:
    once = compress({"w": matrix}, "int8")
    twice = compress(expand(once, "int8"), "int8")

    np.testing.assert_array_equal(twice["w"], once["w"])


def test_a_row_is_scaled_by_its_largest_weight() -> None:
    tensors = compress({"w": np.array([[1, -2, 0.5], [0, 0, 0], [100, 50, 25.4]], np.float32)}, "int8")

    assert tensors["w"].tolist() == [[64, -127, 32], [0, 0, 0], [127, 64, 32]]
    np.testing.assert_allclose(tensors["w.scale"][[0, 2]], [2 / 127, 100 / 127])
    assert tensors["w.scale"][1] > 0


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
def test_vectors_stay_as_they_are(weights: str) -> None:
    bias = np.array([1 / 3, 1e6, -1e-9], np.float32)
    tensors = compress({"bias": bias}, weights)

    assert list(tensors) == ["bias"]
    np.testing.assert_array_equal(tensors["bias"], bias)
    np.testing.assert_array_equal(expand(tensors, weights)["bias"], bias)


def test_float32_is_untouched() -> None:
    parameters = {"w": np.ones((2, 3), np.float32)}

    assert expand(compress(parameters, "float32"), "float32")["w"] is parameters["w"]


@pytest.mark.parametrize(("largest", "fits"), [(65504, True), (-65504, True), (65505, False), (-1e9, False)])
def test_float16_ends_at_65504(largest: float, fits: bool) -> None:
    parameters = {"output.weight": np.array([[0, largest]], np.float32)}
    if fits:
        assert compress(parameters, "float16")["output.weight"][0, 1] == largest
    else:
        with pytest.raises(
            ModelError, match=r"output\.weight holds a weight of .*float16 ends at 65504; use int8"
        ):
            compress(parameters, "float16")


def test_other_types_are_refused() -> None:
    with pytest.raises(ConfigError, match="weights are stored as float32, float16, int8, not as 'int4'"):
        compress({}, "int4")
