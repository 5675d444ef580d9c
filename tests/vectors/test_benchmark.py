"""The comparison of models that start from word vectors: whether its script makes a table."""

import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.process import run_command

pytest.importorskip("gensim", reason="the extra `vectors` is not installed")


@pytest.mark.slow
def test_the_benchmark_of_word_vectors_makes_a_row_for_each_start(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "vectors.py"
    command = [sys.executable, str(script), "--quick", "--size", "8", "--out", "new.md"]
    result = run_command(command, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    written = (tmp_path / "new.md").read_text()
    assert result.stdout == written
    rows = [line.split("|") for line in written.splitlines() if line.startswith("| ")][2:]
    starts = [f"{name}{frozen}" for name in ("random", "skip-gram", "cbow") for frozen in ("", ", frozen")]
    assert [row[1].strip() for row in rows] == starts
    assert all(10 < float(row[2]) < 1000 for row in rows)
