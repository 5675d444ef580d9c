"""`lmgen train` and what interrupts it: signals, readers that go, other processes, a full disk."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from lmgen.models.model_file import load_tensors
from tests.cli.test_train import TEXT, TINY
from tests.process import COMMAND, Forked, lmgen, lmgen_from_scratch, run_command, wait_for

pytestmark = pytest.mark.slow  # each test starts commands that train

EVALUATION = r" +\d+ "
"""How the line of an evaluation begins."""

ENDLESS = [*TINY, "--steps", "100000", "--evaluations", "20000"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "squares.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_and_says_how_to_go_on(number: int, code: int, text: Path, tmp_path: Path) -> None:
    with Forked("train", text.name, *ENDLESS, cwd=tmp_path) as process:
        wait_for(EVALUATION, process)
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait() == code

    last = rest.splitlines()[-1]
    match = re.fullmatch(r"note: stopped at step ([\d,]+) and saved; `(lmgen .*)` goes on", last)
    assert match, rest
    assert match[2] == "lmgen train --resume --out checkpoints/squares"
    if number == signal.SIGINT:
        step = int(match[1].replace(",", ""))
        resumed = lmgen("train", "--resume", "--steps", str(step + 5), "--json", cwd=tmp_path)
        assert json.loads(resumed.stdout)["steps"] == step + 5
        assert f"going on from step {step:,}" in resumed.stderr


SUMS = "".join(f"{a}+{b}={a + b}\n" for a in range(20) for b in range(20))

REVIEWS = "".join(
    f"{' '.join('so' if bits >> place & 1 else 'not' for place in range(length))} fine\t{'AB'[bits & 1]}\n"
    for length in range(1, 8)
    for bits in range(40)
)

TAGGED = "".join(
    f"{' '.join(f'{word}/{tag}' for word, tag in zip(words, [*words[1:], 'e'], strict=True))}\n"
    for words in (list(f"{number:b}".replace("0", "n").replace("1", "v")) for number in range(1, 300))
)

LABELS = ["--labels", "--bidirectional", "--cell", "gru", "--layers", "2", "--dropout", "0.2"]

TASK_RUNS = {
    "answers": (SUMS, ["--unit", "line", "--answers-after", "=", "--baseline-order", "0"]),
    "answers of words": (
        SUMS.replace("+", " + ").replace("=", " = "),
        ["--unit", "line", "--answers-after", " = ", "--tokenizer", "word", "--baseline-order", "0"],
    ),
    "labels of lines": (REVIEWS, [*LABELS, "--pool", "max"]),
    "labels of lines, words": (REVIEWS, [*LABELS, "--tokenizer", "word"]),
    "labels of words": (TAGGED, [*LABELS, "--tokenizer", "word", "--optimizer", "adamw-adagrad"]),
    "labels of words, characters": (TAGGED, ["--labels", "--convolution", "3x8", "--ema", "0.9"]),
}


@pytest.mark.parametrize("name", TASK_RUNS)
def test_a_run_on_a_task_that_is_stopped_by_ctrl_c_ends_with_the_same_weights(
    name: str, tmp_path: Path
) -> None:
    """Resumed by a process whose hashes are salted differently: not forked from the same one."""
    content, flags = TASK_RUNS[name]
    (tmp_path / "task.txt").write_text(content)
    small = ["--hidden-size", "8", "--embedding-size", "4", "--batch-size", "8", "--threads", "1"]
    settings = [*flags, *small, "--steps", "200", "--evaluations", "20"]
    with Forked("train", "task.txt", *settings, "--out", "cut", cwd=tmp_path) as process:
        wait_for(EVALUATION, process)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate()
    assert process.returncode == 130, rest
    assert lmgen_from_scratch("train", "--resume", "--out", "cut", cwd=tmp_path).returncode == 0
    assert lmgen("train", "task.txt", *settings, "--out", "whole", cwd=tmp_path).returncode == 0

    cut, whole = (load_tensors(tmp_path / run / "model.safetensors")[1] for run in ("cut", "whole"))
    assert cut.keys() == whole.keys()
    assert all(np.array_equal(cut[tensor], whole[tensor]) for tensor in whole)
    last, same = (
        load_tensors(tmp_path / run / "last" / "training.safetensors")[1] for run in ("cut", "whole")
    )
    assert last.keys() == same.keys()
    assert all(np.array_equal(last[tensor], same[tensor]) for tensor in same)


def test_a_second_ctrl_c_leaves_at_once_and_the_last_checkpoint_stands(text: Path, tmp_path: Path) -> None:
    """Steps of seconds: the first Ctrl-C waits for the end of one, the second does not."""
    slow = ["--hidden-size", "700", "--layers", "3", "--window-length", "600", "--batch-size", "4"]
    settings = ["--threads", "1", "--steps", "1000", "--evaluations", "1", "--baseline-order", "0"]
    with Forked("train", text.name, *settings, *slow, "--out", "run", cwd=tmp_path) as process:
        wait_for("network", process)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert "Traceback" not in process.stderr.read()

    assert (tmp_path / "run" / "last" / "training.safetensors").exists()
    assert not list((tmp_path / "run").rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_from_the_beginning_stays_so(
    number: int, text: Path, tmp_path: Path
) -> None:
    """In the background of a script, or under `nohup`."""
    settings = [*TINY, "--steps", "300", "--evaluations", "30", "--json"]
    with Forked("train", text.name, *settings, cwd=tmp_path, ignoring=number) as process:
        wait_for(EVALUATION, process)
        process.send_signal(number)
        output, _ = process.communicate()

    assert process.returncode == 0
    assert json.loads(output)["steps"] == 300


def test_ctrl_c_before_training_begins_leaves_nothing(tmp_path: Path) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with Forked("train", "-", "--out", "run", cwd=tmp_path) as process:
            process.stdin.write("a line\n" * 100)
            process.stdin.flush()
            wait_until_it_exists(tmp_path / "run" / ".new")  # and waits for the rest of its text
            process.send_signal(number)
            assert process.wait() == code

        assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_ends_training_quietly_and_saved(text: Path, tmp_path: Path) -> None:
    command = " ".join([*COMMAND, "train", text.name, *ENDLESS, "--out", "run"])
    result = run_command(["bash", "-c", f"{command} 2>&1 | head -7; exit ${{PIPESTATUS[0]}}"], cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 7
    assert lmgen("train", "--resume", "--steps", "1", "--out", "run", cwd=tmp_path).returncode == 0


def test_a_run_in_training_is_left_alone_and_can_be_sampled_from(text: Path, tmp_path: Path) -> None:
    with Forked("train", text.name, *ENDLESS, cwd=tmp_path) as process:
        wait_for(EVALUATION, process)
        second = lmgen("train", text.name, *TINY, "--overwrite", cwd=tmp_path)
        resumed = lmgen("train", "--resume", cwd=tmp_path)
        sampled = lmgen("sample", "--length", "5", "--quiet", cwd=tmp_path)

    for refused in (second, resumed):
        assert refused.returncode == 1
        assert refused.stderr == (
            f"error: process {process.pid} is training in checkpoints/squares; wait for its end, stop it "
            f"(kill {process.pid}), or give another folder (--out)\n"
        )
    assert (sampled.returncode, len(sampled.stdout)) == (0, 5)


def test_a_small_disk_is_one_error_and_training_goes_on_where_there_is_space(
    text: Path, tmp_path: Path
) -> None:
    """On a real file system of that size, in a mount namespace of its own."""
    own = ["unshare", "--map-root-user", "--mount", "bash", "-c"]
    mount = "mount -t tmpfs -o size=120k tmpfs run"
    (tmp_path / "run").mkdir()
    if not shutil.which("unshare") or run_command([*own, mount], cwd=tmp_path).returncode:
        pytest.skip("no file system can be mounted here")
    command = " ".join(COMMAND)
    settings = " ".join(TINY)
    script = f"""
        {mount}
        {command} train {text.name} {settings} --hidden-size 32 --out run/it --quiet && exit 9
        mount -o remount,size=10m run
        {command} train --resume --out run/it --quiet --json || exit 8
        mount -o remount,ro run
        {command} sample run/it --length 5 --quiet || exit 7
        {command} train --resume --out run/it && exit 6
        exit 0
    """
    result = run_command([*own, script], cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    full, read_only = result.stderr.splitlines()
    assert full.startswith("error: cannot write run/it/")
    assert "No space left on device" in full
    assert read_only.startswith("error: cannot write run/it/.lock: Read-only file system")
    assert json.loads(result.stdout.splitlines()[0])["steps"] == 20


def wait_until_it_exists(path: Path) -> None:
    """Give another process a minute to make a file."""
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
