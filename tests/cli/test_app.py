"""The command as a process: its help pages, exit codes, and what stands on stderr."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from lmgen.cli.app import COMMANDS, load_command
from lmgen.models.network.cells import CELLS
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import ENVIRONMENT, lmgen, run_command

pytestmark = pytest.mark.slow  # each test starts a command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_bigram_model(path, CharacterTokenizer("\nab"), np.zeros((4, 4)))
    return path


def test_help_lists_every_command(tmp_path: Path) -> None:
    result = lmgen("--help", cwd=tmp_path)

    assert result.returncode == 0
    listed = result.stdout.partition("─ Commands ─")[2]
    assert re.findall(r"^│ (\w+) ", listed, flags=re.MULTILINE) == list(COMMANDS)


def test_the_command_alone_shows_its_help_and_no_error(tmp_path: Path) -> None:
    result = lmgen(cwd=tmp_path)

    assert result.returncode == 2
    assert "Usage: lmgen" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_listed_with_the_first_line_of_its_own_help(command: str) -> None:
    first_paragraph = load_command(command).help.partition("\n\n")[0]

    assert COMMANDS[command][1] == first_paragraph.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sample"], 1, "there is no model under checkpoints/ yet; `lmgen train` makes one"),
        (["info", "nothing"], 1, "there is no model nothing; `lmgen train` makes one"),
        (
            ["train", "nothing.txt"],
            1,
            "there is no file, folder or corpus 'nothing.txt'; `lmgen corpus list` shows the corpora",
        ),
        (
            ["train", "--cell", "lstn"],
            2,
            f"Invalid value for '--cell': 'lstn' is not one of {', '.join(map(repr, CELLS))} "
            "(did you mean lstm?); see `lmgen train --help`",
        ),
        (
            ["train", "--unit", "LINE"],
            2,
            "not one of 'document', 'line', 'record' (did you mean line?); see `lmgen train --help`",
        ),
        (["train", "--no-such-flag"], 2, "No such option: --no-such-flag; see `lmgen train --help`"),
        (
            ["train", "--hiden-size", "3"],
            2,
            "No such option: --hiden-size (did you mean --hidden-size?); see `lmgen train --help`",
        ),
        (
            ["train", "--lr", "3"],
            2,
            "No such option: --lr (did you mean --learning-rate?); see `lmgen train --help`",
        ),
        (
            ["train", "--dropout", "1.5", "--hidden-size", "0"],
            2,
            "error: --hidden-size is 0, but has to be at least 1; --dropout is 1.5, but has to be below 1.0",
        ),
        (["train", "--valid", "2"], 2, "--valid is 2, but a fraction has to be at least 0 and below 1"),
        (
            ["train", "--state", "carry", "--stateless"],
            2,
            "--state, --stateful and --stateless contradict each other; give one of them",
        ),
        (["nonsense"], 2, "No such command 'nonsense'; see `lmgen --help`"),
        (["smaple"], 2, "No such command 'smaple' (did you mean sample?); see `lmgen --help`"),
        (
            ["corpus", "mke"],
            2,
            "No such command 'mke' (did you mean make?); see `lmgen corpus --help`",
        ),
        (["sample", "--num", "x"], 2, "; see `lmgen sample --help`"),
        (["corpus", "make", "--seed", "x"], 2, "; see `lmgen corpus make --help`"),
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


@pytest.fixture
def runs(model: Path, tmp_path: Path) -> Path:
    """A folder with two runs, the newer one `tales`, a run without a model, and a text."""
    for age, name in enumerate(["tales", "poems"]):
        folder = tmp_path / "checkpoints" / name
        folder.mkdir(parents=True)
        shutil.copy(model, folder / "model.safetensors")
        os.utime(folder / "model.safetensors", (1e9 - age, 1e9 - age))
    (tmp_path / "checkpoints" / "begun").mkdir()
    (tmp_path / "book.txt").write_text("once upon a time\n")
    return tmp_path


def test_without_a_model_the_newest_run_is_used_and_named(runs: Path) -> None:
    result = lmgen("sample", "--prompt", "ab", "--length", "0", "--stop", "a", cwd=runs)

    assert (result.returncode, result.stderr) == (0, "note: using the newest run, checkpoints/tales\n")
    assert result.stdout.startswith("ab")
    assert lmgen("sample", "--length", "3", "--quiet", cwd=runs).stderr == ""


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("checkpoints/tails", "there is no model checkpoints/tails; did you mean checkpoints/tales?"),
        ("poem", "there is no model poem; did you mean checkpoints/poems?"),
        ("xyz", "there is no model xyz; runs here: checkpoints/tales, checkpoints/poems"),
        (
            "checkpoints/begun",
            "checkpoints/begun has no model.safetensors; is it a run folder, and has its training begun? "
            "runs here: checkpoints/tales, checkpoints/poems",
        ),
        ("book.txt", "book.txt is not a model; `lmgen train book.txt` makes one of a text"),
        (
            300 * "x",
            f"cannot read {40 * 'x'}...{40 * 'x'}: File name too long; runs here: checkpoints/tales, "
            "checkpoints/poems",
        ),
    ],
)
def test_what_is_no_model_is_told_what_to_do(named: str, message: str, runs: Path) -> None:
    result = lmgen("info", named, cwd=runs)

    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"error: {message}\n")


@pytest.mark.parametrize("text", ["the", "poem", "either/or to be", "x" * 300, "two/\nlines"])
def test_a_text_in_the_place_of_the_model_is_told_where_it_goes(text: str, runs: Path) -> None:
    for arguments, where in (
        (["sample", text], "a text to complete goes with --prompt"),
        (["next", text, "cat"], "a text with blanks goes in quotes"),
    ):
        result = lmgen(*arguments, cwd=runs)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("error: ")
        assert result.stderr.endswith(f" ({where})\n")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ["checkpoints/tails", "checkpoints/begun", "book.txt"])
def test_a_path_in_the_place_of_the_model_is_taken_for_no_text(path: str, runs: Path) -> None:
    assert "--prompt" not in lmgen("sample", path, cwd=runs).stderr


def test_a_prompt_of_several_lines_comes_from_the_shell_or_a_file(runs: Path) -> None:
    (runs / "prompt.txt").write_text("a\nb\n")
    command = f"{sys.executable} -m lmgen sample checkpoints/tales --length 4 --seed 1"
    texts = [
        run_command(["bash", "-c", f"{command} {flag}"], cwd=runs, check=True).stdout
        for flag in (r"--prompt $'a\nb'", "--prompt-file prompt.txt", "--prompt - < prompt.txt")
    ]

    assert texts[0].startswith("a\nb")
    assert len(texts[0]) == 7
    assert texts == 3 * texts[:1]


def test_a_closed_pipe_ends_quietly(model: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m lmgen sample {model} --length 0 | head -c 1000 | wc -c"
    result = run_command(["bash", "-c", command], cwd=tmp_path, check=True)

    assert result.stdout.strip() == "1000"
    assert result.stderr == ""


def test_a_pipe_that_was_closed_before_anything_came_is_quiet_too(model: Path, tmp_path: Path) -> None:
    """What is short is written when the command ends, and the reader is gone by then."""
    command = f"{sys.executable} -m lmgen info {model} | true; echo ${{PIPESTATUS[0]}}"
    buffered = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONUNBUFFERED"}
    result = run_command(["bash", "-c", command], cwd=tmp_path, environment=buffered, check=True)

    assert result.stdout == "0\n"
    assert result.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_one_line(model: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m lmgen info {model} > /dev/full"
    result = run_command(["bash", "-c", command], cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot use the output: No space left on device;")
    assert result.stderr.count("\n") == 1


def test_every_cell_is_printed_with_its_equations(tmp_path: Path) -> None:
    lines = lmgen("info", "--cells", "--json", cwd=tmp_path).stdout.splitlines()
    described = {cell["name"]: cell for cell in map(json.loads, lines)}

    assert list(described) == list(CELLS)
    assert described["lstm-1997"]["equations"][-1] == "c' = c + i g       h' = o tanh(c')"
    assert described["lstm-peephole-full"]["parameters"] == "4(nm + m² + m) + 3m²"
    printed = lmgen("info", "--cells", cwd=tmp_path).stdout
    assert all(f"\n{name}: " in printed for name in CELLS)


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert lmgen("--version", cwd=tmp_path).stdout.startswith("lmgen 0.")


def test_one_more_ctrl_c_at_the_very_end_leaves_no_traceback(tmp_path: Path) -> None:
    impatient = (
        "import atexit, os, signal; from lmgen.cli.app import main; "
        "atexit.register(os.kill, os.getpid(), signal.SIGINT); main()"
    )
    result = run_command([sys.executable, "-c", impatient, "--version"], cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")


def test_without_standard_output_there_is_an_error_line(tmp_path: Path) -> None:
    result = run_command(["/bin/sh", "-c", f"exec {sys.executable} -m lmgen sample >&-"], cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("error: there is no standard output")
