"""`lmgen novelty`, as people call it."""

import json
from pathlib import Path

import numpy as np
import pytest

import lmgen as package
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.errors import ConfigError
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import chain, save_bigram_model
from tests.process import lmgen

pytestmark = pytest.mark.slow

TRAINING = "abc\nabc\nbca\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run in `run` whose network writes abc again and again, and a model file on its own."""
    tokenizer = CharacterTokenizer("\nabc")
    run = RunFolder(tmp_path / "run")
    run.data.mkdir(parents=True)
    scores = chain(tokenizer, "abc\n")
    save_bigram_model(run.model, tokenizer, scores)
    save_bigram_model(tmp_path / "alone.safetensors", tokenizer, scores)
    run.config.write_text("")
    write_tokens(run.train_tokens, [tokenizer.encode(TRAINING)], tokenizer.vocabulary_size)
    write_tokens(run.valid_tokens, [tokenizer.encode("cab\n" * 3)], tokenizer.vocabulary_size)
    return tmp_path


def test_a_table_has_the_shares_by_length_and_the_longest_passages(folder: Path) -> None:
    shown = lmgen("novelty", "run", "--length", "12", "--num", "1", "--seed", "1", cwd=folder)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == (
        "1 sample, 12 tokens, 12 characters; training text 12 tokens\n"
        "\n"
        "characters  n-grams      new  new in held-out text\n"
        "         1       12    0.00%                 0.00%\n"
        "         2       11    0.00%                45.45%\n"
        "         3       10    0.00%               100.00%\n"
        "         4        9    0.00%               100.00%\n"
        "         5        8    0.00%               100.00%\n"
        "         6        7   14.29%               100.00%\n"
        "         7        6   33.33%               100.00%\n"
        "         8        5   60.00%               100.00%\n"
        "         9        4  100.00%               100.00%\n"
        "\n"
        "characters  sample  offset  times  training line  passage\n"
        "         7       1       0      1              1  abc\\nabc\n"
    )


def test_a_text_is_read_from_a_file_and_from_a_pipe(folder: Path) -> None:
    (folder / "text.txt").write_text("bcab")
    of_file = lmgen("novelty", "run", "text.txt", "--json", cwd=folder)
    of_pipe = lmgen("novelty", "run", "-", "--json", cwd=folder, text="bcab")
    found = json.loads(of_file.stdout)

    assert found == {**json.loads(of_pipe.stdout), "text": "text.txt"}
    assert (found["model"], found["samples"], found["tokens"], found["characters"]) == ("rnn", 1, 4, 4)
    assert found["ngrams"][-1] == {
        "of": "characters",
        "n": 4,
        "ngrams": 1,
        "new": 1,
        "share": 1.0,
        "held_out_share": 1.0,
    }
    assert found["passages"][0] == {
        "characters": 3,
        "sample": 1,
        "offset": 0,
        "occurrences": 1,
        "training_line": 3,
        "training_offset": 8,
        "text": "bca",
    }


def test_tsv_has_a_line_for_each_passage(folder: Path) -> None:
    shown = lmgen("novelty", "run", "-", "--format", "tsv", "--top", "1", cwd=folder, text="bca\nabc")

    assert shown.stdout == (
        "characters\tsample\toffset\toccurrences\ttraining_line\ttraining_offset\ttext\n3\t1\t0\t1\t3\t8\tbca\n"
    )


def test_a_fine_tuned_model_gets_a_note(folder: Path) -> None:
    (folder / "run" / "config.toml").write_text('from = "checkpoints/book"\n')
    shown = lmgen("novelty", "run", "-", cwd=folder, text="abc\n")

    assert shown.stderr == (
        "note: the model was fine-tuned; what it copies from the training text of checkpoints/book is not "
        "found\n"
    )


def test_the_same_seed_gives_the_same_figures(folder: Path) -> None:
    flat = np.zeros((5, 5))
    save_bigram_model(folder / "run" / "model.safetensors", CharacterTokenizer("\nabc"), flat)
    one, same, other = (
        lmgen("novelty", "run", "--seed", seed, "--length", "20", "--json", cwd=folder).stdout
        for seed in "112"
    )

    assert one == same != other


def test_settings_of_samples_do_not_go_with_a_text(folder: Path) -> None:
    model = package.load(folder / "run")
    with pytest.raises(
        ConfigError, match=r"^num, length, seed are about samples, but a text was given: leave"
    ):
        model.novelty("abc\n", num=3, length=5, seed=1)
    with pytest.raises(ConfigError, match=r"^lines is about samples, but a text was given: leave one"):
        model.novelty("abc\n", lines=True)
    with pytest.raises(ConfigError, match=r"^unknown settings lenght \(did you mean length\?\)$"):
        model.novelty("abc\n", num=3, lenght=5)
    assert model.novelty("abc\n").samples == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["alone.safetensors"],
            "error: alone.safetensors comes without the text that it was trained on, which a run holds as "
            "data/train.npy; name a run folder, or fit an n-gram model with --keep-tokens\n",
        ),
        (["run", "-", "--seed", "1"], "error: --seed is about samples, but a text was given: "),
        (["run", "-"], "error: standard input is empty; give a text with something in it\n"),
        (["run", "-", "-"], "error: give one FILE at a time, not -, -\n"),
        (["run", "--json", "--format", "tsv"], "error: --json and --format tsv contradict each other"),
    ],
)
def test_errors_are_one_line(arguments: list[str], error: str, folder: Path) -> None:
    result = lmgen("novelty", *arguments, cwd=folder, text="")

    assert result.returncode in (1, 2)
    assert result.stderr.startswith(error)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_ngram_model_that_keeps_its_tokens_needs_no_run(folder: Path) -> None:
    (folder / "text.txt").write_text("the cat sat\n" * 3)
    lmgen("ngram", "text.txt", "--order", "2", "--keep-tokens", "--out", "n.safetensors", cwd=folder)
    shown = lmgen("novelty", "n.safetensors", "-", "--format", "tsv", cwd=folder, text="a cat sat")

    assert shown.stdout.splitlines()[1].split("\t") == ["7", "1", "2", "3", "1", "4", "cat sat"]
