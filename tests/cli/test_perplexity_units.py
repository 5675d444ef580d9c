"""`lmgen perplexity` by record, line, word and token, with `--unit`, as a user runs it."""

import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import lmgen
from lmgen.cli import report
from lmgen.cli.perplexity import perplexity
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.models.model_file import save_model
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.units import Unit
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from tests.cli.test_perplexity import command
from tests.process import ENVIRONMENT

app = typer.Typer()
app.command()(perplexity)

LINES = ["an old lamp", "the old cat", "a cat in the rain", "an end"]
KINDS = ["char", "byte", "word", "bpe"]
COLUMNS = {
    "word": "text unit index word surprisal_bits log10 entropy_bits unigram_bits length unknown",
    "token": "text index offset token surprisal_bits rank unit log10 matched",
}
"""CLI.md's."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with two lines of text."""
    monkeypatch.chdir(tmp_path)
    Path("two.txt").write_text("the old lamp\na cat\n")
    yield
    report.QUIET = False


def save(name: str, kind: str, unit: Unit = "document") -> Tokenizer:
    """A trigram model of the lines, each of which is a unit or a line of the document."""
    text = "\n".join(LINES * 20) + "\n"
    size = 275 if kind == "bpe" else None
    config = TokenizerConfig(tokenizer=kind, vocab_size=size)
    tokenizer = train_tokenizer(lambda: [text], config, ReadingConfig(unit=unit))
    if unit == "record":
        text = text.replace("\n", "\ud800")
    ids = tokenizer.encode(text)
    end = tokenizer.sentence_end
    size = tokenizer.vocabulary_size
    model = NgramModel.fit(ids, order=3, vocabulary_size=size, sentence_end=end)
    save_model(Path(name), model, tokenizer)
    return tokenizer


def run(*arguments: str, text: str | None = None) -> Result:
    result = CliRunner().invoke(app, arguments, input=text)
    assert result.exit_code == 0, result.stderr
    return result


def tsv(*arguments: str, text: str | None = None) -> list[dict[str, str]]:
    """The rows that `--format tsv` prints, by the names of their columns."""
    header, *rows = run(*arguments, "--format", "tsv", text=text).stdout.splitlines()
    return [dict(zip(header.split("\t"), row.split("\t"), strict=True)) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["document", "line", "record"])
@pytest.mark.parametrize("blank_with", ["next", "previous"])
def test_words_sum_to_lines_and_a_line_is_what_it_is_alone(kind: str, unit: Unit, blank_with: str) -> None:
    save("model.safetensors", kind, unit)
    how = ["--by", "word", "--blank-with", blank_with]
    words = tsv("model.safetensors", "two.txt", *how)
    lines = tsv("model.safetensors", "two.txt", "--by", "line")
    second = tsv("model.safetensors", "-", *how, text="a cat\n")

    assert " ".join(words[0]) == COLUMNS["word"]
    assert [(word["unit"], word["index"], word["word"]) for word in words] == [
        ("1", "0", "the"),
        ("1", "1", "old"),
        ("1", "2", "lamp"),
        ("1", "3", "</s>"),
        ("2", "0", "a"),
        ("2", "1", "cat"),
        ("2", "2", "</s>"),
    ]
    for line in lines:
        of_line = [word for word in words if word["unit"] == line["line"]]
        bits = sum(float(word["surprisal_bits"]) for word in of_line)
        assert bits * math.log(2) == pytest.approx(float(line["nats"]), abs=1e-5)
        assert sum(float(word["log10"]) for word in of_line) == pytest.approx(float(line["log10"]), abs=1e-5)
    assert [list(word.values())[2:] for word in words[4:]] == [list(word.values())[2:] for word in second]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["line", "record"])
