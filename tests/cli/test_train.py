"""`lmgen train` as a process: what is printed where, signals, and mistakes that lose nothing."""

import gzip
import json
import re
from collections import Counter
from math import exp, log
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from tests.process import COMMAND, lmgen, lmgen_from_scratch, on_a_terminal, run_command

pytestmark = pytest.mark.slow

TINY = [
    *("--steps", "20", "--evaluations", "2", "--baseline-order", "2", "--threads", "1"),
    *("--hidden-size", "12", "--embedding-size", "8", "--window-length", "8", "--batch-size", "4"),
]

TEXT = "".join(f"{number} times {number} is {number * number}\n" for number in range(200))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "squares.txt"
    path.write_text(TEXT)
    return path


def test_progress_goes_to_stderr_and_the_summary_to_stdout(text: Path, tmp_path: Path) -> None:
    result = lmgen("train", text.name, *TINY, "--unit", "document", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    corpus, tokens, note, baseline, network, cost, heading, *rows = result.stderr.splitlines()
    assert corpus == "corpus    squares: 3,810 characters to train on, 424 to validate"
    assert tokens == "tokens    3,810 and 424, of 18 different ones (char)"
    assert (
        note == "note: n-gram counts of order 1, 2 give no valid Kneser-Ney discounts: 0.5, 1, 1.5 are used"
    )
    assert baseline.startswith("baseline  2-gram, Kneser-Ney")
    assert network == ("network   lstm 1 x 12, 1,386 parameters, on cpu, in checkpoints/squares"), (
        "V E + 4 (H E + H H + H) + V H + V with V = 18, E = 8 and H = 12"
    )
    assert re.fullmatch(
        r"cost      [\d,]+ tokens/s, [\d,]+ MB of memory: 0:00 to go, 20 steps, 0.17 epochs in all", cost
    )
    assert heading.split() == [
        "step",
        "epoch",
        "time",
        "train",
        "valid",
        "perplexity",
        "bits/char",
        "tokens/s",
    ]
    assert [row.split()[0] for row in rows] == ["10", "20"]
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "model",
        "training",
        "validation",
        "baseline",
    ]


@pytest.mark.slow
def test_json_prints_one_object_and_quiet_nothing_else(text: Path, tmp_path: Path) -> None:
    result = lmgen("train", text.name, *TINY, "--json", "--quiet", cwd=tmp_path)

    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["run"] == "checkpoints/squares"
    assert summary["steps"] == 20
    assert summary["baseline"]["order"] == 2


SAMPLED = ["--objective", "sampled", "--samples", "5"]


def test_a_sampled_loss_is_called_an_estimate(text: Path, tmp_path: Path) -> None:
    """In the table and a note, in the metrics and in the summary; a full loss is not."""
    for flags, heading, objective in ((SAMPLED, "estimate", "sampled"), ([], "train", "full")):
        result = lmgen("train", text.name, *TINY, *flags, "--overwrite", "--json", cwd=tmp_path)
        [headings] = [line.split() for line in result.stderr.splitlines() if line.split()[0] == "step"]
        metrics = (tmp_path / "checkpoints" / "squares" / "metrics.jsonl").read_text()

        assert headings[3] == heading
        assert ("the training loss is an estimate" in result.stderr) == (objective == "sampled")
        assert [json.loads(line)["train_objective"] for line in metrics.splitlines()] == [objective] * 2
        assert json.loads(result.stdout)["train_objective"] == objective


