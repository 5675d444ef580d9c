"""`lmgen perplexity` as a user runs it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from lmgen.arrays import IdArray
from lmgen.cli import report
from lmgen.cli.perplexity import perplexity
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.models.model_file import save_model
from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import ENVIRONMENT, run_command

app = typer.Typer()
app.command()(perplexity)

TOKENIZER = CharacterTokenizer("\n ab")
BITS = {"<unk>": 4, "\n": 1, " ": 2, "a": 3, "b": 4}
"""What the model says of each token, whatever came before."""

TRAINING = TOKENIZER.encode("aab ab\nb\n" * 20)

KEYS = [
    "model",
    "text",
    "tokens",
    "characters",
    "bytes",
    "words",
    "unknown_tokens",
    "nats",
    "nats_per_token",
    "perplexity",
    "perplexity_without_unknown",
    "bits_per_character",
    "bits_per_byte",
    "word_perplexity",
]
"""CLI.md's."""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with a run in `checkpoints/demo` and two texts."""
    monkeypatch.chdir(tmp_path)
    save_run(RunFolder(Path("checkpoints/demo")))
    Path("one.txt").write_text("a b\n")
    Path("two.txt").write_text("ab?\n\na", newline="")
    yield
    report.QUIET = False


def save_run(run: RunFolder) -> None:
    """All of a run that scoring needs; the baseline is a unigram model."""
    run.prepared.parent.mkdir(parents=True)
    save_model_file(run.model)
    run.config.write_text("")
    run.valid_text.write_text("ba\n")
    write_tokens(run.train_tokens, [TRAINING], TOKENIZER.vocabulary_size)
    save_model(run.ngram, fitted(TRAINING, order=1), TOKENIZER)


def save_model_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    log_probabilities = [-bits * np.log(2) for bits in BITS.values()]
    save_bigram_model(path, TOKENIZER, np.tile(log_probabilities, (5, 1)))


def fitted(training: IdArray, order: int) -> NgramModel:
    return NgramModel.fit(training, order=order, vocabulary_size=TOKENIZER.vocabulary_size)


