"""
How many threads a run computes in: all, unless fewer are faster here and now.

Threads that wait for each other at every product wait for the slowest. Where another program has one of two
processors, an update in two threads takes many times as long as in one; where nobody has, it is faster.

Results depend on the number of threads, since sums are rounded in another order. So it is chosen only for
runs that end after a time, which end elsewhere every time anyway. `config.toml` keeps it for `--resume`.
"""

import os
from dataclasses import replace

from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.runs.config import RunConfig
from lmgen.runs.events import ThreadsChosen
from lmgen.runs.finetuning import Origin
from lmgen.runs.setup import new_trainer
from lmgen.runs.sizes import MEASURED, measured_seconds
from lmgen.training.processes import own_place

SAID_ELSEWHERE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads torch is to have."""

FASTER = 1.1
"""Fewer threads have to be faster by this factor: what is left of two speeds may be luck."""


def may_choose(config: RunConfig) -> bool:
    """
    Whether the number of threads of a new run is left to lmgen.

    Args:
        config: with the device and the number of threads that it has on this machine.
    """
    training = config.training
    ends_by_time = training.minutes is not None and training.steps is None and training.epochs is None
    is_said = "threads" in config.asked or not os.environ.keys().isdisjoint(SAID_ELSEWHERE)
    several = training.device == "cpu" and (training.threads or 1) > 1
    return ends_by_time and several and not is_said and own_place().size == 1


def choose_threads(
    run: RunFolder, config: RunConfig, prepared: Prepared, origin: Origin | None = None
) -> tuple[ThreadsChosen | None, dict[int, float]]:
    """
    Time some updates in one thread and in all.

    Args:
        run: with the token files.
        config: settings for which `may_choose` says yes.
        prepared: what is in the token files.
        origin: the model to fine-tune.

    Returns:
        The choice, if it is one thread; and the speed in the threads that are taken, by the hidden size, for
        `fitting`.
    """
    from lmgen.training.speed import speeds_by_threads

    threads, minutes = config.training.threads, config.training.minutes
    assert threads is not None, "the number that this machine has"
    assert minutes is not None, "a budget of time"
    if config.fit_sizes:
        size = config.asked.get("hidden_size", MEASURED)
        config = config.with_sizes({"layers": 1, "hidden_size": size}, "")
    trainer = new_trainer(run, config, prepared, origin)
    speeds = speeds_by_threads(trainer, (1, threads), measured_seconds(minutes))
    if len(speeds) < 2:  # it fails for other reasons
        return None, {}
    if speeds[1] >= FASTER * speeds[threads]:
        return ThreadsChosen(1, threads, speeds[1], speeds[threads]), {config.network.hidden_size: speeds[1]}
    return None, {config.network.hidden_size: speeds[threads]}


def with_threads(config: RunConfig, threads: int) -> RunConfig:
    """The same in another number of threads."""
    return replace(config, training=replace(config.training, threads=threads))
