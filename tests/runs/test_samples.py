"""What a network writes at each quarter of its training, and that the training does not notice."""

import json
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.runs import records, run
from lmgen.runs.events import Interrupted
from lmgen.runs.samples import LENGTH, is_quarter, sample_of
from tests.runs.test_run import TINY, config, metrics, stop_after, text, trained, without_times

__all__ = ["text"]

pytestmark = pytest.mark.slow


def samples(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in RunFolder(folder).samples.read_text().splitlines()]


def test_a_quarter_ends_between_two_shares_of_the_budget() -> None:
    assert [is_quarter(n / 8, (n + 1) / 8) for n in range(8)] == [False, True] * 4
    assert is_quarter(0.0, 1.0)
    assert not is_quarter(1.0, 1.0)


def test_each_quarter_has_a_sample_and_the_training_is_the_same_without(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(text, tmp_path / "with", dropout=0.2, ema=0.9)
    with monkeypatch.context() as without:
        without.setattr(records, "is_quarter", lambda *_: False)
        trained(text, tmp_path / "without", dropout=0.2, ema=0.9)

    found = samples(tmp_path / "with")
    assert [(line["step"], line["progress"]) for line in found] == [(6, 0.25), (12, 0.5), (18, 0.75), (24, 1)]
    assert all(len(line["text"]) == LENGTH for line in found)
    assert len({line["text"] for line in found}) == 4
    one, other = RunFolder(tmp_path / "with"), RunFolder(tmp_path / "without")
    assert not other.samples.exists()
    assert one.model.read_bytes() == other.model.read_bytes()
    assert without_times(metrics(one.folder)) == without_times(metrics(other.folder))
    assert lmgen.load(one.model).sample(length=LENGTH, temperature=0.7, seed=0) == found[-1]["text"]
    assert sample_of(one.model) == found[-1]["text"]


def test_a_run_that_was_stopped_writes_the_same_samples(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "whole")
    stopping = run.train(config(text), tmp_path / "parts", should_stop=stop_after(14))
    assert isinstance(list(stopping)[-1], Interrupted)
    assert [line["step"] for line in samples(tmp_path / "parts")] == [6, 12]
    folder = RunFolder(tmp_path / "parts")
    with folder.samples.open("a") as file:  # of updates that were made after the checkpoint, and lost
        file.write('{"step": 18, "text": "lost"}\n')
    list(run.resume(folder.folder))

    assert samples(folder.folder) == samples(tmp_path / "whole")


def test_lines_are_texts_of_their_own_and_labels_are_no_text(tmp_path: Path) -> None:
    settings = {**TINY, "baseline_order": 0}
    lmgen.train("emma\nolivia\nava\n" * 40, out=tmp_path / "names", unit="line", **settings)
    lmgen.train_labels(
        "fine\tyes\nsad\tno\n" * 40, out=tmp_path / "labels", **TINY | {"baseline_order": None}
    )

    assert [line["text"].count("\n") for line in samples(tmp_path / "names")][-1] >= 5
    assert not RunFolder(tmp_path / "labels").samples.exists()


def test_the_samples_of_a_run_that_is_replaced_are_gone(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    list(run.train(config(text, steps=3), tmp_path / "run", overwrite=True))

    assert [line["step"] for line in samples(tmp_path / "run")] == [1, 2, 3]
