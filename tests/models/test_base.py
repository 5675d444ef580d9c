"""What every model's log-probabilities have to be, and what is asked of a model."""

import ast
import re
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
import pytest

from lmgen.models.base import LanguageModel, nats_of
from lmgen.models.mixture import MixtureModel
from tests.fakes import CountingModel, uniform_model


def test_nats_are_never_below_zero() -> None:
    nats = nats_of(np.array([-2.5, 0.0, 1e-9, 0.0092, -inf], np.float32))

    assert nats.dtype == np.float64
    assert nats.tolist() == [2.5, 0, 0, 0, inf]
    assert not np.signbit(nats).any()


@pytest.mark.parametrize("value", [0.02, 900.0, inf, nan])
def test_what_is_no_probability_has_no_nats(value: float) -> None:
    assert isnan(nats_of(np.array([-1.0, value]))[1])


def test_nobody_asks_which_class_a_model_is() -> None:
    """A new kind of model answers `describe`, `as_network` and the rest of the protocol instead."""
    asked = [
        f"{path.name}: {ast.unparse(node)}"
        for path in (Path(__file__).parents[2] / "lmgen").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("isinstance", "issubclass")
        and re.search(r"Model\b", ast.unparse(node.args[1]))
    ]

    assert asked == []


@pytest.mark.parametrize("model", [uniform_model(3), CountingModel(3), MixtureModel([uniform_model(3)], [1])])
def test_what_a_model_cannot_be_it_says(model: LanguageModel) -> None:
    assert model.as_network() is None
    assert model.as_ngrams() is None
    assert isinstance(model.describe()["parameters"], int)
