"""Networks of other layers, from the command line: trained, shown, sampled from, resumed, extended."""

import json
from pathlib import Path

import pytest

from tests.process import lmgen

pytestmark = pytest.mark.slow

TINY = [
    *("--steps", "12", "--evaluations", "2", "--baseline-order", "0", "--threads", "1"),
    *("--hidden-size", "12", "--window-length", "8", "--batch-size", "4", "--quiet"),
]
DENSE = [
    *("--dense-layers", "2", "--dense-size", "10", "--dense-activation", "leaky-relu"),
    *("--embedding-size", "0", "--dropout", "0.1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, and a run of a network with one-hot input and two dense layers."""
    path = tmp_path_factory.mktemp("layers")
    (path / "squares.txt").write_text("".join(f"{n} times {n} is {n * n}\n" for n in range(200)))
    result = lmgen("train", "squares.txt", *TINY, *DENSE, "--out", "run", cwd=path)
    assert result.returncode == 0, result.stderr
    return path


def test_info_shows_each_layer_with_its_formula_in_letters_and_numbers(folder: Path) -> None:
    shown = lmgen("info", "run", cwd=folder).stdout.splitlines()
    table = [" ".join(line.split()) for line in shown[shown.index("") + 1 :]]

    assert table[: table.index("")] == [
        "trainable parameters in letters in numbers count",
        "embedding (one-hot) 0 n = 18, m = 18 0",
        "layers.0 (lstm) 4(nm + m² + m) n = 18, m = 12 1,488",
        "layers.0.weight_input 4 n m 4 x 18 x 12 864",
        "layers.0.weight_recurrent 4 m² 4 x 12 x 12 576",
        "layers.0.bias 4 m 4 x 12 48",
        "dense.0 (dense) nm + m n = 12, m = 10 130",
        "dense.0.weight n m 12 x 10 120",
        "dense.0.bias m 10 10",
        "dense.1 (dense) nm + m n = 10, m = 10 110",
        "dense.1.weight n m 10 x 10 100",
        "dense.1.bias m 10 10",
        "output (softmax) nm + m n = 10, m = 18 198",
        "output.weight n m 10 x 18 180",
        "output.bias m 18 18",
        "all 1,926",
    ]


def test_info_as_json_adds_up(folder: Path) -> None:
    described = json.loads(lmgen("info", "run", "--json", cwd=folder).stdout)

    assert sum(layer["parameters"] for layer in described["subtotals"]) == described["parameters"] == 1926
    assert described["layers"][0] == {
        "name": "layers.0.weight_input",
        "layer": "layers.0",
        "shape": [48, 18],
        "formula": "4 n m",
        "numbers": "4 x 18 x 12",
        "parameters": 864,
    }


def test_such_a_model_completes_and_scores(folder: Path) -> None:
    sampled = lmgen("sample", "run", "--prompt", "7 times", "--length", "20", "--seed", "1", cwd=folder)
    scored = lmgen("perplexity", "run", "squares.txt", "--json", cwd=folder)
    exact = lmgen("perplexity", "run", "squares.txt", "--json", "--exact", cwd=folder)

    assert (sampled.returncode, len(sampled.stdout)) == (0, 7 + 20)
    nats = [json.loads(result.stdout)["nats"] for result in (scored, exact)]
    assert nats[0] == pytest.approx(nats[1], rel=1e-6)


def test_a_stopped_run_goes_on_as_if_it_had_not(folder: Path) -> None:
    short = [*TINY, *DENSE, "--schedule", "constant", "--warmup", "0"]
    lmgen("train", "squares.txt", *short, "--steps", "24", "--out", "whole", cwd=folder)
    lmgen("train", "squares.txt", *short, "--out", "halved", cwd=folder)
    resumed = lmgen("train", "--resume", "--out", "halved", "--steps", "24", "--quiet", cwd=folder)

    assert resumed.returncode == 0, resumed.stderr
    whole, halved = (
        json.loads((folder / run / "metrics.jsonl").read_text().splitlines()[-1])
        for run in ("whole", "halved")
    )
    assert halved["valid_nats_per_token"] == whole["valid_nats_per_token"]


def test_a_one_hot_network_learns_new_characters(folder: Path) -> None:
    """Its vocabulary is the width of its first layer, which grows by the mean of the old columns."""
    (folder / "more.txt").write_text("é = 7 times 8, ü = 9 times 6\n" * 30)
    result = lmgen(
        *("train", "more.txt", "--from", "run", "--extend-vocabulary", "--out", "more", "--quiet"),
        *("--steps", "4", "--batch-size", "4", "--window-length", "8", "--threads", "1"),
        *("--baseline-order", "0"),
        cwd=folder,
    )

    assert result.returncode == 0, result.stderr
    described = json.loads(lmgen("info", "more", "--json", cwd=folder).stdout)
    assert described["vocabulary_size"] == 18 + 4  # é = , ü
    assert described["layers"][0]["shape"] == [48, 22]


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--tied", "--embedding-size", "0"], "give another --embedding-size"),
        (["--dense-size", "8"], "add --dense-layers 1"),
        (["--embedding-size", "-1"], "embedding_size is -1"),
    ],
)
def test_what_does_not_go_together_is_one_line(flags: list[str], problem: str, folder: Path) -> None:
    result = lmgen("train", "squares.txt", *TINY, *flags, "--out", "refused", cwd=folder)

    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert problem in result.stderr
    assert not (folder / "refused").exists()
