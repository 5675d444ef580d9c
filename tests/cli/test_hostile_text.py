"""Texts made to do harm: every command takes them, or refuses them in one line; no terminal obeys them."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lmgen.cli.app import app
from lmgen.errors import LmgenError
from lmgen.models.model_file import load_model, save_model
from lmgen.models.ngram.model import NgramModel
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TOKENIZER_NAMES, TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from tests.cli.tiny_model import chain, save_bigram_model
from tests.process import forked_on_a_terminal

pytestmark = pytest.mark.slow

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\x08\x7f\rthe cat\u202esat\u2066\n"

NASTIES = {
    "terminal escapes": ESCAPES.encode(),
    "a lone surrogate": b"the \xed\xa0\x80 cat\n",
    "overlong": b"the \xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf cat\n",
    "beyond Unicode": b"\xf4\x90\x80\x80\xff\xfe\n",
    "byte order marks": BOM_UTF8 * 3 + b"the cat\n" + BOM_UTF8,
    "UTF-16": "the cat\n".encode("utf-16"),
    "NULs": b"\0" * 300 + b"the cat\0\n",
    "bidi": "\u202e\u2067\u200f\u061cthe\u2069 cat\u202c\n".encode(),
    "combining marks": ("a" + "\u0301\u0488" * 5_000 + "\n").encode(),
    "noncharacters": "\ufffe\uffff\U0010ffff\U000e0001\ue000\u2028\u2029\x85\n".encode(),
    "markup": b"[bold]the[/bold] [/] [link=x]{cat} %s %(x)s \\ {0}\n",
    "white space": "\t\v\f\r \xa0\u2003\u3000\n\r\n\n".encode(),
    "special tokens": b"<unk> <s> </s> \\<unk> <0x41> \xe2\x96\x81 \xe2\x81\x87\n",
    "no line end": b"the" * 100_000,
}

TINY = ["--steps", "2", "--hidden-size", "4", "--batch-size", "2", "--window-length", "4"]

TEXT = ("the cat sat on the mat; café\n" * 20 + ESCAPES) * 2

RAW = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
"""What a terminal might obey; the return before a line end is the terminal's own."""


OWN_COLOURS = re.compile(rb"\x1b\[(0|(30|97);48;5;\d+)m")
"""What the heat of a text sends to a terminal itself."""


def run(*arguments: str | Path, text: bytes | None = None) -> Result:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def check(result: Result) -> None:
    """A command did its work, or said in one line why not."""
    assert result.exit_code in (0, 1, 2), result.exception
    assert "a bug in lmgen" not in result.stderr
    assert not RAW.search(result.stderr_bytes)
    assert result.exit_code == 0 or result.stderr.splitlines()[-1].startswith("error: ")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An n-gram model of each tokenizer."""
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for name in TOKENIZER_NAMES:
        tokenizer = train_tokenizer(lambda: [TEXT], TokenizerConfig(tokenizer=name))
        end = tokenizer.line_end if tokenizer.reads_lines else None
        ids = tokenizer.encode(TEXT)
        model = NgramModel.fit(ids, order=2, vocabulary_size=tokenizer.vocabulary_size, sentence_end=end)
        paths[name] = folder / f"{name}.safetensors"
        save_model(paths[name], model, tokenizer)
    return paths


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(data, id=kind, marks=[pytest.mark.slow] if len(data) > 9_999 else [])
        for kind, data in NASTIES.items()
    ],
)
def test_any_text_is_used_or_refused_in_one_line(
    name: str, data: bytes, models: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(data)
    model = models[name]

    first = tmp_path / "first.txt"
    first.write_bytes(data[:30_000])
    check(run("perplexity", model, first, "--by", "token", "--no-baseline"))
    heat = run("perplexity", model, first, "--by", "token", "--no-baseline", "--format", "heat")
    check(heat)
    assert not RAW.search(heat.stdout_bytes)
    pairs = json.dumps({"sentence_good": data.decode("utf-8", "replace")[:3_000], "sentence_bad": "x"})
    check(run("pairs", model, "-", text=pairs.encode()))
    check(run("perplexity", model, "-", "--by", "line", "--format", "tsv", text=data))
    check(run("sample", model, "--prompt-file", file, "--length", "9", "--seed", "1"))
    check(run("sample", model, "--prompt", "-", "--lines", "--json", "--length", "3", text=data))
    check(run("next", model, "-", text=data))
    check(run("tokenize", model, text=data))
    check(run("detokenize", model, "--pieces", text=data))
    check(run("corpus", "show", file))
    ngram = tmp_path / "ngram.safetensors"
    check(run("ngram", file, "--tokenizer", name, "--order", "2", "--keep-tokens", "--out", ngram))
    if ngram.exists():
        check(run("info", ngram))
        check(run("novelty", ngram, first, "--top", "3"))
        if len(data) < 100_000:  # else a single word may be as long
            check(run("novelty", ngram, "--length", "9", "--num", "2", "--seed", "1"))
        arpa = tmp_path / "x.arpa"
        exported = run("export", ngram, "--out", arpa)
        check(exported)
        assert exported.exit_code == 0
        again = run("ngram", "--arpa", arpa, "--out", tmp_path / "again.safetensors")
        assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize("data", NASTIES.values(), ids=NASTIES)
def test_any_text_is_trained_on_or_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(data[:20_000] * (1 if len(data) > 999 else 40))
    check(run("train", file, "--tokenizer", "char", *TINY, "--out", tmp_path / "run"))


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
def test_half_a_surrogate_pair_is_an_error_like_others(name: str, models: dict[str, Path]) -> None:
    """In Python a str can hold what no file can."""
    model = TextModel.load(models[name])
    uses: list[Callable[[str], Any]] = [
        model.score,
        model.next,
        model.sample,
        lambda text: list(model.complete([text], length=2)),
    ]
    for use in uses:
        for text in ("\ud800", "the \udfff cat"):
            with suppress(LmgenError):  # or it is an unknown character
                use(text)
    with pytest.raises(LmgenError, match=r"U\+D800 at character 0 of the text is a lone surrogate"):
        model.score("\ud800")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with a text and a model whose names, text, vocabulary and summary a terminal might obey."""
    tokenizer = CharacterTokenizer("".join(sorted(set(ESCAPES))))
    path = tmp_path / "odd\x1b[2J.safetensors"
    save_bigram_model(path, tokenizer, chain(tokenizer, "".join(dict.fromkeys(ESCAPES))))
    model = load_model(path).model
    save_model(path, model, tokenizer, {"corpus\x1b[3m": ESCAPES, "parents": [{"corpus": ESCAPES}]})
    (tmp_path / "text\x1b[2J\u202e[bold].txt").write_text(ESCAPES, newline="")
    (tmp_path / "latin1\x1b[2J.txt").write_bytes(b"\xe9\n")
    return tmp_path


