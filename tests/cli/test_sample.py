"""`lmgen sample` as a user runs it."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from lmgen.cli.output import TextOutput
from lmgen.cli.sample import sample
from lmgen.models.model_file import save_model
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import WordTokenizer
from tests.cli.tiny_model import chain, save_bigram_model
from tests.process import run_command
from tests.sentences import sentences

pytestmark = pytest.mark.slow

app = typer.Typer()
app.command()(sample)

GREEDY = ("--temperature", "0", "--length", "6")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After a line end comes a, then b, c, a line end, and so on; before the first character, too."""
    tokenizer = CharacterTokenizer("\nabc")
    return save_bigram_model(
        tmp_path_factory.mktemp("chars") / "model.safetensors", tokenizer, chain(tokenizer, "\nabc")
    )


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anything may follow anything."""
    tokenizer = CharacterTokenizer("\nabcdefgh")
    return save_bigram_model(
        tmp_path_factory.mktemp("noise") / "model.safetensors", tokenizer, np.zeros((10, 10))
    )


def run(*arguments: str | Path, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def command(*arguments: str | Path) -> Sequence[str]:
    """The command as a process of its own."""
    code = "import typer; from lmgen.cli.sample import sample; a = typer.Typer(); a.command()(sample); a()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_a_prompt_and_its_completion_come_out_exactly(model: Path) -> None:
    result = run(model, "--prompt", "ab", *GREEDY)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "abc\nabc\n", "")


def test_a_prompt_may_follow_the_model_without_a_flag(model: Path) -> None:
    assert run(model, "ab", *GREEDY).stdout == run(model, "--prompt", "ab", *GREEDY).stdout
    assert run(model, "-", *GREEDY, text="ab\n").stdout == "abc\nabc\n"
    assert run(model, "-", "--lines", *GREEDY, text="a\nb\n").stdout == "abc\nbc\n"
    assert run(model, "", *GREEDY).stdout == run(model, *GREEDY).stdout


def test_short_flags_say_what_long_ones_say(model: Path) -> None:
    result = run(model, "-p", "ab", "-n", "2", "-t", "0", "-l", "6", "-q")
    assert (result.exit_code, result.stdout) == (0, 2 * "abc\nabc\n")


@pytest.mark.parametrize("other", [("--prompt", "b"), ("-p", ""), ("--prompt-file", "b.txt")])
def test_a_prompt_is_given_once(model: Path, other: tuple[str, str]) -> None:
    result = run(model, "a", *other)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: a text after MODEL, --prompt and --prompt-file exclude each other; give one of them\n"
    )


def test_without_a_prompt_the_text_starts_from_scratch(model: Path) -> None:
    assert run(model, *GREEDY).stdout == "abc\nab"


def test_the_prompt_can_be_left_out_of_the_output(model: Path) -> None:
    assert run(model, "--prompt", "ab", "--no-echo", *GREEDY).stdout == "c\nabc\n"


def test_a_prompt_from_stdin_ends_before_its_last_line_end(model: Path) -> None:
    assert run(model, "--prompt", "-", *GREEDY, text="a\nab\n").stdout == "a\nabc\nabc\n"
    assert run(model, "--prompt", "-", *GREEDY, text="a\nab").stdout == "a\nabc\nabc\n"
    assert run(model, "--prompt", "-", *GREEDY, text="ab\n\n").stdout == "ab\nabc\nab"
    assert run(model, "--prompt", "-", *GREEDY, text="").stdout == "abc\nab"


def test_a_prompt_from_a_file_does_too(model: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_bytes(b"ab\r\n")
    assert run(model, "--prompt-file", tmp_path / "prompt.txt", *GREEDY).stdout == "abc\nabc\n"


def test_each_line_is_a_prompt_and_gives_a_line(model: Path) -> None:
    result = run(model, "--prompt", "-", "--lines", *GREEDY, text="a\nbc\r\n\nab")
    assert result.stdout == "abc\nbc\nabc\nabc\n"


def test_lines_of_a_text_on_the_command_line(model: Path) -> None:
    assert run(model, "--prompt", "a\nb\n", "--lines", "--no-echo", *GREEDY).stdout == "bc\nc\n"


def test_no_lines_give_no_completions(model: Path) -> None:
    result = run(model, "--prompt", "-", "--lines", *GREEDY, text="")
    assert (result.exit_code, result.stdout) == (0, "")


def test_lines_without_a_prompt_start_from_scratch(model: Path) -> None:
    assert run(model, "--lines", "--num", "2", *GREEDY).stdout == "abc\nabc\n"


def test_several_completions_end_in_a_line_end_each(model: Path) -> None:
    assert run(model, "--prompt", "b", "--num", "2", *GREEDY).stdout == "bc\nabc\n" * 2
    assert run(model, "--num", "2", *GREEDY).stdout == "abc\nab\n" * 2


def test_json_lines_hold_all_there_is_to_know(model: Path) -> None:
    result = run(
        model, "--prompt", "b", "--num", "2", "--json", "--stop", "x", "--stop", "ca", "--seed", "7", *GREEDY
    )
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == second
    assert first.pop("nats") == pytest.approx(0, abs=1e-9)
    assert first == {"prompt": "b", "text": "c\nabc\n", "tokens": 6, "stopped_by": "length", "seed": 7}
    lines = run(model, "--prompt", "b", "--lines", "--json", "--stop", "\na", *GREEDY).stdout
    assert json.loads(lines)["stopped_by"] == "end"
    stop = json.loads(run(model, "--json", "--stop", "bc", *GREEDY).stdout)
    assert (stop["text"], stop["stopped_by"], stop["tokens"]) == ("a", "stop", 3)


def test_json_reports_the_seed_that_was_drawn(noise: Path) -> None:
    drawn = json.loads(run(noise, "--json", "--length", "40").stdout)
    again = json.loads(run(noise, "--json", "--length", "40", "--seed", str(drawn["seed"])).stdout)
    assert again == drawn


def test_the_same_seed_gives_the_same_bytes(noise: Path) -> None:
    texts = [run(noise, "--seed", seed, "--length", "40").stdout for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]
    assert run(noise, "--seed", "1", "--length", "40", "--num", "3").stdout.startswith(texts[0])


def test_unknown_characters_are_named_once(model: Path) -> None:
    result = run(model, "--prompt", "-", "--lines", *GREEDY, text="a\nxéx\nü\n")
    assert result.exit_code == 0
    assert result.stdout.startswith("abc\nxéx")
    assert result.stderr == "note: the model never saw 'x', 'é' and reads them as unknown\n"
    assert "\ufffd" not in result.stdout
    assert run(model, "--prompt", "xé", "--quiet", *GREEDY).stderr == ""


def test_a_prompt_that_is_not_utf8_is_told_how_to_convert_it(model: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_bytes("Старый моряк стоит у двери".encode("cp1251"))

    result = run(model, "--prompt-file", str(prompt), *GREEDY)

    assert result.exit_code == 0
    assert result.stderr.endswith("; it is not UTF-8: convert it with iconv -f CP1251 -t UTF-8\n")


def test_many_unknown_characters_are_counted(model: Path) -> None:
    result = run(model, "--prompt", "defghijklmno", *GREEDY)
    assert result.stderr == (
        "note: the model never saw 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm' and 2 more "
        "and reads them as unknown\n"
    )


def test_a_blank_after_the_last_word_is_not_doubled(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["the", "cat", "sat"])
    path = save_bigram_model(tmp_path / "words.safetensors", tokenizer, chain(tokenizer, "the cat sat\n"))
    for prompt in ("the cat", "the cat "):
        assert run(path, "--prompt", prompt, *GREEDY).stdout == "the cat sat\nthe cat sat\n"
    assert run(path, "--prompt", "the\n", *GREEDY).stdout == "the\nthe cat sat\nthe cat"
    assert run(path, "--prompt", "the", "--lines", *GREEDY).stdout == "the cat sat\n"


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_a_prompt_may_end_inside_of_a_token(name: str, tmp_path: Path) -> None:
    """With a blank or in the middle of a word, it goes on as it does without: in sentences of the text."""
    text = sentences(300)
    tokenizer = train_tokenizer(lambda: [text], TokenizerConfig(tokenizer=name, vocab_size=290))
    path = tmp_path / "model.safetensors"
    model = NgramModel.fit(tokenizer.encode(text), order=4, vocabulary_size=tokenizer.vocabulary_size)
    save_model(path, model, tokenizer)
    whole = run(path, "--prompt", "the old mouse", "--temperature", "0").stdout

    assert whole.startswith("the old mouse ")
    for prompt in ("the old m", "the old mo", "the old mous", "the old mouse "):
        assert run(path, "--prompt", prompt, "--temperature", "0").stdout[:100] == whole[:100]
    words = set(text.split())
    lines = "the ol\na \na sma\nthe quick h\n" * 20
    drawn = run(path, "--prompt", "-", "--lines", "--seed", "1", "--min-p", "0.1", text=lines).stdout
    assert drawn.count("\n") == 80
    assert not set(drawn.split()) - words


def test_a_last_word_that_is_not_known_becomes_one_that_is(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["the", "cat", "sat"])
    path = save_bigram_model(tmp_path / "words.safetensors", tokenizer, chain(tokenizer, "the cat sat\n"))
    result = run(path, "--prompt", "the c", *GREEDY)
    assert (result.stdout, result.stderr) == ("the cat sat\nthe cat sat", "")
    assert "never saw 'c'" in run(path, "--prompt", "the c ", *GREEDY).stderr


def test_a_byte_order_mark_is_no_part_of_a_prompt(model: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_bytes(b"\xef\xbb\xbfab\n")
    assert run(model, "--prompt-file", tmp_path / "prompt.txt", *GREEDY).stdout == "abc\nabc\n"
    assert run(model, "--prompt", "-", "--lines", *GREEDY, text=b"\xef\xbb\xbfab\na").stdout == "abc\nabc\n"
    assert run(model, "--prompt", "\ufeffab", *GREEDY).stderr == ""


@pytest.mark.parametrize(("unit", "mark", "end"), [("line", "\n", "\n"), ("record", UNIT_END, "\n\n")])
def test_a_model_of_units_ends_each_by_itself(unit: str, mark: str, end: str, tmp_path: Path) -> None:
    text = f"Ada{mark}Berta{mark}" * 40
    tokenizer = train_tokenizer(lambda: [text], TokenizerConfig(), ReadingConfig(unit=unit))
    path = tmp_path / "names.safetensors"
    ids = tokenizer.encode(text)
    end_id = tokenizer.end
    save_model(
        path,
        NgramModel.fit(ids, order=4, vocabulary_size=tokenizer.vocabulary_size, sentence_end=end_id),
        tokenizer,
    )
    assert run(path, "--prompt", "B", "--temperature", "0").stdout == "Berta"
    assert run(path, "--prompt", "B", "--num", "2", "--temperature", "0").stdout == f"Berta{end}" * 2
    record = json.loads(run(path, "--prompt", "A", "--temperature", "0", "--json").stdout)
    assert (record["text"], record["stopped_by"], record["tokens"]) == ("da", "end", 3)


def test_bytes_that_are_no_characters_pass_unchanged(tmp_path: Path) -> None:
    """A prompt that ends inside a character, and a completion that goes on there: bytes are just joined."""
    tokenizer = ByteTokenizer()
    path = save_bigram_model(tmp_path / "bytes.safetensors", tokenizer, chain(tokenizer, "€\udcff!"))
    result = run(path, "--prompt", "-", *GREEDY, text=b"\xe2\x82")
    assert result.stdout_bytes == b"\xe2\x82\xac\xff!\xe2\x82\xac"
    record = json.loads(run(path, "--json", "--prompt", "€", *GREEDY).stdout)
    assert record["text"] == "\udcff!€\udcff"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--prompt", "a", "--prompt-file", "b"],
            "a text after MODEL, --prompt and --prompt-file exclude each other",
        ),
        (["--length", "0", "--num", "2"], "--length 0 is endless"),
        (["--length", "0", "--lines"], "--length 0 is endless"),
        (["--length", "0", "--json"], "--length 0 is endless"),
        (["--stop", ""], "--stop needs a text"),
        (["--temperature", "-1"], "--temperature is -1.0, but has to be at least 0.0"),
        (["--top-k", "0"], "--top-k is 0, but has to be at least 1"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_is_opened(
    arguments: list[str], message: str
) -> None:
    result = run("no-such-model", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_missing_model_or_prompt_is_one_line(model: Path, tmp_path: Path) -> None:
    for result in (run(tmp_path / "none.safetensors"), run(model, "--prompt-file", tmp_path / "none.txt")):
        assert (result.exit_code, result.stdout) == (1, "")
        assert "none." in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_an_endless_text_into_a_closed_pipe_ends_quietly(model: Path) -> None:
    process = subprocess.Popen(
        command(model, "--length", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert len(process.stdout.read(20_000)) == 20_000
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_endless_prompts_are_completed_as_they_come(model: Path) -> None:
    with subprocess.Popen(["yes", "ab"], stdout=subprocess.PIPE) as prompts:
        process = subprocess.Popen(
            command(model, "--prompt", "-", "--lines", *GREEDY),
            stdin=prompts.stdout,
            stdout=subprocess.PIPE,
        )
        assert prompts.stdout is not None
        assert process.stdout is not None
        assert process.stdout.read(8_000) == b"abc\n" * 2_000
        prompts.stdout.close()
        process.stdout.close()
        assert process.wait(timeout=30) == 0


def test_ctrl_c_ends_with_what_was_written_and_code_130(model: Path) -> None:
    process = subprocess.Popen(
        command(model, "--length", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(10_000)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == b""
    assert set(rest) <= set(b"abc\n")


def test_a_terminal_gets_a_line_end_and_nothing_to_obey(tmp_path: Path) -> None:
    """Control characters that a model generates are shown, not sent; a pipe gets them as they are."""
    tokenizer = CharacterTokenizer("\t\n\x1b[m")
    path = save_bigram_model(tmp_path / "esc.safetensors", tokenizer, chain(tokenizer, "\n\t\x1b[m"))
    assert run(path, *GREEDY).stdout == "\t\x1b[m\n\t"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(path, *GREEDY), stdout=theirs)
    assert process.wait(timeout=30) == 0
    os.close(theirs)
    assert os.read(ours, 1000) == b"\t\\x1b[m\r\n\t\r\n"
    os.close(ours)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), "1 of 2 ─────────\r\nabc\r\nabc\r\n2 of 2 ─────────\r\nabc\r\nabc\r\n"),
        (("--lines", "--prompt", "a"), "abc\r\nabc\r\n"),
        (("--stop", "\n"), "abc\r\nabc\r\n"),
    ],
)
def test_a_terminal_shows_where_each_completion_begins(
    arguments: tuple[str, ...], shown: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless each is a line; a pipe gets the completions alone."""
    monkeypatch.setenv("COLUMNS", "16")
    monkeypatch.setenv("TERM", "dumb")
    given: tuple[str | Path, ...] = (model, *GREEDY, "--length", "7", "--num", "2", *arguments)
    ours, theirs = pty.openpty()
    assert subprocess.run(command(*given), stdout=theirs, timeout=30, check=False).returncode == 0
    os.close(theirs)
    assert os.read(ours, 1000).decode() == shown
    os.close(ours)

    lines = [line for line in shown.split("\r\n") if "─" not in line]
    assert run(*given).stdout == "\n".join(lines)


def test_using_a_model_never_imports_torch(model: Path) -> None:
    script = (
        "import sys, typer; from lmgen.cli.sample import sample; assert 'numpy' not in sys.modules;"
        "a = typer.Typer(); a.command()(sample); a(standalone_mode=False);"
        "print('torch' in sys.modules, 'rich' in sys.modules)"
    )
    done = run_command([sys.executable, "-c", script, str(model), *GREEDY], cwd=model.parent, check=True)

    assert done.stdout == "abc\nabFalse False\n"


@pytest.mark.parametrize(("terminal", "seen"), [(True, [b"a", b"ab", b"ab\n"]), (False, [b"", b"", b"ab"])])
def test_a_terminal_sees_each_piece_at_once(
    terminal: bool, seen: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets blocks instead: nothing of a short text before its end."""
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(io.BufferedWriter(cast("io.RawIOBase", raw)))
    monkeypatch.setattr(stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdout", stdout)
    arrived = []
    with TextOutput() as output:
        for piece in "ab":
            output.write(piece)
            arrived.append(raw.getvalue())
    assert [*arrived, raw.getvalue()] == seen