def test_a_model_over_records_reads_lines_and_records_each_on_its_own(kind: str, by: str) -> None:
    save("model.safetensors", kind, "record")
    Path("blank.txt").write_text("the old lamp\n\na cat\n\n\n")
    text, gap = ("two.txt", "\n") if by == "line" else ("blank.txt", "\n\n")
    rows = tsv("model.safetensors", text, "--by", by)
    turned = tsv("model.safetensors", "-", "--by", by, text=f"a cat{gap}the old lamp")

    assert " ".join(rows[0]) == "text line tokens nats perplexity bits_per_character log10 unknown_tokens"
    assert [row["line"] for row in rows] == ["1", "2"]
    assert [row["nats"] for row in rows] == [turned[-1]["nats"], turned[0]["nats"]]
    alone = run("model.safetensors", "-", "--json", "--no-baseline", text="a cat")
    assert json.loads(alone.stdout)["nats"] == pytest.approx(float(rows[1]["nats"]), abs=1e-5)


def test_records_of_a_file_are_rows_whose_order_does_not_matter() -> None:
    save("model.safetensors", "char")
    records = ["the old\nlamp", "a cat\n"]
    for name, order in (("one.jsonl", records), ("other.jsonl", records[::-1])):
        Path(name).write_text("".join(json.dumps({"text": record}) + "\n" for record in order))
    rows = tsv("model.safetensors", "one.jsonl", "--by", "record")
    others = tsv("model.safetensors", "other.jsonl", "--by", "record")

    assert [row["tokens"] for row in rows] == ["13", "6"]
    assert [row["nats"] for row in rows] == [row["nats"] for row in others[::-1]]
    [whole] = [
        json.loads(line)
        for line in run("model.safetensors", "-", "--json", text="a cat\n").stdout.splitlines()
    ]
    assert float(rows[1]["nats"]) == pytest.approx(whole["nats"], abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["line", "word"])
def test_a_model_over_lines_needs_no_line_end(kind: str, by: str) -> None:
    save("model.safetensors", kind, "line")
    closed, opened = (
        run("model.safetensors", "-", "--by", by, "--json", text=text).stdout for text in ("a cat\n", "a cat")
    )

    assert closed == opened


def test_tokens_begin_afresh_at_each_unit_and_carry_its_number() -> None:
    save("model.safetensors", "char")
    rows = tsv("model.safetensors", "-", "--by", "token", "--unit", "line", text="an\nan\n")

    assert " ".join(rows[0]) == COLUMNS["token"]
    assert [row["unit"] for row in rows] == ["1", "1", "1", "2", "2", "2"]
    assert [row["index"] for row in rows] == [str(index) for index in range(6)]
    costs = [(row["surprisal_bits"], row["rank"], row["log10"], row["matched"]) for row in rows]
    assert costs[:3] == costs[3:]
    assert costs[0][3] == "2", "<s> and the first letter"
    stream = tsv("model.safetensors", "-", "--by", "token", text="an\nan\n")
    assert {row["unit"] for row in stream} == {"1"}


@pytest.mark.parametrize("unit", ["line", "record"])
def test_tokens_of_a_model_over_units_carry_their_number_by_default(unit: Unit) -> None:
    save("model.safetensors", "char", unit)
    rows = tsv("model.safetensors", "-", "--by", "token", text="an\n\nan\n")

    assert [row["unit"] for row in rows if row["token"].isalpha()] == (
        ["1", "1", "3", "3"] if unit == "line" else ["1", "1", "2", "2"]
    )


def test_a_run_gives_unigram_surprisal_and_other_models_as_further_rows() -> None:
    folder = RunFolder(Path("run"))
    folder.data.mkdir(parents=True)
    tokenizer = save("run/model.safetensors", "word")
    folder.config.write_text("")
    ids = tokenizer.encode("the old cat\n")
    write_tokens(folder.train_tokens, [ids], tokenizer.vocabulary_size)
    baseline = NgramModel.fit(ids, order=1, vocabulary_size=tokenizer.vocabulary_size, sentence_end=1)
    save_model(folder.ngram, baseline, tokenizer)
    rows = tsv("run", "-", "--by", "word", "--baseline", text="the lamp\n")

    assert " ".join(rows[0]) == "model " + COLUMNS["word"]
    assert [(row["model"], row["word"], row["unigram_bits"]) for row in rows] == [
        ("ngram-3", "the", "2.000000"),
        ("ngram-1", "the", "2.000000"),
        ("ngram-3", "lamp", ""),
        ("ngram-1", "lamp", ""),
        ("ngram-3", "</s>", "2.000000"),
        ("ngram-1", "</s>", "2.000000"),
    ]


