"""The benchmark of defaults runs beside plain loops, and goes on where it stopped; its figures need quiet."""

import json
import sys
from pathlib import Path

import pytest

from tests.process import run_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def test_lmgen_and_plain_loops_are_compared_and_what_is_known_is_not_run_again(tmp_path: Path) -> None:
    text, points = tmp_path / "squares.txt", tmp_path / "points.jsonl"
    text.write_text("".join(f"the square of {n} is {n * n}\n" for n in range(100)))
    command = [sys.executable, "-m", "benchmarks.defaults", "--minutes", "0.01", "--units", "8,16"]
    command += ["--seeds", "2", "--threads", "1", "--points", str(points), str(text)]

    first = run_command(command, cwd=ROOT, check=True, timeout=600)
    measured = points.read_text()
    again = run_command(command, cwd=ROOT, check=True, timeout=600)

    of_seeds = [json.loads(line) for line in measured.splitlines()]
    row = first.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert [point["seed"] for point in of_seeds] == [1, 2]
    assert [set(point["plain"]) for point in of_seeds] == [{"8", "16"}] * 2
    assert row[:2] == ["squares", "0.01"]
    assert (again.stdout, points.read_text()) == (first.stdout, measured)
