"""
Which settings a run goes on with when it is resumed, and which of them may be others than before.

A new budget is kept: `config.toml` names it from then on. Settings that only say how the run is computed or
watched (`--device`, `--threads`, `--memory`, `--checkpoint-minutes`, `--tensorboard`) may be others each time
and are not kept. Device and threads still change how sums are rounded: with others the run goes on from the
same state, but no longer bit for bit like the uninterrupted one.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lmgen.errors import ConfigError, ModelError
from lmgen.runs.config import RunConfig, setting_names, spelled
from lmgen.runs.config_file import read_run_config
from lmgen.settings import flag, from_mapping, refuse_unknown
from lmgen.training.config import BUDGET, GPU_PRECISIONS, TrainingConfig
from lmgen.training.processes import own_place

EACH_TIME = ("device", "threads", "memory", "checkpoint_minutes", "tensorboard")
"""Settings that may be others whenever a run is resumed."""

CHANGEABLE = (*BUDGET, *EACH_TIME)


def resumed_config(path: Path, changes: Mapping[str, Any]) -> RunConfig:
    """
    A run's own settings, with a new budget if one is given.

    Args:
        path: the run's `config.toml`.
        changes: settings that the user gives, by the names of the flags.

    Raises:
        ModelError: the file is damaged.
        ConfigError: a setting cannot change, or its value is wrong.
    """
    try:
        config = read_run_config(path)
    except ConfigError as error:
        raise ModelError(f"{error}; the run's settings are damaged, so it cannot be resumed") from error
    changes, kept = spelled(changes), config.to_settings()
    refuse_unknown(changes, setting_names(), "", "see `lmgen train --help`")
    other = sorted(
        name
        for name, value in changes.items()
        if name not in CHANGEABLE and value not in (kept.get(name), config.asked.get(name))
    )
    if other:
        named = ["the corpus" if name == "corpus" else flag(name) for name in other]
        raise ConfigError(
            f"{', '.join(named)} cannot change when a run is resumed, only "
            f"{', '.join(map(flag, CHANGEABLE))}; leave the flags out, or train anew in another --out"
        )
    budget = {name: value for name, value in changes.items() if name in BUDGET}
    if not budget:
        return config.resolved()
    kept = {name: value for name, value in kept.items() if name not in BUDGET}
    if budget.get("minutes") is None:  # there is no time to choose sizes for
        kept.pop("fit_sizes", None)
    asked = {name: value for name, value in config.asked.items() if name not in BUDGET}
    return RunConfig.from_settings({**kept, **budget}, "the new budget", {**asked, **budget}).resolved()


def settings_of_this_call(
    config: RunConfig, changes: Mapping[str, Any], on_note: Callable[[str], None]
) -> dict[str, Any]:
    """
    The settings of EACH_TIME for one call that resumes a run: those given, else the run's own.

    If the device was left to lmgen, it is chosen anew on this machine. The number of threads stays the same
    unless this machine has fewer processors, or several processes share them.

    Args:
        config: of the run, as it was kept.
        changes: settings that the user gives.
        on_note: called where the run goes on in a way that rounds differently.

    Raises:
        ConfigError: a value is wrong, or a GPU is asked for and there is none.
    """
    from lmgen.training.process import default_threads
    from lmgen.training.setup import open_device

    chosen = {name: value for name, value in spelled(changes).items() if name in EACH_TIME}
    given = from_mapping(TrainingConfig, chosen, "the settings for going on")
    asked, training = config.asked, config.training
    device = open_device(given.device if "device" in chosen else asked.get("device", "auto")).type
    if training.device not in ("auto", device):
        on_note(
            f"the run was computed on {training.device} until now and goes on on {device}, which rounds "
            f"differently; --device {training.device} goes on as before"
        )
    if training.precision in GPU_PRECISIONS and device != "cuda":
        on_note(f"numbers of {training.precision} are for GPUs: on {device} the run goes on in float32")
    threads = given.threads if "threads" in chosen else training.threads
    if "threads" not in chosen and "threads" not in asked and (threads or 0) > (os.cpu_count() or 1):
        on_note(f"this machine has fewer than the {threads} processors that the run had until now")
        threads = None
    if "threads" not in chosen and "threads" not in asked and own_place().size > 1:
        threads = None  # torchrun says how many, by OMP_NUM_THREADS
    minutes = given if "checkpoint_minutes" in chosen else training
    return {
        "device": device,
        "threads": threads or default_threads(),
        "checkpoint_minutes": minutes.checkpoint_minutes,
        "tensorboard": (given if "tensorboard" in chosen else training).tensorboard,
        "memory": (given if "memory" in chosen else training).memory,
    }
