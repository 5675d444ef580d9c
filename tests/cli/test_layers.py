"""Networks of other layers, from the command line: trained, shown, sampled from, resumed, extended."""

import json
from pathlib import Path

import pytest

from lmgen.models.model_file import load_model
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


NEW_LAYERS = [
    ["--convolution", "3x10,2x8", "--dropout", "0.1", "--state", "carry"],
    ["--layers", "0", "--convolution", "4x10", "--convolution-activation", "tanh", "--embedding-size", "0"],
    ["--layers", "0", "--convolution", "3x10", "--dense-layers", "1", "--state", "reset", "--unit", "line"],
    ["--attention", "5", "--cell", "gru", "--dropout", "0.1", "--state", "carry"],
    ["--attention", "3", "--layers", "2", "--state", "reset", "--unit", "line"],
    ["--normalization", "layer", "--layers", "2", "--residual", "--dropout", "0.1", "--state", "carry"],
    ["--normalization", "layer", "--cell", "gru", "--attention", "3", "--state", "reset", "--unit", "line"],
    ["--normalization", "batch", "--layers", "2", "--residual", "--ema", "0.8", "--state", "carry"],
    ["--normalization", "batch", "--cell", "gru", "--embedding-size", "0", "--unit", "line"],
    ["--ngram-embedding", "4", "--ngram-rows", "500", "--dropout", "0.1", "--state", "carry"],
    ["--ngram-embedding", "2", "--cell", "gru", "--optimizer", "adam", "--tied", "--unit", "line"],
]
"""
Networks with a convolution before the recurrence, without recurrence, with attention after it, with
normalisation, and with an n-gram embedding.
"""

NEW_NETWORKS = [
    "convolution 3x10,2x8, lstm, 1 layer(s), hidden H = 12",
    "convolution 4x10",
    "convolution 3x10, 1 dense layer(s)",
    "gru, 1 layer(s), hidden H = 12, attention over 5 states",
    "lstm, 2 layer(s), hidden H = 12, attention over 3 states",
    "lstm, 2 layer(s), hidden H = 12, layer normalisation",
    "gru, 1 layer(s), hidden H = 12, layer normalisation, attention over 3 states",
    "lstm, 2 layer(s), hidden H = 12",
    "gru, 1 layer(s), hidden H = 12",
    "4-gram embedding, lstm, 1 layer(s), hidden H = 12",
    "2-gram embedding, gru, 1 layer(s), hidden H = 12",
]
"""What `lmgen info` says of them."""


