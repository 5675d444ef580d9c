"""The benchmark of tasks runs; its figures are for a quiet machine."""

import sys
from pathlib import Path

import pytest

from tests.process import run_command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tasks.py"


def run(task: str, folder: Path) -> list[list[str]]:
    """The rows that a tiny run prints, cell by cell; its table is in tasks.md."""
    command = [sys.executable, str(SCRIPT), task, "--seeds", "2", "--quick", "--out", "tasks.md"]
    return rows(run_command(command, cwd=folder, check=True, timeout=600).stdout)


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_a_row_has_all_seeds_and_their_median_and_other_rows_and_the_text_stay(tmp_path: Path) -> None:
    file = tmp_path / "tasks.md"

    [sine] = run("sine", tmp_path)

    seeds = list(map(float, sine[3].split(", ")))
    assert len(seeds) == 2
    assert float(sine[4]) == pytest.approx(sum(seeds) / 2, abs=1e-4)
    assert rows(file.read_text()) == [sine]

    file.write_text(file.read_text().replace("# Tasks", "# On my machine"))
    [counting] = run("anbncn", tmp_path)

    assert rows(file.read_text()) == [counting, sine]
    assert file.read_text().startswith("# On my machine\n")


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    result = run_command([sys.executable, str(SCRIPT), "juggling"], cwd=tmp_path)

    assert result.returncode == 2
    assert "juggling" in result.stderr
    assert "embedded-reber" in result.stderr
    assert not list(tmp_path.iterdir())