def run(*arguments: str | Path, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def results(*arguments: str | Path, text: str | bytes | None = None) -> list[dict[str, object]]:
    """The objects that `--json` prints, one a line."""
    result = run(*arguments, "--json", text=text)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def command(*arguments: str | Path) -> Sequence[str]:
    """The command as a process of its own."""
    code = "import typer; from lmgen.cli.perplexity import perplexity; typer.run(perplexity)"
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_json_has_the_keys_of_the_contract_for_model_and_baseline() -> None:
    model, baseline = results("checkpoints/demo", "one.txt")

    assert list(model) == list(baseline) == KEYS
    assert (model["model"], baseline["model"]) == ("rnn", "ngram-1")
    assert model["text"] == baseline["text"] == "one.txt"


def test_json_figures_are_exact() -> None:
    """Tokens "a b\\n" cost 3 + 2 + 4 + 1 bits."""
    [score] = results("checkpoints/demo", "one.txt", "--no-baseline")

    assert [score[key] for key in KEYS[2:7]] == [4, 4, 4, 3, 0]
    assert score["nats"] == pytest.approx(10 * np.log(2))
    assert score["nats_per_token"] == pytest.approx(2.5 * np.log(2))
    assert score["perplexity"] == score["perplexity_without_unknown"] == pytest.approx(2**2.5)
    assert score["bits_per_character"] == score["bits_per_byte"] == pytest.approx(2.5)
    assert score["word_perplexity"] == pytest.approx(2 ** (10 / 3))


def test_figures_that_unknown_characters_make_meaningless_are_null() -> None:
    result = run("checkpoints/demo", "two.txt", "--no-baseline", "--json")
    score = json.loads(result.stdout)

    assert score["unknown_tokens"] == 1
    assert score["bits_per_character"] is None
    assert score["bits_per_byte"] is None
    assert score["perplexity_without_unknown"] == pytest.approx(2 ** (12 / 5))
    assert result.stderr == (
        "note: two.txt: 1 of 6 tokens are unknown to the vocabulary, so there are no bits per character or "
        "byte: `?` (1)\n"
    )


def test_json_has_no_infinity() -> None:
    [score] = results("checkpoints/demo", "-", "--no-baseline", text="a" * 600)

    assert score["word_perplexity"] is None


def test_the_table_puts_the_baseline_under_the_model() -> None:
    baseline, ids = fitted(TRAINING, order=1), TOKENIZER.encode("a b\n")
    nats = -float(baseline.score(baseline.start(1), ids[:, None])[0].sum())
    bits = f"{nats / 4 / np.log(2):.4f}"

    result = run("checkpoints/demo", "one.txt")

    assert result.stderr == ""
    assert result.stdout == (
        "one.txt: 4 tokens, 4 characters, 4 bytes, 3 words\n"
        "model      nats/token  perplexity  bits/character  bits/byte  word perplexity\n"
        "rnn            1.7329       5.657          2.5000     2.5000            10.08\n"
        f"ngram-1        {nats / 4:.4f}       {np.exp(nats / 4):.3f}          {bits}     {bits}"
        f"            {np.exp(nats / 3):.3f}\n"
    )


def test_each_text_has_a_table_which_says_what_is_unknown() -> None:
    result = run("checkpoints/demo", "one.txt", "two.txt", "--no-baseline", "--quiet")

    assert result.stderr == ""
    assert result.stdout == (
        "one.txt: 4 tokens, 4 characters, 4 bytes, 3 words\n"
        "model      nats/token  perplexity  bits/character  bits/byte  word perplexity\n"
        "rnn            1.7329       5.657          2.5000     2.5000            10.08\n"
        "\n"
        "two.txt: 6 tokens, 6 characters, 6 bytes, 4 words, 1 unknown\n"
        "model      nats/token  perplexity  without unknown  bits/character  bits/byte  word perplexity\n"
        "rnn            1.8484       6.350            5.278               -          -            16.00\n"
    )


def test_tsv_has_a_header_and_nothing_for_null() -> None:
    result = run("checkpoints/demo", "two.txt", "--format", "tsv", "--no-baseline")

    assert result.stdout.splitlines() == [
        "\t".join(KEYS),
        "rnn\ttwo.txt\t6\t6\t6\t4\t1\t11.090355\t1.848392\t6.349604\t5.278032\t\t\t16.000000",
    ]


def test_lines_are_texts_of_their_own() -> None:
    result = run("checkpoints/demo", "one.txt", "two.txt", "--by", "line", "--format", "tsv")

    assert result.stdout.splitlines() == [
        "text\tline\ttokens\tnats\tperplexity\tbits_per_character\tlog10\tunknown_tokens",
        "one.txt\t1\t4\t6.931472\t5.656854\t2.500000\t-3.010300\t0",
        "two.txt\t1\t4\t8.317766\t8.000000\t\t-3.612360\t1",
        "two.txt\t2\t1\t0.693147\t2.000000\t1.000000\t-0.301030\t0",
        "two.txt\t3\t1\t2.079442\t8.000000\t3.000000\t-0.903090\t0",
    ]
    assert result.stderr == "note: two.txt: 1 of 6 tokens are unknown to the vocabulary: `?` (1)\n"


def test_lines_as_a_table() -> None:
    result = run("checkpoints/demo", "two.txt", "--by", "line")

    assert result.stdout == (
        "two.txt\n"
        "     line     tokens       nats  perplexity  bits/character      log10    unknown\n"
        "        1          4     8.3178       8.000               -    -3.6124          1\n"
        "        2          1     0.6931       2.000          1.0000    -0.3010          0\n"
        "        3          1     2.0794       8.000          3.0000    -0.9031          0\n"
    )


def test_lines_of_model_and_baseline_stand_together_when_it_is_asked_for() -> None:
    lines = run("checkpoints/demo", "two.txt", "--by", "line", "--format", "tsv", "--baseline").stdout
    rows = [line.split("\t") for line in lines.splitlines()]

    assert rows[0][:4] == ["model", "text", "line", "tokens"]
    assert [row[:3] for row in rows[1:5]] == [
        ["rnn", "two.txt", "1"],
        ["ngram-1", "two.txt", "1"],
        ["rnn", "two.txt", "2"],
        ["ngram-1", "two.txt", "2"],
    ]


def test_tokens_are_escaped_so_that_each_is_a_line() -> None:
    result = run("checkpoints/demo", "-", "--by", "token", "--format", "tsv", text="a \t\nb")

    assert result.stdout.splitlines() == [
        "text\tindex\toffset\ttoken\tsurprisal_bits\trank\tunit\tlog10\tmatched",
        "-\t0\t0\ta\t3.000000\t3\t1\t-0.903090\t",
        "-\t1\t1\t▁\t2.000000\t2\t1\t-0.602060\t",
        "-\t2\t2\t<unk>\t4.000000\t4\t1\t-1.204120\t",
        "-\t3\t3\t\\n\t1.000000\t1\t1\t-0.301030\t",
        "-\t4\t4\tb\t4.000000\t4\t1\t-1.204120\t",
    ]


def test_tokens_as_json_and_as_a_table() -> None:
    [first, *_] = results("checkpoints/demo", "one.txt", "--by", "token")
    table = run("checkpoints/demo", "one.txt", "--by", "token").stdout.splitlines()

    assert " ".join(first) == "model text index offset token surprisal_bits rank unit log10 matched"
    assert first["matched"] is None
    assert table[:3] == [
        "one.txt",
        "     unit      index     offset       bits       rank  token",
        "        1          0          0     3.0000          3  a",
    ]


@pytest.mark.parametrize("by", ["document", "line", "word", "token"])
def test_all_units_add_up_to_the_same_nats(by: str) -> None:
    """The lines too: this model does not look at what came before."""
    rows = results("checkpoints/demo", "two.txt", "--no-baseline", "--by", by)
    nats = sum(
        float(str(row["nats"])) if "nats" in row else float(str(row["surprisal_bits"])) * np.log(2)
        for row in rows
    )

    assert nats == pytest.approx(16 * np.log(2))


def test_exact_reads_one_stream() -> None:
    assert results("checkpoints/demo", "one.txt", "--exact") == results("checkpoints/demo", "one.txt")


def test_a_name_with_control_characters_stays_in_its_cell() -> None:
    Path("a\tb\n\x1b.txt").write_text("a\n")

    tsv = run("checkpoints/demo", "a\tb\n\x1b.txt", "--by", "line", "--format", "tsv").stdout
    table = run("checkpoints/demo", "a\tb\n\x1b.txt", "--by", "line").stdout

    assert tsv.splitlines()[1].startswith(r"a\tb\n\x1b.txt" + "\t1\t2\t")
    assert table.startswith(r"a\tb\n\x1b.txt" + "\n")


def test_without_arguments_the_newest_run_scores_its_own_held_out_text() -> None:
    result = run("--json", "--no-baseline")

    assert json.loads(result.stdout)["text"] == "checkpoints/demo/data/valid.txt"
    assert result.stderr == (
        "note: using the newest run, checkpoints/demo\n"
        "note: scoring the run's own held-out text, checkpoints/demo/data/valid.txt\n"
    )


def test_a_test_split_is_preferred_to_the_validation_split() -> None:
    RunFolder(Path("checkpoints/demo")).test_text.write_text("b\n")

    assert results("--no-baseline")[0]["text"] == "checkpoints/demo/data/test.txt"


@pytest.mark.parametrize("first", ["one.txt", "-"])
def test_a_first_argument_that_is_no_model_is_a_text_for_the_newest_run(first: str) -> None:
    scores = results(first, "two.txt", "--no-baseline", text="a\n")

    assert [score["text"] for score in scores] == [first, "two.txt"]


def test_records_of_json_lines_are_taken_apart() -> None:
    Path("records.jsonl").write_text('{"body": "a b"}\n{"body": "b"}\n')

    rows = results("checkpoints/demo", "records.jsonl", "--field", "body", "--by", "line")

    assert [row["tokens"] for row in rows] == [4, 2]


def test_bytes_of_any_kind_are_scored_by_a_byte_model() -> None:
    tokenizer = ByteTokenizer()
    save_bigram_model(Path("bytes.safetensors"), tokenizer, np.zeros((256, 256)))

    [score] = results("bytes.safetensors", "-", text=b"\xff\x00\xfe")

    assert score["bits_per_byte"] == pytest.approx(8)


def test_a_baseline_of_another_order_is_fitted_on_the_run_s_tokens() -> None:
    ids = TOKENIZER.encode("a b\n")
    model = fitted(TRAINING, order=3)

    _, baseline = results("checkpoints/demo", "one.txt", "--order", "3")

    assert baseline["model"] == "ngram-3"
    assert baseline["nats"] == pytest.approx(-model.score(model.start(1), ids[:, None])[0].sum())


def test_asking_for_an_order_is_asking_for_a_baseline() -> None:
    rows = results("checkpoints/demo", "one.txt", "--by", "line", "--order", "1")

    assert [row["model"] for row in rows] == ["rnn", "ngram-1"]


def test_a_model_file_on_its_own_is_scored_without_a_baseline() -> None:
    save_model_file(Path("alone.safetensors"))

    result = run("alone.safetensors", "one.txt", "--json")

    assert json.loads(result.stdout)["model"] == "rnn"
    assert result.stderr == "note: no n-gram baseline: alone.safetensors is not in a run folder\n"


def test_a_run_without_a_baseline_is_scored_without_one() -> None:
    RunFolder(Path("checkpoints/demo")).ngram.unlink()

    result = run("checkpoints/demo", "one.txt", "--json")

    assert len(result.stdout.splitlines()) == 1
    assert "trained without one" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 1, "there is no run, model file or text nothing; runs here: checkpoints/demo"),
        (
            ["a" * 5000],
            1,
            "there is no run, model file or text " + "a" * 5000 + "; runs here: checkpoints/demo",
        ),
        (["gone.safetensors", "one.txt"], 1, "there is no model gone.safetensors; "),
        (["checkpoints/demo", "gone.txt"], 1, "cannot read gone.txt: "),
        (["checkpoints/demo", "one.txt", "gone.txt"], 1, "cannot read gone.txt: "),
        (["checkpoints/demo", "empty.txt"], 1, "empty.txt is empty; "),
        (["checkpoints/demo", "latin.txt"], 1, "latin.txt is not UTF-8 text (byte 0xe9 at offset 1); "),
        (["one.txt", "checkpoints/demo"], 2, "checkpoints/demo is a model, not a text; give one MODEL, "),
        (["alone.safetensors"], 1, "alone.safetensors is not in a run folder with a held-out text; "),
        (
            ["alone.safetensors", "one.txt", "--baseline"],
            1,
            "there is no n-gram baseline: alone.safetensors ",
        ),
        (["alone.safetensors", "one.txt", "--order", "2"], 1, "there is no n-gram baseline: "),
        (["one.txt", "--order", "2", "--no-baseline"], 2, "--order and --no-baseline contradict each other"),
        (["one.txt", "--json", "--format", "tsv"], 2, "--json and --format tsv contradict each other"),
    ],
)
@pytest.mark.parametrize("by", ["document", "record", "line", "word", "token"])
def test_what_cannot_be_scored_is_one_line(arguments: list[str], code: int, message: str, by: str) -> None:
    save_model_file(Path("alone.safetensors"))
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes(b"h\xe9 ")

    result = run(*arguments, "--quiet", "--by", by)

    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_baseline_with_another_tokenizer_is_refused() -> None:
    other = CharacterTokenizer("\n cd")
    model = fitted(other.encode("cd\n"), order=1)
    save_model(RunFolder(Path("checkpoints/demo")).ngram, model, other)

    result = run("checkpoints/demo", "one.txt")

    assert result.exit_code == 1
    assert "has another tokenizer than checkpoints/demo/model.safetensors" in result.stderr


