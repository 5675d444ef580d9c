"""Runs that an older lmgen began are resumed, and end as they would have ended then."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmgen.models.model_file import load_tensors
from tests.process import lmgen

pytestmark = pytest.mark.slow

RUNS = Path(__file__).parents[1] / "files" / "runs"

LOSSES = ("train_nats_per_token", "valid_nats_per_token")


@pytest.mark.parametrize("name", ["lstm-char", "gru-word"])
def test_a_run_of_an_older_version_is_resumed_to_the_end_it_would_have_had(name: str, tmp_path: Path) -> None:
    """
    Interrupted after 11 of its 60 updates; its corpus, sentences.txt, is not there and not needed.

    Another machine rounds differently, so the weights agree in most of their digits only.
    """
    shutil.copytree(RUNS / name / "half", tmp_path / "run")
    result = lmgen("train", "--resume", "--out", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr

    _, weights = load_tensors(tmp_path / "run" / "model.safetensors")
    _, expected = load_tensors(RUNS / name / "whole" / "model.safetensors")
    assert weights.keys() == expected.keys()
    for tensor, values in expected.items():
        np.testing.assert_allclose(weights[tensor], values, rtol=1e-4, atol=1e-5, err_msg=tensor)
    lines, expected_lines = metrics(tmp_path / "run"), metrics(RUNS / name / "whole")
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    for loss in LOSSES:
        found = [line[loss] for line in lines]
        np.testing.assert_allclose(found, [line[loss] for line in expected_lines], atol=1e-4)


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
