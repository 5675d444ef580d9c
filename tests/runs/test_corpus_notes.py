"""What is told about a corpus before training, and about held-out and new text that is unlike it."""

from pathlib import Path
from typing import Any

import pytest

from lmgen.runs.config import RunConfig
from lmgen.runs.corpus_notes import BEGINNING, corpus_notes
from lmgen.runs.ngram import fit_ngram, open_run_corpus
from tests.process import lmgen
from tests.sentences import NAMES, sentences

PROSE = "".join(line.capitalize() + ".\n" for line in sentences(600).splitlines())
LIST = "".join(name.capitalize() + "\n" for name in NAMES[:500])


def notes(folder: Path, text: str, *, name: str = "some.txt", **settings: Any) -> list[str]:
    file = folder / name
    file.write_text(text, encoding="utf-8", newline="")
    config = RunConfig.from_settings({"corpus": [str(file)], **settings}, "here")
    return corpus_notes(config, open_run_corpus(config, lambda _: None))


@pytest.mark.parametrize("tokenizer", ["char", "byte", "bpe", "unigram"])
def test_a_list_is_told_of_lines(tmp_path: Path, tokenizer: str) -> None:
    [note] = notes(tmp_path, LIST, tokenizer=tokenizer)

    assert "some.txt looks like a list: 500 lines of 4 characters on average; --unit line " in note
    assert not notes(tmp_path, PROSE, tokenizer=tokenizer)


