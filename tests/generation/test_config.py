"""Settings of sampling are checked when they are made."""

from typing import Any

import pytest

from lmgen.errors import ConfigError
from lmgen.generation.config import SamplingConfig


@pytest.mark.parametrize(
    "settings",
    [
        {"length": -1},
        {"temperature": -0.1},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"repetition_penalty": 0.0},
        {"seed": -1},
    ],
)
def test_values_out_of_range_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SamplingConfig(**settings)


def test_every_problem_is_listed() -> None:
    with pytest.raises(ConfigError, match=r"top_k .* top_p"):
        SamplingConfig(top_k=0, top_p=2.0)
