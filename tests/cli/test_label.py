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
    above, between, below = printed.stdout.splitlines()
    assert between == ""
    assert [above, below] == [
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


def test_rows_stand_beside_the_lines_of_the_text(folder: Path) -> None:
    text = "\na\n \n\nno\n\n"
    printed = lmgen("label", "lines.safetensors", "-", cwd=folder, text=text).stdout
    rows = lmgen("label", "lines.safetensors", "-", "--format", "tsv", cwd=folder, text=text).stdout
    objects = lmgen("label", "lines.safetensors", "-", "--json", cwd=folder, text=text).stdout
    words = lmgen("label", "words.safetensors", "-", cwd=folder, text=text).stdout

    texts = ["", "a", "", "", "no", ""]
    assert [line.split("\t")[0] for line in printed.splitlines()] == texts
    assert [line.split("\t")[0] for line in rows.splitlines()[1:]] == texts
    assert {line.count("\t") for line in rows.splitlines()} == {2}
    assert [json.loads(line)["text"] for line in objects.splitlines()] == texts
    assert json.loads(objects.splitlines()[0]) == {"text": "", "label": None, "probability": None}
    assert [block.split("\t")[0] for block in words.split("\n")] == [
        "",
        "a",
        "",
        "",
        "",
        "no",
        "",
        "",
    ]


@pytest.mark.parametrize(("model", "text"), [("lines", "lines.tsv"), ("words", "words.txt")])
def test_a_text_that_has_labels_already_is_noted(model: str, text: str, folder: Path) -> None:
    result = lmgen("label", f"{model}.safetensors", text, cwd=folder)
    piped = lmgen(
        "label", f"{model}.safetensors", "-", cwd=folder, text=(folder / text).read_text(encoding="utf-8")
    )

    [note] = result.stderr.splitlines()
    assert note.startswith(
        f"note: {text} has labels already, which are read as part of its texts: --labelled"
    )
    assert len(piped.stderr.splitlines()) == 1
    assert piped.stdout == result.stdout
    assert lmgen("label", f"{model}.safetensors", text, "--labelled", cwd=folder).stderr == ""


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


@pytest.mark.parametrize("to", ["float16", "int8"])
@pytest.mark.parametrize(("model", "text"), [("lines", "lines.tsv"), ("words", "words.txt")])
def test_a_smaller_file_labels_the_same_and_says_what_it_costs(
    model: str, text: str, to: str, folder: Path
) -> None:
    files = [f"{model}.safetensors", "--to", to, "--out", "small.safetensors"]
    result = lmgen("export", *files, "--text", text, "--json", cwd=folder)
    exported = json.loads(result.stdout)
    before, after = (LabelModel.load(folder / f"{name}.safetensors") for name in (model, "small"))

    assert (result.returncode, result.stderr, exported["to"]) == (0, "", to)
    assert exported["accuracy_before"] == before.score(folder / text).accuracy
    assert exported["accuracy_after"] == after.score(folder / text).accuracy
    assert exported["bytes_after"] == (folder / "small.safetensors").stat().st_size
    assert after.weights == to
    printed = [
        lmgen("label", name, "texts.txt", "--json", cwd=folder).stdout.splitlines()
        for name in (f"{model}.safetensors", "small.safetensors")
    ]
    for first, second in zip(*(map(json.loads, lines) for lines in printed), strict=True):
        assert first["probability"] == pytest.approx(second["probability"], abs=0.02)
    piped = lmgen(
        *("export", *files, "--text", "-", "--json", "--overwrite"),
        cwd=folder,
        text=(folder / text).read_text(),
    )
    assert (piped.stderr, json.loads(piped.stdout)) == ("", exported)
    plain = lmgen("export", *files, "--overwrite", cwd=folder)
    assert "name a labelled text: --text FILE" in plain.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["label", "lines.safetensors", "gone.txt"], 1, "cannot read gone.txt"),
        (["label", "lines.safetensors"], 1, "lines.safetensors is in no run folder with a held-out text"),
        (["label", "lines.safetensors", "--labels-as", "columns"], 2, "are about a labelled TEXT: name one"),
        (["label", "lines.safetensors", "--encoding", "latin-1"], 2, "are about a labelled TEXT: name one"),
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
            )
        ),
        (["export", "lines.safetensors", "--to", "arpa", "--out", "new.arpa"], 1, "has no n-grams to write"),
        (
            ["export", "lines.safetensors", "--text", "words.txt", "--out", "new.safetensors"],
            1,
            "in it each word has one, there each",
        ),
        (["train", "texts.txt", "--from", "lines.safetensors"], 1, "labels texts, and --from goes on from"),
    ],
)
def test_errors_are_one_line(arguments: list[str], code: int, message: str, folder: Path) -> None:
    result = lmgen(*arguments, cwd=folder)

    assert (result.returncode, result.stdout) == (code, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_an_empty_text_is_refused_before_anything_is_printed(folder: Path) -> None:
    result = lmgen("label", "lines.safetensors", "-", "--format", "tsv", cwd=folder, text="")

    assert (result.returncode, result.stdout) == (1, "")
    assert "empty" in result.stderr


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
