"""Runs of a few updates that leave no folder behind: what will training cost, which rate suits it?"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lmgen.data.preparation import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import NumericalError
from lmgen.runs.config import RunConfig
from lmgen.runs.finetuning import origin_of
from lmgen.runs.ngram import open_run_corpus
from lmgen.runs.setup import new_trainer, prepare_run
from lmgen.training.cost import CostMeter
from lmgen.training.events import CostMeasured, RangeTest
from lmgen.training.loop import Trainer
from lmgen.training.process import computing
from lmgen.training.range_test import range_test
from lmgen.training.setup import open_device


def estimate_cost(config: RunConfig, tell: Callable[[str], None] = lambda _: None) -> CostMeasured:
    """
    Measure what a run will cost on its first updates, and stop.

    Args:
        config: all settings of the run.
        tell: hears of a download before it begins, and of what a vocabulary lacks.

    Raises:
        ConfigError, CorpusError, ModelError: as `run.train`.
        NumericalError: training is unstable from the first update on.
    """
    with _trial(config, tell) as trainer:
        meter = CostMeter(trainer)
        cost = next(filter(None, map(meter.after, trainer.run())), None)
    if cost is None:
        raise NumericalError("training is unstable from its first updates on; give a lower --learning-rate")
    return cost


def find_learning_rate(config: RunConfig, tell: Callable[[str], None] = lambda _: None) -> RangeTest:
    """
    Try the learning rates that `--learning-rate find` would try, and stop.

    Raises:
        ConfigError, CorpusError, ModelError: as `run.train`.
        NumericalError: as `range_test`.
    """
    with _trial(config, tell) as trainer:
        return range_test(trainer)


@contextmanager
def _trial(config: RunConfig, tell: Callable[[str], None]) -> Iterator[Trainer]:
    """A trainer before its first update."""
    config = config.resolved()
    open_device(config.training.device)
    corpus = open_run_corpus(config, tell)
    origin = origin_of(config)
    with (  # Windows does not delete token files that are still mapped into memory
        tempfile.TemporaryDirectory(prefix="lmgen-", ignore_cleanup_errors=True) as folder,
        computing(config.training.threads),
    ):
        run = RunFolder(Path(folder) / "run")
        prepared: Prepared = prepare_run(config, corpus, run, origin)
        for note in prepared.notes:
            tell(note)
        yield new_trainer(run, config, prepared, origin)