@pytest.mark.parametrize("settings", [{"unit": "document"}, {"unit": "line"}, {"tokenizer": "word"}])
def test_nothing_is_told_to_those_who_have_chosen(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert not notes(tmp_path, LIST, **settings)


def test_a_long_list_is_known_by_its_beginning(tmp_path: Path) -> None:
    [note] = notes(tmp_path, LIST * (BEGINNING // len(LIST) + 1))

    assert f"it begins with {BEGINNING // 5:,} lines of 4 characters" in note


def test_records_are_told_of(tmp_path: Path) -> None:
    records = '{"text": "salt\\nand oil"}\n{"text": "soup, warm."}\n'
    [note] = notes(tmp_path, records, name="some.jsonl")

    assert "some.jsonl has 2 records; --unit record makes each a text of its own" in note
    assert not notes(tmp_path, records, name="some.jsonl", unit="record")
    assert not notes(tmp_path, records, name="some.jsonl", unit="document")


@pytest.mark.parametrize("name", ["synthetic-brackets", "continual-reber"])
def test_made_corpora_that_are_one_stream_have_no_such_notes(name: str) -> None:
    config = RunConfig.from_settings({"corpus": [name]}, "here")

    assert not corpus_notes(config, open_run_corpus(config, lambda _: None))


def test_a_task_is_read_line_by_line() -> None:
    config = RunConfig.from_settings({"corpus": ["temporal-order"]}, "here")
    [note] = corpus_notes(config, open_run_corpus(config, lambda _: None))

    assert note.startswith("temporal-order has an instance a line; --unit line makes each a text of its own")


@pytest.mark.parametrize(
    ("text", "count"),
    [("one\ttwo  three\n" * 600, "1,200"), ("  if so:\r\n\treturn\r\n", "2"), ("ein\u00a0Wort\n", None)],
)
def test_blanks_that_words_do_not_keep_are_counted(tmp_path: Path, text: str, count: str | None) -> None:
    [note] = notes(tmp_path, text, tokenizer="word")

    assert note.startswith(
        f"{count} tabs and runs of blanks are read as one blank each"
        if count
        else "1 tab or run of blanks is"
    )
    assert not notes(tmp_path, text, unit="document")


@pytest.mark.parametrize(
    "text", [PROSE, PROSE.replace("\n", "\r\n"), " a b \n c \n", "ein Donaudampfschiff\n"]
)
def test_words_of_ordinary_text_need_no_note(tmp_path: Path, text: str) -> None:
    assert not notes(tmp_path, text, tokenizer="word")


@pytest.mark.parametrize(
    "text",
    [
        "我们今天去看海。明天再回来，好吗？\n",
        "วันนี้เราไปทะเล พรุ่งนี้กลับบ้าน\n",
        "今日は海へ行きます。また明日。\n",
        "ACGTGTCCAAGTGTCA\n",
    ],
)
def test_a_text_without_blanks_has_no_words(tmp_path: Path, text: str) -> None:
    [note] = notes(tmp_path, text * 50, tokenizer="word")

    assert "--tokenizer char, bpe or unigram fits it better than word" in note


@pytest.mark.parametrize(
    ("tokenizer", "flag"),
    [("char", "--newlines lf"), ("byte", "--newlines lf"), ("bpe", "--newlines lf")],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_held_out_text_in_other_line_ends(tmp_path: Path, tokenizer: str, flag: str, swapped: bool) -> None:
    """In training the flag helps whichever of the two has them: it reads both alike."""
    ends = ("\r\n", "\n") if swapped else ("\n", "\r\n")
    for name, end in zip(("train.txt", "valid.txt"), ends, strict=True):
        (tmp_path / name).write_text(PROSE, encoding="utf-8", newline=end)
    settings: dict[str, Any] = {"tokenizer": tokenizer, "valid": str(tmp_path / "valid.txt")}
    settings |= {"vocab_size": 400} if tokenizer == "bpe" else {}

    def of_fit(**more: Any) -> list[str]:
        fitted = fit_ngram(
            [str(tmp_path / "train.txt")], 4, tmp_path / "m.safetensors", overwrite=True, **settings, **more
        )
        return [note for note in fitted.notes if note.startswith("the validation text")]

    [note] = of_fit()
    assert note.endswith(f"({flag})")
    assert not of_fit(newlines="lf")


def test_the_command_tells_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(LIST, encoding="utf-8")
    (tmp_path / "crlf.txt").write_text(LIST, encoding="utf-8", newline="\r\n")
    fit = ("ngram", "list.txt", "--order", "3", "--out", "m.safetensors", "--overwrite")
    result = lmgen(*fit, cwd=tmp_path)

    assert result.returncode == 0
    assert "note: list.txt looks like a list: 500 lines" in result.stderr
    assert "list" not in result.stdout
    assert not lmgen(*fit, "--quiet", cwd=tmp_path).stderr
    assert "list" not in lmgen(*fit, "--unit", "document", cwd=tmp_path).stderr

    scored = lmgen("perplexity", "m.safetensors", "crlf.txt", "--no-baseline", "--json", cwd=tmp_path)
    assert scored.stderr.count("\n") == 1
    assert scored.stderr.endswith("none would be (--newlines lf)\n")
    flags = ("--newlines", "lf", "--normalize", "nfc", "--no-baseline", "--format", "tsv")
    read = lmgen("perplexity", "m.safetensors", "crlf.txt", *flags, cwd=tmp_path)
    own = lmgen("perplexity", "m.safetensors", "list.txt", *flags, cwd=tmp_path)
    assert not read.stderr
    assert read.stdout == own.stdout.replace("list.txt", "crlf.txt")


def test_prompts_are_told_of_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("un café crème\n" * 60, encoding="utf-8")
    lmgen("ngram", "a.txt", "--order", "3", "--out", "m.safetensors", cwd=tmp_path)
    sampled = lmgen("sample", "m.safetensors", "--prompt", "cafe\u0301 ", "--length", "3", cwd=tmp_path)

    assert "reads it as unknown; in NFC none would be" in sampled.stderr
    assert "in NFC none would be" in lmgen("next", "m.safetensors", "cafe\u0301", cwd=tmp_path).stderr
    assert not lmgen("next", "m.safetensors", "café", cwd=tmp_path).stderr


def test_fine_tuning_on_a_text_that_is_written_otherwise(tmp_path: Path) -> None:
    """A note names the flag, and with it every character is known."""
    (tmp_path / "a.txt").write_text(PROSE.replace("old", "élan"), encoding="utf-8", newline="\n")
    (tmp_path / "b.txt").write_text(PROSE.replace("old", "e\u0301lan"), encoding="utf-8", newline="\r\n")
    small = (
        "--steps",
        "2",
        "--hidden-size",
        "4",
        "--batch-size",
        "2",
        "--window-length",
        "8",
        "--threads",
        "1",
    )
    lmgen("train", "a.txt", "--out", "a", *small, cwd=tmp_path)
    tuned = lmgen("train", "b.txt", "--from", "a", "--out", "b", *small, cwd=tmp_path)
    flags = ("--newlines", "lf", "--normalize", "nfc")
    read = lmgen("train", "b.txt", "--from", "a", "--out", "c", *small, *flags, cwd=tmp_path)

    assert tuned.stderr.count("none would be (--newlines lf --normalize nfc)") == 1
    assert read.returncode == 0, read.stderr
    assert "unknown" not in read.stderr
    scored = lmgen("perplexity", "c", "b.txt", "--no-baseline", cwd=tmp_path)
    assert not scored.stderr


RUSSIAN = "Старый моряк чинит лодку у моста.\nДевочка несёт письмо через сад, а кот спит.\n" * 20


@pytest.mark.parametrize("tokenizer", ["char", "word"])
@pytest.mark.parametrize(
    ("text", "encoding", "given"),
    [
        (RUSSIAN, "cp1251", "koi8-r"),
        (RUSSIAN, "cp1251", "cp1252"),
        (RUSSIAN, "koi8-r", "windows-1251"),
        (RUSSIAN, "utf-8", "cp866"),
        (RUSSIAN, "cp1251", "utf-16-le"),
        ("Où êtes-vous né ? « Ça va », dit Élise à l'église.\n", "utf-8", "latin-1"),
        ("plain words\n", "utf-8", "utf-16-le"),
    ],
)
def test_a_corpus_that_is_read_in_a_wrong_encoding_is_told_of(
    tmp_path: Path, text: str, encoding: str, given: str, tokenizer: str
) -> None:
    file = tmp_path / "some.txt"
    file.write_bytes(text.encode(encoding))

    def told(encoding: str) -> list[str]:
        config = RunConfig.from_settings(
            {"corpus": [str(file)], "encoding": encoding, "tokenizer": tokenizer, "unit": "document"}, "here"
        )
        return corpus_notes(config, open_run_corpus(config, lambda _: None))

    [note] = told(given)
    assert note.endswith(f"(--encoding {encoding})")
    assert not told(encoding)
