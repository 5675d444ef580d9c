"""Files as people have them, given to the commands: tables, archives, other encodings, what is no text."""

import csv
import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lmgen.cli.app import app

NAMES = ["Ana Ruíz", "said “no”,\nthen left", 'a "b", c', "– fin –"] * 12


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def fitted(*arguments: str, out: str = "m.safetensors") -> bytes:
    """The model that `ngram` makes; its lines are those of any text."""
    result = run("ngram", *arguments, "--order", "3", "--out", out, "--overwrite")
    assert result.exit_code == 0, result.stderr
    return Path(out).read_bytes()


def write_forms() -> list[str]:
    """The same records in every format."""
    rows = [{"id": str(number), "text": text} for number, text in enumerate(NAMES)]
    for name, dialect in (("t.csv", "excel"), ("t.tsv", "excel-tab")):
        with open(name, "w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"], dialect=dialect)
            writer.writeheader()
            writer.writerows(rows)
    Path("t.json").write_text(json.dumps(rows))
    Path("t.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["t.csv", "t.tsv", "t.json", "t.ndjson"]


@pytest.mark.parametrize("unit", ["document", "record"])
def test_the_same_records_make_the_same_model_in_every_format(unit: str) -> None:
    shown, scores = set(), set()
    for form in write_forms():
        shown.add(run("corpus", "show", form, "--field", "text").stdout)
        fitted(form, "--field", "text", "--unit", unit)
        scored = run("perplexity", "m.safetensors", form, "--field", "text", "--json")
        scores.add(json.dumps({**json.loads(scored.stdout), "text": ""}))

    assert shown == {"".join(f"{name}\n" for name in NAMES)}
    assert len(scores) == 1


@pytest.mark.parametrize("form", ["t.csv", "t.tsv", "t.json"])
def test_every_command_asks_for_the_field_in_one_line(form: str) -> None:
    write_forms()
    fitted("t.ndjson")
    commands = [
        ["ngram", form, "--order", "2", "--out", "x"],
        ["train", form, "--steps", "1", "--out", "x"],
        ["train", "t.ndjson", "--valid", form, "--steps", "1", "--out", "x"],
        ["perplexity", "m.safetensors", form, "--no-baseline"],
        ["corpus", "show", form],
    ]
    for command in commands:
        result = run(*command)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith(f"error: {form}, ")
        assert result.stderr.endswith(" 1: name the field that holds the text with --field: id, text\n")
        assert not Path("x").exists()


def test_an_archive_is_trained_on_by_what_is_in_it() -> None:
    for number in (1, 2, 10):
        Path(f"ch{number}.txt").write_text(f"chapter {number}\n" * 20)
    with tarfile.open("book.tar.gz", "w:gz") as archive:
        for number in (10, 1, 2):
            archive.add(f"ch{number}.txt")
    Path("one.txt").write_text("".join(f"chapter {number}\n" * 20 for number in (1, 2, 10)))

    assert run("corpus", "show", "book.tar.gz").stdout == Path("one.txt").read_text()
    one, packed = fitted("one.txt"), fitted("book.tar.gz")
    assert one.partition(b"corpus")[0] == packed.partition(b"corpus")[0]


def test_the_encoding_of_the_training_text_is_that_of_later_texts() -> None:
    text = "".join(f"{name}\n" for name in NAMES)
    Path("western.txt").write_bytes(text.encode("cp1252"))
    Path("unicode.txt").write_text(text)
    refused = run("ngram", "western.txt", "--order", "2", "--out", "x")
    assert "it looks like CP1252: give --encoding cp1252, or convert it" in refused.stderr
    fitted("western.txt", "--encoding", "cp1252")

    usual = run("perplexity", "m.safetensors", "western.txt", "--json")
    other = run("perplexity", "m.safetensors", "unicode.txt", "--encoding", "utf-8", "--json")

    assert "note: reading western.txt as cp1252, as the model's training text" in usual.stderr
    assert "reading" not in other.stderr
    assert {**json.loads(usual.stdout), "text": ""} == {**json.loads(other.stdout), "text": ""}


def test_the_held_out_text_of_a_run_is_read_as_it_was_written() -> None:
    Path("western.txt").write_bytes(("“één”, twee – drie\n" * 60).encode("cp1252"))
    tiny = ["--steps", "1", "--hidden-size", "4", "--batch-size", "2", "--window-length", "4"]
    trained = run(
        "train", "western.txt", "--encoding", "cp1252", *tiny, "--valid", "western.txt", "--out", "r"
    )
    assert trained.exit_code == 0, trained.stderr

    for arguments in (["r"], ["r", "r/data/valid.txt"], ["r", str(Path("r/data/valid.txt").absolute())]):
        scored = run("perplexity", *arguments, "--json", "--no-baseline")
        assert "cp1252" not in scored.stderr
        assert json.loads(scored.stdout)["unknown_tokens"] == 0


def test_an_unknown_encoding_is_wrong_usage() -> None:
    Path("a.txt").write_text("a\n")

    for command in (["ngram", "a.txt", "--out", "x"], ["train", "a.txt"], ["corpus", "show", "a.txt"]):
        result = run(*command, "--encoding", "utf-61")
        assert result.exit_code == 2
        assert "there is no character encoding 'utf-61'; did you mean utf-16?" in result.stderr


def test_nuls_and_pdf_are_for_models_of_bytes() -> None:
    for name, content in (("nul.txt", b"one\0two\n" * 9), ("x.pdf", b"%PDF-1.4 one two\n" * 9)):
        Path(name).write_bytes(content)
        refused = run("ngram", name, "--order", "2", "--out", "x")
        assert refused.exit_code == 1
        assert refused.stderr.startswith(f"error: {name} is not text")
        assert refused.stderr.count("\n") == 1
        fitted(name, "--tokenizer", "byte")
