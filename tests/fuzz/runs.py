"""The files of a run folder, and the commands that read them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch  # before memory is limited
import typer
from typer.testing import CliRunner

from lmgen.cli.info import info
from lmgen.cli.perplexity import perplexity
from lmgen.cli.sample import sample
from lmgen.cli.train import train
from lmgen.data.run_folder import RunFolder
from lmgen.errors import LmgenError
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from tests.fuzz.mutations import JSON, TEXT, Mutate
from tests.fuzz.subjects import CORPUS, Subject
from tests.fuzz.tensor_files import TENSOR_FILE

TINY: dict[str, Any] = {"hidden_size": 6, "embedding_size": 4, "window_length": 4, "batch_size": 2}

FILES: dict[str, tuple[Mutate, ...]] = {
    "config.toml": tuple(TEXT),
    "metrics.jsonl": tuple(TEXT),
    "mixture.json": tuple(JSON),
    "data/prepared.json": tuple(JSON),
    "data/train.npy": tuple(TEXT),
    "data/valid.npy": tuple(TEXT),
    "data/valid.txt": tuple(TEXT),
    "last/training.safetensors": tuple(TENSOR_FILE),
    "model.safetensors": tuple(TENSOR_FILE),
    "ngram.safetensors": tuple(TENSOR_FILE),
}

COMMANDS = [
    ["info"],
    ["perplexity", "--mix"],
    ["sample", "--mix", "--length", "3"],
    ["train", "--resume", "--quiet", "--steps", "6", "--out"],
]

app = typer.Typer()
for _command in (info, perplexity, sample, train):
    app.command()(_command)


def run_subjects(folder: Path) -> list[Subject]:
    """Each file of a run with each command."""
    torch.set_num_threads(1)
    text = folder / "text.txt"
    text.write_text(CORPUS * 4)
    good = RunFolder(folder / "good")
    config = RunConfig.from_settings(
        {**TINY, "corpus": [str(text)], "baseline_order": 2, "steps": 6}, "the test"
    )
    for _ in run.train(config, good.folder):
        pass
    _invoke(["perplexity", "--mix", str(good.folder)])
    assert all((good.folder / file).exists() for file in FILES)
    return [
        Subject(
            f"{file} and lmgen {command[0]}",
            Path(file).suffix,
            (good.folder / file).read_bytes(),
            mutations,
            _use(good.folder, file, command),
        )
        for file, mutations in FILES.items()
        for command in COMMANDS
    ]


def _use(good: Path, file: str, command: list[str]) -> Callable[[Path], None]:
    def use(path: Path) -> None:
        damaged = good.with_name("damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(good, damaged)
        path.replace(damaged / file)
        _invoke([*command, str(damaged)])

    return use


def _invoke(arguments: list[str]) -> None:
    """
    Run a command: it does its work, or says in one line why not.

    Raises:
        LmgenError: it said why not; the message is that line.
    """
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), result.exit_code
    lines = result.stderr.splitlines()
    assert not any("a bug in lmgen" in line for line in lines), lines[-1]
    if result.exit_code:
        assert lines[-1].startswith("error: "), result.stderr
        raise LmgenError(lines[-1])
