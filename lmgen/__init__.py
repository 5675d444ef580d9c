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
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from typing import Any, Literal

    from lmgen.data.named_corpora import MadeCorpus
    from lmgen.runs.events import Event
    from lmgen.text.corpora import Listing
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
    "get_corpus",
    "list_corpora",
    "load",
    "make_corpus",
    "read_arpa",
    "read_corpus",
    "resume",
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
        overwrite: replace an existing file.
        settings: those of `lmgen ngram --help`, by the names of the flags; `prune` is a list: `[0, 0, 1]`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the file exists.
    """
    from pathlib import Path

    from lmgen.runs import ngram
    from lmgen.text_model import TextModel

    ngram.fit_ngram(order=order, out=Path(out), overwrite=overwrite, **_settings(corpus, None, settings))
    return TextModel.load(out)


def read_arpa(
    path: str | Path,
    *,
    out: str | Path = "ngram.safetensors",
    tokenizer: str | None = None,
    overwrite: bool = False,
) -> TextModel:
    """
    Make a model file of an ARPA file (of KenLM, SRILM, IRSTLM or lmgen), and open it. Never imports torch.

    `TextModel.export(path, to="arpa")` writes an ARPA file.

    Args:
        path: the ARPA file; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.
        out: the model file.
        tokenizer: how to take its words, `word` or `char`; None: as lmgen wrote them, otherwise `word`.
        overwrite: replace an existing file.

    Raises:
        ConfigError: the tokenizer is something else.
        CorpusError: the file cannot be read.
        ModelError: it is no ARPA file, or damaged; or `out` exists.
    """
    from pathlib import Path

    from lmgen.runs.ngram import convert_arpa
    from lmgen.text_model import TextModel

    convert_arpa(Path(path), Path(out), tokenizer=tokenizer, overwrite=overwrite)
    return TextModel.load(out)


def list_corpora() -> list[Listing]:
    """The corpora that have a name: where each is, its length, split and licence."""
    from lmgen.text.corpora import listed_corpora

    return listed_corpora()


def read_corpus(name: str | Path, *, split: Literal["train", "valid", "test"] | None = None) -> Iterator[str]:
    """
    The text of a corpus in pieces cut anywhere: `"".join(lmgen.read_corpus("unicode-names"))`.

    Args:
        name: a name, a file or a folder.
        split: only this part, cut as `train` cuts it by default.

    Raises:
        CorpusError: there is no such corpus, or it has no such split.
    """
    from lmgen.data.named_corpora import corpus_text

    return corpus_text(str(name), split)


def get_corpus(name: str) -> list[Path]:
    """
    Download a corpus, or find it where it is; the paths of its files. A built-in corpus has none.

    Raises:
        CorpusError: there is no such corpus; or a file cannot be downloaded, or has another checksum.
    """
    from lmgen.data import named_corpora

    return named_corpora.get_corpus(name)


def make_corpus(name: str, out: str | Path, *, characters: int = 1_000_000, seed: int = 0) -> MadeCorpus:
    """
    Write a synthetic corpus to a file; the result has the best possible score on it.

    Raises:
        CorpusError: the corpus is not synthetic.
        WriteError: the file cannot be written.
    """
    from lmgen.data import named_corpora

    return named_corpora.make_corpus(name, out, characters=characters, seed=seed)


def train(
    *corpus: str | Path,
    out: str | Path | None = None,
    overwrite: bool = False,
    from_model: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> TextModel:
    """
    Train a model and open the best one.

    Ctrl-C finishes the update, saves a checkpoint and raises KeyboardInterrupt; a second Ctrl-C does not
    wait. `lmgen.resume` goes on, bit for bit as if training had not stopped. In threads other than the main
    one, which get no Ctrl-C, `should_stop` is the way to stop.

    Args:
        corpus: files, folders or corpus names; none: the built-in default.
        out: the run folder; `checkpoints/CORPUS` if None.
        overwrite: replace the run that is there.
        from_model: fine-tune this model (`--from`).
        on_event: called with each event of `lmgen.runs.events` as it happens. If it raises, the run is saved
            before the exception goes on.
        should_stop: called after every update and during evaluations. If it returns True, the run is saved
            and its best model so far is returned.
        on_note: called with what the command would print as a note.
        settings: those of `lmgen train --help`, by the names of the flags: `minutes=5, hidden_size=512,
            preset="good", config="run/config.toml"`. None takes a setting back that may be absent.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the run folder exists, or the model of `from_model` cannot be used.
        NumericalError: training was unstable to its end; the best model it had is in the run folder.
        KeyboardInterrupt: after Ctrl-C; its text says how to go on.
    """
    from pathlib import Path

    from lmgen.runs import run
    from lmgen.runs.config_file import configured
    from lmgen.runs.interruption import run_to_end
    from lmgen.text_model import TextModel

    config = configured(_settings(corpus, from_model, settings), "lmgen.train")
    folder = None if out is None else Path(out)

    def begin(stop: Callable[[], bool]) -> Generator[Event, None, None]:
        return run.train(config, folder, overwrite=overwrite, should_stop=stop, on_note=on_note or _ignore)

    return TextModel.load(run_to_end(begin, on_event, should_stop))


def resume(
    folder: str | Path | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> TextModel:
    """
    Go on with a run, bit for bit as if it had not stopped, and open its best model.

    Args:
        folder: the run folder; None: the run under `checkpoints/` that was begun or resumed last.
        on_event: as in `train`.
        should_stop: as in `train`.
        on_note: as in `train`.
        settings: a new budget (`epochs`, `steps`, `minutes`), which the run keeps, or `device`, `threads` and
            `checkpoint_minutes` for this call. Others must be those that the run has.

    Raises:
        ConfigError: a setting cannot change when a run is resumed, or is out of range.
        ModelError: there is no run to resume, another process trains it, or its files are damaged.
        NumericalError: as `train`.
        KeyboardInterrupt: as `train`.
    """
    from pathlib import Path

    from lmgen.data.run_folder import newest_begun
    from lmgen.runs import run
    from lmgen.runs.interruption import run_to_end
    from lmgen.text_model import TextModel

    path = newest_begun().folder if folder is None else Path(folder)
    changes = _settings((), None, settings)

    def begin(stop: Callable[[], bool]) -> Generator[Event, None, None]:
        return run.resume(path, changes, should_stop=stop, on_note=on_note or _ignore)

    return TextModel.load(run_to_end(begin, on_event, should_stop))


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
    """Flat settings by the names of the flags, with paths as text."""
    from os import PathLike, fspath

    given = {
        name: fspath(value) if isinstance(value, PathLike) else value for name, value in settings.items()
    }
    if corpus:
        given["corpus"] = [str(name) for name in corpus]
    return given if from_model is None else {**given, "from": str(from_model)}


def _ignore(_note: str) -> None:
    """What happens to notes that nobody asked for."""