@pytest.mark.parametrize("by", ["document", "record", "line", "word", "token"])
def test_unknown_tokens_are_named_once_a_text(by: str) -> None:
    save("model.safetensors", "word")
    Path("strange.txt").write_text("the zebra\nzebra cat yak\n")
    how = ["--by", by, "--no-baseline", "--json"]
    result = run("model.safetensors", "strange.txt", "two.txt", *how)

    [note] = result.stderr.splitlines()
    assert note.startswith("note: strange.txt: 3 of 7 tokens are unknown to the vocabulary")
    assert note.endswith(": `zebra` (2), `yak` (1)")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    if by == "word":
        assert [row["word"] for row in rows if row["unknown"]] == ["zebra", "zebra", "yak"]
    elif by != "token":
        assert sum(row["unknown_tokens"] for row in rows) == 3


def test_words_as_a_table() -> None:
    save("model.safetensors", "word")

    lines = run("model.safetensors", "two.txt", "--by", "word").stdout.splitlines()
    assert lines[0] == "two.txt"
    assert lines[1].split() == ["unit", "index", "bits", "entropy", "unigram", "unknown", "word"]
    assert lines[2].split()[-1] == "the"


def test_words_of_a_text_in_a_row_a_word_can_be_told_from_the_end() -> None:
    save("model.safetensors", "byte")
    rows = tsv("model.safetensors", "-", "--by", "word", text="a\u2028</s>\t\x1b[1m\n")

    assert [(row["word"], row["length"]) for row in rows] == [
        ("a", "1"),
        ("\\</s>", "4"),
        ("\\x1b[1m", "4"),
        ("</s>", "0"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "record", "--unit", "line"], "by record each record is read afresh, not each line: "),
        (["--by", "line", "--blank-with", "next"], "--blank-with goes with --by word only"),
    ],
)
def test_contradictions_are_refused(arguments: list[str], message: str) -> None:
    save("model.safetensors", "char")
    result = CliRunner().invoke(app, ["model.safetensors", "two.txt", *arguments])

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")


@pytest.mark.parametrize("unit", ["document", "line", "record"])
def test_words_come_out_while_the_pipe_is_still_open(unit: Unit) -> None:
    save("model.safetensors", "char", unit)
    arguments = command("model.safetensors", "-", "--by", "word", "--format", "tsv")
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2):
            process.stdin.write("a cat\n")
            process.stdin.flush()
            if number == 1:
                assert process.stdout.readline().startswith("text\tunit\t")
            for index, word in enumerate(("a", "cat", "</s>")):
                assert process.stdout.readline().startswith(f"-\t{number}\t{index}\t{word}\t")
        process.stdin.close()
        assert process.wait(30) == 0


def test_python_gives_the_rows_of_the_command() -> None:
    save("model.safetensors", "bpe")
    model = lmgen.load("model.safetensors")
    words = [row.to_json() for row in model.perplexity("two.txt", by="word", blank_with="previous")]
    records = [row.line for row in model.perplexity("two.txt", by="record")]
    tokens = [row.unit for row in model.perplexity("two.txt", by="token", unit="line")]

    printed = run("model.safetensors", "two.txt", "--by", "word", "--blank-with", "previous", "--json")
    assert words == [json.loads(line) for line in printed.stdout.splitlines()]
    assert records == [1]
    assert set(tokens) == {1, 2}
