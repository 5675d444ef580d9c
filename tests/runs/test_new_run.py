"""A run folder comes to be in steps, each of which may be the last of a killed process."""

import shutil
from pathlib import Path

import pytest

from lmgen.data.run_folder import RunFolder, newest_begun
from lmgen.errors import ModelError
from lmgen.files import write_text
from lmgen.runs.new_run import check_free, discard_new, discard_remains, put_in_place


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """An old run, and a new one whose data are complete."""
    run = RunFolder(tmp_path / "run")
    kept = (run.model, run.ngram, run.mixture, run.adapting, run.metrics, run.samples, run.last)
    for file in (run.config, run.prepared, *kept):
        write_text(file, "old")
    for file in (run.new.config, run.new.prepared, run.new.valid_text):
        write_text(file, "new")
    write_text(run.folder / "notes.md", "mine")
    return run


NEW = {"config.toml": "new", "data/prepared.json": "new", "data/valid.txt": "new", "notes.md": "mine"}


def contents(run: RunFolder) -> dict[str, str]:
    files = [file for file in run.folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(run.folder)): file.read_text() for file in files}


def test_a_new_run_takes_the_place_of_the_old_one(run: RunFolder) -> None:
    put_in_place(run)

    assert contents(run) == NEW


@pytest.mark.parametrize("steps", range(14))
def test_what_a_killed_process_has_begun_is_finished(
    steps: int, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file it had got to."""
    left = iter(range(steps))

    def until_killed(name: str) -> None:
        done = getattr(Path, name)

        def step(self: Path, *arguments: object, **settings: object) -> object:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return done(self, *arguments, **settings)

        killed.setattr(Path, name, step)

    with monkeypatch.context() as killed:
        for name in ("unlink", "replace"):
            until_killed(name)
        try:
            put_in_place(run)
        except KeyboardInterrupt:
            pass
    put_in_place(run)

    assert contents(run) == NEW


def test_an_old_run_is_kept_while_the_new_one_is_not_complete(run: RunFolder) -> None:
    run.new.prepared.unlink()
    put_in_place(run)

    assert set(contents(run).values()) == {"old", "mine"}
    assert not run.new.folder.exists()


def test_a_new_run_that_is_half_deleted_does_not_replace_the_old_one(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        run.new.valid_text.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            discard_new(run)
    put_in_place(run)

    assert set(contents(run).values()) == {"old", "mine"}


def test_only_what_no_run_has_begun_in_is_free(run: RunFolder, tmp_path: Path) -> None:
    begun = RunFolder(tmp_path / "begun")
    write_text(begun.new.config, "")
    write_text(begun.lock, "")
    (tmp_path / "empty").mkdir()
    write_text(tmp_path / "photos" / "me.jpg", "")

    for free in (begun, RunFolder(tmp_path / "empty"), RunFolder(tmp_path / "none")):
        check_free(free, overwrite=False)
    with pytest.raises(ModelError, match="there is a run in"):
        check_free(run, overwrite=False)
    check_free(run, overwrite=True)
    write_text(begun.new.prepared, "")
    with pytest.raises(ModelError, match="there is a run in"):
        check_free(begun, overwrite=False)
    with pytest.raises(ModelError, match="not empty and not a run"):
        check_free(RunFolder(tmp_path / "photos"), overwrite=True)


def test_half_written_files_are_deleted_and_nothing_else(run: RunFolder) -> None:
    half = [
        run.folder / ".model.safetensors.a1b2",
        run.folder / ".metrics.jsonl.x",
        run.last.parent / ".new.safetensors.x",
        run.last.parent / ".training.safetensors.x",
        run.last.parent / ".tmpgrosuy",
        run.folder / ".tmpA1b2C3",
    ]
    write_text(run.previous, "old")
    write_text(run.last.parent / "copy" / "training.safetensors", "mine")
    write_text(run.last.parent / "copy.safetensors", "mine")
    before = contents(run)
    for file in [*half, run.unfinished]:
        file.write_text("hal")
    discard_remains(run)

    assert contents(run) == before


def test_a_folder_that_has_the_name_of_a_half_written_file_is_left_alone(run: RunFolder) -> None:
    named_so = [run.folder / ".tmpgrosuy", run.last.parent / ".new.safetensors.x", run.unfinished]
    for folder in named_so:
        folder.mkdir()
    discard_remains(run)

    assert all(folder.is_dir() for folder in named_so)


def test_the_newest_run_to_go_on_with_need_not_have_a_model(run: RunFolder, tmp_path: Path) -> None:
    write_text(tmp_path / "later" / ".new" / "config.toml", "")

    assert newest_begun(tmp_path).folder == tmp_path / "later"
    with pytest.raises(ModelError, match="there is no run under"):
        newest_begun(tmp_path / "none")
