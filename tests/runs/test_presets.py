"""Settings that go well together, by name."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import lmgen
from lmgen.cli.train import train
from lmgen.errors import ConfigError
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import configured, read_config, read_run_config
from lmgen.runs.presets import PRESETS, preset_settings
from tests import process


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_whole_configuration(name: str) -> None:
    time = {"minutes": 1.0} if name == "auto" else {}

    configured({"preset": name, **time}, "here").resolved()


def test_the_command_offers_every_preset() -> None:
    hint = get_type_hints(train)["preset"]
    [offered] = [part for part in get_args(hint) if part is not type(None)]

    assert get_args(offered) == tuple(PRESETS)


def test_explicit_settings_win() -> None:
    config = configured({"preset": "awd-lstm", "hidden_size": 64, "layers": 2}, "here")
    same = RunConfig.from_settings({**PRESETS["awd-lstm"], "hidden_size": 64, "layers": 2}, "here")

    assert config == same


def test_a_budget_that_is_given_replaces_the_presets() -> None:
    assert preset_settings({"preset": "quick", "epochs": 2.0}, "char", "here") == {}
    assert preset_settings({"preset": "quick"}, "char", "here") == {"minutes": 1.0}


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match="there is no preset 'fast'; known are auto, quick, good, best, awd-lstm"
    ):
        preset_settings({"preset": "fast"}, None, "here")


def test_a_preset_that_is_no_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no preset"):
        preset_settings({"preset": ["quick"]}, None, "here")


@pytest.mark.parametrize("name", ["quick", "good", "best"])
def test_a_preset_has_another_network_for_words_in_the_same_time(name: str) -> None:
    config = configured({"preset": name, "tokenizer": "word"}, "here")

    assert config.network.output == "adaptive"
    assert config.training.minutes == PRESETS[name]["minutes"]


def test_a_preset_leaves_the_shape_of_a_model_that_training_goes_on_from(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 300)
    lmgen.train(tmp_path / "text.txt", out=tmp_path / "base", hidden_size=8, steps=1)
    config = configured({"preset": "good", "from": str(tmp_path / "base")}, "here")

    assert config.network.hidden_size == 8
    assert config.training.minutes == PRESETS["good"]["minutes"]


@pytest.mark.slow
def test_a_run_keeps_what_its_preset_stands_for_beside_its_name(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 300)
    smaller = ("--hidden-size", "16", "--last-hidden-size", "8", "--embedding-size", "8", "--batch-size", "4")
    arguments = ("--preset", "awd-lstm", *smaller, "--steps", "3", "--out", "run")
    result = process.lmgen("train", "text.txt", *arguments, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    asked = read_config(tmp_path / "run" / "config.toml")
    assert (asked["preset"], asked["hidden_size"], asked["steps"]) == ("awd-lstm", 16, 3)
    assert "weight_drop" not in asked
    kept = read_run_config(tmp_path / "run" / "config.toml")
    assert (kept.network.weight_drop, kept.network.hidden_size) == (0.5, 16)
    assert (kept.training.steps, kept.training.epochs) == (3, None)
