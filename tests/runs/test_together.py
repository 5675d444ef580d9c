"""Several processes that train one model: the same figures as one, resumed, stopped, killed."""

import json
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.process import Forked, free_port, lmgen, lmgen_together, place, wait_for

pytestmark = pytest.mark.slow

LINES = random.Random(5).choices(
    ["the cat sat on the mat", "a dog", "the dog saw a cat on a mat and ran", "cats run", "a mat sat"], k=600
)
"""Of such lengths that units fill batches of different sizes."""

TINY = {
    "hidden-size": 12,
    "window-length": 9,
    "batch-size": 7,
    "precision": "float64",
    "steps": 6,
    "evaluations": 6,
    "baseline-order": 0,
    "learning-rate": 0.02,
    "warmup": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("together")
    (made / "lines.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    labelled = (f"{line}\t{'cat' if 'cat' in line else 'none'}\n" for line in LINES)
    (made / "labelled.txt").write_text("".join(labelled), encoding="utf-8")
    sums = (f"{a}+{b}={a + b}\n" for a in range(10) for b in range(10))
    (made / "sums.txt").write_text("".join(sums), encoding="utf-8")
    return made


def trained(folder: Path, processes: int, *arguments: str) -> Path:
    """Train in so many processes; the run folder, made anew."""
    out = f"of-{processes}"
    tiny = [f"--{name}={value}" for name, value in TINY.items()]
    command = ["train", *tiny, "--out", out, "--overwrite", *arguments]
    if processes == 1:
        ended = [lmgen(*command, cwd=folder)]
    else:
        ended = lmgen_together(processes, *command, cwd=folder)
    assert [each.returncode for each in ended] == [0] * processes, [each.stderr for each in ended]
    assert not any(each.stdout + each.stderr for each in ended[1:]), "process 0 alone prints"
    return folder / out


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


FIGURES = ("step", "epoch", "train_nats_per_token", "valid_nats_per_token", "learning_rate", "gradient_norm")


def figures(run: Path) -> Iterator[float]:
    for line in metrics(run):
        yield from (line[name] for name in FIGURES)
        yield line.get("valid_accuracy", 0.0)


@pytest.mark.parametrize(
    ("processes", "arguments"),
    [
        (2, "lines.txt --clip 0.2 --valid 0.5"),  # long enough for several streams
        (3, "lines.txt --clip 0.2"),
        (3, "lines.txt --cell gru --state reset"),
        (2, "lines.txt --vary-window-length --activation-penalty 0.5 --slowness-penalty 0.5 --ema 0.8"),
        (
            3,
            "lines.txt --unit line --batch-size 4 --activation-penalty 1 --slowness-penalty 1",
        ),
        (3, "lines.txt --unit line --batch-size 3 --clip-value 0.01 --tokenizer word --output adaptive"),
        (2, "sums.txt --unit line --answers-after = --batch-size 3"),
        (3, "lines.txt --tokenizer word --optimizer adamw-adagrad --objective sampled"),
        (2, "lines.txt --tokenizer word --optimizer adamw-adagrad --objective sampled --tied"),
        (2, "lines.txt --optimizer sgd --momentum 0.9 --attention 3 --normalization layer"),
        (2, "lines.txt --ngram-embedding 4 --ngram-rows 300"),
        (2, "labelled.txt --labels --bidirectional"),
    ],
)
def test_processes_train_as_one_does(folder: Path, processes: int, arguments: str) -> None:
    """With --objective sampled the sample is the whole vocabulary, so that the loss is the full one."""
    one, several = (trained(folder, each, *arguments.split()) for each in (1, processes))
    assert list(figures(several)) == pytest.approx(list(figures(one)), rel=1e-7)
    weights = load_file(several / "model.safetensors")
    for name, array in load_file(one / "model.safetensors").items():
        np.testing.assert_allclose(weights[name], array, rtol=1e-4, atol=1e-6)


STEADY = ["--schedule=constant", "--valid=0"]
"""What has a run of few steps take the same ones as a longer run, and keep its last weights."""


def resumed(folder: Path, processes: int, *arguments: str, out: str) -> str:
    """Go on in so many processes; what process 0 says."""
    command = ["train", "--resume", "--out", out, *arguments]
    ended = (
        [lmgen(*command, cwd=folder)] if processes == 1 else lmgen_together(processes, *command, cwd=folder)
    )
    assert [each.returncode for each in ended] == [0] * processes, [each.stderr for each in ended]
    return ended[0].stderr


def test_a_run_goes_on_bit_for_bit_in_as_many_processes(folder: Path) -> None:
    corpus = ["lines.txt", "--precision=float32", "--dropout=0.3", *STEADY]
    whole = load_file(trained(folder, 2, *corpus) / "last" / "training.safetensors")
    run = trained(folder, 2, *corpus, "--steps=3")
    said = resumed(folder, 2, "--steps=6", out=run.name)
    assert "shared out anew" not in said
    parts = load_file(run / "last" / "training.safetensors")
    assert parts.keys() == whole.keys()
    assert "random.1.cpu" in parts
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name], array)


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    """The weights of a run that one process trains in one go."""
    return dict(load_file(trained(folder, 1, "lines.txt", *STEADY) / "model.safetensors"))


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_another_number_of_processes_goes_on_from_the_same_place(
    folder: Path, whole: dict[str, Any], before: int, after: int
) -> None:
    run = trained(folder, before, "lines.txt", "--steps=3", *STEADY)
    said = resumed(folder, after, "--steps=6", out=run.name)
    counted = {1: "one process", 2: "2 processes", 3: "3 processes"}
    assert f"in {counted[before]} until now and goes on in {counted[after]}" in said
    for name, array in load_file(run / "model.safetensors").items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-4, atol=1e-6)


