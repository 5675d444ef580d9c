"""The benchmark of models that learn while they read runs; its figures are for a quiet machine."""

import sys
from pathlib import Path

import pytest

from tests.process import run_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def test_the_benchmark_of_adapting_has_every_predictor_beside_compressors(tmp_path: Path) -> None:
    text = tmp_path / "squares.txt"
    text.write_text("".join(f"the square of {n} is {n * n}\n" for n in range(100)))
    command = [sys.executable, "-m", "benchmarks.adapting", str(text), "--quick", "--threads", "1"]

    result = run_command(command, cwd=ROOT, check=True, timeout=600)

    rows = [line.strip("| ").split(" | ") for line in result.stdout.splitlines() if line.startswith("| ")][2:]
    scored = {row[1]: float(row[2]) for row in rows if row[0] == "quick, 3 updates"}
    assert list(scored) == ["lstm", "ngram-7", "mixture", "lstm+adapt", "ngram-7+adapt", "mixture+adapt"]
    assert scored["ngram-7+adapt"] < scored["ngram-7"]
    assert {"xz -9e", "bzip2 -9"} <= {row[0] for row in rows}
