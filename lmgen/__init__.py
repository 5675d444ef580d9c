"""
lmgen trains character, word and sub-word language models, measures them, and completes text with them.

    import lmgen

    model = lmgen.train("book.txt", out="checkpoints/book", minutes=5)
    model = lmgen.load("checkpoints/book")
    print(model.sample("It was ", length=200, temperature=0.8))
    print(model.score("It was the best of times.").perplexity)

Everything here is imported when it is called: `import lmgen` costs nothing.
"""

from __future__ import annotations

from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError, NumericalError, WriteError

TYPE_CHECKING = False  # what type checkers take to be true; `typing` itself takes a while to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from lmgen.runs.events import Event
    from lmgen.text_model import TextModel
    from lmgen.training.events import CostMeasured, RangeTest

__all__ = [
    "ConfigError",
    "CorpusError",
    "LmgenError",
    "ModelError",
    "NumericalError",
    "WriteError",
    "estimate_cost",
    "find_learning_rate",
    "fit_ngram",
    "load",
    "train",
]


def load(path: str | Path | None = None) -> TextModel:
    """
    Open a run folder, a model file, or (None) the newest run under `checkpoints/`. Never imports torch.

    Raises:
        ModelError: there is none, or it is damaged or of a newer format.
    """
    from lmgen.text_model import TextModel

    return TextModel.load(path)


def fit_ngram(
    *corpus: str | Path,
    order: int = 5,
    out: str | Path = "ngram.safetensors",
    overwrite: bool = False,
    **settings: Any,
) -> TextModel:
    """
    Fit an n-gram model, interpolated modified Kneser-Ney, and open it. Never imports torch.

    Args:
        corpus: files, folders or corpus names; none: the built-in default.
        order: tokens of an n-gram.
        out: the model file.
        overwrite: replace a file that is there.
        settings: those of `lmgen ngram --help`, by the names of the flags.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the file exists.
    """
    from pathlib import Path

    from lmgen.runs import ngram
    from lmgen.text_model import TextModel

    ngram.fit_ngram([str(name) for name in corpus], order, Path(out), overwrite=overwrite, **settings)
    return TextModel.load(out)


def train(
    *corpus: str | Path,
    out: str | Path | None = None,
    overwrite: bool = False,
    from_model: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> TextModel:
    """
    Train a model and open the best one.

    Args:
        corpus: files, folders or corpus names; none: the built-in default.
        out: the run folder; `checkpoints/CORPUS` if None.
        overwrite: replace the run that is there.
        from_model: go on from the weights and the tokenizer of this model (`--from`).
        on_event: called with each of `lmgen.training.events` as it happens.
        settings: those of `lmgen train --help`, by the names of the flags: `minutes=5, hidden_size=512`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the run folder exists, or the model to go on from cannot be used.
        NumericalError: training was unstable to its end; the best model it had is in the run folder.
    """
    from pathlib import Path

    from lmgen.runs import run
    from lmgen.runs.config_file import configured
    from lmgen.runs.events import Finished, Interrupted
    from lmgen.text_model import TextModel

    config = configured(_settings(corpus, from_model, settings), "lmgen.train")
    folder = None if out is None else Path(out)
    for event in run.train(config, folder, overwrite=overwrite):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Interrupted):
            raise KeyboardInterrupt
        if isinstance(event, Finished):
            folder = Path(event.run)
            event.check()
    return TextModel.load(folder)


def estimate_cost(*corpus: str | Path, from_model: str | Path | None = None, **settings: Any) -> CostMeasured:
    """
    What `train` will cost with the same arguments: parameters, memory, time; measured on a few updates.

    Raises:
        ConfigError, CorpusError, ModelError: as `train`.
    """
    from lmgen.runs import trials
    from lmgen.runs.config_file import configured

    return trials.estimate_cost(configured(_settings(corpus, from_model, settings), "lmgen.estimate_cost"))


def find_learning_rate(
    *corpus: str | Path, from_model: str | Path | None = None, **settings: Any
) -> RangeTest:
    """
    Train a little at rising learning rates: the curve of the loss, and the rate that it suggests.

    `train(..., learning_rate="find")` does this first and takes the suggestion.

    Raises:
        ConfigError, CorpusError, ModelError: as `train`.
    """
    from lmgen.runs import trials
    from lmgen.runs.config_file import configured

    config = configured(_settings(corpus, from_model, settings), "lmgen.find_learning_rate")
    return trials.find_learning_rate(config)


def _settings(
    corpus: tuple[str | Path, ...], from_model: str | Path | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """Flat settings by the names of the flags."""
    given = {**settings, "corpus": [str(name) for name in corpus]}
    return given if from_model is None else {**given, "from": str(from_model)}
