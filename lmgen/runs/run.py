"""
A training run from corpus to model, which fills a run folder and yields events: what `lmgen train` calls.

    corpus ──► tokens on disk ──► n-gram baseline ──► network, window by window ──► best model, summary

The baseline of a long text comes after the network, so that training begins at once; before it, only the
beginning of the text is compared with what is held out.

Importing this imports no torch; calling `train` or `resume` does.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmgen.data.prepared import Prepared, load_prepared
from lmgen.data.run_folder import CHECKPOINTS, RunFolder
from lmgen.errors import CorpusError, CutOffError, LmgenError, ModelError, WriteError
from lmgen.files import checksum, write_text
from lmgen.interrupts import arrived
from lmgen.runs.board import check_board, on_board
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import as_toml
from lmgen.runs.events import BaselineBegun, BaselineFitted, Event, Interrupted, SizesChosen
from lmgen.runs.finetuning import Origin, origin_of
from lmgen.runs.lock import Lock, locked
from lmgen.runs.new_run import (
    check_free,
    discard_new,
    discard_new_data,
    discard_remains,
    discard_unless_begun,
    put_in_place,
    refuse_own_texts,
)
from lmgen.runs.ngram import (
    BASELINE_TOKENS,
    baseline_order,
    comes_late,
    fit_baseline,
    open_run_corpus,
)
from lmgen.runs.overfitting import OverfittingWatch
from lmgen.runs.pretrained import Pretrained, with_vector_size
from lmgen.runs.records import (
    Keeper,
    cut_lines,
    is_damaged,
    model_is_lost,
    note_file,
    records_in,
    save_checkpoint,
    summarized,
)
from lmgen.runs.resuming import resumed_config, settings_of_this_call
from lmgen.runs.setup import import_torch, new_trainer, on_this_machine, prepare_run, starting_vectors
from lmgen.runs.sizes import fitting
from lmgen.runs.threads import choose_threads, may_choose, with_threads
from lmgen.runs.together import check_together, started, tell_to_begin, tell_to_go, together
from lmgen.text.corpora import Corpus
from lmgen.text.given import is_placeholder
from lmgen.text.sources import STANDARD_INPUT
from lmgen.training.events import RangeTest

if TYPE_CHECKING:
    from lmgen.training.distributed import Group
    from lmgen.training.loop import Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What the caller of `train` or `resume` wants, besides the settings that the run keeps."""

    group: "Group"
    """The processes that train together, of which this is the first."""
    should_stop: Callable[[], bool]
    on_note: Callable[[str], None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of training that hold for this call only, such as another device."""
    says_threads: bool = False
    """Whether the caller says in how many threads to go on."""

    def applied(self, config: RunConfig) -> RunConfig:
        """The run's settings with those of this call."""
        return replace(config, training=replace(config.training, **self.settings))

    def in_threads(self, threads: int) -> "_Call":
        """The same in another number of threads, where this call has one of its own."""
        return replace(self, settings=self.settings and {**self.settings, "threads": threads})


def train(
    config: RunConfig,
    folder: Path | None = None,
    *,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    on_note: Callable[[str], None] = lambda _: None,
) -> Generator[Event, None, None]:
    """
    Train a model from the beginning. The call imports torch; the rest happens while the events are read.

    Where torchrun has started several processes, all of them call this. Process 0 yields all events, the
    others only `Started` and the last one.

    Args:
        config: all settings.
        folder: the run folder; `checkpoints/CORPUS` if None.
        overwrite: replace the run that is there, once the new one is prepared.
        should_stop: asked after every update and during evaluations; True saves the run and ends it.
        on_note: called with notes for the user, such as that a download begins.

    Yields:
        What happens, as it happens; `Finished` or `Interrupted` is the last.

    Raises:
        ConfigError: a GPU is asked for and there is none.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the run folder exists, another process trains in it, or it is moved while this one does.
        WriteError: the folder cannot be written to at the beginning or at the end; in between that is no more
            than an `Unsaved`.
        NumericalError: even the last good state has no finite loss on the validation text, or without one has
            weights that are not finite.
        LostProcessError: another process of the training has ended.
    """
    check_together(config)
    check_board(config)
    import_torch()

    def lead(group: "Group") -> Generator[Event, None, None]:
        call = _Call(group=group, should_stop=should_stop, on_note=on_note)
        return _new_run(config, folder, call, overwrite=overwrite)

    return together(lead, should_stop)


def resume(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_note: Callable[[str], None] = lambda _: None,
) -> Generator[Event, None, None]:
    """
    Go on with a run as if it had not stopped; one that was killed early is begun again. Imports torch.

    Args:
        folder: the run folder.
        changes: settings by the names of the flags: a new budget, over which schedules stretch, or settings
            for this call only (see resuming.py). Any others must be those that the run has.
        should_stop: as in `train`.
        on_note: called with notes for the user, such as what was damaged and could be repaired.

    Yields:
        As `train`.

    Raises:
        ModelError: there is no run to resume, another process trains it, or its files are damaged.
        CorpusError: there is no answer in the text of its evaluations.
        ConfigError: a setting cannot change, or its value is wrong.
        LostProcessError: another process of the training has ended.
    """
    import_torch()

    def lead(group: "Group") -> Generator[Event, None, None]:
        return _resumed_run(
            folder, changes or {}, _Call(group=group, should_stop=should_stop, on_note=on_note)
        )

    return together(lead, should_stop)


def _new_run(
    config: RunConfig, folder: Path | None, call: _Call, *, overwrite: bool
) -> Generator[Event, None, None]:
    """Prepare the run beside what is in its folder, put it in place and train."""
    config = with_vector_size(on_this_machine(config.resolved()))
    as_toml(config)  # raises now if it cannot be written
    corpus = open_run_corpus(config, call.on_note)
    run = RunFolder(folder or CHECKPOINTS / corpus.name)
    check_free(run, overwrite=overwrite)
    refuse_own_texts(run, (*config.corpus, config.held_out.valid, config.held_out.test))
    origin = origin_of(config, run)
    with locked(run, call.on_note) as lock:
        check_free(run, overwrite=overwrite)  # again: now nobody else writes there
        try:
            discard_unless_begun(run)
            prepared = _prepared(run, config, corpus, origin)
        except (KeyboardInterrupt, CutOffError, WriteError):
            discard_unless_begun(run)
            if run.new.begun.exists():
                call.on_note(
                    "what was prepared of the text is kept, and the same command goes on with it; without "
                    f"{run.new.folder} it begins again"
                )
            raise
        except BaseException:
            discard_new(run)
            raise
        put_in_place(run)
        yield prepared
        yield from _begin(lock, config, prepared, origin, call)


def _resumed_run(folder: Path, changes: Mapping[str, Any], call: _Call) -> Generator[Event, None, None]:
    """Repair what a killed process has left in the folder and train on from there."""
    run = RunFolder(folder)
    if not (run.config.exists() or run.new.config.exists()):
        raise ModelError(f"there is no run in {run.folder} to resume; train without --resume to begin one")
    with locked(run, call.on_note) as lock:
        replaced = run.config.exists() and run.new.config.exists() and not run.new.prepared.exists()
        put_in_place(run)
        discard_remains(run)
        if replaced:
            call.on_note(
                f"{run.folder} is as it was before --overwrite, which had not prepared its text when it "
                "ended; train with --overwrite again to replace it"
            )
        in_place = run.config.exists()
        config = resumed_config(run.config if in_place else run.new.config, changes)
        settings = settings_of_this_call(config, changes, call.on_note)
        call = replace(call, settings=settings, says_threads="threads" in changes)
        check_together(config)
        check_board(call.applied(config))
        if config.training.device == "auto":  # in runs of lmgen 0.1
            config = on_this_machine(config)
        if in_place:
            prepared = load_prepared(run, config.training.evaluation_tokens)
            if nothing_scored := prepared.nothing_scored(run, config.training.evaluation_tokens):
                if prepared.labels is None:
                    raise CorpusError(f"{nothing_scored}; train anew with more --evaluation-tokens")
                call.on_note(f"{nothing_scored}, and their loss is 0")  # such a run could once be begun
        else:
            prepared = _prepared_again(run, config, call.on_note)
            put_in_place(run)
        yield prepared
        if run.last.exists() or run.previous.exists():
            yield from _go_on(lock, config, prepared, call)
        elif run.model.exists():
            raise ModelError(
                f"{run.last} is missing, so {run.folder} cannot be resumed; its model is as it was. Train "
                "anew in another --out"
            )
        else:
            yield from _begin(lock, config, prepared, origin_of(config, run), call)


def _prepared(run: RunFolder, config: RunConfig, corpus: Corpus, origin: Origin | None) -> Prepared:
    """Prepare a new run beside what is in the folder."""
    write_text(run.new.config, as_toml(config))
    beside = run.folder.absolute().parent.glob(f"*/{run.prepared.relative_to(run.folder)}")
    others = (RunFolder(file.parent.parent) for file in beside)
    return prepare_run(config, corpus, run.new, origin, others)


def _prepared_again(run: RunFolder, config: RunConfig, on_note: Callable[[str], None]) -> Prepared:
    """Prepare a run that was killed before its tokens were complete."""
    if STANDARD_INPUT in config.corpus:
        raise ModelError(
            f"{run.folder} has nothing to go on from: it was stopped while it read its text from a pipe; "
            "pipe it again, without --resume"
        )
    if any(map(is_placeholder, (*config.corpus, config.held_out.valid, config.held_out.test))):
        raise ModelError(
            f"{run.folder} has nothing to go on from: it was stopped while it read its texts, and no file "
            "holds them; train again with the same texts"
        )
    goes_on = run.new.begun.exists()
    how = "goes on" if goes_on else "begins again"
    on_note(f"{run.folder} was stopped before its text was prepared: that {how}")
    if not goes_on:
        discard_new_data(run)
    return _prepared(run, config, open_run_corpus(config, on_note), origin_of(config, run))


def _begin(
    lock: Lock, config: RunConfig, prepared: Prepared, origin: Origin | None, call: _Call
) -> Iterator[Event]:
    """Train from the first update on. Before it there is nothing to save, and Ctrl-C ends the run at once."""
    from lmgen.training.process import computing, use_threads

    run = lock.run
    config = replace(config, network=config.network.resolved(prepared.tokenizer.vocabulary_size))
    with computing(call.applied(config).training.threads):
        try:
            write_text(run.config, as_toml(config))
            run.metrics.unlink(missing_ok=True)
            run.samples.unlink(missing_ok=True)
            yield from _fit_baseline(run, call.applied(config), prepared, call.on_note)
            speeds: dict[int, float] = {}
            if not call.says_threads and may_choose(call.applied(config)):
                chosen, speeds = choose_threads(run, call.applied(config), prepared, origin)
                if chosen:
                    config, call = with_threads(config, chosen.threads), call.in_threads(chosen.threads)
                    use_threads(chosen.threads)
                    write_text(run.config, as_toml(config))
                    yield chosen
            if config.fit_sizes:
                applied = call.applied(config)
                config = config.with_sizes(*fitting(run, applied, prepared, speeds, call.group.size))
                write_text(run.config, as_toml(config))
                yield SizesChosen(config.fitted)
            pretrained = starting_vectors(config, run, prepared, call.on_note)
            tell_to_begin(call.group, run, config, call.settings, resumed=False)
            if config.training.learning_rate == "find":
                config = yield from _with_found_rate(run, config, prepared, origin, pretrained, call)
            trainer = new_trainer(run, call.applied(config), prepared, origin, pretrained, call.group)
        except KeyboardInterrupt:
            arrived()
            yield Interrupted(run.folder, 0)
            return
        files = {run.ngram.name: checksum(run.ngram)} if run.ngram.exists() else {}
        save_checkpoint(run, trainer.state, files)
        yield from _train(lock, trainer, call.applied(config), prepared, files, call)


def _go_on(lock: Lock, config: RunConfig, prepared: Prepared, call: _Call) -> Iterator[Event]:
    """Train from the last checkpoint on."""
    from lmgen.training.checkpoints import load_checkpoint
    from lmgen.training.process import computing

    run = lock.run
    with computing(call.applied(config).training.threads):
        tell_to_begin(call.group, run, config, call.settings, resumed=True)
        trainer = new_trainer(run, call.applied(config), prepared, group=call.group)
        files = load_checkpoint(run, trainer.state, call.on_note)
        write_text(run.config, as_toml(config))
        evaluated = trainer.progress.evaluated_step
        cut_lines(run.metrics, evaluated)
        cut_lines(run.samples, trainer.progress.step)
        if is_damaged(run.ngram, files):
            call.on_note(f"{run.ngram} is damaged: the baseline is fitted again")
            run.ngram.unlink()
        yield from _fit_baseline(run, call.applied(config), prepared, call.on_note)
        # Without validation text, each checkpoint writes a model, too.
        written = evaluated >= 0 if prepared.valid else run.model.name in files
        saved_until = evaluated if prepared.valid else trainer.progress.step
        if written and model_is_lost(run, saved_until, files):
            and_so = ", and with it the best model so far" if prepared.valid else ""
            call.on_note(f"{run.model} is missing or damaged{and_so}: the next evaluation writes it anew")
            run.model.unlink(missing_ok=True)
            if prepared.valid:
                trainer.state.forget_best()
        yield from _train(lock, trainer, call.applied(config), prepared, files, call)


def _train(
    lock: Lock,
    trainer: "Trainer",
    config: RunConfig,
    prepared: Prepared,
    files: Mapping[str, int],
    call: _Call,
) -> Iterator[Event]:
    """Run the trainer and keep its results in the run folder."""
    run = lock.run
    run.vectors.unlink(missing_ok=True)  # the checkpoint has them
    tell_to_go(call.group)
    yield started(run, config, prepared, trainer)
    keeper = Keeper(lock, trainer, prepared, config.training.checkpoint_minutes, files)
    kept = islice(records_in(run.metrics), trainer.state.position.lost, None)
    watch = OverfittingWatch(line for _, line in kept)
    events = _updates(trainer, keeper, watch, call.should_stop)
    if config.training.tensorboard:
        events = on_board(events, run, trainer, prepared, call.on_note)
    yield from events
    stopped_by = trainer.stopped_by if trainer.progress.evaluated else None
    if stopped_by and (yield from _fit_late_baseline(run, config, prepared, call.should_stop)):
        yield summarized(trainer, run, prepared, stopped_by)
    else:
        yield Interrupted(run.folder, trainer.progress.step)


def _updates(
    trainer: "Trainer", keeper: Keeper, watch: OverfittingWatch, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """Run the trainer to its end; each event comes when what it leads to is written."""
    from lmgen.training.cost import CostMeter

    meter = CostMeter(trainer)
    for event in trainer.run(should_stop, keeper.is_due):
        if cost := meter.after(event):
            yield cost
        kept = list(keeper.after(event))
        yield event
        yield from kept
        if past_best := watch.after(event):
            yield past_best
    yield from keeper.finish()


def _with_found_rate(
    run: RunFolder,
    config: RunConfig,
    prepared: Prepared,
    origin: Origin | None,
    pretrained: Pretrained | None,
    call: _Call,
) -> Generator[RangeTest, None, RunConfig]:
    """The configuration with a number in place of `find`; config.toml then has it, too."""
    from lmgen.training.range_test import range_test

    call.on_note("before training, a range of learning rates is tried on copies of the network")
    trainer = new_trainer(run, call.applied(config), prepared, origin, pretrained, call.group)
    default = trainer.highest_rate
    found = range_test(trainer)
    yield found
    config = replace(config, training=config.training.at_rate(found.learning_rate, default))
    write_text(run.config, as_toml(config))
    return config


def _fit_baseline(
    run: RunFolder, config: RunConfig, prepared: Prepared, on_note: Callable[[str], None]
) -> Iterator[BaselineFitted]:
    """Fit and save the n-gram baseline, unless it is there, comes late, or there is to be none."""
    if run.ngram.exists() or comes_late(config, prepared):
        return
    if baseline_order(config, prepared):
        yield _fitted_baseline(run, config, prepared)
    elif config.training.baseline_order is None and prepared.labels is None:
        on_note(f"no n-gram baseline for more than {BASELINE_TOKENS:,} tokens; --baseline-order 5 fits one")


def _fit_late_baseline(
    run: RunFolder, config: RunConfig, prepared: Prepared, should_stop: Callable[[], bool]
) -> Generator[BaselineBegun | BaselineFitted, None, bool]:
    """
    Fit and save the n-gram baseline of a network that is trained and saved, unless it is there.

    Returns:
        Whether nothing stopped it on the way, so that the run is finished.

    Raises:
        LmgenError: it cannot be fitted or written; the message says what there is, and how to go on.
    """
    order = baseline_order(config, prepared)
    if not order or run.ngram.exists():
        return True
    yield BaselineBegun(order, prepared.train.tokens)
    try:
        if should_stop():  # asked since the last update; from now on a signal raises KeyboardInterrupt
            return False
        fitted = _fitted_baseline(run, config, prepared)
        note_file(run, run.ngram)
    except KeyboardInterrupt:
        arrived()
        return False
    except LmgenError as error:
        raise type(error)(
            f"{error}; the network is trained and saved, and `lmgen train --resume --out {run.folder}` fits "
            "its baseline"
        ) from error
    yield fitted
    return True


def _fitted_baseline(run: RunFolder, config: RunConfig, prepared: Prepared) -> BaselineFitted:
    compares = config.origin is None and not comes_late(config, prepared)
    scored, memory = config.training.evaluation_tokens, config.training.memory
    order = baseline_order(config, prepared)
    return fit_baseline(run, prepared, order, scored, memory, compares=compares)
