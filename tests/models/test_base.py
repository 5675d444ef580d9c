"""What every model's log-probabilities have to be."""

from math import inf, isnan, nan

import numpy as np
import pytest

from lmgen.models.base import nats_of


def test_nats_are_never_below_zero() -> None:
    nats = nats_of(np.array([-2.5, 0.0, 1e-9, 0.0092, -inf], np.float32))

    assert nats.dtype == np.float64
    assert nats.tolist() == [2.5, 0, 0, 0, inf]
    assert not np.signbit(nats).any()


@pytest.mark.parametrize("value", [0.02, 900.0, inf, nan])
def test_what_is_no_probability_has_no_nats(value: float) -> None:
    assert isnan(nats_of(np.array([-1.0, value]))[1])
