"""Texts with <unk> and sentence marks in them, and ARPA files of others, from training to scores."""

import json
from pathlib import Path

import pytest

from tests.models.ngram.arpa_files import log10_by_definition
from tests.process import lmgen

pytestmark = pytest.mark.slow  # each test starts commands

TEXT = "he met <unk> today\n<unk> met her\nshe met <unk>\n" * 8

LETTERS = """\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-1.25\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-0.75\to\t-0.125
-0.5\tn\t-0.5
-1\t|\t-0.25

\\2-grams:
-0.25\t<s> n
-0.125\tn o
-0.375\to </s>

\\end\\
"""


def lines(model: str, text: str, folder: Path) -> list[dict[str, float]]:
    result = lmgen("perplexity", model, "-", "--by", "line", "--json", "--quiet", cwd=folder, text=text)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_unseen_word_is_the_unk_of_the_text_here_and_in_an_arpa_file(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    fitted = ("ngram", "text.txt", "--tokenizer", "word", "--order", "3", "--out", "words.safetensors")
    assert lmgen(*fitted, cwd=tmp_path).returncode == 0
    lmgen("export", "words.safetensors", "--to", "arpa", "--out", "words.arpa", cwd=tmp_path)
    lmgen("ngram", "--arpa", "words.arpa", "--out", "back.safetensors", cwd=tmp_path)

    text = "he met <unk>\nhe met nobody\n"
    [spelled, unseen] = lines("words.safetensors", text, tmp_path)
    assert spelled["nats"] == unseen["nats"] < 3
    assert [row["nats"] for row in lines("back.safetensors", text, tmp_path)] == [spelled["nats"]] * 2
    expected = log10_by_definition(tmp_path / "words.arpa", ["he", "met", "<unk>"])
    assert spelled["nats"] == pytest.approx(-expected * 2.302585093, rel=1e-5)


def test_sentence_marks_around_lines_are_noted_and_make_no_difference(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "marked.txt").write_text("".join(f"<s> {line} </s>\n" for line in TEXT.splitlines()))

    def nats(*arguments: str) -> tuple[float, str]:
        flags = (
            "--tokenizer",
            "word",
            "--order",
            "2",
            "--out",
            "m.safetensors",
            "--overwrite",
            "--json",
            "--valid",
            "0.1",
        )
        result = lmgen("ngram", *arguments, *flags, cwd=tmp_path)
        return json.loads(result.stdout)["valid_nats_per_token"], result.stderr

    plain, notes = nats("text.txt")
    assert "sentence marks" not in notes
    marked, notes = nats("marked.txt")
    assert marked == plain
    assert "lines have sentence marks (<s> and </s> around them, or <eos> at the end)" in notes
    assert [row["nats"] for row in lines("m.safetensors", "<s> he met\nhe met </s>\n", tmp_path)] == [
        row["nats"] for row in lines("m.safetensors", "he met\nhe met\n", tmp_path)
    ]
    literal, notes = nats("marked.txt", "--literal-marks")
    assert literal != plain
    assert "sentence marks" not in notes


@pytest.mark.parametrize("flags", [[], ["--tokenizer", "char"], ["--blank", "|"]])
def test_characters_whose_blank_is_visible_are_read_line_by_line(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "letters.arpa").write_text(LETTERS)
    read = lmgen("ngram", "--arpa", "letters.arpa", *flags, "--out", "m.safetensors", cwd=tmp_path)

    assert read.returncode == 0
    assert ("|" in read.stderr) == ("--blank" not in flags)
    for text in ("no no\nno\n", "no no\nno"):
        rows = lines("m.safetensors", text, tmp_path)
        assert [row["tokens"] for row in rows] == [6, 3]
        assert [row["nats"] / 2.302585093 for row in rows] == pytest.approx(
            [
                0.25 + 0.125 + (0.125 + 1) + (0.25 + 0.5) + 0.125 + 0.375,  # <s> n o | n o </s>
                0.25 + 0.125 + 0.375,
            ],
            rel=1e-5,
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arpa", "letters.arpa", "--blank", "#"], "--blank is '#', but the file has no such word"),
        (["--blank", "#"], "--blank says how the file of --arpa spells a blank; leave it out"),
    ],
)
def test_a_blank_that_cannot_be_is_a_mistake(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "letters.arpa").write_text(LETTERS)
    result = lmgen("ngram", *arguments, "--out", "m.safetensors", cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"error: {message}\n")
    assert not (tmp_path / "m.safetensors").exists()
