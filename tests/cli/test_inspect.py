"""`lmgen inspect`: rows, JSON, files and pictures, and what cannot be inspected."""

import json
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import lmgen as package
from lmgen.models.network.cells import CELLS
from tests.process import COMMAND, ENVIRONMENT, lmgen

pytestmark = pytest.mark.slow  # each test starts a command

TEXT = "".join(np.random.default_rng(2).choice(["one fine day\n", "two\n", "a fine one\n"], 60))

SMALL: dict[str, Any] = dict(hidden_size=8, steps=4, batch_size=4, window_length=8, threads=1)  # noqa: C408


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small LSTM, and a text."""
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "text.txt").write_text(TEXT)
    (folder / "short.txt").write_text("one fine day\n")
    package.train(
        folder / "text.txt",
        out=folder / "checkpoints" / "run",
        layers=2,
        **SMALL,
    )
    return folder


def tsv(*arguments: str, cwd: Path, text: str | None = None) -> list[dict[str, str]]:
    result = lmgen("inspect", *arguments, cwd=cwd, text=text)
    assert result.returncode == 0, result.stderr
    columns, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    return [dict(zip(columns, row, strict=True)) for row in rows]


def error(*arguments: str, cwd: Path, code: int) -> str:
    result = lmgen("inspect", *arguments, cwd=cwd)
    assert (result.returncode, result.stdout) == (code, "")
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    return line.removeprefix("error: ")


def is_svg(path: Path) -> bool:
    return ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - it is our own


RUN = "checkpoints/run"

NOT_RECURRENT = {
    "a window of tokens": {"layers": 0, "convolution": "3x8"},
    "dense layers": {"layers": 0, "dense_layers": 1},
}


def test_states_are_a_row_for_each_token_layer_name_and_unit(folder: Path) -> None:
    rows = tsv(
        "states", RUN, "short.txt", "--layers", "1", "--units", "0,6-7", "--names", "h,forget", cwd=folder
    )

    assert len(rows) == 13 * 2 * 3
    assert list(rows[0]) == ["index", "token", "layer", "name", "unit", "value"]
    assert [row["unit"] for row in rows[:6]] == ["0", "6", "7"] * 2
    assert [(rows[n]["index"], rows[n]["token"]) for n in (0, 18, 72)] == [
        ("0", "o"),
        ("3", "▁"),
        ("12", "\\n"),
    ]
    [block] = package.load(folder / RUN).states("one fine day\n", layers=[1], names=["h"], units=[0])
    printed = [float(row["value"]) for row in rows if (row["name"], row["unit"]) == ("h", "0")]
    assert (np.array(printed, np.float32) == block.series["layers.1.h"][:, 0]).all()


def test_states_as_json_from_stdin_and_as_arrays(folder: Path) -> None:
    result = lmgen(
        "inspect", "states", RUN, "-", "--units", "0", "--names", "c", "--json", cwd=folder, text="a\n"
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]

    assert [(row["index"], row["token"], row["layer"], row["name"], row["unit"]) for row in rows] == [
        (index, token, layer, "c", 0)
        for index, token in ((0, "a"), (1, "\\n"))
        for layer in ("layers.0", "layers.1")
    ]
    assert lmgen("inspect", "states", RUN, "short.txt", "--npz", "states.npz", cwd=folder).stdout == ""
    with np.load(folder / "states.npz") as saved:
        assert saved["layers.1.c"].shape == (13, 8)
        assert len(saved) == 2 + 2 * 6


@pytest.mark.parametrize("pool", ["--last", "--mean"])
def test_one_vector_a_line_is_a_row_or_a_list(folder: Path, pool: str) -> None:
    asked = ("states", RUN, "-", pool, "--names", "h", "--units", "2,5", "--unit", "line")
    rows = tsv(*asked, cwd=folder, text="one\ntwo\nfine\n")
    objects = lmgen("inspect", *asked, "--json", cwd=folder, text="one\ntwo\nfine\n").stdout.splitlines()

    assert list(rows[0]) == ["text", "tokens"] + [f"layers.{n}.h.{unit}" for n in (0, 1) for unit in (2, 5)]
    assert [row["tokens"] for row in rows] == ["4", "4", "5"]
    for row, found in zip(rows, map(json.loads, objects), strict=True):
        assert [float(row["layers.1.h.2"]), float(row["layers.1.h.5"])] == pytest.approx(found["layers.1.h"])


def test_gates_by_gate_and_by_unit(folder: Path) -> None:
    summary = tsv("gates", RUN, "text.txt", "--svg", "gates.svg", cwd=folder)
    units = tsv("gates", RUN, "text.txt", "--by", "unit", "--names", "forget", cwd=folder)

    assert [(row["layer"], row["gate"]) for row in summary] == [
        (layer, gate) for layer in ("layers.0", "layers.1") for gate in ("forget", "input", "output")
    ]
    assert all(float(row["open"]) + float(row["closed"]) <= 1 for row in summary)
    assert [row["unit"] for row in units] == [str(n) for n in range(8)] * 2
    mean = np.mean([float(row["mean"]) for row in units[:8]])
    assert mean == pytest.approx(float(summary[0]["mean"]), rel=1e-6)
    assert is_svg(folder / "gates.svg")


def test_gradients_have_a_row_for_every_distance_from_0_to_100(folder: Path) -> None:
    rows = tsv("gradients", RUN, "text.txt", "--positions", "3", "--svg", "gradients.svg", cwd=folder)

    assert list(rows[0]) == ["distance", "layer", "cell", "state", "norm", "model"]
    assert [row["distance"] for row in rows] == [str(k) for k in range(101) for _ in range(4)]
    assert {(row["layer"], row["cell"], row["state"], row["model"]) for row in rows} == {
        (layer, "lstm", state, RUN) for layer in ("layers.0", "layers.1") for state in ("h", "c")
    }
    assert is_svg(folder / "gradients.svg")


def test_gradients_of_several_models_read_one_pipe(folder: Path) -> None:
    options = ("--positions", "3", "--distance", "2")
    shutil.copytree(folder / RUN, folder / "again")
    from_pipe = tsv("gradients", RUN, "again", "-", *options, cwd=folder, text=TEXT)
    from_file = tsv("gradients", RUN, "again", "text.txt", *options, cwd=folder)

    assert from_pipe == from_file
    assert {row["model"] for row in from_pipe} == {RUN, "again"}

    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_text, args=(TEXT,))
    writer.start()
    named = tsv("gradients", RUN, "--cell", "rnn", "pipe", *options, cwd=folder)
    writer.join()
    assert named == tsv("gradients", RUN, "--cell", "rnn", "text.txt", *options, cwd=folder)


def test_gradients_of_untrained_cells_stand_beside_each_other_and_a_trained_one(folder: Path) -> None:
    options = ("--hidden-size", "6", "--distance", "20", "--seed", "3", "--svg", "cells.svg")
    untrained = tsv("gradients", "--cell", "rnn,gru,lstm", *options, "-", cwd=folder, text=TEXT)
    again = tsv("gradients", "--cell", "rnn,gru,lstm", *options, "text.txt", cwd=folder)
    beside = tsv("gradients", RUN, RUN, "--cell", "rnn", *options, "text.txt", cwd=folder)

    assert [row["cell"] for row in untrained] == ["rnn"] * 21 + ["gru"] * 21 + ["lstm"] * 42
    assert {row["model"] for row in untrained} == {"untrained"}
    assert untrained == again
    assert [row["model"] for row in beside] == [RUN] * 168 + ["untrained"] * 21
    assert is_svg(folder / "cells.svg")
    small = tsv("gradients", "--cell", "rnn", *options, "--init-scale", "0.1", "text.txt", cwd=folder)
    assert float(small[20]["norm"]) < 1e-10 < float(untrained[20]["norm"])


def test_memory_of_a_run_beside_its_ngram_model(folder: Path) -> None:
    rows = tsv("memory", RUN, "text.txt", "--contexts", "0,1-2,8", "--svg", "memory.svg", cwd=folder)
    alone = tsv("memory", RUN, "text.txt", "--contexts", "0,8", "--no-baseline", cwd=folder)

    assert [row["context"] for row in rows[::2]] == ["0", "1", "2", "8"]
    assert {row["model"] for row in rows} == {"lstm", rows[1]["model"]}
    assert rows[1]["model"].startswith("ngram-")
    assert alone == [rows[0], rows[6]]
    assert is_svg(folder / "memory.svg")
    ngram = tsv("memory", f"{RUN}/ngram.safetensors", "text.txt", "--contexts", "0,8", cwd=folder)
    assert [row["nats_per_token"] for row in ngram] == [rows[1]["nats_per_token"], rows[7]["nats_per_token"]]


def test_the_newest_run_and_its_held_out_text_are_what_is_looked_at(folder: Path) -> None:
    result = lmgen("inspect", "gates", "--json", cwd=folder)

    assert len(result.stdout.splitlines()) == 6
    assert "note: using the newest run, checkpoints/run" in result.stderr
    assert "held-out text" in result.stderr


def test_a_terminal_gets_plots_and_short_tables(folder: Path) -> None:
    terminal, end = os.openpty()
    command = [*COMMAND, "inspect", "gradients", "--cell", "rnn,lstm", "--hidden-size", "4", "text.txt"]
    with subprocess.Popen(
        command, cwd=folder, stdout=end, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        os.close(end)
        shown = b""
        with suppress(OSError):
            while block := os.read(terminal, 1 << 16):
                shown += block
    os.close(terminal)

    assert process.returncode == 0
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    assert [line.split() for line in lines if "* rnn h" in line or "+ lstm h" in line] == [
        ["*", "rnn", "h"],
        ["+", "lstm", "h"],
    ]
    assert sum(" |" in line for line in lines) == 18
    assert len([line for line in lines if line.endswith("untrained")]) == 8 * 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["states", f"{RUN}/ngram.safetensors", "text.txt"], 1, "is not a network: it has no states, gates"),
        (
            ["gradients", f"{RUN}/ngram.safetensors", "text.txt"],
            1,
            "is not a network: it has no states, gates",
        ),
        (["gradients", RUN, "short.txt"], 1, "too few tokens for gradients over 100: the text has 13"),
        (
            ["gradients", "--cell", "lsmt", "text.txt"],
            2,
            f"cell is 'lsmt', but has to be one of {', '.join(CELLS)}",
        ),
        (["gradients", "--cell", "rnn"], 2, "an untrained network has no text of its own; name a TEXT"),
        (
            ["gradients", RUN, "--hidden-size", "3"],
            2,
            "--hidden-size is for untrained networks: name their cells",
        ),
        (
            ["gradients", "--cell", "rnn", "--init-scale", "0", "text.txt"],
            2,
            "--init-scale is 0.0, but has to be above 0",
        ),
        (["memory", RUN, "short.txt"], 1, "too few tokens for 256 of context: the text has 13"),
        (["memory", RUN, "--contexts", "1,x"], 2, "--contexts is '1,x', but has to be numbers and ranges"),
        (
            ["states", RUN, "text.txt", "--units", "5-2"],
            2,
            "--units is '5-2', but the range 5-2 is empty or too long",
        ),
        (
            ["states", RUN, "text.txt", "--names", "q"],
            2,
            "there is no state or gate 'q'; known are h, c, forget",
        ),
        (
            ["states", RUN, "text.txt", "--layers", "0-"],
            2,
            "--layers is '0-', but has to be numbers and ranges",
        ),
        (
            ["states", RUN, "text.txt", "--npz", "x.npz", "--json"],
            2,
            "--npz writes a file in the place of rows, which --json prints; give one of them",
        ),
        (["states", RUN, "text.txt", "--last", "--mean"], 2, "--last and --mean contradict each other"),
        (
            ["states", RUN, "text.txt", "--svg", "x.svg"],
            2,
            "--svg draws at most 16 lines, not 96: choose some",
        ),
        (
            ["states", RUN, "text.txt", "short.txt"],
            2,
            "give one MODEL and at most one TEXT, not checkpoints/run",
        ),
        (["states", RUN, RUN], 2, "give one MODEL and at most one TEXT, not checkpoints/run"),
        (["gates", "nothing"], 1, "there is no run, model file or text nothing"),
        (["states", RUN, "text.txt", "--npz", "text.txt/x.npz"], 1, "cannot write text.txt/x.npz"),
        (["gates", RUN, "text.txt", "--svg", "text.txt/x.svg"], 1, "cannot write text.txt/x.svg"),
        (
            ["gates", RUN, "text.txt", "--svg", "checkpoints"],
            1,
            "cannot write checkpoints: Is a directory; name",
        ),
        (
            ["states", RUN, "text.txt", "--npz", "checkpoints"],
            1,
            "cannot write checkpoints: Is a directory; name",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(folder: Path, arguments: list[str], code: int, message: str) -> None:
    assert message in error(*arguments, cwd=folder, code=code)


@pytest.mark.parametrize("settings", NOT_RECURRENT.values(), ids=NOT_RECURRENT)
def test_a_network_without_recurrent_layers_has_a_memory_only(
    settings: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    package.train(folder / "text.txt", out=tmp_path / "run", **settings, **SMALL)
    for about in ("states", "gates", "gradients"):
        message = error(about, str(tmp_path / "run"), "text.txt", cwd=folder, code=1)
        assert "has no recurrent layers" in message
        assert "lmgen inspect memory" in message

    rows = tsv("memory", str(tmp_path / "run"), "text.txt", "--contexts", "0,1,8", cwd=folder)
    assert [row["context"] for row in rows if not row["model"].startswith("ngram")] == ["0", "1", "8"]


@pytest.mark.parametrize(
    "settings",
    [
        {"convolution": "3x8", "attention": 4, "unit": "line"},
        {"ngram_embedding": 3, "ngram_rows": 100, "unit": "line"},
        {"tokenizer": "word", "output": "adaptive", "cutoffs": "2,3", "attention": 2, "cell": "gru"},
    ],
    ids=str,
)
def test_layers_around_the_recurrent_ones_are_read_and_followed_through(
    settings: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    package.train(folder / "text.txt", out=tmp_path / "run", **settings, **SMALL)
    asked = (str(tmp_path / "run"), "text.txt")
    gradients = tsv("gradients", *asked, "--distance", "3", cwd=folder)

    assert {row["layer"] for row in gradients} == {"layers.0"}
    assert all(float(row["norm"]) > 0 for row in gradients)
    for about in ("states", "gates", "memory"):
        assert tsv(about, *asked, *(["--contexts", "0,4"] if about == "memory" else []), cwd=folder)


@pytest.mark.parametrize(
    "what", ["states --svg", "states --npz", "gates --svg", "memory --svg", "gradients --svg"]
)
def test_what_is_inspected_is_not_replaced(what: str, folder: Path) -> None:
    about, flag = what.split()
    for read in ("text.txt", f"{RUN}/model.safetensors"):
        before = (folder / read).read_bytes()
        message = error(about, RUN, "text.txt", flag, read, cwd=folder, code=2)
        assert message.startswith(f"{flag} {read} would replace")
        assert (folder / read).read_bytes() == before
