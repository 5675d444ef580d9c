"""A bar on a terminal while a text is read; nothing anywhere else, and the same results."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lmgen.text.progress import SHOWN, reading
from lmgen.text.sources import open_text
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model

SCRIPT = """
import lmgen.cli.progress as progress, lmgen.text.raw as raw
from lmgen.__main__ import main

progress.SECONDS, raw.BLOCK_BYTES = 0, 1000
main()
"""


HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
"""What a bar writes at its beginning, and at its end."""


def run(folder: Path, *arguments: str, terminal: bool, **variables: str) -> tuple[str, str]:
    """What a command writes to stdout, and to a stderr that is a terminal or a pipe."""
    watched, end = os.openpty() if terminal else os.pipe()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", **variables}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    with (
        (folder / "printed").open("w") as printed,
        subprocess.Popen(command, cwd=folder, stdout=printed, stderr=end, env=environment) as process,
    ):
        os.close(end)
        shown = b""
        with suppress(OSError):  # Linux's way to say that the other end of a terminal is closed
            while block := os.read(watched, 1 << 16):
                shown += block
    os.close(watched)
    assert process.returncode == 0, shown.decode()
    return (folder / "printed").read_text(), shown.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_bigram_model(tmp_path / "tiny.safetensors", CharacterTokenizer("\nab"), np.zeros((4, 4)))
    (tmp_path / "text.txt").write_text("abab\n" * 4000)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("by", ["document", "line"])
def test_scoring_shows_how_far_it_has_come(by: str, folder: Path) -> None:
    command = ["perplexity", "tiny.safetensors", "text.txt", "--by", by, "--format", "tsv", "--no-baseline"]
    on_terminal, shown = run(folder, *command, terminal=True)
    piped, nothing = run(folder, *command, terminal=False)
    _, quiet = run(folder, *command, "--quiet", terminal=True)

    assert "scoring" in shown
    assert "/20.0 kB" in shown
    assert (nothing, quiet) == ("", "")
    assert on_terminal == piped


@pytest.mark.slow
def test_figures_fit_a_narrow_terminal_and_a_dumb_one_shows_none(folder: Path) -> None:
    command = ["perplexity", "tiny.safetensors", "text.txt", "--format", "tsv", "--no-baseline"]
    _, narrow = run(folder, *command, terminal=True, COLUMNS="30")
    _, dumb = run(folder, *command, terminal=True, TERM="dumb")

    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", narrow).split("\r")
    assert any(line.startswith("scoring") and line.endswith("/20.0 kB") for line in lines)
    assert max(map(len, lines)) <= 30
    assert dumb == ""


@pytest.mark.slow
def test_preparing_shows_how_far_it_has_come(folder: Path) -> None:
    network = ["--hidden-size", "4", "--layers", "1", "--steps", "1", "--baseline-order", "0"]
    _, shown = run(folder, "train", "text.txt", "--out", "run", *network, terminal=True)

    for what in ("measuring the text", "choosing tokens", "tokenizing the train text"):
        assert what in shown
    before, _, after = shown.partition("corpus    text:")
    assert before.rindex(SHOW_CURSOR) > before.rindex(HIDE_CURSOR)
    assert "tokenizing" not in after


def test_what_is_shown_is_how_many_bytes_of_all_have_been_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmgen.text.raw.BLOCK_BYTES", 100)
    for name, size in (("a.txt", 250), ("b.txt", 120)):
        (tmp_path / name).write_text("x" * size)
    text = open_text(str(tmp_path))
    seen: list[tuple[str, int, int] | None] = []

    class Seen:
        def show(self, what: str, done: int, total: int) -> None:
            seen.append((what, done, total))

        def hide(self) -> None:
            seen.append(None)

    token = SHOWN.set(Seen())
    with reading("looking", text.files):
        list(text.chunks())
    SHOWN.reset(token)
    list(text.chunks())

    assert seen == [("looking", done, 370) for done in (100, 200, 250, 350, 370)] + [None]
