"""Several processes that train one model: the same figures as one, resumed, stopped, killed."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.process import lmgen, lmgen_together

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
        (2, "lines.txt --clip 0.2"),
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
