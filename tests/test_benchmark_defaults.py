"""The benchmark of defaults runs beside plain loops, and goes on where it stopped; its figures need quiet."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import defaults
from benchmarks.defaults import Point, Reached, points, whole_path
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


def test_what_is_known_of_another_text_or_tokenizer_or_size_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def measured(corpus: str, minutes: float, seed: int, arguments: Namespace) -> Point:
        runs.append(f"{Path(corpus).parent.name} {arguments.valid} {arguments.tokenizer} {arguments.units}")
        plain = {units: Reached(1.0, 1.0) for units in arguments.units.split(",")}
        text, valid, tokenizer = whole_path(corpus), arguments.valid, arguments.tokenizer
        return Point(text, valid, tokenizer, minutes, seed, 1, "1 x 8", Reached(1.0, 1.0), 1.0, 1.0, plain)

    monkeypatch.setattr(defaults, "measured", measured)
    usual = {"units": "8,16", "tokenizer": "char", "valid": None}
    for folder, others in (
        ("a", {}),
        ("b", {}),
        ("a", {"tokenizer": "word"}),
        ("a", {"units": "8"}),
        ("a", {"valid": "named"}),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "text.txt").write_text("text")
        asked = Namespace(**{**usual, **others}, seeds=1, threads=1, points=tmp_path / "points.jsonl")
        for _ in range(2):
            assert len(list(points(str(tmp_path / folder / "text.txt"), 1.0, asked))) == 1

    assert runs == [
        "a None char 8,16",
        "b None char 8,16",
        "a None word 8,16",
        "a None char 8",
        "a named char 8,16",
    ]