@pytest.mark.parametrize(("flags", "network"), list(zip(NEW_LAYERS, NEW_NETWORKS, strict=True)))
def test_other_layers_train_resume_export_and_write(
    flags: list[str], network: str, folder: Path, tmp_path: Path
) -> None:
    """A run stopped half-way goes on as if it had not been; its model is exported, scored, sampled from."""
    text = str(folder / "squares.txt")
    short = [*TINY, *flags, "--schedule", "constant", "--warmup", "0"]
    lmgen("train", text, *short, "--steps", "24", "--out", "whole", cwd=tmp_path)
    lmgen("train", text, *short, "--out", "halved", cwd=tmp_path)
    resumed = lmgen("train", "--resume", "--out", "halved", "--steps", "24", "--quiet", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    whole, halved = (load_model(tmp_path / run / "model.safetensors").model for run in ("whole", "halved"))
    for name, array in whole.to_tensors()[1].items():
        assert (array == halved.to_tensors()[1][name]).all(), name

    assert f"network    {network}\n" in lmgen("info", "whole", cwd=tmp_path).stdout
    described = json.loads(lmgen("info", "whole", "--json", cwd=tmp_path).stdout)
    arrays = whole.to_tensors()[1]
    assert described["parameters"] == sum(array.size for array in arrays.values())
    exact, in_tiles = (
        json.loads(lmgen("perplexity", "whole", text, "--json", *more, cwd=tmp_path).stdout)["nats"]
        for more in (["--exact"], [])
    )
    assert exact == pytest.approx(in_tiles, rel=1e-6)
    small = lmgen("export", "whole", "--to", "int8", "--out", "small.safetensors", "--quiet", cwd=tmp_path)
    assert small.returncode == 0, small.stderr
    sampled = [
        lmgen("sample", model, "--prompt", "7 times", "--length", "20", "--num", "3", "--quiet", cwd=tmp_path)
        for model in ("whole", "small.safetensors")
    ]
    assert all(result.returncode == 0 and "7 times" in result.stdout for result in sampled)


def test_a_batch_normalised_network_is_a_plain_one_once_saved(folder: Path, tmp_path: Path) -> None:
    text, short = str(folder / "squares.txt"), [*TINY, "--steps", "4"]
    trained = lmgen("train", text, *TINY, "--normalization", "batch", "--json", "--out", "run", cwd=tmp_path)
    described = json.loads(lmgen("info", "run", "--json", cwd=tmp_path).stdout)
    plain = lmgen("train", text, *TINY, "--normalization", "none", "--json", "--out", "plain", cwd=tmp_path)
    also_described = json.loads(lmgen("info", "plain", "--json", cwd=tmp_path).stdout)

    assert described["network"] == also_described["network"]
    assert described["layers"] == also_described["layers"]
    assert json.loads(trained.stdout)["parameters"] == json.loads(plain.stdout)["parameters"]
    assert (described["training"]["normalization"], "normalization" in also_described["training"]) == (
        "batch",
        False,
    )
    assert "normalization batch" in lmgen("info", "run", cwd=tmp_path).stdout

    scored = json.loads(lmgen("perplexity", "run", "--json", cwd=tmp_path).stdout)
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = min(line["valid_nats_per_token"] for line in metrics)
    assert scored["nats_per_token"] == pytest.approx(best, rel=1e-5)

    tuned = lmgen("train", text, *short, "--from", "run", "--out", "tuned", cwd=tmp_path)
    assert tuned.returncode == 0, tuned.stderr
    refused = lmgen(
        *("train", text, *short, "--from", "run", "--normalization", "batch", "--out", "refused"),
        cwd=tmp_path,
    )
    assert refused.returncode == 2
    assert "--normalization is 'batch', but run/model.safetensors has 'none'" in refused.stderr


def test_one_hot_convolutions_learn_new_characters(folder: Path, tmp_path: Path) -> None:
    """Each of their blocks grows by a column for every new character."""
    lmgen("train", str(folder / "squares.txt"), *TINY, *NEW_LAYERS[1], "--out", "old", cwd=tmp_path)
    (tmp_path / "more.txt").write_text("é = 7 times 8, ü = 9 times 6\n" * 30)
    result = lmgen(
        *("train", "more.txt", "--from", "old", "--extend-vocabulary", "--out", "more", "--quiet"),
        *("--steps", "1", "--batch-size", "4", "--window-length", "8", "--threads", "1"),
        *("--baseline-order", "0", "--learning-rate", "1e-12"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    old, new = (
        load_model(tmp_path / run / "model.safetensors").model.to_tensors()[1]["convolution.0.weight"]
        for run in ("old", "more")
    )
    assert (old.shape, new.shape) == ((40, 18), (40, 22))
    assert abs(new[:, :18] - old).max() < 1e-6


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--convolution", "9x4", "--state", "reset"], "a longer --window-length or --state carry"),
        *(
            (["--convolution", given], "has to be WIDTHxFILTERS")
            for given in ("3by4", "3x", "0x5", "3x0", "")
        ),
        (["--convolution", "3x4", "--convolution-activation", "swish"], "'swish'"),
        (["--dense-layers", "1", "--dense-activation", "swish"], "'swish'"),
        (["--attention", "0"], "--attention is 0"),
        (["--attention", "1001"], "--attention is 1001"),
        (["--attention", "many"], "'many' is neither a whole number nor none"),
        (["--attention", "5", "--layers", "0"], "--attention looks back at the states of recurrent layers"),
        (["--init", "random"], "'random' is not one of 'orthogonal', 'uniform'"),
        (["--init-scale", "0"], "--init-scale is 0.0"),
        (["--init-memory", "1"], "--init-memory is 1, but has to be at least 2"),
        (["--init-memory", "100", "--cell", "rnn"], "and the cell rnn has none to set"),
        *((["--clip-value", value], f"--clip-value is {value}") for value in ("0.0", "-1.0", "nan", "inf")),
        (["--normalization", "layer", "--layers", "0", "--dense-layers", "1"], "is of recurrent layers"),
        (["--normalization", "weight"], "'weight'"),
        (["--normalization", "batch", "--cell", "lstm-layernorm"], "normalises its input products itself"),
        (["--layers", "0"], "add --convolution 5x256 or --dense-layers 1"),
        (["--tied", "--embedding-size", "0"], "give another --embedding-size"),
        (["--dense-size", "8"], "add --dense-layers 1"),
        (["--embedding-size", "-1"], "--embedding-size is -1"),
    ],
)
def test_what_does_not_go_together_is_one_line(flags: list[str], problem: str, folder: Path) -> None:
    result = lmgen("train", "squares.txt", *TINY, *flags, "--out", "refused", cwd=folder)

    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert problem in result.stderr
    assert not (folder / "refused").exists()


def test_a_convolution_wider_than_the_window_is_noted_where_the_state_is_carried(
    folder: Path, tmp_path: Path
) -> None:
    flags = [each for each in TINY if each != "--quiet"]
    result = lmgen("train", str(folder / "squares.txt"), *flags, "--convolution", "9x4", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    [note] = [line for line in result.stderr.splitlines() if "--convolution" in line]
    assert note.startswith("note: --convolution reads 9 tokens, but gradients flow back through 8")


@pytest.mark.parametrize(
    ("flags", "ignored"),
    [
        (["--dense-activation", "tanh"], "--dense-activation"),
        (["--convolution-activation", "relu"], "--convolution-activation"),
        (["--layers", "0", "--dense-layers", "1", "--cell", "gru"], "--cell"),
        (["--samples", "5"], "--samples"),
        (["--layers", "0", "--convolution", "3x8", "--init", "uniform"], "--init"),
        (["--layers", "0", "--convolution", "3x8", "--init-scale", "0.5"], "--init-scale"),
        (["--residual"], "--residual"),
        (["--residual", "--layers", "2", "--last-hidden-size", "7"], "--residual"),
        (["--dropout-hidden", "0.5"], "--dropout-hidden"),
        (["--variational"], "--variational"),
        (["--variational", "--weight-drop", "0.5"], "--variational"),
        (["--output-rate", "3", "--tied", "--embedding-size", "8", "--hidden-size", "8"], "--output-rate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_setting_without_anything_to_act_on_is_noted(
    flags: list[str], ignored: str, folder: Path, tmp_path: Path
) -> None:
    quick = [each for each in TINY if each != "--quiet"]
    result = lmgen("train", str(folder / "squares.txt"), *quick, *flags, "--steps", "1", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    [note] = [line for line in result.stderr.splitlines() if "changes nothing" in line]
    assert note.startswith(f"note: {ignored} changes nothing without ")


@pytest.mark.parametrize(
    "flags",
    [
        ["--residual", "--layers", "2"],
        ["--dropout-hidden", "0.5", "--dense-layers", "1"],
        ["--variational", "--dropout-input", "0.5"],
        ["--no-variational", "--no-residual", "--dropout-hidden", "0"],
        ["--output-rate", "3", "--init", "uniform", "--init-scale", "0.1"],
    ],
    ids=" ".join,
)
def test_a_setting_that_acts_or_is_off_is_not_noted(flags: list[str], folder: Path, tmp_path: Path) -> None:
    quick = [each for each in TINY if each != "--quiet"]
    result = lmgen("train", str(folder / "squares.txt"), *quick, *flags, "--steps", "1", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "changes nothing" not in result.stderr
