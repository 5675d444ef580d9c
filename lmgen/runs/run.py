"""
A training run from corpus to model: the one call behind `lmgen train`. Events out, files in the run folder.

    corpus ──► tokens on disk ──► n-gram baseline ──► network, window by window ──► best model, summary
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmgen.data.preparation import Prepared, load_prepared
from lmgen.data.run_folder import CHECKPOINTS, RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.files import checksum, write_text
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import as_toml, read_config
from lmgen.runs.events import BaselineFitted, Event, Interrupted, Started
from lmgen.runs.finetuning import Origin, origin_of
from lmgen.runs.lock import Lock, locked
from lmgen.runs.new_run import check_free, discard_new, discard_new_data, discard_remains, put_in_place
from lmgen.runs.ngram import BASELINE_TOKENS, baseline_order, fit_baseline, open_run_corpus
from lmgen.runs.records import Keeper, cut_metrics, is_damaged, model_is_lost, summarized
from lmgen.runs.setup import new_trainer, prepare_run
from lmgen.text.corpora import Corpus
from lmgen.text.sources import STANDARD_INPUT
from lmgen.training.checkpoints import load_checkpoint, save_checkpoint
from lmgen.training.config import BUDGET
from lmgen.training.cost import CostMeter
from lmgen.training.events import RangeTest
from lmgen.training.loop import Trainer
from lmgen.training.process import computing
from lmgen.training.range_test import range_test
from lmgen.training.setup import open_device


def train(
    config: RunConfig,
    folder: Path | None = None,
    *,
    overwrite: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Event]:
    """
    Train a model from the beginning.

    Args:
        config: all settings.
        folder: the run folder; `checkpoints/CORPUS` if None.
        overwrite: replace the run that is there, once the new one is prepared.
        should_stop: asked after every update and during evaluations; yes ends the run, saved.
        tell: hears of a download before it begins, and of what is left out.

    Yields:
        What happens, as it happens; `Finished` or `Interrupted` is the last.

    Raises:
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the run folder exists, another process trains in it, or it is moved while this one does.
        WriteError: the folder cannot be written to at the beginning or at the end; in between that is no more
            than an `Unsaved`.
        NumericalError: even the last good state has no finite loss on the validation text.
    """
    config = config.resolved()
    open_device(config.training.device)
    as_toml(config)  # or it says now what is wrong
    corpus = open_run_corpus(config, tell)
    run = RunFolder(folder or CHECKPOINTS / corpus.name)
    check_free(run, overwrite=overwrite)
    origin = origin_of(config, run)
    with locked(run) as lock:
        check_free(run, overwrite=overwrite)  # again: now nobody else writes there
        try:
            discard_new(run)
            prepared = _prepared(run, config, corpus, origin)
        except BaseException:
            discard_new(run)
            raise
        put_in_place(run)
        yield prepared
        yield from _begin(lock, config, prepared, origin, should_stop, tell)


def resume(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Event]:
    """
    Go on with a run as if it had not stopped; one that was killed early is begun again.

    Args:
        folder: the run folder.
        changes: a new budget (`epochs`, `steps`, `minutes`); schedules stretch over it. Other settings must
            be those that the run has.
        should_stop: as in `train`.
        tell: hears of what was damaged and could be mended.

    Raises:
        ModelError: there is no run to resume, another process trains it, or its files are damaged.
        ConfigError: a change is not one of the budget.
    """
    run = RunFolder(folder)
    if not (run.config.exists() or run.new.config.exists()):
        raise ModelError(f"there is no run in {run.folder} to resume; train without --resume to begin one")
    with locked(run) as lock:
        replaced = run.config.exists() and run.new.config.exists() and not run.new.prepared.exists()
        put_in_place(run)
        discard_remains(run)
        if replaced:
            tell(
                f"{run.folder} is as it was before --overwrite, which had not prepared its text when it "
                "ended; train with --overwrite again to replace it"
            )
        if run.config.exists():
            config = _resumed_config(run, changes or {})
            prepared = load_prepared(run, config.training.evaluation_tokens)
        else:
            config = _resumed_config(run.new, changes or {})
            prepared = _prepared_again(run, config, tell)
            put_in_place(run)
        yield prepared
        if run.last.exists() or run.previous.exists():
            yield from _go_on(lock, config, prepared, should_stop, tell)
        elif run.model.exists():
            raise ModelError(
                f"{run.last} is missing, so {run.folder} cannot be resumed; its model is as it was. Train "
                "anew in another --out"
            )
        else:
            yield from _begin(lock, config, prepared, origin_of(config, run), should_stop, tell)


def _prepared(run: RunFolder, config: RunConfig, corpus: Corpus, origin: Origin | None) -> Prepared:
    """Prepare a new run beside what is in the folder."""
    write_text(run.new.config, as_toml(config))
    return prepare_run(config, corpus, run.new, origin)


def _prepared_again(run: RunFolder, config: RunConfig, tell: Callable[[str], None]) -> Prepared:
    """Prepare a run that was killed before its tokens were complete."""
    if STANDARD_INPUT in config.corpus:
        raise ModelError(
            f"{run.folder} has nothing to go on from: it was stopped while it read its text from a pipe; "
            "pipe it again, without --resume"
        )
    tell(f"{run.folder} was stopped before its text was prepared: that begins again")
    discard_new_data(run)
    return _prepared(run, config, open_run_corpus(config, tell), origin_of(config, run))


def _begin(
    lock: Lock,
    config: RunConfig,
    prepared: Prepared,
    origin: Origin | None,
    should_stop: Callable[[], bool],
    tell: Callable[[str], None],
) -> Iterator[Event]:
    """Train from the first update on. Before that there is nothing to save, and Ctrl-C ends it at once."""
    run = lock.run
    config = replace(config, network=config.network.resolved(prepared.tokenizer.vocabulary_size))
    with computing(config.training.threads):
        try:
            write_text(run.config, as_toml(config))
            run.metrics.unlink(missing_ok=True)
            yield from _fit_baseline(run, config, prepared, tell)
            if config.training.learning_rate == "find":
                tell("before training, a range of learning rates is tried on copies of the network")
            config = yield from _with_found_rate(run, config, prepared, origin)
            trainer = new_trainer(run, config, prepared, origin)
        except KeyboardInterrupt:
            yield Interrupted(run.folder, 0)
            return
        files = {run.ngram.name: checksum(run.ngram)} if run.ngram.exists() else {}
        save_checkpoint(run, trainer.state, files)
        yield from _train(lock, trainer, config, prepared, files, should_stop)


def _go_on(
    lock: Lock,
    config: RunConfig,
    prepared: Prepared,
    should_stop: Callable[[], bool],
    tell: Callable[[str], None],
) -> Iterator[Event]:
    """Train from the last checkpoint on."""
    run = lock.run
    with computing(config.training.threads):
        trainer = new_trainer(run, config, prepared)
        files = load_checkpoint(run, trainer.state, tell)
        write_text(run.config, as_toml(config))
        evaluated = trainer.progress.evaluated_step
        cut_metrics(run.metrics, evaluated)
        if is_damaged(run.ngram, files):
            tell(f"{run.ngram} is damaged: the baseline is fitted again")
            run.ngram.unlink()
        yield from _fit_baseline(run, config, prepared, tell)
        if evaluated >= 0 and model_is_lost(run, evaluated, files):
            tell(
                f"{run.model} is missing or damaged, and with it the best model so far: the next evaluation "
                "writes it anew"
            )
            run.model.unlink(missing_ok=True)
            trainer.state.forget_best()
        yield from _train(lock, trainer, config, prepared, files, should_stop)


def _train(
    lock: Lock,
    trainer: Trainer,
    config: RunConfig,
    prepared: Prepared,
    files: Mapping[str, int],
    should_stop: Callable[[], bool],
) -> Iterator[Event]:
    """Run the trainer and keep its results in the run folder."""
    run = lock.run
    yield Started(
        folder=run.folder,
        config=config,
        prepared=prepared,
        parameters=trainer.state.network.parameter_count,
        device=str(trainer.state.device),
        resumed_step=trainer.progress.step or None,
    )
    keeper = Keeper(lock, trainer, prepared, config.training.checkpoint_minutes, files)
    meter = CostMeter(trainer)
    for event in trainer.run(should_stop):
        if cost := meter.after(event):
            yield cost
        kept = list(keeper.after(event))
        yield event
        yield from kept
    yield from keeper.finish()
    if trainer.stopped_by and trainer.progress.evaluated:
        yield summarized(trainer, run, prepared, trainer.stopped_by)
    else:
        yield Interrupted(run.folder, trainer.progress.step)


def _with_found_rate(
    run: RunFolder, config: RunConfig, prepared: Prepared, origin: Origin | None
) -> Generator[RangeTest, None, RunConfig]:
    """The configuration with a number in place of `find`, which the run folder then has, too."""
    if config.training.learning_rate != "find":
        return config
    trainer = new_trainer(run, config, prepared, origin)
    default = trainer.highest_rate
    found = range_test(trainer)
    yield found
    config = replace(config, training=config.training.at_rate(found.learning_rate, default))
    write_text(run.config, as_toml(config))
    return config


def _fit_baseline(
    run: RunFolder, config: RunConfig, prepared: Prepared, tell: Callable[[str], None]
) -> Iterator[BaselineFitted]:
    """Fit and save the n-gram baseline, unless it is there or there is to be none."""
    if run.ngram.exists():
        return
    order = baseline_order(config, prepared)
    if order:
        yield fit_baseline(run, prepared, order, config.training.evaluation_tokens)
    elif config.training.baseline_order is None:
        tell(f"no n-gram baseline for more than {BASELINE_TOKENS:,} tokens; --baseline-order 5 fits one")


def _resumed_config(run: RunFolder, changes: Mapping[str, Any]) -> RunConfig:
    """The run's own configuration, with a new budget if one is given."""
    try:
        settings = read_config(run.config)
    except ConfigError as error:
        raise ModelError(str(error)) from error
    other = sorted(
        name for name, value in changes.items() if name not in BUDGET and settings.get(name) != value
    )
    if other:
        raise ConfigError(
            f"{', '.join(other)} cannot change when a run is resumed, only {', '.join(BUDGET)}; leave the "
            f"flags out, or train anew in another --out"
        )
    try:
        config = RunConfig.from_settings(settings, str(run.config))
    except ConfigError as error:
        raise ModelError(f"{error}; the run's settings are damaged, so it cannot be resumed") from error
    if not any(name in changes for name in BUDGET):
        return config
    kept = {name: value for name, value in settings.items() if name not in BUDGET}
    return RunConfig.from_settings({**kept, **changes}, "the new budget")
