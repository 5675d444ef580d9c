"""Text coloured by surprisal: where colours and marks stand, and what a terminal gets of a hostile text."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lmgen.cli.app import app
from lmgen.cli.heat import BITS, COLOURS, HeatOutput
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.process import COMMAND, ENVIRONMENT, lmgen

COLOUR = re.compile(r"\x1b\[([0-9;]*)m")


def drawn(
    capture: pytest.CaptureFixture[bytes],
    *pieces: tuple[str, float],
    colour: bool = False,
    columns: int | None = None,
) -> str:
    with HeatOutput(colour=colour, columns=columns) as output:
        for text, bits in pieces:
            output.write(text, bits)
    return capture.readouterr().out.decode()


def cells(coloured: str) -> list[tuple[str, int]]:
    """The characters of a coloured text with their levels."""
    found, level = [], 0
    for place, part in enumerate(COLOUR.split(coloured)):
        if place % 2:
            level = COLOURS.index(part) if part != "0" else 0
        else:
            found += [(character, level) for character in part]
    return found


def test_a_digit_stands_under_each_character_that_surprises(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert drawn(capsysbinary, ("the ", 0.9), ("cat", 1), ("\n", 4), ("sat", 16)) == (
        "the cat \n    1113\nsat\n555\n"
    )


def test_levels_are_ranges_of_bits(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces = [("a", each - 0.001) for each in BITS] + [("b", float(each)) for each in BITS]
    assert drawn(capsysbinary, *pieces).splitlines()[1] == " 123412345"
    assert [level for _, level in cells(drawn(capsysbinary, *pieces, colour=True))[:-1]] == [
        *range(5),
        *range(1, 6),
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("漢字 é", ["漢字 é", "2222 2"]),
        ("e\u0301x", ["e\u0301x", "22"]),
        ("ab\tc", ["ab      c", "22      2"]),
        ("\x1b[2J", [r"\x1b[2J", "2222222"]),
        ("a\r", [r"a\r", "222"]),
        ("\udc80", [r"\x80", "2222"]),
        ("\u202eb", [r"\u202eb", "2222222"]),
    ],
)
def test_marks_stay_with_wide_combining_and_control_characters(
    text: str, lines: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    shown = drawn(capsysbinary, *((each, 3.0) for each in text)).splitlines()
    if "\t" in text:
        lines = [lines[0], "222222222"]
    if text == "漢字 é":
        lines = [lines[0], "222222"]

    assert shown == lines


def test_blanks_around_a_word_are_not_marked_but_a_blank_alone_is(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert drawn(capsysbinary, (" word ", 3), (" ", 3), ("x\n", 3)) == " word  x\n 2222 22\n"


@pytest.mark.parametrize("colour", [False, True])
def test_lines_are_wrapped_at_the_width_and_a_wide_character_is_not_cut(
    colour: bool, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    shown = drawn(capsysbinary, ("abcdefg", 3), ("漢漢", 5), colour=colour, columns=5)
    lines = COLOUR.sub("", shown).splitlines()

    assert lines[:: 1 if colour else 2] == ["abcde", "fg漢", "漢"]
    if colour:  # a terminal may fill the rest of a line with the colour that is on at its end
        assert all(line.endswith("\x1b[0m") for line in shown.splitlines())


def test_colours_are_those_of_the_levels_and_only_they_are_sent(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    shown = drawn(capsysbinary, ("a", 0), ("\x1b[31m", 9), ("\n", 2), ("b", 20), colour=True)

    assert cells(shown) == [
        ("a", 0),
        *((each, 4) for each in r"\x1b[31m"),
        (" ", 2),
        ("\n", 0),
        ("b", 5),
        ("\n", 0),
    ]


TOKENIZER = CharacterTokenizer("\n ab")
SURPRISALS = {"<unk>": 16, "\n": 2, " ": 2, "a": 2, "b": 3}
"""Bits of each token up to what normalises them, whatever came before."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    scores = np.tile([-bits * np.log(2) for bits in SURPRISALS.values()], (5, 1))
    save_bigram_model(tmp_path / "model.safetensors", TOKENIZER, scores)
    (tmp_path / "text.txt").write_text("ab b\n\nx a")
    return tmp_path


HEAT = ("--by", "token", "--format", "heat")


