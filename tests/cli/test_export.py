"""`lmgen export` and `lmgen ngram --arpa`: there and back; networks made smaller."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from lmgen import load
from lmgen.errors import ConfigError, ModelError
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import lmgen

pytestmark = pytest.mark.slow

TEXT = "the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.fixture
def ngram(tmp_path: Path) -> Path:
    """A character model of order 3."""
    tokenizer = CharacterTokenizer("".join(sorted(set(TEXT))))
    model = NgramModel.fit(tokenizer.encode(TEXT), order=3, vocabulary_size=tokenizer.vocabulary_size)
    save_model(tmp_path / "ngram.safetensors", model, tokenizer)
    return tmp_path / "ngram.safetensors"


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("model", "out", "form", "why"),
    [
        ("ngram.safetensors", "out.txt", "arpa", "written as an ARPA file, since this is an n-gram model"),
        ("run", "out.safetensors", "int8", "written with int8 weights, since lstm is no n-gram model"),
    ],
)
def test_without_to_the_form_is_that_of_the_model(
    model: str, out: str, form: str, why: str, ngram: Path, run: Path, tmp_path: Path
) -> None:
    guessed = lmgen("export", model, "--out", out, "--json", cwd=tmp_path)

    assert json.loads(guessed.stdout)["to"] == form
    assert guessed.stderr.startswith(f"note: {why}")
    written = (tmp_path / out).read_bytes()
    asked = lmgen("export", model, "--out", out, "--to", form, "--overwrite", cwd=tmp_path)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert (tmp_path / out).read_bytes() == written
    assert load(tmp_path / model).export(tmp_path / "python", to=None).to == form


def test_a_file_called_arpa_is_one(run: Path, tmp_path: Path) -> None:
    assert (
        "no n-grams to write to an ARPA file"
        in lmgen("export", "run", "--out", "x.arpa.gz", cwd=tmp_path).stderr
    )


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
        "error: run/model.safetensors (rnn) has no n-grams to write to an ARPA file; "
        "`lmgen ngram` makes one\n"
    )
    assert beside.stderr.endswith("its n-gram baseline is run/ngram.safetensors\n")
    assert not (tmp_path / "model.arpa").exists()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a network that was never trained, and a held-out text."""
    tokenizer = CharacterTokenizer("".join(sorted(set(TEXT))))
    config = NetworkConfig(hidden_size=32, embedding_size=16)
    V = tokenizer.vocabulary_size
    model = RecurrentModel(config, V, tokenizer.start, initial_parameters(config, V, None, seed=1))
    folder = tmp_path / "run"
    (folder / "data").mkdir(parents=True)
    save_model(folder / "model.safetensors", model, tokenizer, {"steps": 0})
    (folder / "config.toml").write_text("")
    (folder / "data" / "valid.txt").write_text(TEXT)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("to", ["float16", "int8"])
def test_a_smaller_network_is_a_model_like_any_other(to: str, run: Path, tmp_path: Path) -> None:
    exported = lmgen("export", "run", "--to", to, "--out", "small.safetensors", cwd=tmp_path)
    first, sizes, bits = exported.stdout.splitlines()

    assert (exported.returncode, exported.stderr) == (0, "")
    assert first == f"small.safetensors: weights float32 -> {to}"
    assert re.fullmatch(r"bytes {15}[\d,]+ -> [\d,]+ \(a ratio of [\d.]+\)", sizes)
    figures = r"bits per character  [\d.]+ -> [\d.]+ \([+-][\d.]+\)"
    assert re.fullmatch(rf"{figures}, on the 920 characters of run/data/valid\.txt", bits)
    for command in (["sample", "small.safetensors", "--length", "5"], ["next", "small.safetensors", "the"]):
        assert lmgen(*command, cwd=tmp_path).returncode == 0
    info = lmgen("info", "small.safetensors", cwd=tmp_path).stdout
    assert f"\nweights    {to}\n" in info
    assert "steps 0" in info


