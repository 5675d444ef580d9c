"""What may happen to a run from outside: damaged files, no space, a folder that goes, a clock that lies."""

import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError, WriteError
from lmgen.runs import records, run
from lmgen.runs.events import Event, Finished, Interrupted, Unsaved
from lmgen.training.checkpoints import save_checkpoint
from lmgen.training.events import Evaluated, Stepped
from lmgen.training.state import TrainingState
from tests.runs.test_run import config, metrics, stop_after, text, trained, without_times

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture

OFTEN: dict[str, Any] = {"checkpoint_minutes": 1e-9, "evaluations": 8}
"""A checkpoint after every update."""


@pytest.fixture
def whole(text: Path, tmp_path: Path) -> RunFolder:
    """The run that nothing happened to."""
    trained(text, tmp_path / "whole", **OFTEN)
    return RunFolder(tmp_path / "whole")


@pytest.fixture
def cut(text: Path, tmp_path: Path) -> RunFolder:
    """The same, stopped after 13 of 24 steps."""
    list(run.train(config(text, **OFTEN), tmp_path / "cut", should_stop=stop_after(13 + 4)))
    return RunFolder(tmp_path / "cut")


def resumed(folder: RunFolder) -> tuple[list[Event], list[str]]:
    """The events of a run that goes on, and its notes."""
    notes: list[str] = []
    return list(run.resume(folder.folder, on_note=notes.append)), notes


def check_equal(folder: RunFolder, whole: RunFolder) -> None:
    assert folder.model.read_bytes() == whole.model.read_bytes()
    assert without_times(metrics(folder.folder)) == without_times(metrics(whole.folder))


def flip(path: Path, share: float) -> None:
    """Flip a bit, so far into a file."""
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 4
    path.write_bytes(content)