def marks(*arguments: str, text: str | None = None) -> list[str]:
    """What is printed without colour, without the legend."""
    result = CliRunner().invoke(app, ["perplexity", *arguments, *HEAT], input=text, env={"NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[2:]


def test_a_text_is_printed_with_the_level_of_each_token(folder: Path) -> None:
    assert marks("model.safetensors", "text.txt") == ["ab b ", "12121", " ", "1", "x a", "411"]


def test_several_texts_have_headings_and_a_pipe_is_read_as_it_comes(folder: Path) -> None:
    (folder / "b.txt").write_text("b")
    assert marks("model.safetensors", "b.txt", "text.txt")[:4] == ["b.txt", "", "b", "2"]
    assert marks("model.safetensors", "-", "--exact", text="ab")[0] == "ab"


def test_paragraphs_that_are_read_as_records_are_set_apart(folder: Path) -> None:
    text = "a\n \n\nb\na\n"

    assert marks("model.safetensors", "-", "--unit", "record", text=text) == [
        *("a ", "11", "", ""),
        *("b ", "21", "a ", "11", "", ""),
    ]


def test_colour_is_for_terminals_or_where_it_is_asked_for(folder: Path) -> None:
    arguments = ["perplexity", "model.safetensors", "text.txt", *HEAT]

    def shown(**environment: str | None) -> str:
        unset = {"NO_COLOR": None, "FORCE_COLOR": None}
        return CliRunner().invoke(app, arguments, env={**unset, **environment}).stdout

    assert "\x1b" not in shown()
    assert "\x1b[" in shown(FORCE_COLOR="1")
    assert shown(FORCE_COLOR="1", NO_COLOR="1") == shown()


def test_bytes_of_one_character_are_one_token_of_the_picture(folder: Path) -> None:
    save_bigram_model(folder / "bytes.safetensors", ByteTokenizer(), np.zeros((256, 256)))

    assert marks("bytes.safetensors", "-", text="aé漢\n") == ["aé漢 ", "45554"]


@pytest.mark.slow
def test_only_answers_are_marked_where_only_they_are_scored(folder: Path) -> None:
    (folder / "sums.txt").write_text("".join(f"{a}+{b}={a + b}\n" for a in range(9) for b in range(9)))
    made = lmgen(
        *("ngram", "sums.txt", "--order", "2", "--unit", "line", "--answers-after", "="),
        *("--tokenizer", "char", "--out", "sums.safetensors"),
        cwd=folder,
    )
    assert made.returncode == 0, made.stderr
    text, line = marks("sums.safetensors", "-", text="1+2=7\n")[:2]

    assert text.rstrip() == "1+2=7"
    assert line[:4].strip() == ""
    assert line[4].isdigit()


@pytest.mark.slow
def test_the_last_of_several_models_is_shown(folder: Path) -> None:
    (folder / "book.txt").write_text("abab ab\n" * 50)
    small = ["--hidden-size", "4", "--steps", "2", "--batch-size", "4", "--window-length", "4"]
    made = lmgen("train", "book.txt", *small, "--out", "run", cwd=folder)
    assert made.returncode == 0, made.stderr
    plain, mixed = (
        lmgen("perplexity", "run", "book.txt", *HEAT, *flags, cwd=folder).stdout.splitlines()
        for flags in ([], ["--mix"])
    )

    assert plain[0].startswith("bits a token, lstm: ")
    assert mixed[0].startswith("bits a token, mixture: ")
    assert [line.rstrip() for line in plain[2::2]] == [line.rstrip() for line in mixed[2::2]]
    assert plain != mixed


def test_what_goes_with_tokens_only_is_an_error(folder: Path) -> None:
    result = CliRunner().invoke(app, ["perplexity", "model.safetensors", "text.txt", "--format", "heat"])

    assert result.exit_code == 2
    assert result.stderr == (
        "error: --format heat colours each token: add --by token in place of --by document\n"
    )


@pytest.mark.slow
def test_a_sample_in_colours_is_the_same_text_on_a_terminal(folder: Path) -> None:
    flags = ["sample", "model.safetensors", "--prompt", "a", "--length", "120", "--seed", "3"]
    plain = lmgen(*flags, cwd=folder).stdout
    terminal, end = os.openpty()
    environment = {**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "40"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [*COMMAND, *flags, "--heat"], cwd=folder, stdout=end, stderr=end, env=environment
    ) as process:
        os.close(end)
        shown = b""
        while block := _read(terminal):
            shown += block
    os.close(terminal)
    found = cells(shown.decode().replace("\r\n", "\n"))

    assert process.returncode == 0
    assert any(level for _, level in found)
    text = "".join(character for character, _ in found).split("\n", 2)[2]
    assert re.sub(r"\s", "", text) == re.sub(r"\s", "", plain)
    assert max(map(len, text.splitlines())) <= 40


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


@pytest.mark.parametrize("flags", [["--num", "2"], ["--lines"], ["--json"]])
def test_heat_is_for_one_completion(flags: list[str], folder: Path) -> None:
    result = CliRunner().invoke(app, ["sample", "model.safetensors", "--heat", *flags])

    assert result.exit_code == 2
    assert result.stderr == (
        "error: --heat colours a single completion: leave --num, --lines and --json out\n"
    )


def test_bars_are_as_long_as_their_share_of_the_highest(folder: Path) -> None:
    scores = np.tile(np.log([1e-9, 8, 4, 1, 0.25]), (5, 1))
    save_bigram_model(folder / "model.safetensors", TOKENIZER, scores)
    result = CliRunner().invoke(app, ["next", "model.safetensors", "a", "--bars"])

    assert [line.split()[3:] for line in result.stdout.splitlines()[1:]] == [
        ["█" * 30],
        ["█" * 15],
        ["███▊"],
        ["█"],
        [],
    ]
    wrong = CliRunner().invoke(app, ["next", "model.safetensors", "a", "--bars", "--json"])
    assert wrong.stderr == "error: --bars draws a table, which --json is not: leave one of them out\n"
