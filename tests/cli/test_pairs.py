"""`lmgen pairs`, as people call it."""

import json
from pathlib import Path

import pytest

from tests.process import lmgen

pytestmark = pytest.mark.slow

PAIRS = [
    {"UID": "agreement", "sentence_good": "the cat sleeps", "sentence_bad": "the cat sleep"},
    {"UID": "agreement", "sentence_good": "the cats sleeps", "sentence_bad": "the cats sleep"},
    {"UID": "word order", "sentence_good": "the cat sleeps", "sentence_bad": "cat the sleeps"},
    {"UID": "word order", "sentence_good": "the cat", "sentence_bad": "the cat"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trigram model of words, a run, and a file of pairs, of which the second has its sides changed."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "book.txt").write_text("the cat sleeps\nthe cats sleep\nthe dog sleeps\n" * 20)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in PAIRS))
    words = ["--tokenizer", "word", "--valid", "0.2"]
    for arguments in (
        ["ngram", "book.txt", "--order", "3", *words, "--out", "n.safetensors"],
        [
            "train",
            "book.txt",
            *words,
            "--hidden-size",
            "8",
            "--steps",
            "4",
            "--baseline-order",
            "3",
            "--out",
            "run",
        ],
    ):
        made = lmgen(*arguments, cwd=folder)
        assert made.returncode == 0, made.stderr
    return folder


def test_a_table_has_all_pairs_then_each_group(folder: Path) -> None:
    shown = lmgen("pairs", "n.safetensors", "pairs.jsonl", "--group", "UID", cwd=folder)

    assert shown.stderr == ""
    assert shown.stdout == (
        "pairs.jsonl\n"
        "model    pairs  right  ties  accuracy  95% interval\n"
        "ngram-3      4      2     1    50.00%   15.0%-85.0%\n"
        "\n"
        "group       pairs  right  ties  accuracy  95% interval\n"
        "agreement       2      1     0    50.00%    9.5%-90.5%\n"
        "word order      2      1     1    50.00%    9.5%-90.5%\n"
    )


def test_json_has_the_figures_of_all_models(folder: Path) -> None:
    shown = lmgen("pairs", "run", "-", "--group", "UID", "--mix", "--json", cwd=folder, text=pairs_text())
    found = json.loads(shown.stdout)

    assert [found["model"], *(each["model"] for each in found["others"])] == ["lstm", "ngram-3", "mixture"]
    assert (found["text"], found["pairs"]) == ("standard input", 4)
    assert list(found["groups"]) == ["agreement", "word order"]
    assert found["others"][0]["groups"]["agreement"]["correct"] == 1
    assert (round(found["others"][0]["low"], 3), round(found["others"][0]["high"], 3)) == (0.150, 0.850)


def test_tsv_has_a_line_for_each_pair_and_model(folder: Path) -> None:
    alone = lmgen("pairs", "run", "pairs.jsonl", "--no-baseline", "--format", "tsv", cwd=folder).stdout
    both = lmgen("pairs", "run", "pairs.jsonl", "--format", "tsv", cwd=folder).stdout.splitlines()

    head, *rows = alone.splitlines()
    assert head == "pair\tgroup\tgood_log10\tbad_log10\tcorrect\tgood\tbad"
    assert [row.split("\t")[0] for row in rows] == ["1", "2", "3", "4"]
    assert rows[3].split("\t")[4:] == ["0", "the cat", "the cat"]
    assert both[0] == f"model\t{head}"
    assert [row.split("\t")[:2] for row in both[1:3]] == [["lstm", "1"], ["ngram-3", "1"]]


def test_unknown_words_are_told_of(folder: Path) -> None:
    text = json.dumps({"g": "the zebra sleeps", "b": "the zebra sleep"}) + "\n"
    shown = lmgen("pairs", "n.safetensors", "-", "--good", "g", "--bad", "b", cwd=folder, text=text)

    assert shown.returncode == 0
    assert shown.stderr.startswith(
        "note: standard input: 2 of 8 tokens are unknown to the vocabulary: `zebra` (2)"
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["n.safetensors"], "error: give one FILE with the pairs after MODEL\n"),
        (
            ["n.safetensors", "book.txt"],
            "error: book.txt has no records, of which two fields are the sentences of a pair; give JSON "
            "Lines (.jsonl), JSON, CSV or TSV\n",
        ),
        (
            ["n.safetensors", "pairs.jsonl", "--good", "right"],
            "error: pairs.jsonl, line 1: no text in the field 'right'; choose another: UID, sentence_good, "
            "sentence_bad\n",
        ),
        (
            ["n.safetensors", "pairs.jsonl", "--baseline"],
            "error: there is no n-gram baseline: n.safetensors is not in a run folder; name the run folder\n",
        ),
        (["n.safetensors", "gone.jsonl"], "error: "),
        (["run", "pairs.jsonl", "--mix", "--no-baseline"], "error: --mix mixes the model with its run's own"),
    ],
)
def test_errors_are_one_line(arguments: list[str], error: str, folder: Path) -> None:
    result = lmgen("pairs", *arguments, cwd=folder)

    assert result.returncode in (1, 2)
    assert result.stderr.startswith(error)
    assert (result.stderr.count("\n"), result.stdout) == (1, "")


def pairs_text() -> str:
    return "".join(json.dumps(each) + "\n" for each in PAIRS)