@contextmanager
def full_disk(room: int = 1024) -> Iterator[None]:
    """No file can grow beyond so many bytes: a limit of the system itself, which fails like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestDamage:
    @pytest.mark.slow
    @pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5, 1.0])
    def test_a_damaged_checkpoint_is_noticed_and_the_one_before_taken(
        self, share: float, cut: RunFolder, whole: RunFolder
    ) -> None:
        flip(cut.last, share)
        _, notes = resumed(cut)

        assert notes == [f"{cut.last} is damaged: training goes on from the checkpoint before it"]
        check_equal(cut, whole)

    def test_a_checkpoint_that_is_cut_short_is_damaged_too(self, cut: RunFolder, whole: RunFolder) -> None:
        cut.last.write_bytes(cut.last.read_bytes()[:-100])
        _, notes = resumed(cut)

        assert len(notes) == 1
        check_equal(cut, whole)

    def test_two_damaged_checkpoints_are_an_error_and_change_nothing(self, cut: RunFolder) -> None:
        flip(cut.last, 0.5)
        flip(cut.previous, 0.5)
        model = cut.model.read_bytes()

        with pytest.raises(
            ModelError, match=r"training\.safetensors and .*previous\.safetensors are both damaged"
        ):
            resumed(cut)
        assert cut.model.read_bytes() == model
        assert cut.last.exists()

    @pytest.mark.parametrize("name", ["train.npy", "valid.npy", "valid.txt", "prepared.json"])
    @pytest.mark.parametrize("share", [0.3, 1.0])
    def test_damaged_data_are_named(self, name: str, share: float, cut: RunFolder) -> None:
        flip(cut.data / name, share)

        with pytest.raises(ModelError, match=rf"data/{name} .*train again with --overwrite"):
            resumed(cut)

    def test_missing_data_are_named(self, cut: RunFolder) -> None:
        cut.valid_text.unlink()

        with pytest.raises(ModelError, match=r"cannot read .*valid\.txt: No such file"):
            resumed(cut)

    def test_a_damaged_baseline_is_fitted_again(self, cut: RunFolder, whole: RunFolder) -> None:
        flip(cut.ngram, 0.9)
        _, notes = resumed(cut)

        assert notes == [f"{cut.ngram} is damaged: the baseline is fitted again"]
        assert cut.ngram.read_bytes() == whole.ngram.read_bytes()

    @pytest.mark.slow
    @pytest.mark.parametrize("stop", [10, 13 + 4])
    @pytest.mark.parametrize("share", [0.0, 0.9, None])
    def test_a_lost_model_is_written_anew(
        self, stop: int, share: float | None, text: Path, whole: RunFolder, tmp_path: Path
    ) -> None:
        """Stopped between two evaluations, and by one; the model damaged, or deleted."""
        folder = RunFolder(tmp_path / "lost")
        list(run.train(config(text, **OFTEN), folder.folder, should_stop=stop_after(stop)))
        if share is None:
            folder.model.unlink()
        else:
            flip(folder.model, share)
        events, notes = resumed(folder)

        [note] = notes
        assert "is missing or damaged, and with it the best model so far" in note
        check_equal(folder, whole)
        assert isinstance(events[-1], Finished)

    def test_the_model_of_a_finished_run_is_the_last_one_if_the_best_is_lost(
        self, text: Path, tmp_path: Path
    ) -> None:
        """And what is said of it is true of it."""
        folder = RunFolder(tmp_path / "run")
        trained(text, folder.folder, learning_rate=20.0, optimizer="sgd", schedule="constant", steps=12)
        flip(folder.model, 0.9)
        events, _ = resumed(folder)

        finished = events[-1]
        assert isinstance(finished, Finished)
        assert finished.valid_nats_per_token == metrics(folder.folder)[-1]["valid_nats_per_token"]
        score = lmgen.load(folder.folder).score(folder.valid_text.read_text(encoding="utf-8"))
        assert score.nats_per_token == pytest.approx(finished.valid_nats_per_token, rel=1e-5)


class TestBeginnings:
    def test_a_run_that_was_stopped_while_it_was_prepared_begins_again(
        self, text: Path, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = killed_in("prepare_run", config(text, **OFTEN), tmp_path / "run", monkeypatch)
        _, notes = resumed(folder)

        assert notes == [f"{folder.folder} was stopped before its text was prepared: that begins again"]
        check_equal(folder, whole)

    def test_it_may_be_trained_again_from_scratch_too(
        self, text: Path, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = killed_in("prepare_run", config(text, **OFTEN), tmp_path / "run", monkeypatch)
        trained(text, folder.folder, **OFTEN)

        check_equal(folder, whole)

    def test_a_text_from_a_pipe_cannot_be_read_again(
        self, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = killed_in("prepare_run", config(text), tmp_path / "run", monkeypatch)
        folder.new.config.write_text(
            folder.new.config.read_text().replace(f'"{text}"', '"-"'), encoding="utf-8"
        )

        with pytest.raises(ModelError, match=r"stopped while it read its text from a pipe; pipe it again"):
            resumed(folder)

    def test_an_old_run_is_kept_until_the_new_one_is_prepared(
        self, cut: RunFolder, whole: RunFolder, text: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        killed_in("prepare_run", config(text, seed=5), cut.folder, monkeypatch, overwrite=True)
        _, [note] = resumed(cut)

        assert note.startswith(f"{cut.folder} is as it was before --overwrite")
        check_equal(cut, whole)

    @pytest.mark.parametrize("where", ["fit_baseline", "new_trainer", "save_checkpoint"])
    def test_a_run_that_was_stopped_before_its_first_checkpoint_goes_on(
        self, where: str, text: Path, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = killed_in(where, config(text, **OFTEN), tmp_path / "run", monkeypatch)
        with pytest.raises(ModelError, match=r"there is a run in .* already; go on with it \(--resume\)"):
            trained(text, folder.folder)
        resumed(folder)

        check_equal(folder, whole)

    def test_an_evaluation_without_its_checkpoint_is_made_again_and_written_down_once(
        self, text: Path, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed when its line and its model were written; the checkpoint is of the moment before."""

        def save_or_be_killed(folder: RunFolder, state: TrainingState, files: dict[str, int]) -> None:
            if state.position.evaluated_step == 6:
                raise Killed
            save_checkpoint(folder, state, files)

        with monkeypatch.context() as patch:
            patch.setattr(records, "save_checkpoint", save_or_be_killed)
            with pytest.raises(Killed):
                trained(text, tmp_path / "run", **OFTEN)
        _, notes = resumed(RunFolder(tmp_path / "run"))

        assert notes == []
        check_equal(RunFolder(tmp_path / "run"), whole)

    def test_ctrl_c_while_the_baseline_is_fitted_says_how_to_go_on(
        self, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(run, "fit_baseline", interrupted)
            *_, last = run.train(config(text), tmp_path / "run")

        assert last == Interrupted(tmp_path / "run", 0)
        assert isinstance(resumed(RunFolder(tmp_path / "run"))[0][-1], Finished)


class TestSurroundings:
    def test_training_goes_on_while_the_disk_is_full(
        self, text: Path, whole: RunFolder, tmp_path: Path
    ) -> None:
        """Evaluations and the best model of that time are written when there is space again."""
        folder = RunFolder(tmp_path / "run")
        events = run.train(config(text, **OFTEN), folder.folder)
        list(until(5, events))
        with full_disk():
            unsaved = [event for event in until(16, events) if isinstance(event, Unsaved)]
        list(events)

        assert len(unsaved) >= 11
        assert all("File too large" in event.reason for event in unsaved)
        check_equal(folder, whole)

    def test_a_disk_that_stays_full_is_an_error_and_the_last_checkpoint_is_left(
        self, text: Path, whole: RunFolder, tmp_path: Path
    ) -> None:
        folder = RunFolder(tmp_path / "run")
        events = run.train(config(text, **OFTEN), folder.folder)
        list(until(10, events))
        before = folder.last.read_bytes()
        with full_disk(), pytest.raises(WriteError, match=r"free some space, then `lmgen train --resume"):
            list(events)

        assert folder.last.read_bytes() == before
        assert not list(folder.folder.rglob(".*"))
        resumed(folder)
        check_equal(folder, whole)

    def test_a_folder_that_is_deleted_ends_the_run(self, text: Path, tmp_path: Path) -> None:
        events = run.train(config(text, **OFTEN), tmp_path / "run")
        list(until(5, events))
        shutil.rmtree(tmp_path / "run")

        with pytest.raises(ModelError, match="was moved or deleted while it was trained in"):
            list(events)
        assert not (tmp_path / "run").exists()

    def test_a_folder_that_is_moved_can_be_gone_on_with(
        self, text: Path, whole: RunFolder, tmp_path: Path
    ) -> None:
        events = run.train(config(text, **OFTEN), tmp_path / "run")
        list(until(5, events))
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(ModelError, match="was moved or deleted while it was trained in"):
            list(events)
        resumed(RunFolder(tmp_path / "moved"))

        check_equal(RunFolder(tmp_path / "moved"), whole)

    def test_a_clock_that_is_set_back_changes_nothing(
        self, text: Path, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = iter(range(10**9, 0, -3600))
        monkeypatch.setattr(time, "time", lambda: next(now))
        *_, finished = run.train(config(text, **OFTEN), tmp_path / "run")

        assert isinstance(finished, Finished)
        assert 0 < finished.seconds < 60
        check_equal(RunFolder(tmp_path / "run"), whole)

    def test_a_second_run_in_a_folder_is_refused_and_its_model_can_be_used(
        self, text: Path, tmp_path: Path
    ) -> None:
        events = run.train(config(text, **OFTEN), tmp_path / "run")
        list(until(12, events))

        for second in (
            run.train(config(text), tmp_path / "run", overwrite=True),
            run.resume(tmp_path / "run"),
        ):
            with pytest.raises(ModelError, match=r"process \d+ is training in .*run; wait for its end"):
                list(second)
        assert lmgen.load(tmp_path / "run").sample(length=3, seed=1)
        assert isinstance(list(events)[-1], Finished)


def until(step: int, events: Iterator[Event]) -> Iterator[Event]:
    """Events up to that step, and what was said at once of it."""
    for event in events:
        yield event
        if isinstance(event, Stepped | Evaluated) and event.step == step:
            return


class Killed(BaseException):
    """Instead of a signal: nothing is tidied up that is not tidied up whatever happens."""


def killed_in(
    where: str, config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool = False
) -> RunFolder:
    """What a run leaves that is killed where it calls that function of run.py."""

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, where, kill)
        patch.setattr(run, "discard_new", lambda _: None)
        with pytest.raises(Killed):
            list(run.train(config, folder, overwrite=overwrite))
    return RunFolder(folder)
