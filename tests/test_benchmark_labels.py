"""The benchmark of labels runs; its figures are for a quiet machine."""

import sys
from pathlib import Path

import pytest

from tests.process import run_command

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "labels.py"


def test_the_benchmark_of_labels_prints_a_row_for_each_network(tmp_path: Path) -> None:
    arguments = ["negation", "--seeds", "1", "--quick"]
    result = run_command([sys.executable, str(SCRIPT), *arguments], cwd=tmp_path, check=True)

    rows = [line for line in result.stdout.splitlines() if line.startswith("| ") and "%" in line]
    assert [row.split(" | ")[0].removeprefix("| ").split()[0] for row in rows] == [
        "mean",
        "maximum",
        "convolution",
        "convolution",
        "lstm",
        "bidirectional",
    ]
