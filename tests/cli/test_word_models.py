"""Word models as a process: trained by clusters or samples, then used like any other."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.process import lmgen

pytestmark = pytest.mark.slow  # each test starts commands that train

TINY = [
    *(
        "--tokenizer",
        "word",
        "--steps",
        "30",
        "--evaluations",
        "2",
        "--baseline-order",
        "2",
        "--threads",
        "1",
    ),
    *("--hidden-size", "12", "--embedding-size", "8", "--window-length", "8", "--batch-size", "4", "--quiet"),
]

ADAPTIVE = ["--output", "adaptive", "--cutoffs", "5,12", "--optimizer", "adamw-adagrad"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    words = [f"word{number}" for number in random.zipf(1.3, 3000).clip(max=40)]
    path = tmp_path / "words.txt"
    path.write_text("\n".join(" ".join(words[first : first + 8]) for first in range(0, len(words), 8)))
    return path


@pytest.mark.parametrize(
    "settings",
    [ADAPTIVE, ["--objective", "sampled", "--samples", "10", "--optimizer", "adamw-adagrad"]],
    ids=["adaptive", "sampled"],
)
def test_a_word_model_is_trained_scored_mixed_sampled_and_exported(
    settings: list[str], text: Path, tmp_path: Path
) -> None:
    trained = lmgen("train", text.name, *TINY, *settings, "--out", "run", "--json", cwd=tmp_path)
    assert trained.stderr == ""
    assert json.loads(trained.stdout)["valid_perplexity"] < 43

    scored = lmgen("perplexity", "run", "--mix", "--json", cwd=tmp_path)
    network, baseline, mixture = (json.loads(line) for line in scored.stdout.splitlines())
    assert scored.returncode == 0
    assert network["perplexity"] == pytest.approx(json.loads(trained.stdout)["valid_perplexity"], rel=1e-4)
    assert mixture["perplexity"] < max(network["perplexity"], baseline["perplexity"])

    nexts = lmgen("next", "run", "word1", "--top", "1000", "--json", cwd=tmp_path)
    found = json.loads(nexts.stdout)
    assert sum(token["probability"] for token in found["next"]) == pytest.approx(1, abs=1e-4)

    exported = lmgen("export", "run", "--to", "int8", "--out", "small.safetensors", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    drawn = lmgen("sample", "small.safetensors", "--length", "5", "--seed", "1", "--quiet", cwd=tmp_path)
    assert drawn.stdout.count("word") >= 4


def test_info_lists_the_clusters(text: Path, tmp_path: Path) -> None:
    lmgen("train", text.name, *TINY, *ADAPTIVE, "--out", "run", cwd=tmp_path)
    shown = lmgen("info", "run", cwd=tmp_path).stdout

    rows = {line.split()[0]: line for line in shown.splitlines() if line}
    assert "n (C0 + 2)" in rows["output.weight"]
    assert "84" in rows["output.weight"].split()[-1]
    assert "D1 (m - C1)" in rows["output.clusters.1.weight"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["--output", "adaptive", "--tokenizer", "char"],
            "--output adaptive needs token ids that go by falling",
        ),
        (
            ["--output", "adaptive", "--cutoffs", "9,400"],
            "--cutoffs 9,400 go beyond the vocabulary of 42 tokens",
        ),
    ],
)
def test_settings_that_cannot_be_are_one_line_and_leave_nothing(
    settings: list[str], message: str, text: Path, tmp_path: Path
) -> None:
    result = lmgen("train", text.name, *TINY, *settings, "--out", "run", cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["words.txt"]


def test_a_run_keeps_the_cutoffs_that_its_vocabulary_gave(text: Path, tmp_path: Path) -> None:
    """So that it is made again, and goes on, as it was if the defaults change."""
    lmgen("train", text.name, *TINY, "--output", "adaptive", "--out", "run", cwd=tmp_path)

    assert 'cutoffs = "14"' in (tmp_path / "run" / "config.toml").read_text()
    resumed = lmgen("train", "--resume", "--out", "run", "--steps", "40", "--json", cwd=tmp_path)
    assert json.loads(resumed.stdout)["steps"] == 40
