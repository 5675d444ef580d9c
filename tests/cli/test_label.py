"""`lmgen label` as a process: labels line by line, words, scores; what other commands say of such a model."""

import json
import subprocess
from pathlib import Path

import pytest

from lmgen.label_model import LabelModel
from tests.cli.tiny_model import save_label_model
from tests.process import COMMAND, ENVIRONMENT, lmgen

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_label_model(tmp_path / "lines.safetensors", "last")
    save_label_model(tmp_path / "words.safetensors", None)
    (tmp_path / "texts.txt").write_text("a fine day\n\nno\tday\n")
    (tmp_path / "lines.tsv").write_text("a fine day\tyes\nno\tno\nno\tmaybe\n")
    (tmp_path / "words.txt").write_text("a/yes fine/no\n\nno/no\n")
    return tmp_path


def test_each_line_is_printed_with_its_label_and_probability(folder: Path) -> None:
    printed = lmgen("label", "lines.safetensors", "texts.txt", cwd=folder)
    model = LabelModel.load(folder / "lines.safetensors")
    first, blank, last = model.label_text(folder / "texts.txt")

    assert (printed.returncode, printed.stderr, blank) == (0, "", [])
    assert printed.stdout.splitlines() == [
        f"{text}\t{part.label}\t{part.probability:.4f}"
        for text, part in (("a fine day", first[0]), ("no\\tday", last[0]))
    ]
    rows = lmgen("label", "lines.safetensors", "-", "--format", "tsv", cwd=folder, text="no").stdout
    assert rows.splitlines()[0] == "text\tlabel\tprobability"
    [line] = lmgen("label", "lines.safetensors", "-", "--json", cwd=folder, text="no").stdout.splitlines()
    assert json.loads(line) == {
        "text": "no",
        "label": rows.split("\t")[3],
        "probability": pytest.approx(float(rows.split("\t")[4]), abs=1e-4),
    }


def test_each_word_is_a_row_and_a_blank_line_parts_texts(folder: Path) -> None:
    printed = lmgen("label", "words.safetensors", "-", cwd=folder, text="a fine\nno\n").stdout
    rows = lmgen("label", "words.safetensors", "-", "--format", "tsv", cwd=folder, text="a\n\nno").stdout

    assert [line.split("\t")[0] for line in printed.split("\n")] == ["a", "fine", "", "no", ""]
    assert [line.split("\t")[:2] for line in rows.splitlines()] == [["line", "word"], ["1", "a"], ["3", "no"]]


def test_a_labelled_text_is_scored(folder: Path) -> None:
    result = lmgen("label", "lines.safetensors", "lines.tsv", "--labelled", "--json", cwd=folder)
    scores = LabelModel.load(folder / "lines.safetensors").score(folder / "lines.tsv")

    assert json.loads(result.stdout) == scores.to_json()
    assert list(scores.to_json()) == ["instances", "accuracy", "majority_accuracy", "labels"]
    assert scores.instances == 3
    assert scores.majority_accuracy == pytest.approx(1 / 3)
    table = lmgen("label", "words.safetensors", "words.txt", "--labelled", cwd=folder).stdout
    assert table.startswith("3 words: ")
    assert "right \\ predicted" in table
    rows = lmgen(
        "label", "lines.safetensors", "lines.tsv", "--labelled", "--format", "tsv", cwd=folder
    ).stdout
    assert [line.split("\t")[3] for line in rows.splitlines()] == ["expected", "yes", "no", "maybe"]


def test_labels_come_while_the_text_is_written(folder: Path) -> None:
    command = [*COMMAND, "label", "lines.safetensors", "-"]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("a fine day", "no"):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"{text}\t")
        process.stdin.close()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["label", "lines.safetensors", "gone.txt"], 1, "cannot read gone.txt"),
        (["label", "lines.safetensors"], 1, "lines.safetensors is in no run folder with a held-out text"),
        (["label", "lines.safetensors", "words.txt", "--labelled"], 1, "in it each word has one, there each"),
        (["label", "lines.safetensors", "texts.txt", "--labels-as", "line"], 2, "give --labelled, too"),
        (
            ["label", "lines.safetensors", "texts.txt", "--json", "--format", "tsv"],
            2,
            "contradict each other",
        ),
        (["label", "lines.safetensors", "texts.txt", "--labelled"], 1, "no labels are found"),
        *(
            ([*command, "lines.safetensors", *more], 1, "it predicts labels, having seen the whole text")
            for command, more in (
                (["sample"], []),
                (["perplexity"], ["texts.txt"]),
                (["next"], ["a"]),
                (["inspect", "memory"], ["texts.txt"]),
                (["inspect", "gradients"], ["texts.txt"]),
                (["export"], ["--out", "new.safetensors"]),
            )
        ),
        (["train", "texts.txt", "--from", "lines.safetensors"], 1, "labels texts, and --from goes on from"),
    ],
)
def test_errors_are_one_line(arguments: list[str], code: int, message: str, folder: Path) -> None:
    result = lmgen(*arguments, cwd=folder)

    assert result.returncode in (code, 1)
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_info_tells_labels_and_parameters(folder: Path) -> None:
    shown = lmgen("info", "lines.safetensors", cwd=folder).stdout
    described = json.loads(lmgen("info", "lines.safetensors", "--json", cwd=folder).stdout)

    assert "labels     2, one a line: yes, no\n" in shown
    assert "network    bidirectional lstm, 1 layer(s), hidden H = 5, last pooling\n" in shown
    assert described["labels"] == ["yes", "no"]
    assert described["parameters"] == sum(layer["parameters"] for layer in described["layers"])


def test_its_tokens_and_its_embedding_are_as_those_of_a_language_model(folder: Path) -> None:
    ids = lmgen("tokenize", "lines.safetensors", cwd=folder, text="a fine day\n").stdout
    near = lmgen("vectors", "near", "lines.safetensors", "y", "--json", cwd=folder)

    assert lmgen("detokenize", "lines.safetensors", cwd=folder, text=ids).stdout == "a fine day\n"
    assert (near.returncode, near.stderr) == (0, "")
    assert json.loads(near.stdout)["near"]