@pytest.mark.slow
def test_a_terminal_obeys_nobody(odd: Path) -> None:
    model, text, wrong = "odd\x1b[2J.safetensors", "text\x1b[2J\u202e[bold].txt", "latin1\x1b[2J.txt"
    failing = {
        ("perplexity", model, wrong): 1,
        ("perplexity", model, "no\x1b[2J"): 1,
        ("corpus", "show", "no\x1b[2J"): 1,
        ("export", model, "--out", "a\x1b[2J.arpa"): 1,  # it has no n-grams
        ("no\x1b[2J",): 2,
        ("sample", "--no\x1b[2J"): 2,
    }
    for arguments in [
        ("info", model),
        ("sample", model, "--length", "60", "--prompt", "\x1b[5m\u202e"),
        ("next", model, "\x1b[5m"),
        ("perplexity", model, text),
        ("perplexity", model, text, "--by", "token"),
        ("corpus", "show", text),
        ("ngram", text, "--out", "n\x1b[2J.safetensors"),
        ("export", model, "--to", "int8", "--out", "e\x1b[2J.safetensors", "--text", text),
        ("perplexity", model, text, "--by", "token", "--format", "heat"),
        ("sample", model, "--length", "60", "--heat"),
        ("next", model, "the", "--bars"),
        *failing,
    ]:
        shown, code = forked_on_a_terminal(*arguments, cwd=odd)
        written = OWN_COLOURS.sub(b"", shown)
        assert code == failing.get(arguments, 0), (arguments, written)
        assert not RAW.search(written), (arguments, written)
        assert written.strip(), arguments
        assert b"a bug in lmgen" not in written, written


@pytest.mark.slow
def test_the_display_of_training_obeys_nobody(odd: Path) -> None:
    """It moves the cursor itself, and so do no others: neither a corpus nor the sample of the model."""
    text = odd / "text\x1b[2J\u202e[bold].txt"
    text.write_text(ESCAPES * 60, newline="")
    written, code = forked_on_a_terminal(
        "train", str(text), *TINY, "--evaluations", "2", "--out", "run\x1b[2J", cwd=odd
    )

    assert code == 0, written
    assert b"validation" in written
    assert b"\x1b[2J" not in written
    assert b"\x1b]0;" not in written
    assert b"\xe2\x80\xae" not in written
    assert b"\x9b31m" not in written


def test_a_pipe_gets_every_byte(odd: Path, models: dict[str, Path]) -> None:
    text = odd / "text\x1b[2J\u202e[bold].txt"

    assert run("corpus", "show", text).stdout_bytes == text.read_bytes()
    sampled = run("sample", models["byte"], "--prompt", ESCAPES.rstrip("\n"), "--length", "1")
    assert sampled.stdout_bytes.startswith(ESCAPES.rstrip("\n").encode())


def test_what_a_model_says_of_itself_is_json_that_others_read(models: dict[str, Path]) -> None:
    described = json.loads(run("info", models["char"], "--json").stdout, parse_constant=pytest.fail)

    assert described["tokenizer"] == "char"
    assert np.isfinite(described["bytes"])
