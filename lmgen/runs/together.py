"""
A run that several processes train together (training/distributed.py), as torchrun starts them.

Process 0 does all that a process on its own does: it prepares the texts, prints and writes. The others
follow it through the run folder, and from then on take the same steps. The baseline of a long text comes
just before the summary.

    process 0       prepare ── baseline ─┬─ network ── checkpoint ─┬─ updates ── checkpoint ── summary ─┬─
                                     "begin"                     "go"                                 "end"
    the others                           └─ network ───────────────┴─ updates ──────────────────────────┴─

Importing this imports no torch.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmgen.data.prepared import Prepared, load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import as_toml, run_config_in
from lmgen.runs.events import Event, Finished, Interrupted, Started
from lmgen.runs.setup import new_trainer
from lmgen.training.events import Stepped
from lmgen.training.processes import own_place

if TYPE_CHECKING:
    from lmgen.training.distributed import Group
    from lmgen.training.loop import Trainer


def check_together(config: RunConfig) -> None:
    """
    Refuse what several processes cannot train together, if there are several.

    Raises:
        ConfigError: a setting is only for one process.
    """
    size = own_place().size
    if size > 1 and config.training.batch_size < size:
        raise ConfigError(
            f"--batch-size {config.training.batch_size} is shared out among {size} processes, and each needs "
            "a stream: start fewer, or give a larger --batch-size"
        )
    if size > 1 and config.network.normalization == "batch":
        raise ConfigError(
            "--normalization batch takes its statistics over a whole batch, which no process has where "
            "several train: take --normalization layer, or train in one process"
        )


def refuse_together(what: str) -> None:
    """
    Refuse something that is only for one process, if there are several.

    Raises:
        ConfigError: there are.
    """
    if own_place().size > 1:
        raise ConfigError(f"{what} is for one process: start it without torchrun")


def together(
    lead: Callable[["Group"], Generator[Event, None, None]], should_stop: Callable[[], bool]
) -> Generator[Event, None, None]:
    """
    Do a run with all processes that there are.

    Args:
        lead: the run as process 0 does it, or a process on its own.
        should_stop: asked after every update and during evaluations.

    Yields:
        The events of the run. The last one comes when the processes have parted.

    Raises:
        LostProcessError: another process has ended.
    """
    from lmgen.training.distributed import joined

    last = None
    has_started = False
    with joined() as group, closing(_follow(group, should_stop) if group.rank else lead(group)) as events:
        for event in events:
            if isinstance(event, Finished | Interrupted):
                last = event
            else:
                has_started = has_started or isinstance(event, Started)
                yield event
        if group.size > 1 and not has_started:  # Ctrl-C came while the others may be doing something else
            raise KeyboardInterrupt
        if not group.rank:
            group.tell({"finished": asdict(last) if isinstance(last, Finished) else None})
            group.meet()
    if last is not None:
        yield last


def tell_to_begin(
    group: "Group", run: RunFolder, config: RunConfig, settings: Mapping[str, Any], *, resumed: bool
) -> None:
    """
    Tell the other processes that a run is prepared.

    Args:
        group: the processes.
        run: its folder.
        config: its settings, as `config.toml` keeps them.
        settings: settings of training for this call only.
        resumed: whether it goes on from a checkpoint.
    """
    if group.size > 1:
        folder = str(run.folder.absolute())
        group.tell(
            {"folder": folder, "config": as_toml(config), "settings": dict(settings), "resumed": resumed}
        )


def tell_to_go(group: "Group") -> None:
    """Tell the other processes that the checkpoint is written or read, and that updates begin."""
    group.tell({})


def _follow(group: "Group", should_stop: Callable[[], bool]) -> Generator[Event, None, None]:
    """Take the same steps as process 0, and write nothing."""
    from lmgen.training.checkpoints import gather_checkpoint, load_checkpoint
    from lmgen.training.process import computing

    begun = group.told()
    run = RunFolder(Path(begun["folder"]))
    kept = run_config_in(begun["config"], run.config)
    config = replace(kept, training=replace(kept.training, **begun["settings"]))
    prepared = _prepared(run, config, group)
    with computing(config.training.threads):
        if config.training.learning_rate == "find":
            config = _with_found_rate(run, config, prepared, group)
        trainer = new_trainer(run, config, prepared, group=group)
        if begun["resumed"]:
            group.told()
            load_checkpoint(run, trainer.state, lambda _: None)
        else:
            gather_checkpoint(trainer.state)
            group.told()
        yield started(run, config, prepared, trainer)
        for event in trainer.run(should_stop):
            if isinstance(event, Stepped) and trainer.agreed.save:
                gather_checkpoint(trainer.state)
        gather_checkpoint(trainer.state)
        end = group.told()
        group.meet()
    if end["finished"]:
        yield Finished(**end["finished"])
    else:
        yield Interrupted(run.folder, trainer.progress.step)


def started(run: RunFolder, config: RunConfig, prepared: Prepared, trainer: "Trainer") -> Started:
    """What there is to say before the first update."""
    return Started(
        folder=run.folder,
        config=config,
        prepared=prepared,
        parameters=trainer.state.network.parameter_count,
        device=str(trainer.state.device),
        resumed_step=trainer.progress.step or None,
        processes=trainer.group.size,
    )


def _prepared(run: RunFolder, config: RunConfig, group: "Group") -> Prepared:
    if not run.prepared.exists():
        raise ModelError(
            f"process {group.rank} does not find {run.prepared}, which process 0 has written: --out has to "
            "be a folder that all machines share"
        )
    return load_prepared(run, config.training.evaluation_tokens)


def _with_found_rate(run: RunFolder, config: RunConfig, prepared: Prepared, group: "Group") -> RunConfig:
    """The settings with the learning rate that all processes find together."""
    from lmgen.training.range_test import range_test

    trainer = new_trainer(run, config, prepared, group=group)
    default = trainer.highest_rate
    found = range_test(trainer).learning_rate
    return replace(config, training=config.training.at_rate(found, default))
