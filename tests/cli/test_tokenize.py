from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lmgen.cli import tokenize as module
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

TRAINING_TEXT = "The cat sat on\n the mat. <unk>\n"
TEXT = "The cat\r\n\n  sat \t\\ on ▁ the Matté 👩‍👩‍👧\0\n<unk> </s>"

app = typer.Typer()
app.command()(module.tokenize)
app.command()(module.detokenize)


@dataclass
class Opened:
    """All of a TextModel that these commands need."""

    tokenizer: Tokenizer


@pytest.fixture
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Tokenizer:
    """A trained tokenizer of the name that the test gives, behind whatever MODEL is asked for."""
    tokenizer = train_tokenizer(lambda: [TRAINING_TEXT], TokenizerConfig(tokenizer=request.param))
    monkeypatch.setattr(module, "open_any", lambda _: Opened(tokenizer))
    return tokenizer


def run(*arguments: str, stdin: str | bytes = "") -> tuple[int, bytes, str]:
    result = CliRunner().invoke(app, arguments, input=stdin)
    return result.exit_code, result.stdout_bytes, result.stderr


@pytest.mark.parametrize("model", ["byte", "bpe", "unigram"], indirect=True)
@pytest.mark.parametrize("pieces", [[], ["--pieces"]])
@pytest.mark.parametrize("text", [TEXT, TEXT + "\n", "", "\n"])
def test_detokenize_inverts_tokenize(model: Tokenizer, pieces: list[str], text: str) -> None:
    text = text if model.name == "byte" else text.replace("\0", "")  # which only bytes may hold
    code, tokens, _ = run("tokenize", *pieces, stdin=text)
    assert code == 0
    assert tokens.count(b"\n") == text.count("\n") + bool(text and not text.endswith("\n"))

    assert run("detokenize", *pieces, stdin=tokens) == (0, text.encode(), "")


@pytest.mark.parametrize("model", ["char", "word"], indirect=True)
@pytest.mark.parametrize("pieces", [[], ["--pieces"]])
def test_what_was_trained_on_comes_back(model: Tokenizer, pieces: list[str]) -> None:
    text = "The mat.\nthe <unk> cat"

    _, tokens, _ = run("tokenize", *pieces, stdin=text)

    assert run("detokenize", *pieces, stdin=tokens) == (0, text.encode(), "")


@pytest.mark.parametrize("model", ["word"], indirect=True)
def test_each_line_of_text_is_a_line_of_tokens(model: Tokenizer) -> None:
    _, tokens, notes = run("tokenize", "--pieces", stdin="the cat\n\n<unk> dog")

    assert tokens.decode() == "the cat </s>\n</s>\n<unk> <unk>\n"
    assert notes.startswith("note: 1 token is unknown")


def test_bytes_need_no_model() -> None:
    assert run("tokenize", "--tokenizer", "byte", stdin="a é\nb") == (0, b"97 32 195 169 10\n98\n", "")
    assert (
        run("tokenize", "--tokenizer", "byte", "--pieces", stdin="a é\nb")[1]
        == "a ▁ \\xc3 \\xa9 \\n\nb\n".encode()
    )


def test_any_bytes_pass_through_the_byte_tokenizer() -> None:
    data = bytes(range(256)) * 2

    _, tokens, _ = run("tokenize", "--tokenizer", "byte", stdin=data)

    assert run("detokenize", "--tokenizer", "byte", stdin=tokens) == (0, data, "")


def test_a_very_long_line_of_text_is_one_line_of_tokens() -> None:
    _, tokens, _ = run("tokenize", "--tokenizer", "byte", stdin="ab " * 200_000)

    assert tokens == b" ".join([b"97 98 32"] * 200_000) + b"\n"
    assert run("detokenize", "--tokenizer", "byte", stdin=tokens)[1] == b"ab " * 200_000


def test_white_space_between_ids_does_not_matter() -> None:
    assert run("detokenize", "--tokenizer", "byte", stdin="  72\t105\r\n\n33")[1] == b"Hi!"


@pytest.mark.parametrize("wrong", ["256", "-1", "x", "1_0", "9" * 5000])
def test_a_wrong_id_is_named(wrong: str) -> None:
    code, _, error = run("detokenize", "--tokenizer", "byte", stdin=f"72 {wrong} 105")

    shown = wrong if len(wrong) <= 40 else wrong[:40] + "..."
    assert code == 1
    assert error == f"error: {shown!r} is not a token id; ids are 0 to 255 (with --pieces: spelled tokens)\n"


@pytest.mark.parametrize("model", ["char"], indirect=True)
def test_a_wrong_piece_is_named(model: Tokenizer) -> None:
    code, _, error = run("detokenize", "--pieces", stdin="T h zz")

    assert code == 1
    assert error == "error: 'zz' is not in the vocabulary; were these tokens written by another model?\n"


def test_a_model_and_a_tokenizer_exclude_each_other() -> None:
    assert run("tokenize", "some/model", "--tokenizer", "byte") == (
        2,
        b"",
        "error: some/model has a tokenizer of its own; give a model or --tokenizer, not both\n",
    )


def test_without_a_model_the_newest_run_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    code, out, error = run("tokenize", stdin="text")

    assert (code, out) == (1, b"")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
