"""The baseline of a long text, fitted when the network is trained: what stops it, and how the run goes on."""

import signal
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.errors import LmgenError, ModelError, WriteError
from lmgen.runs import ngram, run
from lmgen.runs.events import BaselineBegun, BaselineFitted, Event, Finished, Interrupted, Saved, Started
from lmgen.runs.interruption import Interruption
from lmgen.training.events import Evaluated, Stepped
from tests import process
from tests.process import Forked, free_port, place, wait_for
from tests.runs.test_run import TINY, config, metrics, stop_after, text, trained, without_times
from tests.runs.test_trouble import flip, full_disk, resumed

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture

LONG = 1000
"""Tokens from which on a text counts as long in these tests: fewer than it has."""


@pytest.fixture
def usual(text: Path, tmp_path: Path) -> RunFolder:
    """A run whose baseline was fitted before training."""
    trained(text, tmp_path / "usual")
    return RunFolder(tmp_path / "usual")


@pytest.fixture(autouse=True)
def long(usual: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram, "LONG_TOKENS", LONG)


@pytest.fixture
def trained_only(text: Path, tmp_path: Path) -> RunFolder:
    """A run that was stopped while its baseline was fitted."""
    events: list[Event] = []
    for event in run.train(config(text), tmp_path / "run", should_stop=lambda: is_fitting(events)):
        events.append(event)  # noqa: PERF402 - should_stop looks at them meanwhile
    assert events[-1] == Interrupted(tmp_path / "run", 24)
    assert not RunFolder(tmp_path / "run").ngram.exists()
    return RunFolder(tmp_path / "run")


def is_fitting(events: list[Event]) -> bool:
    return isinstance(events[-1], BaselineBegun)


def check_equal(folder: RunFolder, usual: RunFolder) -> None:
    for file, other in ((folder.model, usual.model), (folder.ngram, usual.ngram)):
        assert file.read_bytes() == other.read_bytes()
    assert without_times(metrics(folder.folder)) == without_times(metrics(usual.folder))
    assert not list(folder.folder.rglob(".*"))


def test_training_begins_without_it_and_the_run_is_the_same(
    text: Path, usual: RunFolder, tmp_path: Path
) -> None:
    prepared, *events = trained(text, tmp_path / "run")
    kinds = [type(event) for event in events]

    assert kinds[0] is Started
    assert kinds[-4:] == [Saved, BaselineBegun, BaselineFitted, Finished]
    assert isinstance(prepared, lmgen.data.prepared.Prepared)
    tokens = prepared.train.tokens
    assert prepared.notes[-1] == (
        f"the n-gram baseline is fitted after training, on {tokens:,} tokens in about 0 s; "
        "--baseline-order 0 goes without"
    )
    assert str(events[-3]) == f"baseline  2-gram, being fitted on {tokens:,} tokens"
    assert isinstance(events[-1], Finished)
    assert events[-1].baseline
    assert events[-1].baseline["order"] == 2
    check_equal(RunFolder(tmp_path / "run"), usual)


def test_a_run_that_was_stopped_meanwhile_goes_on_with_its_baseline(
    trained_only: RunFolder, usual: RunFolder
) -> None:
    events, notes = resumed(trained_only)

    assert notes == []
    assert not [event for event in events if isinstance(event, Stepped | Evaluated)]
    assert [type(event) for event in events[-3:]] == [BaselineBegun, BaselineFitted, Finished]
    check_equal(trained_only, usual)


