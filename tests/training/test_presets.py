"""Settings that go well together, by name."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from lmgen.cli.train import train
from lmgen.errors import ConfigError
from lmgen.training.presets import PRESETS, with_preset
from lmgen.training.run import configured, read_config
from tests.process import lmgen


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_whole_configuration(name: str) -> None:
    configured({"preset": name}, "here").resolved()


def test_the_command_offers_every_preset() -> None:
    hint = get_type_hints(train)["preset"]
    [offered] = [part for part in get_args(hint) if part is not type(None)]

    assert get_args(offered) == tuple(PRESETS)


def test_explicit_settings_win() -> None:
    settings = with_preset({"preset": "awd-lstm", "hidden_size": 64, "layers": 2}, "here")

    assert settings == {**PRESETS["awd-lstm"], "hidden_size": 64, "layers": 2}


def test_a_budget_that_is_given_replaces_the_presets() -> None:
    settings = with_preset({"preset": "quick", "epochs": 2.0}, "here")

    assert settings["epochs"] == 2.0
    assert "minutes" not in settings


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there is no preset 'fast'; known are quick, awd-lstm"):
        with_preset({"preset": "fast"}, "here")


def test_a_run_keeps_what_its_preset_stands_for(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 300)
    smaller = ("--hidden-size", "16", "--last-hidden-size", "8", "--embedding-size", "8", "--batch-size", "4")
    arguments = ("--preset", "awd-lstm", *smaller, "--steps", "3", "--out", "run")
    result = lmgen("train", "text.txt", *arguments, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    kept = read_config(tmp_path / "run" / "config.toml")
    assert (kept["weight_drop"], kept["hidden_size"], kept["steps"]) == (0.5, 16, 3)
    assert "epochs" not in kept
    assert "preset" not in kept
