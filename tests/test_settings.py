"""Settings: one error that lists every problem."""

import tomllib
from dataclasses import dataclass, fields
from typing import Any

import pytest
import tomli_w

from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.generation.config import SamplingConfig
from lmgen.models.network.config import NetworkConfig
from lmgen.settings import check, explanation, from_mapping, kind, setting, to_mapping
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.training.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Example:
    size: int = setting(3, "how large", minimum=1)
    share: float | None = setting(None, "how much", above=0.0, below=1.0)
    name: str = setting("a", "which", choices=("a", "b"))
    loud: bool = setting(False, "whether")
    rate: float | str | None = setting(None, "how fast", above=0.0, words=("find",))

    def __post_init__(self) -> None:
        check(self)


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        Example(size=0, share=1.0, name="c")

    assert str(error.value) == (
        "size is 0, but has to be at least 1; share is 1.0, but has to be below 1.0; "
        "name is 'c', but has to be one of a, b"
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 2.0}, "size is 2.0, but has to be of type int"),
        ({"size": True}, "size is True, but has to be of type int"),
        ({"size": None}, "size is missing"),
        ({"share": float("nan")}, "share is nan, but has to be above 0"),
        ({"rate": "fast"}, "rate is 'fast', but has to be of type float or 'find'"),
        ({"rate": 0.0}, r"rate is 0\.0, but has to be above 0"),
        ({"loud": "yes"}, "loud is 'yes', but has to be of type bool"),
    ],
)
def test_types_are_checked(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Example(**wrong)  # type: ignore[arg-type]


def test_a_word_may_stand_in_place_of_a_number() -> None:
    assert Example(rate="find").rate == "find"
    assert kind(Example, "rate") == (float, True)


def test_a_whole_number_will_do_for_a_share() -> None:
    with pytest.raises(ConfigError, match=r"share is 1\.0"):
        Example(share=1)


def test_files_name_unknown_settings() -> None:
    with pytest.raises(ConfigError, match=r"run\.toml: unknown settings sise \(did you mean size\?\)$"):
        from_mapping(Example, {"sise": 3}, "run.toml")
    with pytest.raises(
        ConfigError, match=r"run\.toml: unknown settings x; known are loud, name, rate, share, size$"
    ):
        from_mapping(Example, {"x": 3}, "run.toml")


def test_what_is_absent_is_left_out_of_files() -> None:
    assert to_mapping(Example(size=4)) == {"size": 4, "name": "a", "loud": False}
    assert from_mapping(Example, to_mapping(Example(size=4)), "here") == Example(size=4)


@dataclass(frozen=True, kw_only=True)
class Limited:
    norm: float | None = setting(1.0, "how long", above=0.0)
    name: str | None = setting(None, "which file")


def test_none_is_spelled_out_where_it_is_not_the_default() -> None:
    assert to_mapping(Limited(norm=None)) == {"norm": "none"}
    assert from_mapping(Limited, {"norm": "none"}, "here") == Limited(norm=None)
    assert from_mapping(Limited, {"name": "none"}, "here").name == "none", "a file may be called so"


CONFIGS = (HeldOutConfig, TokenizerConfig, NetworkConfig, TrainingConfig, SamplingConfig)


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    ("config", "name"), [(config, field.name) for config in CONFIGS for field in fields(config)]
)
def test_every_setting_comes_back_from_a_file_as_it_was(config: Any, name: str, complete: bool) -> None:
    """Each of its values that can be thought of without knowing it, None among them; through TOML itself."""
    plain, optional = kind(config, name)
    default = getattr(config(), name)
    known = next(explanation(field) for field in fields(config) if field.name == name)
    samples: dict[type, list[Any]] = {bool: [False, True], int: [1, 2, 3], float: [0.25, 0.5], str: ["0.1"]}
    values = [default, *known.words, *(known.choices or samples[plain]), *([None] if optional else [])]
    for value in values:
        try:
            made = config(**{name: value})
        except ConfigError:  # it contradicts another setting's default
            continue
        saved = tomllib.loads(tomli_w.dumps(to_mapping(made, complete=complete)))
        assert from_mapping(config, saved, "here") == made
        if value is None and plain is str:
            assert default is None, "a text has no spelling for None, so that has to be its default"


def test_kinds_are_plain_types() -> None:
    assert kind(Example, "share") == (float, True)
    assert kind(Example, "size") == (int, False)
