"""Damaged files: every one ends in a good load or one LmgenError, in time and in bounded memory."""

import sys
from pathlib import Path

import pytest

from tests.process import run_command

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "cases"),
    [([], 20_000), (["--runs"], 300)],
    ids=["files", "commands"],
)
def test_no_damaged_file_does_any_harm(kind: list[str], cases: int, tmp_path: Path) -> None:
    """
    `python -m tests.fuzz` tries more of them. A process of its own, whose memory is limited.
    """
    command = [sys.executable, "-m", "tests.fuzz", *kind, "--cases", str(cases), "--folder", str(tmp_path)]
    ran = run_command(command, cwd=ROOT, timeout=280)

    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}in case {(tmp_path / 'case').read_text()}"
    assert f"{cases:,} cases" in ran.stdout
