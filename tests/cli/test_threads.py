"""How many threads numpy is started with."""

import os

import pytest

from lmgen.cli.threads import THREADS, use_one_thread


def test_one_thread_unless_the_user_has_said_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.setenv(name, "4")
        monkeypatch.delenv(name)
    use_one_thread()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"

    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    use_one_thread()
    assert "OPENBLAS_NUM_THREADS" not in os.environ
