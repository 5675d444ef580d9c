"""`lmgen vectors` as a process: what it prints, what it writes, and one line for what is wrong."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lmgen.tokenizers.words import WordTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import ENVIRONMENT, lmgen, run_command

FILE = "5 2\nking 1 0\nqueen 1 1\nman 0 -1\nwoman 0 1\napple -1 0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "v.txt").write_text(FILE)
    (tmp_path / "text.txt").write_text("the cat sat on the mat\nthe dog sat on the cat\n" * 20)
    return tmp_path


def test_near_prints_words_with_their_cosines(folder: Path) -> None:
    result = lmgen("vectors", "near", "v.txt", "king - man + woman", "--top", "1", cwd=folder)
    listed = lmgen("vectors", "near", "v.txt", "king", "--json", cwd=folder)

    assert (result.stdout, result.stderr) == ("word   cosine\nqueen  0.9487\n", "")
    assert json.loads(listed.stdout) == {
        "expression": "king",
        "near": [
            {"word": "queen", "cosine": pytest.approx(0.5**0.5)},
            {"word": "man", "cosine": 0},
            {"word": "woman", "cosine": 0},
            {"word": "apple", "cosine": -1},
        ],
    }


def test_without_a_model_the_newest_is_used(folder: Path) -> None:
    model = folder / "checkpoints" / "words.safetensors"
    model.parent.mkdir()
    save_bigram_model(model, WordTokenizer(["cat", "dog"]), np.zeros((4, 4)))
    result = lmgen("vectors", "near", "cat", cwd=folder)
    exported = lmgen("vectors", "export", "--out", "e.txt", cwd=folder)

    assert result.returncode == 0
    assert result.stderr == "note: using the newest model, checkpoints/words.safetensors\n"
    assert exported.stdout == "e.txt: 4 words x 4\n"
    assert (folder / "e.txt").read_text().splitlines()[:2] == ["4 4", "<unk> 1.0 0.0 0.0 0.0"]


def test_analogies_are_counted(folder: Path) -> None:
    (folder / "q.txt").write_text(": royal\nman king woman queen\nman king pear plum\n")
    result = lmgen("vectors", "analogies", "v.txt", "q.txt", cwd=folder)
    listed = lmgen("vectors", "analogies", "v.txt", "-", "--json", cwd=folder, text="man king woman apple\n")

    assert result.stdout.splitlines() == [
        "section  questions  unknown  correct  accuracy",
        "royal            2        1        1    100.0%",
        "total            2        1        1    100.0%",
    ]
    section = {"questions": 1, "unknown": 0, "correct": 0, "accuracy": 0.0}
    assert json.loads(listed.stdout) == {**section, "sections": [{"section": "", **section}]}


def test_pairs_of_a_sentence_are_printed(folder: Path) -> None:
    result = lmgen("vectors", "train", "--pairs", "the quick fox", "--window", "1", cwd=folder)
    several = lmgen(
        *("vectors", "train", "--pairs", "a b c", "--method", "cbow", "--json", "--window", "1"), cwd=folder
    )

    assert result.stdout.splitlines() == [
        *("centre  context", "the     quick", "quick   the", "quick   fox", "fox     quick"),
    ]
    assert json.loads(several.stdout.splitlines()[1]) == {"centre": "b", "context": ["a", "c"]}


def test_vectors_are_exported_to_a_device(folder: Path) -> None:
    result = lmgen("vectors", "export", "v.txt", "--out", os.devnull, cwd=folder)

    assert result.returncode == 0, result.stderr
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["near", "v.txt", "kng"], 1, "v.txt has no vector of 'kng'; did you mean king?"),
        (["near", "v.txt", "king man"], 2, "'man' stands where + or - has to, in 'king man'; write a word"),
        (["near", "v.txt", "king", "-", "man"], 2, "give a model and an expression, not 4 arguments; one"),
        (["near", "gone.txt", "king"], 1, "there is no file of word vectors, run or model file gone.txt; "),
        (["near", "text.txt", "king"], 1, "text.txt, line 1: 'the cat sat on the mat' is no word with its"),
        (["analogies", "v.txt", "text.txt"], 1, "text.txt, line 1: 'the cat sat on the mat' is no question"),
        (["train", "text.txt"], 2, "--out is missing: name the file to write"),
        (
            ["train", "text.txt", "--out", "v.txt"],
            1,
            "there is a file v.txt already; replace it",
        ),
        (["train", "text.txt", "--out", "n.txt", "--window", "0"], 2, "--window 0 is out of range"),
        (["train", "text.txt", "--pairs", "a b"], 2, "--pairs prints the pairs of its own sentence: leave"),
        (
            ["train", "--pairs", "a b", "--epochs", "2", "--min-count", "1"],
            2,
            "--pairs trains nothing and takes --method, --window, --lowercase, --split-punctuation: leave "
            "--epochs, --min-count out",
        ),
        (["train", "text.txt", "--out", "n.txt.xz"], 2, "n.txt.xz would be compressed, but only .gz can be"),
        (["export", "v.txt", "--out", "n.bin.ZST"], 2, "n.bin.ZST would be compressed, but only .gz can be"),
        (["plot", "v.txt", "--out", "n.svg", "--words", "king", "--top", "3"], 2, "give one of them"),
        (
            ["plot", "v.txt", "--out", "n.svg", "--projection", "pca", "--seed", "1"],
            2,
            "--seed is of t-SNE, and --projection pca draws nothing at random",
        ),
        (["export", "v.txt", "--out", "v.txt"], 2, "--out v.txt would replace v.txt, which is read"),
        (["plot", "v.txt", "--out", "v.txt"], 2, "--out v.txt would replace v.txt, which is read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    arguments: list[str], code: int, message: str, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    result = lmgen("vectors", *arguments, cwd=folder)

    assert (result.returncode, result.stdout) == (code, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    if "window" not in message:
        assert message in line
    assert sorted(folder.iterdir()) == before
    assert (folder / "v.txt").read_text() == FILE


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["train", "text.txt"], ["plot", "v.txt"]], ids=" ".join)
def test_a_missing_package_is_one_line(arguments: list[str], folder: Path) -> None:
    for package in ("gensim", "sklearn"):
        (folder / "none" / package).mkdir(parents=True)
        code = f"raise ModuleNotFoundError('none', name={package!r})\n"
        (folder / "none" / package / "__init__.py").write_text(code)
    path = os.pathsep.join(filter(None, [str(folder / "none"), ENVIRONMENT.get("PYTHONPATH")]))
    result = run_command(
        [sys.executable, "-m", "lmgen", "vectors", *arguments, "--out", "new"],
        cwd=folder,
        environment={**ENVIRONMENT, "PYTHONPATH": path},
    )

    name = "gensim" if "train" in arguments else "scikit-learn"
    assert result.returncode == 1
    assert result.stderr == (
        f'error: this needs {name}, which is not installed; get it with pip install "lmgen[vectors]"\n'
    )
    assert not (folder / "new").exists()


@pytest.mark.slow
def test_vectors_are_trained_drawn_and_converted(folder: Path) -> None:
    pytest.importorskip("gensim", reason="the extra `vectors` is not installed")
    pytest.importorskip("sklearn", reason="the extra `vectors` is not installed")
    asked = ["--embedding-size", "6", "--epochs", "2", "--seed", "3"]
    first = lmgen("vectors", "train", "text.txt", *asked, "--out", "1.txt", cwd=folder)
    piped = lmgen(
        *("vectors", "train", "-", *asked, "--out", "2.txt", "--json"),
        cwd=folder,
        text=(folder / "text.txt").read_text(),
    )
    drawn = lmgen("vectors", "plot", "1.txt", "--out", "1.svg", "--projection", "pca", cwd=folder)
    points = lmgen(
        *("vectors", "plot", "1.txt", "--out", "2.svg", "--words", "the cat sat on", "--json"), cwd=folder
    )
    converted = lmgen("vectors", "export", "1.txt", "--out", "1.bin", "--json", cwd=folder)
    back = lmgen("vectors", "export", "1.bin", "--out", "3.txt", cwd=folder)

    assert first.stdout == "1.txt: 6 words x 6, of 240 words of text\n"
    assert json.loads(piped.stdout) == {
        "out": "2.txt",
        "corpus": "stdin",
        "tokens": 240,
        "words": 6,
        "embedding_size": 6,
    }
    assert (folder / "1.txt").read_bytes() == (folder / "2.txt").read_bytes()
    assert drawn.stdout == "1.svg: 6 words\n"
    assert (folder / "1.svg").read_text().startswith("<svg ")
    assert [point["word"] for point in json.loads(points.stdout)["words"]] == ["the", "cat", "sat", "on"]
    assert json.loads(converted.stdout) == {"out": "1.bin", "words": 6, "embedding_size": 6}
    assert back.returncode == 0
    assert (folder / "3.txt").read_bytes() == (folder / "1.txt").read_bytes()
