"""
A training run from corpus to model: the one call behind `lmgen train`. Events out, files in the run folder.

    corpus ──► tokens on disk ──► n-gram baseline ──► network, window by window ──► best model, summary
"""

import tomllib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import tomli_w

from lmgen.data.preparation import Prepared, load_prepared
from lmgen.data.run_folder import CHECKPOINTS, RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.files import write_text
from lmgen.training.checkpoints import load_checkpoint, save_checkpoint
from lmgen.training.config import BUDGET, RunConfig
from lmgen.training.cost import CostMeter
from lmgen.training.events import (
    BaselineFitted,
    Evaluated,
    Event,
    Interrupted,
    RangeTest,
    RolledBack,
    Saved,
    Started,
)
from lmgen.training.finetuning import Origin, origin_of, with_origin
from lmgen.training.loop import Trainer
from lmgen.training.ngram import BASELINE_TOKENS, baseline_order, fit_baseline, open_run_corpus
from lmgen.training.presets import with_preset
from lmgen.training.range_test import range_test
from lmgen.training.records import append_metrics, cut_metrics, save_network, summarized
from lmgen.training.setup import chosen_threads, new_trainer, open_device, prepare_run


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
        overwrite: replace the run that is there.
        should_stop: asked after every update; yes ends the run, saved.
        tell: hears of a download before it begins, and of what is left out.

    Yields:
        What happens, as it happens; `Finished` or `Interrupted` is the last.

    Raises:
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the run folder exists.
        NumericalError: even the last good state has no finite loss on the validation text.
    """
    config = config.resolved()
    open_device(config.training.device)
    _as_toml(config)  # or it says now what is wrong
    corpus = open_run_corpus(config, tell)
    run = RunFolder(folder or CHECKPOINTS / corpus.name)
    origin = origin_of(config, run)
    prepared = prepare_run(config, corpus, run, origin, overwrite=overwrite)
    config = replace(config, network=config.network.resolved(prepared.tokenizer.vocabulary_size))
    write_text(run.config, _as_toml(config))
    yield prepared
    with chosen_threads(config):
        if baseline_order(config, prepared) == 0 and config.training.baseline_order is None:
            tell(f"no n-gram baseline for more than {BASELINE_TOKENS:,} tokens; --baseline-order 5 fits one")
        yield from _fit_baseline(run, config, prepared)
        if config.training.learning_rate == "find":
            tell("before training, a range of learning rates is tried on copies of the network")
        config = yield from _with_found_rate(run, config, prepared, origin)
        trainer = new_trainer(run, config, prepared, origin)
        yield from _train(trainer, run, config, prepared, should_stop)


def resume(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """
    Go on with a run as if it had not stopped.

    Args:
        folder: the run folder.
        changes: a new budget (`epochs`, `steps`, `minutes`); schedules stretch over it. Other settings must
            be those that the run has.
        should_stop: as in `train`.

    Raises:
        ModelError: there is no run to resume, or its files are damaged.
        ConfigError: a change is not one of the budget.
    """
    run = RunFolder(folder)
    config = _resumed_config(run, changes or {})
    prepared = load_prepared(run)
    yield prepared
    with chosen_threads(config):
        if run.last.exists():
            trainer = new_trainer(run, config, prepared)
            load_checkpoint(run.last, trainer)
        elif run.model.exists():
            raise ModelError(
                f"{run.last} is missing, so {run.folder} cannot be resumed; its model is as it was. Train "
                "anew in another --out"
            )
        else:
            origin = origin_of(config, run)
            config = yield from _with_found_rate(run, config, prepared, origin)
            trainer = new_trainer(run, config, prepared, origin)
        write_text(run.config, _as_toml(config))
        cut_metrics(run.metrics, trainer.position.step)
        if not run.ngram.exists():
            yield from _fit_baseline(run, config, prepared)
        yield from _train(trainer, run, config, prepared, should_stop)


def configured(settings: Mapping[str, Any], where: str) -> RunConfig:
    """
    The configuration of a new run, from flat settings by the names of the flags.

    Raises:
        ConfigError: a name is unknown or a value is wrong; `where` says where it was read.
        ModelError: the model that the run is to start from cannot be used.
    """
    return RunConfig.from_settings(with_preset(with_origin(settings, where), where), where)


def read_config(path: Path) -> dict[str, Any]:
    """
    Settings from a TOML file, by the names of the flags.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the settings in {path}: {error}") from error


def _train(
    trainer: Trainer,
    run: RunFolder,
    config: RunConfig,
    prepared: Prepared,
    should_stop: Callable[[], bool],
) -> Iterator[Event]:
    """Run the trainer and keep its results in the run folder."""
    step = trainer.position.step
    yield Started(
        folder=run.folder,
        config=config,
        prepared=prepared,
        parameters=trainer.network.parameter_count,
        device=str(trainer.network.embedding.device),
        resumed_step=step or None,
    )
    if not run.last.exists():
        save_checkpoint(run.last, trainer)
    saved_at = monotonic()
    meter = CostMeter(trainer)
    for event in trainer.run(should_stop):
        if cost := meter.after(event):
            yield cost
        if isinstance(event, Evaluated):
            append_metrics(run.metrics, event)
            if trainer.improved:
                save_network(run, trainer, prepared)
        elif isinstance(event, RolledBack):
            cut_metrics(run.metrics, event.step)
        # A checkpoint between an update and its evaluation would make a resumed run skip the evaluation.
        due = monotonic() - saved_at >= 60 * config.training.checkpoint_minutes
        if due and not trainer.evaluation_due:
            save_checkpoint(run.last, trainer)
            saved_at = monotonic()
        yield event
        if isinstance(event, Evaluated) and trainer.improved:
            yield Saved(run.model)
    if not run.model.exists():
        save_network(run, trainer, prepared)
    save_checkpoint(run.last, trainer)
    if stopped_by := trainer.stopped_by:
        yield summarized(trainer, run, prepared, stopped_by)
    else:
        yield Interrupted(run.folder, trainer.position.step)


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
    write_text(run.config, _as_toml(config))
    return config


def _fit_baseline(run: RunFolder, config: RunConfig, prepared: Prepared) -> Iterator[BaselineFitted]:
    """Fit and save the n-gram baseline, unless there is to be none."""
    if order := baseline_order(config, prepared):
        yield fit_baseline(run, prepared, order, config.training.evaluation_tokens)


def _resumed_config(run: RunFolder, changes: Mapping[str, Any]) -> RunConfig:
    """The run's own configuration, with a new budget if one is given."""
    if not run.config.exists():
        raise ModelError(f"there is no run in {run.folder} to resume; train without --resume to begin one")
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


def _as_toml(config: RunConfig) -> str:
    """
    What `config.toml` says.

    Raises:
        ConfigError: a path cannot be written down.
    """
    settings = tomli_w.dumps(config.to_settings())
    try:
        settings.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError("a path of the corpus is not UTF-8; rename it") from error
    return settings
