"""Runs of a few updates that leave no folder behind, to measure the cost of training or a learning rate."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lmgen.data.run_folder import RunFolder
from lmgen.errors import NumericalError
from lmgen.runs.config import RunConfig
from lmgen.runs.finetuning import origin_of
from lmgen.runs.ngram import open_run_corpus
from lmgen.runs.pretrained import with_vector_size
from lmgen.runs.setup import import_torch, new_trainer, on_this_machine, prepare_run, starting_vectors
from lmgen.runs.sizes import fitting
from lmgen.runs.threads import choose_threads, may_choose, with_threads
from lmgen.runs.together import refuse_together
from lmgen.training.events import CostMeasured, RangeTest

if TYPE_CHECKING:
    from lmgen.training.loop import Trainer


def estimate_cost(config: RunConfig, on_note: Callable[[str], None] = lambda _: None) -> CostMeasured:
    """
    Measure the cost of a run on its first updates, and stop.

    Args:
        config: all settings of the run.
        on_note: called with notes for the user, such as that a download begins.

    Raises:
        ConfigError, CorpusError, ModelError: as `run.train`.
        NumericalError: training is unstable from the first update on.
    """
    from lmgen.training.cost import CostMeter

    with _trial(config, on_note, learns=False) as trainer:
        meter = CostMeter(trainer)
        cost = next(filter(None, map(meter.after, trainer.run())), None)
    if cost is None:
        raise NumericalError("training is unstable from its first updates on; give a lower --learning-rate")
    return cost


def find_learning_rate(config: RunConfig, on_note: Callable[[str], None] = lambda _: None) -> RangeTest:
    """
    Try the learning rates that `--learning-rate find` would try, and stop.

    Raises:
        ConfigError, CorpusError, ModelError: as `run.train`.
        NumericalError: as `range_test`.
    """
    from lmgen.training.range_test import range_test

    with _trial(config, on_note, learns=True) as trainer:
        return range_test(trainer)


@contextmanager
def _trial(config: RunConfig, on_note: Callable[[str], None], *, learns: bool) -> Iterator["Trainer"]:
    """
    A trainer before its first update, whose run folder is deleted when the block ends.

    Unless it `learns`, it may start anywhere, and no contexts are counted, which takes a while.
    """
    refuse_together("an estimate, or a search for a learning rate alone,")
    import_torch()
    from lmgen.training.process import computing, use_threads

    config = with_vector_size(on_this_machine(config.resolved()))
    corpus = open_run_corpus(config, on_note)
    origin = origin_of(config)
    with (  # Windows does not delete token files that are still mapped into memory
        tempfile.TemporaryDirectory(prefix="lmgen-", ignore_cleanup_errors=True) as folder,
        computing(config.training.threads),
    ):
        run = RunFolder(Path(folder) / "run")
        prepared = prepare_run(config, corpus, run, origin)
        for note in prepared.notes:
            on_note(note)
        threads, speeds = choose_threads(run, config, prepared, origin) if may_choose(config) else (None, {})
        if threads:
            config = with_threads(config, threads.threads)
            use_threads(threads.threads)
            on_note(str(threads))
        if config.fit_sizes:
            config = config.with_sizes(*fitting(run, config, prepared, speeds))
            on_note(f"chosen for the time there is: {config.fitted}")
        if not learns:
            config = replace(config, training=replace(config.training, init_embedding="random"))
        pretrained = starting_vectors(config, run, prepared, on_note)
        yield new_trainer(run, config, prepared, origin, pretrained)