def test_json_gives_the_change_that_perplexity_finds(run: Path, tmp_path: Path) -> None:
    arguments = ("export", "run", "--to", "int8", "--out", "small.safetensors", "--json")
    exported = json.loads(lmgen(*arguments, cwd=tmp_path).stdout)
    scores = [
        json.loads(lmgen("perplexity", name, "run/data/valid.txt", "--json", "--quiet", cwd=tmp_path).stdout)
        for name in ("run", "small.safetensors")
    ]

    for figure in ("bits_per_character", "nats_per_token"):
        before, after = (score[figure] for score in scores)
        assert exported[f"{figure}_before"] == pytest.approx(before, abs=1e-6)
        assert exported[f"{figure}_after"] == pytest.approx(after, abs=1e-6)
        assert exported[f"{figure}_change"] == pytest.approx(after - before, abs=1e-6)
        assert 0 < abs(exported[f"{figure}_change"]) < 1e-3
    sizes = [(tmp_path / name).stat().st_size for name in ("run/model.safetensors", "small.safetensors")]
    assert [exported["bytes_before"], exported["bytes_after"]] == sizes
    assert exported["ratio"] == sizes[0] / sizes[1]
    assert (exported["text"], exported["tokens"], exported["characters"]) == ("run/data/valid.txt", 920, 920)


@pytest.mark.slow
def test_a_model_file_alone_is_tried_on_a_text_that_is_named(run: Path, tmp_path: Path) -> None:
    (run / "model.safetensors").rename(tmp_path / "m.safetensors")

    def export(*arguments: str, text: str | None = None) -> tuple[list[str], str]:
        command = ("export", "m.safetensors", "--to", "int8", "--out", "s.safetensors", "--overwrite")
        result = lmgen(*command, *arguments, cwd=tmp_path, text=text)
        assert result.returncode == 0
        return result.stdout.splitlines(), result.stderr

    without, note = export()
    assert len(without) == 2
    assert note == "note: to see what the smaller weights cost, name a text: --text FILE\n"
    assert export("--text", "-", text="the cat")[0][2].endswith(", on the 7 characters of standard input")
    assert export("--text", "-", text=TEXT * 600)[0][2].endswith(
        ", on the first 500,000 characters of standard input"
    )
    unknown, note = export("--text", "-", text="the XYZ")
    assert unknown[2].startswith("nats per token      ")
    assert note.startswith("note: standard input: 3 of 7 tokens are unknown")


def test_an_int8_file_can_become_a_float16_file(run: Path, tmp_path: Path) -> None:
    """With the weights that int8 left."""
    lmgen("export", "run", "--to", "int8", "--out", "int8.safetensors", cwd=tmp_path)
    arguments = ("export", "int8.safetensors", "--to", "float16", "--out", "float16.safetensors", "--json")
    exported = json.loads(lmgen(*arguments, "--text", "run/data/valid.txt", cwd=tmp_path).stdout)

    assert exported["ratio"] < 1
    assert abs(exported["bits_per_character_change"]) < 1e-3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["ngram.safetensors", "--to", "int8"],
            1,
            "ngram.safetensors (ngram-3) has no weights to store as int8; the tables of an n-gram model are "
            "compact already",
        ),
        (
            ["ngram.safetensors", "--text", "x"],
            2,
            "--text goes with --to float16 or int8; leave it out, or give --to",
        ),
        (["run", "--to", "int8", "--text", "x"], 1, "cannot read x: No such file or directory"),
        (
            ["run", "--to", "float16"],
            1,
            "its tensor embedding holds a weight of 1e+06, but float16 ends at 65504; use int8",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    arguments: list[str], code: int, message: str, ngram: Path, run: Path, tmp_path: Path
) -> None:
    saved = load_model(run / "model.safetensors")
    assert isinstance(saved.model, RecurrentModel)
    saved.model.parameters["embedding"][0, 0] = 1e6
    save_model(run / "model.safetensors", saved.model, saved.tokenizer)
    result = lmgen("export", *arguments, "--out", "out.safetensors", cwd=tmp_path)

    assert result.stderr == f"error: {message}\n"
    assert (result.returncode, result.stdout) == (code, "")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_network_is_exported_from_python(run: Path, tmp_path: Path) -> None:
    model = load(run)
    exported = model.export(tmp_path / "small.safetensors", to="float16")
    small = load(exported.out)

    assert (small.path, small.weights) == (tmp_path / "small.safetensors", "float16")
    assert small.describe()["weights"] == "float16"
    assert exported.scores is not None
    assert [score.nats for score in exported.scores] == [model.score(TEXT).nats, small.score(TEXT).nats]
    assert exported.bytes_after < exported.bytes_before == model.path.stat().st_size
    with pytest.raises(ModelError, match=r"there is a file .*small\.safetensors already; replace it"):
        model.export(str(tmp_path / "small.safetensors"))
    with pytest.raises(ConfigError, match="not as 'int4'"):
        model.export(tmp_path / "other.safetensors", to="int4")  # type: ignore[call-overload]


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
