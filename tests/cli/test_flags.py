"""Flags that are made of settings, and the opposites of flags that take no value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from lmgen.cli.app import COMMANDS, load_command
from lmgen.cli.flags import given, opposite, settings_as_options, with_flags
from lmgen.runs.config_file import read_config
from lmgen.training.config import TrainingConfig
from tests.cli.test_train import TEXT, TINY
from tests.process import lmgen


def commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load_command(name)
        for subcommand in getattr(command, "commands", {"": command}).items():
            yield f"{name} {subcommand[0]}", subcommand[1]


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_flag_without_a_value_has_its_opposite(name: str, command: Any) -> None:
    flags = {
        flag
        for parameter in command.params
        if getattr(parameter, "is_flag", False) and parameter.name != "help_all"
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("--")
    }

    assert flags
    assert {flag for flag in flags if opposite(flag) not in flags} == set()


def test_an_opposite_takes_a_flag_back_and_is_not_on_the_help_page() -> None:
    seen: list[Any] = []
    app = typer.Typer()

    @app.command()
    @with_flags
    def command(
        loud: Annotated[bool, typer.Option("--loud", help="Shout.")] = False,
        tied: Annotated[bool | None, typer.Option("--tied")] = None,
        no_echo: Annotated[bool, typer.Option("--no-echo")] = False,
    ) -> None:
        seen.append((loud, tied, no_echo))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, arguments)

    for arguments in ((), ("--no-loud", "--no-tied", "--echo"), ("--tied", "--echo")):
        assert run(*arguments).exit_code == 0
    assert seen == [(False, None, False), (False, False, False), (False, True, False)]
    wrong = run("--tied", "--no-tied")
    assert wrong.exit_code == 2
    assert wrong.stderr == "error: --tied and --no-tied contradict each other; give one of them\n"
    assert "--no-loud" not in run("--help").output


def test_a_number_that_may_be_absent_takes_none() -> None:
    seen: list[dict[str, Any]] = []
    app = typer.Typer()

    @app.command()
    @settings_as_options(TrainingConfig)
    def command(**settings: Any) -> None:
        seen.append(given(settings))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, arguments)

    assert run("--clip", "none", "--steps", "none", "--learning-rate", "find").exit_code == 0
    assert run("--clip", "0.5", "--steps", "7").exit_code == 0
    assert seen == [{"clip": None, "steps": None, "learning_rate": "find"}, {"clip": 0.5, "steps": 7}]
    assert "'few' is neither a whole number nor none" in run("--steps", "few").output
    assert run("--batch-size", "none").exit_code == 2


@pytest.mark.slow
def test_flags_take_back_what_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "squares.txt").write_text(TEXT)
    (tmp_path / "file.toml").write_text("variational = true\nlowercase = true\nema = 0.9\ndropout = 0.1\n")
    back = ["--no-variational", "--no-lowercase", "--ema", "none", "--no-quiet"]
    result = lmgen(
        "train", "squares.txt", *TINY, "--config", "file.toml", *back, "--out", "run", cwd=tmp_path
    )

    assert result.returncode == 0, result.stderr
    asked = read_config(tmp_path / "run" / "config.toml")
    assert {name: asked[name] for name in ("variational", "lowercase", "ema", "dropout")} == {
        "variational": False,
        "lowercase": False,
        "ema": "none",
        "dropout": 0.1,
    }
