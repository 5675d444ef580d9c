"""The command as a process: exit codes, what stands on stderr, and what is never imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import lmgen

COMMANDS = [
    "train",
    "sample",
    "perplexity",
    "next",
    "ngram",
    "export",
    "corpus",
    "tokenize",
    "detokenize",
    "info",
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_bigram_model(path, CharacterTokenizer("\nab"), np.zeros((4, 4)))
    return path


def test_help_lists_every_command(tmp_path: Path) -> None:
    result = lmgen("--help", cwd=tmp_path)

    assert result.returncode == 0
    assert all(f" {command} " in result.stdout for command in COMMANDS)


def test_the_command_alone_shows_its_help_and_no_error(tmp_path: Path) -> None:
    result = lmgen(cwd=tmp_path)

    assert result.returncode == 2
    assert "Usage: lmgen" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_flag_has_help(command: str, tmp_path: Path) -> None:
    result = lmgen(command, "--help", cwd=tmp_path)

    assert result.returncode == 0
    for line in result.stdout.splitlines():
        if line.startswith("│ --"):
            assert len(line.strip("│ ").split("  ")) > 1, line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sample"], 1, "there is no model under checkpoints/ yet; `lmgen train` makes one"),
        (["info", "nothing"], 1, "there is no model nothing; `lmgen train --out nothing` would make one"),
        (
            ["train", "nothing.txt"],
            1,
            "there is no file, folder or corpus 'nothing.txt'; `lmgen corpus list` shows the corpora",
        ),
        (
            ["train", "--cell", "lstn"],
            2,
            "Invalid value for '--cell': 'lstn' is not one of 'lstm', 'gru', 'rnn', 'rnn-relu', "
            "'rnn-sigmoid', 'lstm-peephole', 'lstm-layernorm'; see `lmgen train --help`",
        ),
        (["train", "--no-such-flag"], 2, "No such option: --no-such-flag; see `lmgen train --help`"),
        (["train", "--dropout", "1.5"], 2, "dropout is 1.5, but has to be below 1.0"),
        (
            ["train", "--state", "carry", "--stateless"],
            2,
            "--state, --stateful and --stateless contradict each other; give one of them",
        ),
        (["nonsense"], 2, "No such command 'nonsense'; see `lmgen --help`"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    result = lmgen(*arguments, cwd=tmp_path)

    assert result.stderr.splitlines()[-1].endswith(message)
    assert result.stderr == f"error: {result.stderr.removeprefix('error: ')}"
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert result.returncode == code
    assert list(tmp_path.iterdir()) == []


def test_a_model_file_that_is_cut_short_is_named(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    for length in (0, 4, len(whole) // 2, len(whole) - 1):
        model.write_bytes(whole[:length])
        result = lmgen("sample", str(model), cwd=tmp_path)

        assert result.returncode == 1
        assert result.stderr.startswith(f"error: {model} is not a whole model file")
        assert result.stderr.count("\n") == 1


def test_a_closed_pipe_ends_quietly(model: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m lmgen.cli.app sample {model} --length 0 | head -c 1000 | wc -c"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "1000"
    assert result.stderr == ""


def test_a_pipe_that_was_closed_before_anything_came_is_quiet_too(model: Path, tmp_path: Path) -> None:
    """What is short is written when the command ends, and the reader is gone by then."""
    command = f"{sys.executable} -m lmgen.cli.app info {model} | true; echo ${{PIPESTATUS[0]}}"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=buffered, check=True
    )

    assert result.stdout == "0\n"
    assert result.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_one_line(model: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m lmgen.cli.app info {model} > /dev/full"
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot use the output: No space left on device;")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["sample", "MODEL", "--length", "5"],
        ["perplexity", "MODEL", "-"],
        ["next", "MODEL", "ab"],
        ["info", "MODEL"],
        ["tokenize", "MODEL"],
    ],
)
def test_using_a_model_never_imports_torch(arguments: list[str], model: Path, tmp_path: Path) -> None:
    """And help imports no numpy either."""
    forbidden = {"torch", "numpy"} if "--help" in arguments else {"torch", "rich"}
    script = (
        "import sys\n"
        "from lmgen.cli.app import main\n"
        "try:\n    main()\nfinally:\n"
        f"    assert not {forbidden!r} & set(sys.modules), {forbidden!r} & set(sys.modules)\n"
    )
    words = [str(model) if word == "MODEL" else word for word in arguments]
    result = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        input="ab\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert "AssertionError" not in result.stderr
    assert result.returncode == 0, result.stderr


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert lmgen("--version", cwd=tmp_path).stdout.startswith("lmgen 0.")


def test_one_more_ctrl_c_at_the_very_end_leaves_no_traceback(tmp_path: Path) -> None:
    impatient = (
        "import atexit, os, signal; from lmgen.cli.app import main; "
        "atexit.register(os.kill, os.getpid(), signal.SIGINT); main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", impatient, "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")
