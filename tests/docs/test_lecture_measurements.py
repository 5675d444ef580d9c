"""The scripts behind the lecture pages run on a small text and write what they print."""

import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.process import ENVIRONMENT, run_command

SCRIPTS = {
    "cells": ["--cells", "gru", "dsgu", "--seconds", "0.2"],
    "inside": ["--seconds", "0.2"],
    "exploding": ["--steps", "50", "--rates", "0.1"],
    "window": ["--widths", "1", "3", "--seconds", "0.2"],
    "attention": ["--reach", "4", "--seconds", "0.2", "--steps", "10"],
}
"""Each with a small budget."""

PICTURES = {"inside": ["gates", "gradients", "memory"], "exploding": ["exploding"]}

LINE = "the quick brown fox jumps over the lazy dog, and so on\n"


def measure(name: str, folder: Path) -> str:
    """Run a script; what it prints."""
    (folder / "fox.txt").write_text(LINE * 400)
    small = ["--seeds", "1", "--hidden-size", "8", *SCRIPTS[name]]
    command = [sys.executable, "-m", f"benchmarks.lectures.{name}", str(folder / "fox.txt"), *small]
    result = run_command(
        [*command, "--out", str(folder)],
        cwd=folder,
        environment={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_measurement_writes_what_it_prints(name: str, tmp_path: Path) -> None:
    printed = measure(name, tmp_path)

    page = tmp_path / "benchmarks" / "results" / f"lectures-{name}.md"
    assert page.read_text() == f"{printed.rstrip()}\n"
    assert f"`python -m benchmarks.lectures.{name} fox.txt --seeds 1" in printed
    assert str(tmp_path) not in printed
    assert "nan" not in printed.split()
    for picture in PICTURES.get(name, []):
        drawn = (tmp_path / "docs" / "images" / f"lectures-{picture}.svg").read_text()
        assert drawn.count("<polyline") + drawn.count("<circle") + drawn.count("<path") > 3


def test_every_script_is_measured_here() -> None:
    scripts = {file.stem for file in (ROOT / "benchmarks" / "lectures").glob("*.py")}

    assert scripts - {"measuring"} == set(SCRIPTS)


def test_networks_of_equal_size_and_characters_counted_in_lines() -> None:
    from benchmarks.lectures.inside import since
    from benchmarks.lectures.window import parameters, window

    assert since("ab\nc d", "\n") == [1, 2, 0, 1, 2, 3]
    assert since("ab\nc d", " \n") == [1, 2, 0, 1, 0, 1]
    assert parameters(window(2, 10), 7) == 7 * 64 + (2 * 64 * 10 + 10) + (10 * 7 + 7)
