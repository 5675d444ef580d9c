"""`lmgen export` and `lmgen ngram --arpa`: there and back."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from lmgen.models.model_file import save_model
from lmgen.models.ngram import NgramModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import lmgen

TEXT = "the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.fixture
def ngram(tmp_path: Path) -> Path:
    """A character model of order 3."""
    tokenizer = CharacterTokenizer("".join(sorted(set(TEXT))))
    model = NgramModel.fit(tokenizer.encode(TEXT), order=3, vocabulary_size=tokenizer.vocabulary_size)
    save_model(tmp_path / "ngram.safetensors", model, tokenizer)
    return tmp_path / "ngram.safetensors"


def test_a_model_goes_out_and_comes_back_with_the_same_scores(ngram: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    exported = lmgen("export", ngram.name, "--to", "arpa", "--out", "model.arpa.gz", cwd=tmp_path)
    read = lmgen("ngram", "--arpa", "model.arpa.gz", "--out", "back.safetensors", cwd=tmp_path)

    assert (exported.returncode, exported.stderr) == (0, "")
    assert (read.returncode, read.stderr) == (0, "")
    assert exported.stdout.startswith("model.arpa.gz: 3-gram, ")
    assert read.stdout.startswith("back.safetensors: 3-gram, ")
    assert gzip.decompress((tmp_path / "model.arpa.gz").read_bytes()).endswith(b"\\end\\\n")
    scores = [
        json.loads(lmgen("perplexity", name, "text.txt", "--json", "--quiet", cwd=tmp_path).stdout)["nats"]
        for name in (ngram.name, "back.safetensors")
    ]
    assert scores[0] == scores[1]


def test_json_says_what_was_written(ngram: Path, tmp_path: Path) -> None:
    exported = lmgen("export", ngram.name, "--to", "arpa", "--out", "model.arpa", "--json", cwd=tmp_path)
    read = lmgen("ngram", "--arpa", "model.arpa", "--out", "back.safetensors", "--json", cwd=tmp_path)
    out, back = json.loads(exported.stdout), json.loads(read.stdout)

    assert out["model"] == ngram.name
    assert (out["to"], out["out"], len(out["ngrams"])) == ("arpa", "model.arpa", 3)
    assert (back["model"], back["order"], back["train_tokens"]) == ("back.safetensors", 3, None)
    assert back["ngrams"] == [out["ngrams"][0] - 1, *out["ngrams"][1:]], "</s> is not a character"


def test_existing_files_are_not_overwritten(ngram: Path, tmp_path: Path) -> None:
    (tmp_path / "model.arpa").write_text("mine")
    result = lmgen("export", ngram.name, "--out", "model.arpa", cwd=tmp_path)

    assert result.returncode == 1
    assert "there is a file model.arpa already" in result.stderr
    assert (tmp_path / "model.arpa").read_text() == "mine"
    assert lmgen("export", ngram.name, "--out", "model.arpa", "--overwrite", cwd=tmp_path).returncode == 0


def test_a_recurrent_run_names_its_baseline(ngram: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    save_bigram_model(run / "model.safetensors", CharacterTokenizer("\nab"), np.zeros((4, 4)))
    (run / "config.toml").write_text("")
    alone = lmgen("export", "run", "--out", "model.arpa", cwd=tmp_path)
    ngram.rename(run / "ngram.safetensors")
    beside = lmgen("export", "run", "--out", "model.arpa", cwd=tmp_path)

    assert (alone.returncode, beside.returncode) == (1, 1)
    assert alone.stderr == (
        "error: run/model.safetensors is a recurrent network, but an ARPA file holds an n-gram model; "
        "`lmgen ngram` makes one\n"
    )
    assert beside.stderr.endswith("its n-gram baseline is run/ngram.safetensors\n")
    assert not (tmp_path / "model.arpa").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["text.txt"], 2, "--arpa reads a model as it is; leave out CORPUS"),
        (["--order", "3", "--prune", "0,1"], 2, "--arpa reads a model as it is; leave out --order, --prune"),
        (["--lowercase"], 2, "--arpa reads a model as it is; leave out --lowercase"),
        (["--tokenizer", "bpe"], 2, "tokenizer is 'bpe', but an ARPA file is read by word or char"),
        (
            [],
            1,
            "web.arpa is not an ARPA file: it is an HTML page; was a web page saved in place of the file?",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    (tmp_path / "web.arpa").write_text("<!doctype html><title>404</title>")
    result = lmgen("ngram", "--arpa", "web.arpa", "--out", "m.safetensors", *arguments, cwd=tmp_path)

    assert result.stderr == f"error: {message}\n"
    assert (result.returncode, result.stdout) == (code, "")
    assert not (tmp_path / "m.safetensors").exists()


def test_pruning_is_given_with_commas(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)

    def counts(*prune: str) -> list[int]:
        arguments = ("text.txt", "--order", "3", "--out", "m.safetensors", "--overwrite", "--json", *prune)
        return json.loads(lmgen("ngram", *arguments, cwd=tmp_path).stdout)["ngrams"]  # type: ignore[no-any-return]

    whole, pruned = counts(), counts("--prune", "0,0,18")
    assert whole[:2] == pruned[:2]
    assert pruned[2] < whole[2]


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        ("0,x", "--prune is '0,x', but has to be numbers with commas, such as 0,0,1"),
        ("1,1", "prune is 1,1, but has to begin with 0, must not fall"),
    ],
)
def test_wrong_thresholds_are_wrong_usage(prune: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    result = lmgen("ngram", "text.txt", "--prune", prune, "--out", "m.safetensors", cwd=tmp_path)

    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "m.safetensors").exists()