def test_lines_come_out_while_the_pipe_is_still_open() -> None:
    arguments = command("checkpoints/demo", "-", "--by", "line", "--format", "tsv")
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, line in enumerate(("a b\n", "ab\n"), 1):
            process.stdin.write(line)
            process.stdin.flush()
            if number == 1:
                assert process.stdout.readline().startswith("text\tline\t")
            assert process.stdout.readline().startswith(f"-\t{number}\t{len(line)}\t")
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("options", [("--by", "line"), ("--by", "token", "--exact")], ids=" ".join)
def test_a_closed_pipe_ends_quietly(options: Sequence[str]) -> None:
    """The input never ends: only the closed output can end the command."""
    arguments = command("checkpoints/demo", "-", *options, "--format", "tsv")
    with (
        subprocess.Popen(["yes", "a b"], stdout=subprocess.PIPE) as endless,
        subprocess.Popen(
            arguments, stdin=endless.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        code = process.wait(30)
        endless.kill()

    assert (code, errors) == (0, b"")


def test_numpy_and_rich_are_not_needed_to_show_the_help_page() -> None:
    code = "import sys, lmgen.cli.perplexity; print({'numpy', 'rich', 'torch'} & set(sys.modules))"

    assert run_command([sys.executable, "-c", code], cwd=Path.cwd(), check=True).stdout == "set()\n"
