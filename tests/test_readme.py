"""
The README's commands are run as they stand, from top to bottom, in a folder that holds the files they name.

Only budgets are changed, so that this does not take minutes: `--minutes 5` becomes `--steps 25`, and a preset
gets a budget. What sets up the project itself (make, pip) is run by CI.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.process import ENVIRONMENT, run_command
from tests.tokenizers.sentencepiece_models import model

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

SETS_UP = ("make ", "python3 -m venv", "ruff ")

LINES = [f"worker {n % 7} finished job {n * n} after {n % 60} seconds\n" for n in range(400)]


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [block for block in blocks("sh") if not block.startswith(SETS_UP)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files by the names that the README gives."""
    folder = tmp_path_factory.mktemp("readme")
    text = "".join(LINES)
    for name in ("book.txt", "other.txt", "letters.txt", "yesterday.log", "today.log", "web.txt"):
        (folder / name).write_text(text)
    (folder / "pieces.model").write_bytes(model("as-llama"))
    (folder / "names.txt").write_text("emma\nolivia\nava\nisabella\nsophia\n" * 40)
    recipes = [json.dumps({"text": f"Soup {n}\n\n{n} onions\nsalt"}) + "\n" for n in range(60)]
    (folder / "recipes.jsonl").write_text("".join(recipes))
    (folder / "talks.csv").write_text("id,text\n" + "".join(f'{n},"one, {n}"\n' for n in range(60)))
    with zipfile.ZipFile(folder / "talks.zip", "w") as archive:
        archive.writestr("talk 1.txt", ("“one”, two – three\n" * 60).encode("cp1252"))
    (folder / "beginnings.txt").write_text("worker 1\nwork\n")
    (folder / "logs").mkdir()
    with gzip.open(folder / "logs" / "a.gz", "wt") as file:
        file.write(text)
    return folder


def quickly(command: str) -> str:
    """The same with small budgets."""
    command = re.sub(r"--minutes (\d+)", r"--steps 2\1", command)
    return re.sub(r"(--preset \w+)", r"\1 --steps 2", command)


def run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**ENVIRONMENT, "PATH": path}
    return run_command(["bash", "-ec", quickly(command)], cwd=folder, environment=environment)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split("\n")[0][:60])
def test_a_command_of_the_readme_works(command: str, folder: Path) -> None:
    """Each in turn: later ones use the runs of those before."""
    result = run(command, folder)

    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr


@pytest.mark.slow
def test_the_python_of_the_readme_works(folder: Path) -> None:
    program = "\n".join(blocks("python"))
    (folder / "program.py").write_text(re.sub(r"minutes=\w+", "steps=20", program))
    result = run(f"{sys.executable} program.py", folder)

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("It was ")


def test_every_command_is_in_the_readme() -> None:
    for name in [
        "train",
        "sample",
        "next",
        "perplexity",
        "info",
        "ngram",
        "export",
        "corpus",
        "tokenize",
        "detokenize",
    ]:
        assert f"lmgen {name}" in README, name


def test_at_least_five_pipelines_are_shown() -> None:
    section = README.split("## In pipes")[1].split("\n## ")[0]

    assert len(re.findall(r"^```sh$", section, re.MULTILINE)) >= 5
