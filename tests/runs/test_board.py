"""Event files for TensorBoard, read back as TensorBoard reads them."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmgen.data.run_folder import RunFolder
from lmgen.errors import MissingExtraError
from lmgen.runs import run
from lmgen.runs.events import Finished, Interrupted
from lmgen.training.events import RolledBack
from tests.process import lmgen as command
from tests.runs.test_labels import LABELS, reviews
from tests.runs.test_run import TOO_FAST, config, metrics, stop_after, text, trained

accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="the extra `tensorboard` is missing"
)

pytestmark = pytest.mark.slow

__all__ = ["reviews", "text"]  # fixtures

Curve = list[tuple[int, Any]]


def curves(folder: Path) -> dict[str, Curve]:
    """The curves that TensorBoard shows of a run."""
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {
        tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def texts(folder: Path, tag: str) -> list[tuple[int, str]]:
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    if f"{tag}/text_summary" not in events.Tags()["tensors"]:
        return []
    return [
        (each.step, each.tensor_proto.string_val[0].decode())
        for each in events.Tensors(f"{tag}/text_summary")
    ]


def without_speed(found: dict[str, Curve]) -> dict[str, Curve]:
    return {tag: curve for tag, curve in found.items() if not tag.startswith("speed/")}


def test_curves_and_samples_are_those_of_the_run(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "plain")
    trained(text, tmp_path / "run", tensorboard=True)
    lines, found = metrics(tmp_path / "run"), curves(tmp_path / "run")

    assert sorted(found) == [
        "bits_per_character/validation",
        "loss/batch",
        "loss/train",
        "loss/validation",
        "optimization/gradient_norm",
        "optimization/learning_rate",
        "perplexity/train",
        "perplexity/validation",
        "speed/tokens_per_second",
    ]
    for part, key in (("train", "train_nats_per_token"), ("validation", "valid_nats_per_token")):
        expected = [(line["step"], line[key]) for line in lines]
        perplexities = [(step, math.exp(nats)) for step, nats in expected]
        assert found[f"loss/{part}"] == [(step, pytest.approx(nats)) for step, nats in expected]
        assert found[f"perplexity/{part}"] == [(step, pytest.approx(each)) for step, each in perplexities]
    assert [step for step, _ in found["loss/batch"]] == [10, 20]
    assert [step for step, _ in texts(tmp_path / "run", "sample")] == [line["step"] for line in lines]
    [(step, settings)] = texts(tmp_path / "run", "config")
    assert step == 0
    assert "    tensorboard = true\n" in settings
    assert not RunFolder(tmp_path / "plain").tensorboard.exists()
    models = [RunFolder(tmp_path / name).model.read_bytes() for name in ("plain", "run")]
    assert models[0] == models[1]


def test_a_resumed_run_goes_on_in_the_same_curves(text: Path, tmp_path: Path) -> None:
    """What is after the checkpoint in the files of a killed process no longer counts."""
    from torch.utils.tensorboard import SummaryWriter

    trained(text, tmp_path / "whole", tensorboard=True)
    folder = tmp_path / "cut"
    *_, first = run.train(config(text, tensorboard=True), folder, should_stop=stop_after(12))
    assert isinstance(first, Interrupted)
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for step in range(first.step + 1, 30):
            writer.add_scalar("loss/batch", 99.0, step)
    *_, last = run.resume(folder)

    assert isinstance(last, Finished)
    assert without_speed(curves(folder)) == without_speed(curves(tmp_path / "whole"))
    assert texts(folder, "sample") == texts(tmp_path / "whole", "sample")
    assert len(texts(folder, "config")) == 1


def test_files_can_be_asked_for_or_left_out_when_a_run_is_resumed(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    list(run.train(config(text), folder, should_stop=stop_after(14)))
    list(run.resume(folder, {"tensorboard": True}))
    begun = curves(folder)
    list(run.resume(folder, {"tensorboard": False, "steps": 48}))

    assert [step for step, _ in begun["loss/batch"]][-1] == 20
    assert 6 not in [step for step, _ in begun["loss/train"]]
    assert curves(folder) == begun


def test_a_rollback_takes_its_steps_back(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run", **TOO_FAST, tensorboard=True)
    found = curves(tmp_path / "run")

    assert any(isinstance(event, RolledBack) for event in events)
    for curve in found.values():
        steps = [step for step, _ in curve]
        assert steps == sorted(set(steps))
    assert [step for step, _ in found["loss/train"]] == [line["step"] for line in metrics(tmp_path / "run")]


def test_answers_have_curves_and_labels_have_accuracies(text: Path, reviews: Path, tmp_path: Path) -> None:
    sums = tmp_path / "sums.txt"
    sums.write_text("".join(f"{a}+{b}={a + b}\n" for a in range(9) for b in range(9)))
    trained(sums, tmp_path / "answers", unit="line", answers_after="=", tensorboard=True)
    list(run.train(config(reviews, **LABELS, tensorboard=True), tmp_path / "labels"))
    of_labels, lines = curves(tmp_path / "labels"), metrics(tmp_path / "labels")

    assert {"loss/validation", "bits_per_character/validation"} <= curves(tmp_path / "answers").keys()
    assert texts(tmp_path / "answers", "sample")
    assert of_labels["accuracy/validation"] == [
        (line["step"], pytest.approx(line["valid_accuracy"])) for line in lines
    ]
    assert not any(tag.startswith(("perplexity/", "bits_per")) for tag in of_labels)
    assert texts(tmp_path / "labels", "sample") == []


def test_without_validation_the_training_loss_is_shown(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run", valid="0", tensorboard=True)

    assert "loss/train" in curves(tmp_path / "run")
    assert "loss/validation" not in curves(tmp_path / "run")
    assert texts(tmp_path / "run", "sample")


def test_a_run_that_is_replaced_takes_its_event_files_with_it(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run", tensorboard=True)
    list(run.train(config(text), tmp_path / "run", overwrite=True))

    assert not RunFolder(tmp_path / "run").tensorboard.exists()


def test_that_files_cannot_be_written_is_told_once_and_does_not_end_the_run(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    notes: list[str] = []
    *_, last = run.train(config(text, tensorboard=True), tmp_path / "run", on_note=notes.append)

    assert isinstance(last, Finished)
    assert notes[-1] == (
        f"no more events for TensorBoard: {tmp_path / 'run' / 'tensorboard'} cannot be written to (No space "
        "left on device); training goes on"
    )
    assert len([note for note in notes if "TensorBoard" in note]) == 1


def test_a_missing_extra_is_an_error_before_anything_is_begun(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(run.train(config(text), tmp_path / "begun", should_stop=stop_after(6)))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    begin: list[Callable[[], Any]] = [
        lambda: run.train(config(text, tensorboard=True), tmp_path / "run"),
        lambda: list(run.resume(tmp_path / "begun", {"tensorboard": True})),
    ]

    for each in begin:
        with pytest.raises(MissingExtraError, match=r'tensorboard, which is not .* "lmgen\[tensorboard\]"'):
            each()
    assert not (tmp_path / "run").exists()


def test_the_command_writes_them(text: Path, tmp_path: Path) -> None:
    small = ["--hidden-size", "8", "--steps", "20", "--batch-size", "4", "--window-length", "8"]
    result = command("train", text.name, *small, "--tensorboard", "--out", "run", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert [step for step, _ in curves(tmp_path / "run")["loss/batch"]] == [10, 20]
