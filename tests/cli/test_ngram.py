"""`lmgen ngram`: what it is fitted on, and what it says of the text that is held out."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.models.ngram.model import NgramModel
from lmgen.runs import ngram
from lmgen.text.corpora import Corpus
from lmgen.text.sources import Text
from tests.process import lmgen as command

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"

LINES = [f"{name} {verb} the {thing}\n" for name in "abc" for verb in ("is", "has") for thing in ("x", "yz")]
TEXT = "".join(LINES * 5) + "a last line that stands nowhere else\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def fitted(*arguments: str, cwd: Path) -> dict[str, Any]:
    out = ("--out", "m.safetensors", "--overwrite", "--json")
    result = command("ngram", "text.txt", "--order", "3", *out, *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", ["char", "word", "byte"])
def test_the_whole_file_is_fitted_on(tokenizer: str, text: Path, tmp_path: Path) -> None:
    summary = fitted("--tokenizer", tokenizer, cwd=tmp_path)
    model = lmgen.load(tmp_path / "m.safetensors")
    ids = model.tokenizer.encode(TEXT)
    again = NgramModel.fit(
        ids,
        order=3,
        vocabulary_size=model.tokenizer.vocabulary_size,
        sentence_end=model.tokenizer.sentence_end,
    )

    assert summary["train_tokens"] == len(ids)
    assert summary["ngrams"] == list(again.counts)
    assert summary["valid_nats_per_token"] is None
    assert model.score(TEXT).unknown_tokens == 0, "the last line is known, too"
    assert model.training == {"corpus": "text", "train_tokens": len(ids), "valid_nats_per_token": None}


@pytest.mark.slow
def test_text_is_held_out_where_that_is_asked_for(text: Path, tmp_path: Path) -> None:
    tenth = fitted("--valid", "0.1", cwd=tmp_path)
    nothing = fitted("--valid", "0", cwd=tmp_path)
    test = fitted("--test", "0.1", cwd=tmp_path)

    assert tenth["train_tokens"] == test["train_tokens"] == len(TEXT) * 9 // 10
    assert test["valid_nats_per_token"] is nothing["valid_nats_per_token"] is None
    assert nothing["train_tokens"] == len(TEXT)
    (tmp_path / "valid.txt").write_text(TEXT)
    file = fitted("--valid", "valid.txt", cwd=tmp_path)
    assert file["train_tokens"] == len(TEXT)
    score = lmgen.load(tmp_path / "m.safetensors").score(TEXT)
    assert file["valid_nats_per_token"] == pytest.approx(score.nats_per_token)


def test_without_out_it_is_saved_where_the_newest_model_is_looked_for(text: Path, tmp_path: Path) -> None:
    out = "checkpoints/text-ngram.safetensors"
    assert command("ngram", "text.txt", "--order", "2", cwd=tmp_path).stdout.startswith(f"{out}: 2-gram, ")
    again = command("ngram", "text.txt", "--order", "3", cwd=tmp_path)
    assert again.stderr == (
        f"error: there is a file {out} already; replace it (--overwrite) or give another --out\n"
    )
    assert command("ngram", "text.txt", "--order", "3", "--overwrite", cwd=tmp_path).returncode == 0

    for arguments in (["info"], ["sample", "--length", "3"], ["perplexity", "--", "-"], ["next", "a"]):
        used = command(*arguments, cwd=tmp_path, text="a")
        assert (used.returncode, used.stderr.splitlines()[0]) == (0, f"note: using the newest model, {out}")
    listed = command("runs", cwd=tmp_path).stdout.splitlines()[1]
    assert listed.split()[:4] == ["text-ngram", "text", "char", "ngram-3"]

    command("export", out, "--out", "words.arpa", cwd=tmp_path)
    read = command("ngram", "--arpa", "words.arpa", cwd=tmp_path)
    assert read.stdout.startswith("checkpoints/words-ngram.safetensors: 3-gram, ")
    assert command("info", cwd=tmp_path).stdout.startswith("model      checkpoints/words-ngram.safetensors")


@pytest.mark.slow
def test_the_line_says_whether_there_was_validation(text: Path, tmp_path: Path) -> None:
    arguments = ("ngram", "text.txt", "--order", "2", "--out", "m.safetensors", "--overwrite")
    plain = command(*arguments, cwd=tmp_path)
    validated = command(*arguments, "--valid", "0.2", cwd=tmp_path)

    assert plain.stdout.startswith("m.safetensors: 2-gram, ")
    assert plain.stdout.endswith(f" n-grams of {len(TEXT)} tokens; not validated (--valid holds text out)\n")
    assert f" of {len(TEXT) * 8 // 10} tokens; validation perplexity " in validated.stdout
    helped = " ".join(command("ngram", "--help-all", cwd=tmp_path).stdout.replace("│", " ").split())
    assert "(default: the corpus's own split, else none)" in helped
    helped = " ".join(command("train", "--help-all", cwd=tmp_path).stdout.replace("│", " ").split())
    assert "(default: the corpus's own split, else 0.1)" in helped


def text_of(content: str) -> Text:
    return Text("a text", lambda: iter([content]))


@pytest.mark.parametrize(
    ("corpus", "settings", "tokens", "validated"),
    [
        (Corpus(name="c", train=text_of("abab" * 10), valid=text_of("ba")), {}, 40, True),
        (Corpus(name="c", train=text_of("abab" * 10), valid=text_of("ba")), {"valid": 0}, 40, False),
        (Corpus(name="c", train=text_of("abab" * 10), test=text_of("ba")), {}, 40, False),
        (Corpus(name="c", train=text_of("abab" * 10), split={"valid": 0.1}), {}, 36, True),
        (Corpus(name="c", train=text_of("abab" * 10), split={"valid": 0.1}), {"valid": "0"}, 40, False),
        (Corpus(name="c", train=text_of("abab" * 10)), {}, 40, False),
    ],
)
def test_the_split_of_a_corpus_stays_its_own(
    corpus: Corpus,
    settings: dict[str, Any],
    tokens: int,
    validated: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ngram, "open_run_corpus", lambda *_: corpus)
    made = ngram.fit_ngram(["c"], 2, tmp_path / "m.safetensors", **settings)

    assert made.train_tokens == tokens
    assert (made.valid_nats_per_token is not None) == validated


@pytest.mark.slow
@pytest.mark.parametrize("order", [2, 3])
def test_the_numbers_are_those_of_kenlm(order: int, tmp_path: Path) -> None:
    """Counts, notes and perplexity of what lmplz fits on the same file."""
    if not REFERENCE.exists():
        pytest.skip("needs the folder shared/reference beside the repository")
    toy = json.loads((REFERENCE / "ngram-reference.json").read_text())["toy"]
    expected = next(result for result in toy["results"] if result["order"] == order)
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text(toy[name])
    flags = ("--tokenizer", "word", "--order", str(order), "--out", "m.safetensors", "--json")
    summary = json.loads(command("ngram", "train.txt", *flags, cwd=tmp_path).stdout)
    scored = json.loads(command("perplexity", "m.safetensors", "test.txt", "--json", cwd=tmp_path).stdout)

    assert summary["ngrams"] == list(expected["ngram_counts"].values())
    assert bool(summary["notes"]) == expected["fallback_warned"]
    assert (scored["tokens"], scored["unknown_tokens"]) == (expected["tokens"], expected["oov"])
    assert scored["perplexity"] == pytest.approx(expected["perplexity_including_oov"], rel=1e-5)
    assert scored["perplexity_without_unknown"] == pytest.approx(
        expected["perplexity_excluding_oov"], rel=1e-5
    )
    if order == 2:
        command("export", "m.safetensors", "--to", "arpa", "--out", "m.arpa", cwd=tmp_path)
        assert_same_entries(tmp_path / "m.arpa", REFERENCE / "toy.order2.arpa")


def assert_same_entries(ours: Path, theirs: Path) -> None:
    found, expected = entries(ours), entries(theirs)
    assert found.keys() == expected.keys()
    for words, numbers in expected.items():
        assert found[words] == pytest.approx(numbers, abs=1e-6), words


def entries(arpa: Path) -> dict[str, list[float]]:
    """The numbers of each n-gram of an ARPA file: log10 of its probability, and its backoff if it has one."""
    lines = [line.split("\t") for line in arpa.read_text().splitlines() if "\t" in line]
    return {words: [float(probability), *map(float, rest)] for probability, words, *rest in lines}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.st", "model", "model.txt"])
def test_a_model_is_one_whatever_its_name(name: str, text: Path, tmp_path: Path) -> None:
    for out in (name, "m.safetensors"):
        assert command("ngram", "text.txt", "--order", "3", "--out", out, cwd=tmp_path).returncode == 0

    for before, after in (
        (["info"], ["--json"]),
        (["next"], ["a is"]),
        (["sample"], ["--length", "5", "--seed", "1"]),
        (["perplexity"], ["text.txt"]),
    ):
        as_usual, other = (command(*before, model, *after, cwd=tmp_path) for model in ("m.safetensors", name))
        assert other.returncode == as_usual.returncode
        assert other.stdout == as_usual.stdout.replace("m.safetensors", name)
    text.write_bytes(b"12345678{ is a text")
    assert command("perplexity", "m.safetensors", "text.txt", cwd=tmp_path).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["ngram", "text.txt", "--out", "-"],
        ["export", "m.safetensors", "--out", "-"],
        ["train", "text.txt", "--out", "-"],
        ["vectors", "train", "text.txt", "--out", "-"],
        ["vectors", "export", "m.safetensors", "--out", "-"],
        ["vectors", "plot", "m.safetensors", "--out", "-"],
        ["inspect", "memory", "m.safetensors", "text.txt", "--svg", "-"],
        ["inspect", "states", "m.safetensors", "text.txt", "--npz", "-"],
    ],
    ids=" ".join,
)
def test_what_is_no_stream_is_not_written_to_stdout(arguments: list[str], text: Path, tmp_path: Path) -> None:
    command("ngram", "text.txt", "--order", "2", "--out", "m.safetensors", cwd=tmp_path)
    result = command(*arguments, cwd=tmp_path)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {arguments[-2]} - would be stdout, and ")
    assert not (tmp_path / "-").exists()


def test_a_link_stays_and_a_pipe_or_device_is_refused_before_work(text: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "m.safetensors").symlink_to("models/real.safetensors")
    fitted(cwd=tmp_path)
    assert (tmp_path / "m.safetensors").is_symlink()
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["real.safetensors"]

    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", os.devnull):
        result = command("ngram", "no-such-text.txt", "--out", name, "--overwrite", cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            f"error: {name} is a pipe or a device, and a model is a file: give --out the name of one\n"
        )
    assert (tmp_path / "pipe").is_fifo()
    assert Path(os.devnull).is_char_device()
