"""`lmgen train --answers-after` and `lmgen answers`, as people call them."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.process import lmgen as run_lmgen

pytestmark = pytest.mark.slow


def lmgen(*arguments: str, cwd: Path, text: str | None = None) -> CompletedProcess[str]:
    """Run the command, which has to succeed."""
    result = run_lmgen(*arguments, cwd=cwd, text=text)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    pairs = [(a, b) for a in range(10) for b in range(10)]
    (folder / "sums.txt").write_text("".join(f"{a}+{b}={a + b}\n" for a, b in pairs))
    (folder / "test.txt").write_text("1+2=3\n9+9=18\n5+5=11\n")
    (folder / "words.jsonl").write_text(
        "".join(
            json.dumps({"text": f"{word}\t{label}"}) + "\n" for word, label in [("a b", "x"), ("c", "y")] * 9
        )
    )
    settings = ["--unit", "line", "--answers-after", "=", "--overwrite"]
    lmgen("ngram", "sums.txt", "--order", "6", *settings, "--out", "n.safetensors", cwd=folder)
    small = ["--hidden-size", "8", "--steps", "4", "--batch-size", "4", "--window-length", "8"]
    lmgen("train", "sums.txt", *settings, *small, "--out", "run", cwd=folder)
    return folder


def test_a_table_has_the_model_beside_the_majority_by_length_and_by_answer(folder: Path) -> None:
    shown = lmgen("answers", "n.safetensors", "test.txt", cwd=folder).stdout

    assert shown == (
        "test.txt\n"
        "model     instances  exact  accuracy\n"
        "ngram-6           3      2    66.67%\n"
        "majority          3      1    33.33%\n"
        "\n"
        "majority: always '3'\n"
        "\n"
        "length  instances  exact  accuracy\n"
        "1               1      1   100.00%\n"
        "2               2      1    50.00%\n"
    )


def test_a_long_majority_answer_is_cut(folder: Path) -> None:
    lines = lmgen("answers", "n.safetensors", "-", cwd=folder, text=f"1={'2' * 5000}\n").stdout.splitlines()
    [majority] = [line for line in lines if line.startswith("majority: always")]

    assert majority.startswith("majority: always '222")
    assert len(majority) < 200


def test_a_mark_that_no_line_has_is_said_with_the_advice_that_fits(folder: Path) -> None:
    given = run_lmgen("answers", "n.safetensors", "-", "--after", "#", cwd=folder, text="1+2=3\n")
    own = run_lmgen("answers", "n.safetensors", "-", cwd=folder, text="1+2#3\n")

    begin = "error: no line of - has the mark '{}' in it, so there is no question to answer; "
    assert given.stderr == f"{begin.format('#')}'1+2=3' is one of them\n"
    assert own.stderr == f"{begin.format('=')}name the mark of this text with --after\n"


def test_tsv_has_a_line_for_each_answer(folder: Path) -> None:
    shown = lmgen("answers", "n.safetensors", "test.txt", "--format", "tsv", cwd=folder).stdout

    assert shown == (
        "line\tprompt\texpected\tanswer\tcorrect\n1\t1+2=\t3\t3\t1\n2\t9+9=\t18\t18\t1\n3\t5+5=\t11\t10\t0\n"
    )


def test_json_is_one_object(folder: Path) -> None:
    printed = lmgen("answers", "n.safetensors", "-", "--json", cwd=folder, text="1+2=3\n5+5=1\n")
    found = json.loads(printed.stdout)

    assert found["instances"] == 2
    assert (found["exact"], found["accuracy"], found["majority_accuracy"]) == (1, 0.5, 0.5)
    assert found["by_length"] == {"1": {"instances": 2, "exact": 1, "accuracy": 0.5}}


def test_a_run_answers_beside_its_baseline(folder: Path) -> None:
    shown = lmgen("answers", "run", cwd=folder)
    lines = [line.split()[0] for line in shown.stdout.splitlines() if line]

    assert lines[:5] == ["run/data/valid.txt", "model", "lstm", "ngram-7", "majority"]
    assert "scoring the run's own held-out text" in shown.stderr
    alone = lmgen("answers", "run", "--no-baseline", "--json", cwd=folder)
    assert json.loads(alone.stdout)["baseline"] is None
    assert "only what follows '=' in it is scored" in lmgen("info", "run", cwd=folder).stdout


def test_choices_are_compared_by_their_probability(folder: Path) -> None:
    command = [
        "answers",
        "n.safetensors",
        "-",
        "--choices",
        '3,18,"10"',
        "--choices",
        "11",
        "--format",
        "tsv",
    ]
    printed = lmgen(*command, cwd=folder, text="1+2=3\n9+9=18\n5+5=10\n1+1=2\n")

    assert [line.split("\t")[3] for line in printed.stdout.splitlines()[1:3]] == ["3", "18"]
    assert "1 of 4 right answers are not among the choices" in printed.stderr


def test_json_lines_with_a_tab_and_a_model_of_words(folder: Path) -> None:
    words = ["--tokenizer", "word", "--unit", "record", "--answers-after", "\t"]
    lmgen("ngram", "words.jsonl", "--order", "4", *words, "--out", "w.safetensors", cwd=folder)
    printed = lmgen("answers", "w.safetensors", "words.jsonl", "--json", cwd=folder)
    found = json.loads(printed.stdout)

    assert (found["accuracy"], set(found["by_label"])) == (1.0, {"x", "y"})


def test_a_tab_separates_questions_and_answers_in_a_file_of_columns(folder: Path) -> None:
    (folder / "pairs.tsv").write_text("good film\tgood\nbad film\tbad\n" * 20)
    settings = ["--unit", "line", "--answers-after", "\t", "--valid", "pairs.tsv", "--overwrite"]
    small = ["--hidden-size", "8", "--steps", "3", "--batch-size", "4"]
    lmgen("train", "pairs.tsv", *settings, *small, "--out", "pairs", cwd=folder)
    lmgen("ngram", "pairs.tsv", "--order", "6", *settings, "--out", "pairs.safetensors", cwd=folder)

    for model, after in (("pairs", []), ("pairs.safetensors", ["--after", "\t"])):
        shown = lmgen("answers", model, "pairs.tsv", *after, "--format", "tsv", cwd=folder).stdout
        assert shown.splitlines()[1].startswith("1\tgood film\\t\tgood\t")
        assert len(shown.splitlines()) == 41
    assert "lstm" in lmgen("perplexity", "pairs", "pairs.tsv", cwd=folder).stdout


def test_perplexity_says_that_answers_alone_are_scored(folder: Path) -> None:
    printed = lmgen("perplexity", "n.safetensors", "test.txt", "--json", cwd=folder)

    assert json.loads(printed.stdout)["tokens"] == len("3.18.11.")
    assert "only answers are scored, what follows '=' in each line" in printed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "sums.txt", "--answers-after", "="], "--unit line or --unit record"),
        (["train", "sums.txt", "--unit", "line", "--answers-after", ""], "at least one character"),
        (
            ["train", "sums.txt", "--unit", "line", "--answers-after", "%", "--steps", "1"],
            "of the train text has the mark",
        ),
        (
            ["answers", "n.safetensors", "test.txt", "--after", "%"],
            "no line of test.txt has the mark '%' in it",
        ),
        (["answers", "n.safetensors", "test.txt", "sums.txt"], "give one FILE at a time"),
        (["answers", "n.safetensors", "test.txt", "--choices", "a,,b"], "a text of no characters"),
        (["answers", "n.safetensors", "test.txt", "--choices", "a,a"], "--choices has an answer twice"),
        (["answers", "n.safetensors", "test.txt", "--after", ""], "--after needs a mark"),
        (["answers", "n.safetensors", "missing.txt"], "missing.txt"),
        (["answers", "n.safetensors"], "name a text"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], message: str) -> None:
    failed = run_lmgen(*arguments, cwd=folder)

    assert failed.returncode in (1, 2)
    [line] = [each for each in failed.stderr.splitlines() if each.startswith("error:")]
    assert message in line
    assert failed.stdout == ""
