"""Training that is killed at random instants loses nothing: a few of the kills of benchmarks/kills.py."""

import os
import sys
from pathlib import Path

import pytest

from tests.process import ENVIRONMENT, run_command

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, so that torch is imported once")
def test_killed_runs_go_on_as_if_they_had_not_stopped() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--kills", "20"]
    result = run_command(command, cwd=ROOT, environment={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, timeout=280)

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("20 of 20 killed runs went on to their end")
