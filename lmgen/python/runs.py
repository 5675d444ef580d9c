"""Train language models and models that label texts, continue runs, and ask beforehand what a run costs."""

from collections.abc import Callable, Generator, Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from lmgen.calls import in_python_words
from lmgen.data.run_folder import RunFolder, newest_begun
from lmgen.errors import ConfigError
from lmgen.label_model import LabelModel
from lmgen.python.given import given_settings, ignore
from lmgen.runs import listing, run, trials
from lmgen.runs.config_file import configured, read_run_config
from lmgen.runs.events import Event
from lmgen.runs.interruption import run_to_end
from lmgen.runs.listing import RunListing
from lmgen.text.sources import Text
from lmgen.text_model import TextModel
from lmgen.training.events import CostMeasured, RangeTest


def train(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    from_model: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> TextModel:
    """
    Train a model, and open the one with the best validation loss; with `valid=0`, the last one.

    Ctrl-C finishes the current update, saves a checkpoint and raises KeyboardInterrupt; a second Ctrl-C stops
    at once. `lmgen.resume` continues the run, bit for bit as if it had not stopped. Threads other than the
    main one do not receive Ctrl-C; use `should_stop` there.

    Args:
        corpus: texts, files, folders or corpus names, read one after another; default: `python-docs`. A str
            with a line end in it is a text, any other str names a file, folder or corpus. A path object is
            always a path.
        texts: many texts, from a list or an iterator, after those of `corpus`. Each is a record with
            `unit="record"`, else they follow one another, each ending in a line end. An iterator is copied
            to a temporary file, so memory does not grow with it.
        out: run folder; None: `checkpoints/CORPUS`, `checkpoints/texts` for a text of the program.
        overwrite: replace an existing run.
        from_model: model to fine-tune (`--from`).
        on_event: callback for each event of `lmgen.runs.events`; `on_event=print` prints a line for each. If
            it raises, the run is saved before the exception propagates.
        should_stop: callback after every update and during evaluations. If it returns True, the run is saved
            and its best model so far is returned.
        on_note: callback for the notes that `lmgen train` prints.
        settings: flags of `lmgen train --help` as keywords: `minutes=5, hidden_size=512, preset="good",
            config="run/config.toml"`. None resets an optional setting. `valid` and `test` are a fraction, a
            path, a text, or a list or iterator of texts.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the run folder exists, or the model of `from_model` cannot be used.
        NumericalError: training was unstable and ended early; the run folder has the best model so far.
        KeyboardInterrupt: after Ctrl-C; the message says how to resume.
    """
    run = _Run(out, overwrite=overwrite, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return TextModel.load(run.trained(corpus, texts, settings, from_model, with_labels=False))


def resume(
    folder: str | Path | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> TextModel:
    """
    Continue a run, bit for bit as if it had not stopped, and open its best model.

    Args:
        folder: run folder; None: the run under `checkpoints/` that was started or resumed last.
        on_event: as in `train`.
        should_stop: as in `train`.
        on_note: as in `train`.
        settings: a new budget (`epochs`, `steps`, `minutes`), which the run keeps, or `device`, `threads` and
            `checkpoint_minutes` for this call only. Other settings must equal those of the run.

    Raises:
        ConfigError: a setting cannot change when a run is resumed, or is out of range.
        ModelError: there is no run to resume, another process is training it, or its files are damaged.
        NumericalError: as `train`.
        KeyboardInterrupt: as `train`.
    """
    run = _Run(folder, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return TextModel.load(run.resumed(settings, with_labels=False))


def train_labels(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> LabelModel:
    """
    Train a model that labels texts, and open the one with the best validation loss.

    Args:
        corpus: labelled texts: files, or a str with line ends. Each line is a text, a tab and its label; or
            each word has a label, as `word/LABEL` or in the columns of CoNLL.
        texts: many labelled lines, after those of `corpus`.
        out: as in `train`, and so are the others.
        overwrite: replace an existing run.
        on_event: callback for each event.
        should_stop: callback that may end the run early.
        on_note: callback for notes.
        settings: as in `train`, such as `bidirectional=True`, `pool="max"` and `labels_as="columns"`.

    Raises:
        ConfigError, CorpusError, ModelError, NumericalError, KeyboardInterrupt: as `train`.
    """
    run = _Run(out, overwrite=overwrite, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return LabelModel.load(run.trained(corpus, texts, {"labels": True, **settings}, with_labels=True))


def resume_labels(
    folder: str | Path | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> LabelModel:
    """
    Continue a run of `train_labels`, bit for bit as if it had not stopped, and open its best model.

    Args:
        folder: as in `resume`, and so are the others.
        on_event: callback for each event.
        should_stop: callback that may end the run early.
        on_note: callback for notes.
        settings: a new budget, or settings for this call only.

    Raises:
        ConfigError, ModelError, NumericalError, KeyboardInterrupt: as `resume`.
    """
    run = _Run(folder, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return LabelModel.load(run.resumed(settings, with_labels=True))


def estimate_cost(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    from_model: str | Path | None = None,
    **settings: Any,
) -> CostMeasured:
    """
    Time a few updates, and estimate the parameters, memory and time of `train` with the same arguments.

    Raises:
        ConfigError, CorpusError, ModelError: as `train`.
    """
    with in_python_words():
        given, opened = given_settings(corpus, texts, settings, from_model)
        return trials.estimate_cost(configured(given, "lmgen.estimate_cost", opened))


def find_learning_rate(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    from_model: str | Path | None = None,
    **settings: Any,
) -> RangeTest:
    """
    Run a learning rate range test, which returns the loss at increasing rates and a suggested rate.

    `train(..., learning_rate="find")` runs this test first and uses the suggested rate.

    Raises:
        ConfigError, CorpusError, ModelError: as `train`.
    """
    with in_python_words():
        given, opened = given_settings(corpus, texts, settings, from_model)
        return trials.find_learning_rate(configured(given, "lmgen.find_learning_rate", opened))


def list_runs(
    folder: str | Path = "checkpoints",
    *,
    sort: Literal["age", "name", "corpus", "parameters", "steps", "loss"] = "age",
) -> list[RunListing]:
    """
    List the runs and model files of a folder, without loading them.

    Args:
        folder: whose runs are listed.
        sort: the newest, the first by name, the smallest or the best first; those without a value come last.

    Raises:
        ConfigError: they cannot be sorted by that.
        ModelError: there is no such folder.
    """
    with in_python_words():
        return listing.list_runs(Path(folder), sort)


class _Run:
    """A run of a Python program, of a language model or of one that labels texts."""

    def __init__(
        self,
        folder: str | Path | None,
        *,
        overwrite: bool = False,
        on_event: Callable[[Event], None] | None,
        should_stop: Callable[[], bool] | None,
        on_note: Callable[[str], None] | None,
    ) -> None:
        """The arguments are those of `train`."""
        self.folder = None if folder is None else Path(folder)
        self.overwrite = overwrite
        self.on_event = on_event
        self.should_stop = should_stop
        self.on_note = on_note or ignore

    def trained(
        self,
        corpus: tuple[Any, ...],
        texts: Any,
        settings: dict[str, Any],
        from_model: str | Path | None = None,
        *,
        with_labels: bool,
    ) -> Path:
        """Train a new model; the run folder."""
        with in_python_words():
            given, opened = given_settings(corpus, texts, settings, from_model)
            config = configured(given, "lmgen.train", opened)
            _check_kind("train", config.labelling.labels, with_labels=with_labels)

            def begin(stop: Callable[[], bool]) -> Generator[Event, None, None]:
                return run.train(
                    config, self.folder, overwrite=self.overwrite, should_stop=stop, on_note=self.on_note
                )

            return run_to_end(begin, self.on_event, self.should_stop)

    def resumed(self, settings: dict[str, Any], *, with_labels: bool) -> Path:
        """Continue a run; the run folder."""
        with in_python_words():
            path = newest_begun().folder if self.folder is None else self.folder
            changes, opened = given_settings((), settings.pop("texts", None), settings)
            if opened:
                raise ConfigError(
                    "a run is resumed with the text that it has: `train(..., from_model=...)` takes another"
                )
            try:
                predicts_labels = read_run_config(RunFolder(path).config).labelling.labels
            except ConfigError:  # missing or damaged, which `run.resume` explains
                predicts_labels = with_labels
            _check_kind("resume", predicts_labels, with_labels=with_labels)

            def begin(stop: Callable[[], bool]) -> Generator[Event, None, None]:
                return run.resume(path, changes, should_stop=stop, on_note=self.on_note)

            return run_to_end(begin, self.on_event, self.should_stop)


def _check_kind(name: str, predicts_labels: bool, *, with_labels: bool) -> None:
    """Refuse to open a model as one of the other kind, before it is trained."""
    if predicts_labels and not with_labels:
        raise ConfigError(f"the run predicts labels: `lmgen.{name}_labels` gives a model that has labels")
    if with_labels and not predicts_labels:
        raise ConfigError(f"the run predicts tokens, not labels: `lmgen.{name}` gives a language model")
