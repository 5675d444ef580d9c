"""Completion after Tab, asked for as the shells ask: through environment variables, and in bash itself."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.process import COMMAND, ENVIRONMENT, run_command

pytestmark = pytest.mark.slow  # each test starts a shell

LISTING_MODULES = """
import sys
from lmgen.__main__ import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, one that has no model yet, two model files, a text and a folder."""
    for name in ("checkpoints/demo", "checkpoints/done", "checkpoints/begun", "models", "unicode"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "checkpoints/demo/model.safetensors",
        "checkpoints/done/model.safetensors",
        "checkpoints/demo/ngram.safetensors",
        "models/small.safetensors",
        "other.safetensors",
        "unix.txt",
    ):
        (tmp_path / name).touch()
    return tmp_path


def bash(words: list[str]) -> dict[str, str]:
    """How bash asks for what may stand in the place of the last of these words."""
    return {
        "_LMGEN_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["lmgen", *words]),
        "COMP_CWORD": str(len(words)),
    }


def asked(variables: dict[str, str], cwd: Path) -> str:
    """What lmgen answers."""
    result = run_command(COMMAND, cwd=cwd, environment={**ENVIRONMENT, **variables})
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["perp"], ["perplexity"]),
        (["to"], ["tokenize"]),
        (["corpus", ""], ["list", "show", "get", "make"]),
        (["sample", "--temp"], ["--temperature"]),
        (
            ["train", "--cell", "rnn-"],
            ["rnn-relu", "rnn-sigmoid", "rnn-leaky-relu", "rnn-elu", "rnn-softplus"],
        ),
        (["train", "--tokenizer", ""], ["char", "byte", "word", "bpe", "unigram", "sentencepiece"]),
        (["perplexity", "--format", ""], ["table", "json", "tsv", "heat"]),
        (["sample", ""], ["checkpoints/demo", "checkpoints/done", "other.safetensors"]),
        (["sample", "--length", "9", "checkpoints/de"], ["checkpoints/demo"]),
        (["next", "./o"], ["./other.safetensors"]),
        (["info", "models/"], ["models/small.safetensors"]),
        (
            ["perplexity", "checkpoints/demo/"],
            ["checkpoints/demo/model.safetensors", "checkpoints/demo/ngram.safetensors"],
        ),
        (["corpus", "show", "python"], ["python-docs", "python-code", "python-tokens"]),
        (["corpus", "get", "wiki"], ["wikitext-103", "wikitext-2"]),
        (["corpus", "make", "synthetic-m"], ["synthetic-markov"]),
        (["corpus", "make", "wiki"], []),
        (["train", "uni"], ["unicode-names", "unicode-categories", "unicode/", "unix.txt"]),
        (["ngram", "tiny"], ["tiny-shakespeare"]),
        (["train", "unix"], []),  # bash completes file names by itself, and better
        (["sample", "mod"], []),
        (["sample", "nowhere/"], []),
    ],
)
def test_what_is_offered(words: list[str], offered: list[str], folder: Path) -> None:
    assert asked(bash(words), folder).split() == offered


def test_zsh_and_fish_show_help_beside_names(folder: Path) -> None:
    line = {"_TYPER_COMPLETE_ARGS": "lmgen sam"}
    zsh = asked({"_LMGEN_COMPLETE": "complete_zsh", **line}, folder)
    fish = asked(
        {"_LMGEN_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **line}, folder
    )

    assert zsh == """_arguments '*: :(("sample":"Complete a text with a model."))'\n"""
    assert fish == "sample\tComplete a text with a model.\n"


@pytest.mark.parametrize("words", [["sample", ""], ["train", "uni"], ["train", "--cell", ""]])
def test_nothing_heavy_is_imported(words: list[str], folder: Path) -> None:
    command = [sys.executable, "-c", LISTING_MODULES]
    result = run_command(command, cwd=folder, environment={**ENVIRONMENT, **bash(words)})

    assert result.returncode == 0
    assert not {"torch", "numpy", "rich", "pydantic"} & set(result.stderr.split())


@pytest.fixture
def command_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `lmgen` is found."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "lmgen"
    script.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{ENVIRONMENT['PATH']}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_once_completion_is_installed(folder: Path, command_path: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    script = r"""
        lmgen --install-completion >&2
        . ~/.bashrc
        complete -p lmgen
        COMP_WORDS=(lmgen sample checkpoints/) COMP_CWORD=2
        $(complete -p lmgen | sed 's/.*-F \([^ ]*\).*/\1/') lmgen
        printf '%s\n' "${COMPREPLY[@]}"
    """
    environment = {**ENVIRONMENT, "HOME": str(home), "PATH": command_path}
    result = run_command(["bash", "--norc", "-c", script], cwd=folder, environment=environment, check=True)

    assert result.stdout.splitlines() == [
        "complete -o default -F _lmgen_completion lmgen",
        "checkpoints/demo",
        "checkpoints/done",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_ask_for_its_script(shell: str, folder: Path) -> None:
    script = asked({"_LMGEN_COMPLETE": f"source_{shell}"}, folder)

    assert f"_LMGEN_COMPLETE=complete_{shell}" in script
