"""`--tokenizer-file`: models over the tokens of a SentencePiece model that was made elsewhere."""

import json
import subprocess
from math import fsum
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.models.model_file import load_tensors
from tests import process
from tests.sentences import sentences
from tests.tokenizers.sentencepiece_models import model

pytestmark = pytest.mark.slow

TINY = [
    *("--steps", "12", "--evaluations", "2", "--baseline-order", "2", "--threads", "1"),
    *("--hidden-size", "6", "--embedding-size", "4", "--window-length", "8", "--batch-size", "4"),
]

LINES = "the cat sat on the mat\n\nthe  ﬁrst dog"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, two SentencePiece models, and an n-gram model over the tokens of one of them."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "text.txt").write_text(sentences(150))
    for kind in ("defaults", "as-llama"):
        (folder / f"{kind}.model").write_bytes(model(kind))
    fitted = run(
        "ngram text.txt --order 3 --out n.safetensors --tokenizer-file", "defaults.model", cwd=folder
    )
    assert fitted.returncode == 0, fitted.stderr
    return folder


def run(line: str, *more: str, cwd: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell, and what has blanks or comes from elsewhere behind it."""
    return process.lmgen(*line.split(), *more, cwd=cwd, text=text)


def original(kind: str) -> Any:
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=model(kind))


def test_ids_and_text_are_those_of_sentencepiece(folder: Path) -> None:
    rival = original("defaults")
    expected = [rival.encode(line, add_eos=number < 2) for number, line in enumerate(LINES.split("\n"))]

    tokens = run("tokenize", "n.safetensors", cwd=folder, text=LINES)
    text = run("detokenize", "n.safetensors", cwd=folder, text=tokens.stdout)

    assert [[int(token) for token in line.split()] for line in tokens.stdout.splitlines()] == expected
    assert text.stdout == "\n".join(map(rival.decode, expected))


@pytest.mark.parametrize("unit", ["document", "line"])
def test_lines_and_tokens_add_up_to_the_document(folder: Path, unit: str) -> None:
    name = f"{unit}.safetensors"
    made = run(
        f"ngram text.txt --order 3 --unit {unit} --tokenizer-file as-llama.model --out {name}",
        cwd=folder,
    )
    assert made.returncode == 0, made.stderr
    text = sentences(20, seed=5)

    by = {
        how: [
            json.loads(line)
            for line in run(
                "perplexity", name, "-", "--no-baseline", "--json", "--by", how, cwd=folder, text=text
            ).stdout.splitlines()
        ]
        for how in ("document", "line", "token")
    }

    [whole] = by["document"]
    assert whole["unknown_tokens"] == 0
    assert len(by["line"]) == 20
    assert whole["tokens"] == sum(line["tokens"] for line in by["line"]) == len(by["token"])
    if unit == "line":
        assert fsum(line["nats"] for line in by["line"]) == pytest.approx(whole["nats"], rel=1e-5)


def test_info_and_the_file_say_what_it_is(folder: Path) -> None:
    info = run("info", "n.safetensors", cwd=folder)

    assert "tokenizer  sentencepiece, vocabulary V = " in info.stdout
    assert load_tensors(folder / "n.safetensors")[0]["format_version"] == 4


def test_what_the_pieces_lack_is_counted(folder: Path) -> None:
    fitted = run("ngram text.txt --order 2 --tokenizer-file defaults.model --out u.safetensors", cwd=folder)

    assert "tokens of the train text are unknown to the vocabulary" in fitted.stderr
    scored = run("perplexity", "u.safetensors", "-", "--json", cwd=folder, text="the ☂ mat\n")
    assert json.loads(scored.stdout)["unknown_tokens"] == 1


def test_samples_are_text(folder: Path) -> None:
    sampled = run("sample n.safetensors --seed 1 --length 40 --json --prompt", "the cat", cwd=folder)

    assert sampled.returncode == 0, sampled.stderr
    written = json.loads(sampled.stdout)
    assert written["text"].isprintable() or "\n" in written["text"]
    assert "▁" not in written["text"]
    assert "⁇" not in written["text"], "<unk> is never drawn"


def test_an_arpa_file_holds_all_of_it(folder: Path) -> None:
    assert run("export n.safetensors --to arpa --out n.arpa", cwd=folder).returncode == 0
    assert run("ngram --arpa n.arpa --out back.safetensors", cwd=folder).returncode == 0
    before, after = (
        json.loads(run(f"perplexity {name} - --no-baseline --json", cwd=folder, text=LINES).stdout)
        for name in ("n.safetensors", "back.safetensors")
    )

    assert before["nats"] == pytest.approx(after["nats"])
    assert before["tokens"] == after["tokens"]


def test_a_run_goes_on_and_is_fine_tuned_without_the_file(folder: Path, tmp_path: Path) -> None:
    for name in ("text.txt", "as-llama.model"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    whole = run("train", "text.txt", "--tokenizer-file", "as-llama.model", "--out", "a", *TINY, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert 'tokenizer_file = "as-llama.model"' in (tmp_path / "a" / "config.toml").read_text()
    (tmp_path / "as-llama.model").unlink()

    resumed = run("train --resume --out a --steps 16", cwd=tmp_path)
    tuned = run("train", "text.txt", "--from", "a", "--out", "b", *TINY, cwd=tmp_path)

    assert (resumed.returncode, tuned.returncode) == (0, 0), resumed.stderr + tuned.stderr
    assert lmgen.load(tmp_path / "b").tokenize("the cat\n") == original("as-llama").encode("the cat\n")


def test_it_is_the_same_from_python(folder: Path, tmp_path: Path) -> None:
    fitted = lmgen.fit_ngram(
        folder / "text.txt", order=3, out=tmp_path / "n.safetensors", tokenizer_file=folder / "defaults.model"
    )

    text = "the cat sat\n"
    assert fitted.score(text).nats == lmgen.load(folder / "n.safetensors").score(text).nats


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--tokenizer char", "--tokenizer-file is for --tokenizer sentencepiece, not char; leave it out"),
        (
            "--vocab-size 100",
            "--vocab-size is for --tokenizer char or word or bpe or unigram, not sentencepiece",
        ),
        ("--lowercase", "--lowercase is for --tokenizer char or word, not sentencepiece; leave it out"),
        ("--arpa x.arpa", "--arpa reads a model as it is; leave out --tokenizer-file"),
        (
            "--tokenizer-file text.txt",
            "text.txt is not a SentencePiece model (it is a text); give the FILE.model",
        ),
        ("--tokenizer-file gone.model", "cannot read the tokenizer file gone.model: No such file"),
        ("--from a --out c", "No such option: --from"),
    ],
)
def test_a_contradiction_is_one_line(folder: Path, arguments: str, message: str) -> None:
    result = run(
        "ngram",
        *([] if "--arpa" in arguments else ["text.txt"]),
        "--tokenizer-file",
        "defaults.model",
        *arguments.split(),
        cwd=folder,
    )

    assert result.returncode in (1, 2)
    assert result.stdout == ""
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("note:")]
    assert line.startswith("error: ")
    assert message in line
    assert not (folder / "ngram.safetensors").exists()


def test_the_kind_alone_is_not_enough(folder: Path) -> None:
    result = run("train text.txt --tokenizer sentencepiece --out d", cwd=folder)

    assert result.returncode == 2
    assert "give its file, --tokenizer-file FILE.model" in result.stderr
    assert not (folder / "d").exists()


def test_a_second_tokenizer_beside_that_of_the_origin_is_refused(folder: Path) -> None:
    made = run(
        "train", "text.txt", "--tokenizer-file", "as-llama.model", "--out", "origin", *TINY, cwd=folder
    )
    assert made.returncode == 0, made.stderr

    result = run("train text.txt --from origin --tokenizer-file as-llama.model --out e", cwd=folder)

    assert result.returncode == 2
    assert "--tokenizer-file is for a new model, and --from has its own tokenizer" in result.stderr