def test_a_model_says_how_many_processes_trained_it(folder: Path) -> None:
    run = trained(folder, 2, "lines.txt", "--learning-rate=find", "--steps=2")
    assert "processes 2" in lmgen("info", run.name, cwd=folder).stdout
    assert json.loads(lmgen("info", run.name, "--json", cwd=folder).stdout)["training"]["processes"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("lines.txt --batch-size 1", 2, "--batch-size 1 is shared out among 2 processes"),
        ("lines.txt --normalization batch", 2, "--normalization batch takes its statistics"),
        ("lines.txt --estimate", 2, "start it without torchrun"),
        ("missing.txt", 1, "no file, folder or corpus 'missing.txt'"),
        ("lines.txt --valid missing.txt", 1, "missing.txt"),
        ("lines.txt --hiden-size 3", 2, "--hidden-size"),
        ("lines.txt --learning-rate 1e15 --precision float32", 1, "training was unstable 3 times"),
    ],
)
def test_an_error_ends_all_with_one_line(folder: Path, arguments: str, code: int, message: str) -> None:
    ended = lmgen_together(2, "train", *arguments.split(), "--out", "wrong", "--steps=9", cwd=folder)
    assert [each.returncode for each in ended] == [code, code]
    said = [line for each in ended for line in each.stderr.splitlines()]
    assert [message in line for line in said if line.startswith("error:")] == [True], said
    assert "Traceback" not in "".join(said)
    if code == 2 or "missing" in arguments:
        assert not (folder / "wrong").exists()


def begun(folder: Path, *arguments: str) -> list[Forked]:
    """Two processes that have begun a command."""
    port = free_port()
    return [Forked(*arguments, cwd=folder, environment=place(rank, 2, port)) for rank in range(2)]


def ended(processes: list[Forked]) -> tuple[list[int | None], list[str]]:
    """Exit codes, and what was said until the end."""
    said = [process.communicate()[1] for process in processes]
    return [process.returncode for process in processes], said


def in_training(folder: Path, *arguments: str) -> list[Forked]:
    """Two processes that train until they are stopped."""
    tiny = ["--hidden-size=12", "--baseline-order=0", "--checkpoint-minutes=0.001", "--steps=1000000"]
    processes = begun(folder, "train", "lines.txt", *tiny, "--out=stopped", "--overwrite", *arguments)
    wait_for("cost ", processes[0])
    while not (folder / "stopped" / "last" / "previous.safetensors").exists():
        time.sleep(0.05)
    return processes


@pytest.mark.parametrize("stopped", [[0, 1], [1]])
def test_ctrl_c_in_any_process_saves(folder: Path, stopped: list[int]) -> None:
    processes = in_training(folder)
    for rank in stopped:
        processes[rank].send_signal(signal.SIGINT)
    codes, said = ended(processes)
    assert codes == [130 if rank in stopped else 0 for rank in range(2)]
    assert "note: stopped at step" in said[0]
    assert said[1] == ""
    assert not list((folder / "stopped").glob(".*"))
    resumed(folder, 2, "--steps=1", out="stopped")


def test_training_goes_on_while_nothing_can_be_written(folder: Path) -> None:
    processes = in_training(folder, "--evaluations=100000")
    metrics = folder / "stopped" / "metrics.jsonl"
    metrics.unlink(missing_ok=True)
    metrics.mkdir()
    wait_for("note: cannot write", processes[0])
    wait_for("note: cannot write", processes[0])
    metrics.rmdir()
    for process in processes:
        process.send_signal(signal.SIGINT)
    codes, said = ended(processes)
    assert codes == [130, 130]
    assert "note: stopped at step" in said[0]
    assert said[1] == ""


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_all_with_one_line(folder: Path, killed: int) -> None:
    processes = in_training(folder)
    processes[killed].kill()
    codes, said = ended(processes)
    assert codes == [-signal.SIGKILL if rank == killed else 1 for rank in range(2)]
    [error] = [line for each in said for line in each.splitlines() if line.startswith("error:")]
    assert "another process of this training has ended" in error
    assert "Traceback" not in "".join(said)
    resumed(folder, 2, "--steps=1", out="stopped")


@pytest.mark.parametrize("killed", [0, 1])
def test_where_one_is_killed_before_training_the_other_says_so(folder: Path, killed: int) -> None:
    """While process 0 waits for more of its text; torchrun, which notices, ends the other by SIGTERM."""
    out = f"early-{killed}"
    processes = begun(folder, "train", "-", "--out", out)
    while not (folder / out / ".new").exists():
        time.sleep(0.05)
    processes[killed].kill()
    processes[killed].wait()
    processes[1 - killed].send_signal(signal.SIGTERM)
    codes, said = ended(processes)
    assert codes[1 - killed] in (1, 128 + signal.SIGTERM)
    [error] = [line for each in said for line in each.splitlines() if line.startswith("error:")]
    assert re.search("another process of this training has ended|one of its 2 processes has ended", error)
    assert "Traceback" not in "".join(said)


def test_a_program_gets_the_model_in_every_process(folder: Path) -> None:
    program = f"""
import lmgen
model = lmgen.train("lines.txt", out={str(folder / "called")!r}, steps=2, baseline_order=0, hidden_size=8)
print(model.path)
"""
    port = free_port()
    running = [Forked(cwd=folder, environment=place(rank, 2, port), program=program) for rank in range(2)]
    said = [process.communicate()[0] for process in running]
    assert said == [f"{folder / 'called' / 'model.safetensors'}\n"] * 2