def test_the_live_display_calls_a_sampled_loss_an_estimate(text: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("train", text.name, *TINY[4:], *SAMPLED, "--minutes", "0.03", cwd=tmp_path)

    assert re.search(r"estimated loss \d\.\d{4} nats", shown)


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes_and_so_does_the_config_file_alone(
    text: Path, tmp_path: Path
) -> None:
    """Also in a process whose hashes are salted differently: not forked from the same one."""
    settings = [
        *TINY,
        "--tokenizer",
        "word",
        "--dropout",
        "0.3",
        "--optimizer",
        "adamw-adagrad",
        "--seed",
        "7",
    ]
    lmgen("train", text.name, *settings, "--out", "a", cwd=tmp_path)
    lmgen_from_scratch("train", text.name, *settings, "--out", "b", cwd=tmp_path)
    result = lmgen("train", "--config", "a/config.toml", "--out", "c", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    for file in ("model.safetensors", "ngram.safetensors", "config.toml", "data/prepared.json"):
        first, *others = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert all(other == first for other in others), file


@pytest.mark.slow
def test_a_text_is_trained_on_from_a_pipe(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.gz", "wt") as file:
        file.write(TEXT)
    train = " ".join([*COMMAND, "train", "-", *TINY, "--out", "run", "--quiet"])
    run_command(["bash", "-c", f"zcat *.gz | {train}"], cwd=tmp_path, check=True)
    again = lmgen("sample", "run", "--length", "10", "--seed", "1", "--quiet", cwd=tmp_path)

    assert len(again.stdout) == 10


@pytest.mark.slow
def test_an_estimate_is_the_result_and_nothing_is_left_behind(text: Path, tmp_path: Path) -> None:
    document = ["--unit", "document"]  # it looks like a list
    shown = lmgen("train", text.name, *TINY, *document, "--steps", "5000", "--estimate", cwd=tmp_path)
    budget = ["--minutes", "2", "--steps", "10000000", *document]
    for_programs = lmgen("train", text.name, *TINY, *budget, "--estimate", "--json", cwd=tmp_path)

    assert shown.returncode == for_programs.returncode == 0
    assert shown.stderr == for_programs.stderr == ""
    assert re.fullmatch(
        r"parameters  1,386\nmemory      \d+ MB\nspeed       [\d,]+ tokens/s\n"
        r"training    5,000 steps, 4[12].\d\d epochs in \d+:\d\d, evaluations not counted\n",
        shown.stdout,
    )
    cost = json.loads(for_programs.stdout)
    assert set(cost) == {
        *("parameters", "memory_bytes", "tokens_per_second", "steps", "epochs", "seconds", "seconds_left")
    }
    assert cost["seconds"] == pytest.approx(120, rel=0.01)
    assert [path.name for path in tmp_path.iterdir()] == [text.name]
    refused = lmgen("train", "--resume", "--estimate", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == "error: --estimate is for a new run: leave --resume out\n"


@pytest.mark.slow
def test_a_learning_rate_is_found_shown_and_written_down(text: Path, tmp_path: Path) -> None:
    result = lmgen("train", text.name, *TINY, "--learning-rate", "find", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    lines = result.stderr.splitlines()
    begin = lines.index(
        "find      loss, smoothed, while the learning rate rises over 50 updates (nats/token):"
    )
    curve, axis, ends, found = lines[begin + 1 : begin + 10], *lines[begin + 10 : begin + 13]
    assert all(line[9:11] == " |" for line in curve)
    assert sum(line.count("*") for line in curve) == 50
    assert axis.count("^") == 1
    assert ends.split()[0] == "0.00016"
    match = re.fullmatch(r" +the learning rate is (\S+): half of the valley's middle", found)
    assert match
    _, derived = (tmp_path / "checkpoints" / "squares" / "config.toml").read_text().split("[derived]\n")
    assert f"learning_rate = {match[1]}\n" in derived
    wrong = lmgen("train", text.name, "--learning-rate", "fast", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "'fast' is neither a number nor find" in wrong.stderr


@pytest.mark.slow
def test_training_goes_on_from_a_model_on_another_text(text: Path, tmp_path: Path) -> None:
    lmgen("train", text.name, *TINY, "--out", "old", cwd=tmp_path)
    (tmp_path / "new.txt").write_text("7 mal 8 gibt 56, weißt du?\n" * 200)
    sizes = TINY.index("--hidden-size"), TINY.index("--window-length")
    budget = [*TINY[: sizes[0]], *TINY[sizes[1] :]]
    result = lmgen("train", "new.txt", *budget, "--from", "old", "--out", "new", cwd=tmp_path)
    grown = lmgen(
        "train", "new.txt", *budget, "--from", "old", "--extend-vocabulary", "--out", "grown", cwd=tmp_path
    )

    assert result.returncode == grown.returncode == 0, result.stderr + grown.stderr
    assert result.stderr.startswith("note: ")
    assert "of the training text are unknown to the vocabulary, 10 different ones: " in result.stderr
    assert "lstm 1 x 12, 1,386 parameters" in result.stderr
    assert grown.stderr.startswith("note: 10 new tokens have ids from 18 on: ',' 180, ")
    assert f"lstm 1 x 12, {1386 + 10 * (8 + 12 + 1):,} parameters" in grown.stderr
    sampled = lmgen("sample", "grown", "--prompt", "weiß", "--length", "5", cwd=tmp_path)
    assert sampled.stderr == "", "every character is known now"


REFUSED_STARTS = [
    (
        ["--from", "old", "--hidden-size", "64"],
        2,
        "--hidden-size is 64, but old/model.safetensors has 12: leave it out, or train without --from",
    ),
    (["--from", "nothing"], 1, "there is no model nothing; `lmgen train` makes one"),
    (
        ["--from", "old/ngram.safetensors"],
        1,
        "old/ngram.safetensors (ngram-2) is no network that training can go on from; fit an n-gram model on "
        "the new text (lmgen ngram), or give --from a network",
    ),
    (
        ["--extend-vocabulary"],
        2,
        "the command line: --extend-vocabulary is for runs that start --from a model; leave it out",
    ),
    (
        ["--from", "old", "--out", "old", "--overwrite"],
        2,
        "old holds the model that --from names; give another --out",
    ),
]


@pytest.mark.slow
def test_a_start_that_cannot_be_is_one_line(text: Path, tmp_path: Path) -> None:
    lmgen("train", text.name, *TINY, "--out", "old", cwd=tmp_path)
    for flags, code, message in REFUSED_STARTS:
        result = lmgen("train", text.name, *flags, cwd=tmp_path)

        assert (result.returncode, result.stderr) == (code, f"error: {message}\n")
        assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_an_existing_run_is_kept_and_the_ways_out_are_named(text: Path, tmp_path: Path) -> None:
    lmgen("train", text.name, *TINY, cwd=tmp_path)
    model = tmp_path / "checkpoints" / "squares" / "model.safetensors"
    before = model.read_bytes()
    again = lmgen("train", text.name, *TINY, "--seed", "5", cwd=tmp_path)

    assert again.returncode == 1
    assert again.stderr == (
        "error: there is a run in checkpoints/squares already; go on with it (--resume), replace it "
        "(--overwrite) or give another folder (--out)\n"
    )
    assert model.read_bytes() == before
    assert lmgen("train", text.name, *TINY, "--seed", "5", "--overwrite", cwd=tmp_path).returncode == 0
    assert model.read_bytes() != before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "squares.txt is empty"),
        ("größe\n".encode("latin-1") * 100, "squares.txt is not UTF-8"),
        (b"too short", "the training text has 8 tokens, but one window needs at least 16"),
        (b"x", "squares.txt has 1 character, and --valid 0.1 leaves nothing of it to train on"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "squares.txt").write_bytes(content)
    result = lmgen("train", "squares.txt", cwd=tmp_path)

    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("checkpoints/*"))


@pytest.mark.slow
def test_settings_come_from_a_file_and_flags_win(text: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('cell = "gru"\nhidden_size = 9\n')
    result = lmgen("train", text.name, *TINY, "--config", "settings.toml", cwd=tmp_path)

    assert "gru 1 x 12" in result.stderr
    (tmp_path / "settings.toml").write_text('cells = "gru"\n')
    wrong = lmgen("train", text.name, "--config", "settings.toml", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "unknown settings cells" in wrong.stderr


@pytest.mark.slow
def test_training_that_diverges_says_so_though_its_perplexity_overflows(text: Path, tmp_path: Path) -> None:
    wild = ["--evaluations", "20", "--learning-rate", "1e10"]
    result = lmgen("train", text.name, *TINY, *wild, "--json", cwd=tmp_path)

    assert result.returncode == 1
    assert " inf " in result.stderr
    assert result.stderr.count("updates: back to step 0, the learning rate is halved to ") == 2
    assert result.stderr.count("updates: back to step 0, and that ends the run\n") == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(
        "error: training was unstable 3 times and ended after 0 updates; its best model is"
    )
    assert "--learning-rate" in last
    summary = json.loads(result.stdout)
    assert (summary["stopped_by"], summary["rollbacks"]) == ("instability", 3)
    assert lmgen("sample", "--length", "5", "--quiet", cwd=tmp_path).returncode == 0, "there is a model"


@pytest.mark.slow
def test_the_best_model_of_a_tiny_text_is_found_and_kept(tmp_path: Path) -> None:
    """It comes long before the first of ten evaluations spread over 300 epochs."""
    random, words = Random(1), [f"w{number}" for number in range(250)]
    likely = [1 / (number + 1) for number in range(250)]
    lines = [" ".join(random.choices(words, likely, k=8)) for _ in range(100)]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n")
    flags = ("--tokenizer", "word", "--hidden-size", "128", "--steps", "300", "--threads", "1", "--json")
    trained = lmgen("train", "text.txt", *flags, "--out", "run", cwd=tmp_path)
    summary = json.loads(trained.stdout)
    made = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    nats = {line["epoch"]: line["valid_nats_per_token"] for line in made}

    assert [line["epoch"] for line in made if line.get("early")] == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert min(nats, key=lambda epoch: nats[epoch]) < 30
    assert summary["valid_nats_per_token"] == min(nats.values())
    assert summary["valid_perplexity"] < 1.5 * summary["baseline"]["valid_perplexity"]
    assert nats[300] > summary["valid_nats_per_token"] + 2, "the last model is far worse"
    assert trained.stderr.count("more time on this text does not help") == 1
    assert "perplexity" in lmgen("perplexity", "run", cwd=tmp_path).stdout


def test_a_network_starts_with_how_frequent_tokens_are(text: Path, tmp_path: Path) -> None:
    """A first update at a rate of nearly nothing leaves it where it began."""
    perplexities = {}
    for start in ("frequencies", "zeros"):
        still = ["--steps", "1", "--learning-rate", "1e-9", "--init-output", start, "--out", start]
        result = lmgen("train", text.name, *TINY, *still, "--json", cwd=tmp_path)
        perplexities[start] = json.loads(result.stdout)["valid_perplexity"]

    counts = Counter(TEXT[:3810])
    nats = [-log((counts[character] + 1) / (3810 + 18)) for character in TEXT[3811:]]
    assert perplexities["frequencies"] == pytest.approx(exp(fmean(nats)), rel=0.1)
    assert perplexities["zeros"] == pytest.approx(18, rel=0.1)
