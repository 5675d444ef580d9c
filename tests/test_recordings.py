"""Comparing what two checkouts have computed."""

import json
from pathlib import Path

import pytest

from tests.recordings import differences


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Path]:
    """Two recordings of one case, equal."""
    folders = (tmp_path / "before", tmp_path / "after")
    for folder in folders:
        (folder / "lstm").mkdir(parents=True)
        write(folder, "tensors", {"model bias": "float32 [2] aa", "model embedding": "float32 [3, 2] bb"})
        write(folder, "metrics", {"step": 5, "valid_nats_per_token": 2.5})
    return folders


def write(folder: Path, name: str, values: object) -> None:
    (folder / "lstm" / f"{name}.json").write_text(json.dumps(values, indent=1))


def test_equal_recordings_have_no_differences(recorded: tuple[Path, Path]) -> None:
    assert list(differences(*recorded)) == []


def test_a_changed_value_is_shown_with_the_file_where_it_stands(recorded: tuple[Path, Path]) -> None:
    write(recorded[1], "metrics", {"step": 5, "valid_nats_per_token": 2.5000000001})

    assert list(differences(*recorded)) == [
        "lstm/metrics.json:",
        '  - "valid_nats_per_token": 2.5',
        '  + "valid_nats_per_token": 2.5000000001',
    ]


def test_a_case_that_one_of_them_lacks_is_a_difference(recorded: tuple[Path, Path]) -> None:
    (recorded[1] / "lstm" / "metrics.json").unlink()

    assert "  +not recorded" in list(differences(*recorded))


def test_renamed_tensors_may_count_as_equal_but_changed_ones_do_not(recorded: tuple[Path, Path]) -> None:
    write(recorded[1], "tensors", {"model 0.table": "float32 [3, 2] bb", "model bias": "float32 [2] aa"})
    assert list(differences(*recorded))
    assert list(differences(*recorded, renamed=True)) == []

    write(recorded[1], "tensors", {"model 0.table": "float32 [3, 2] cc", "model bias": "float32 [2] aa"})
    assert list(differences(*recorded, renamed=True)) == [
        "lstm/tensors.json:",
        "  -float32 [3, 2] bb",
        "  +float32 [3, 2] cc",
    ]