def test_a_baseline_is_not_fitted_twice(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    again = [*run.resume(tmp_path / "run"), *run.resume(tmp_path / "run", {"steps": 30})]

    assert sum(isinstance(event, Finished) for event in again) == 2
    assert not [event for event in again if isinstance(event, BaselineBegun | BaselineFitted)]


def test_a_run_that_was_stopped_in_training_has_its_baseline_at_the_end(
    text: Path, usual: RunFolder, tmp_path: Path
) -> None:
    *_, last = run.train(config(text), tmp_path / "run", should_stop=stop_after(9))
    assert isinstance(last, Interrupted)
    assert not RunFolder(tmp_path / "run").ngram.exists()
    resumed(RunFolder(tmp_path / "run"))

    check_equal(RunFolder(tmp_path / "run"), usual)


@pytest.mark.parametrize("settings", [{"baseline_order": 0}, {"labels": True, "baseline_order": None}])
def test_there_may_be_none(settings: dict[str, Any], text: Path, tmp_path: Path) -> None:
    if "labels" in settings:
        text.write_text("".join(f"{line}\t{line[0]}\n" for line in text.read_text().splitlines()))
    prepared, *events = trained(text, tmp_path / "run", **settings)

    assert isinstance(prepared, lmgen.data.prepared.Prepared)
    assert not [note for note in prepared.notes if "baseline" in note]
    assert not [event for event in events if isinstance(event, BaselineBegun | BaselineFitted)]
    assert isinstance(events[-1], Finished)


def test_without_validation_text_it_is_fitted_and_not_scored(text: Path, tmp_path: Path) -> None:
    events = trained(text, tmp_path / "run", valid="0")

    [fitted] = [event for event in events if isinstance(event, BaselineFitted)]
    assert fitted.valid_nats_per_token is None
    assert RunFolder(tmp_path / "run").ngram.exists()


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_what_held_out_text_does_not_fit_is_told_before_training(
    tokenizer: str, text: Path, tmp_path: Path
) -> None:
    """Line ends that are unknown to a char model; a byte model only finds them dear."""
    (tmp_path / "valid.txt").write_text(text.read_text(), newline="\r\n")
    settings: dict[str, Any] = {"tokenizer": tokenizer, "valid": str(tmp_path / "valid.txt")}
    prepared, *events = trained(text, tmp_path / "run", **settings, baseline_order=4)

    assert isinstance(prepared, lmgen.data.prepared.Prepared)
    [note] = [note for note in prepared.notes if note.startswith("the validation text")]
    assert note.endswith("(--newlines lf)")
    [fitted] = [event for event in events if isinstance(event, BaselineFitted)]
    assert not [note for note in fitted.notes if note.startswith("the validation text")]


def test_a_full_disk_is_told_with_what_there_is(text: Path, usual: RunFolder, tmp_path: Path) -> None:
    events = run.train(config(text), tmp_path / "run")
    until_begun(events)
    with full_disk(), pytest.raises(WriteError, match=r"the network is trained and saved, and .* fits its"):
        list(events)
    assert isinstance(resumed(RunFolder(tmp_path / "run"))[0][-1], Finished)

    check_equal(RunFolder(tmp_path / "run"), usual)


def test_damaged_tokens_are_told_with_what_there_is(text: Path, tmp_path: Path) -> None:
    events = run.train(config(text), tmp_path / "run")
    until_begun(events)
    flip(RunFolder(tmp_path / "run").train_tokens, 0.9)

    with pytest.raises(ModelError, match=r"train\.npy .*; the network is trained and saved"):
        list(events)


def until_begun(events: Any) -> None:
    """Train up to the baseline."""
    assert any(isinstance(event, BaselineBegun) for event in events)


def test_damage_to_it_is_noticed(text: Path, usual: RunFolder, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    flip(folder.ngram, 0.9)
    events, notes = resumed(folder)

    assert notes == [f"{folder.ngram} is damaged: the baseline is fitted again"]
    assert [type(event) for event in events[-3:]] == [BaselineBegun, BaselineFitted, Finished]
    check_equal(folder, usual)


def test_in_python_ctrl_c_says_how_to_go_on(
    text: Path, usual: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run, "fit_baseline", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt, match=r"saved at step 24; lmgen\.resume\(.*\) goes on"):
            lmgen.train(text, out=tmp_path / "run", **TINY)
    lmgen.resume(tmp_path / "run")

    check_equal(RunFolder(tmp_path / "run"), usual)


def test_a_callback_that_raises_when_it_begins_ends_the_run(
    text: Path, usual: RunFolder, tmp_path: Path
) -> None:
    class CallbackError(Exception):
        pass

    def fail(event: Event) -> None:
        if isinstance(event, BaselineBegun):
            raise CallbackError

    with pytest.raises(CallbackError):
        lmgen.train(text, out=tmp_path / "run", on_event=fail, **TINY)
    assert not RunFolder(tmp_path / "run").ngram.exists()
    lmgen.resume(tmp_path / "run")

    check_equal(RunFolder(tmp_path / "run"), usual)


def test_the_first_signal_interrupts_it_at_once() -> None:
    with Interruption([signal.SIGTERM]) as interruption:
        events = interruption.watch([BaselineBegun(2, 10)])
        interruption.updating = True
        next(events)
        assert list(events) == []
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_while_that_is_shown_waits_for_the_run() -> None:
    with Interruption([signal.SIGTERM]) as interruption:
        interruption.updating = True
        next(interruption.watch([BaselineBegun(2, 10)]))
        signal.raise_signal(signal.SIGTERM)
        assert interruption.requested()


def test_a_run_without_it_so_far_can_be_used(trained_only: RunFolder) -> None:
    cwd = trained_only.folder.parent
    scored = process.lmgen("perplexity", "run", cwd=cwd)
    mixed = process.lmgen("perplexity", "run", "--mix", cwd=cwd)
    ordered = process.lmgen("perplexity", "run", "--order", "2", "--json", cwd=cwd)

    missing = "of a run that was trained without one, or not yet to its end"
    assert f"note: no n-gram baseline: run/model.safetensors is {missing}\n" in scored.stderr
    assert scored.stdout.splitlines()[-1].startswith("lstm ")
    assert mixed.returncode == 1
    assert "or not yet to its end; fit one with --order" in mixed.stderr.splitlines()[-1]
    assert '"model": "ngram-2"' in ordered.stdout


PROGRAM = f"""
import lmgen.runs.ngram
lmgen.runs.ngram.LONG_TOKENS = {LONG}
from lmgen.__main__ import main
main()
"""
"""The command, for which a text of a few pages is long."""

SETTINGS = [f"--{name.replace('_', '-')}={value}" for name, value in {**TINY, "baseline_order": 9}.items()]


@pytest.fixture
def pages(text: Path) -> str:
    """A text with which the baseline takes seconds."""
    words = text.read_text(encoding="utf-8").split()
    lines = [" ".join(words[first::step]) for step in range(7, 107) for first in range(step)]
    (text.parent / "pages.txt").write_text("\n".join(lines * 4), encoding="utf-8")
    return "pages.txt"


def begun(pages: str, folder: Path, **environment: str) -> Forked:
    """A command that trains on them."""
    arguments = ["train", pages, "--out", "cut", *SETTINGS]
    return Forked(*arguments, cwd=folder, program=PROGRAM, environment=environment)


@pytest.mark.parametrize(
    ("numbers", "code"),
    [([signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130)],
)
def test_a_signal_ends_the_command_and_its_run_can_go_on(
    numbers: list[int], code: int, pages: str, tmp_path: Path
) -> None:
    with begun(pages, tmp_path) as command:
        wait_for("baseline  9-gram, being fitted on", command)
        for number in numbers:
            command.send_signal(number)
        _, said = command.communicate()

    assert command.returncode == code
    if len(numbers) == 1:
        assert said == "note: stopped at step 24 and saved; `lmgen train --resume --out cut` goes on\n"
    assert "Traceback" not in said
    folder = RunFolder(tmp_path / "cut")
    assert not folder.ngram.exists()
    assert not list(folder.folder.rglob(".*"))
    with Forked("train", "--resume", "--out", "cut", cwd=tmp_path, program=PROGRAM) as again:
        _, said = again.communicate()
    assert again.returncode == 0, said
    assert "being fitted on" in said
    assert folder.ngram.exists()


@pytest.mark.parametrize("stopped", [True, False])
def test_several_processes_wait_for_it(stopped: bool, pages: str, tmp_path: Path) -> None:
    """Process 0 fits it. torchrun sends SIGTERM to all; it is not taken for the loss of a process."""
    port = free_port()
    both = [begun(pages, tmp_path, **place(rank, 2, port)) for rank in range(2)]
    wait_for("baseline  9-gram, being fitted on", both[0])
    if stopped:
        for command in both:
            command.send_signal(signal.SIGTERM)
    said = [command.communicate()[1] for command in both]

    assert [command.returncode for command in both] == [143 if stopped else 0] * 2, said
    assert said[1] == ""
    assert ("note: stopped at step 24 and saved" in said[0]) == stopped
    assert not [line for line in said[0].splitlines() if line.startswith("error:")]
    assert RunFolder(tmp_path / "cut").ngram.exists() != stopped


def test_the_messages_stay_errors_of_their_kind() -> None:
    """What goes on after training adds to a message by making another error of the same kind."""

    def kinds(kind: type[LmgenError]) -> list[type[LmgenError]]:
        return [kind, *(each for sub in kind.__subclasses__() for each in kinds(sub))]

    assert {str(kind("a message")) for kind in kinds(LmgenError)} == {"a message"}
