"""
Train character, word and sub-word language models, evaluate them, and complete text with them.

    import lmgen

    model = lmgen.train("book.txt", out="checkpoints/book", minutes=5)
    model = lmgen.load("checkpoints/book")
    print(model.sample("It was ", length=200, temperature=0.8))
    print(model.score("It was the best of times.").perplexity)

Texts are files, folders and named corpora, or texts of the program itself:

    lmgen.train("one fine day\n" * 20_000)       # a str with a line end in it is a text, any other a name
    lmgen.train(texts=["emma", "olivia", "ava"])  # many texts, from a list or an iterator

Functions import their modules when called, so that `import lmgen` is fast.
"""

from __future__ import annotations

from lmgen.errors import (
    ConfigError,
    CorpusError,
    LmgenError,
    MissingExtraError,
    ModelError,
    NumericalError,
    WriteError,
)

TYPE_CHECKING = False  # type checkers treat it as True; importing `typing` for it would be slow
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from os import PathLike
    from pathlib import Path
    from typing import Any, Literal

    from lmgen.compression.files import Compressed, OnCoding
    from lmgen.data.made_corpora import MadeCorpus, TaskDescription
    from lmgen.label_model import LabelModel
    from lmgen.models.network.recurrent import CellDescription
    from lmgen.report.writing import WrittenReport
    from lmgen.runs.events import Event
    from lmgen.runs.listing import RunListing
    from lmgen.text.corpora import Listing
    from lmgen.text.sources import Text
    from lmgen.text_model import TextModel
    from lmgen.training.events import CostMeasured, RangeTest
    from lmgen.vectors.table import Vectors

__all__ = [
    "ConfigError",
    "CorpusError",
    "LmgenError",
    "MissingExtraError",
    "ModelError",
    "NumericalError",
    "WriteError",
    "compress",
    "decompress",
    "describe_task",
    "estimate_cost",
    "find_learning_rate",
    "fit_ngram",
    "get_corpus",
    "list_cells",
    "list_corpora",
    "list_runs",
    "load",
    "load_labels",
    "load_vectors",
    "make_corpus",
    "read_arpa",
    "read_corpus",
    "resume",
    "resume_labels",
    "train",
    "train_labels",
    "train_vectors",
    "write_report",
]

ARGUMENTS = frozenset(
    {
        "texts",
        "out",
        "overwrite",
        "from_model",
        "on_event",
        "should_stop",
        "on_note",
        "config",
        "order",
        "prune",
        "keep_tokens",
    }
    | {"stateful", "stateless"}
)
"""Arguments of the functions below that are no settings of a run, in case one is misspelt."""


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
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.runs import listing

    with in_python_words():
        return listing.list_runs(Path(folder), sort)


def load(path: str | Path | None = None) -> TextModel:
    """
    Open a run folder, a model file, or, for None, the newest under `checkpoints/`. Does not import torch.

    Raises:
        ModelError: there is no model, or it is damaged or has a newer format.
    """
    from lmgen.text_model import TextModel

    return TextModel.load(path)


def load_labels(path: str | Path | None = None) -> LabelModel:
    """
    Open a model that labels texts: a run folder or a model file, as in `load`. Does not import torch.

    Raises:
        ModelError: as `load`, or it is a language model.
    """
    from lmgen.label_model import LabelModel

    return LabelModel.load(path)


def fit_ngram(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    order: int = 5,
    out: str | Path | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> TextModel:
    """
    Fit an n-gram model with interpolated modified Kneser-Ney smoothing, and open it. Does not import torch.

    It is fitted on the whole corpus, unless `valid` or `test` holds text out or the corpus has its own split.

    Args:
        corpus: as in `train`.
        texts: as in `train`.
        order: maximum n-gram length, in tokens.
        out: path of the model file; None: `checkpoints/CORPUS-ngram.safetensors`, where `lmgen.load()` finds
            the newest model.
        overwrite: replace an existing file.
        settings: flags of `lmgen ngram --help` as keywords; `prune` is a list such as `[0, 0, 1]`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the file exists.
    """
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.runs import ngram
    from lmgen.settings import whole_number
    from lmgen.text_model import TextModel

    with in_python_words():
        given, opened = _given(corpus, texts, settings)
        file = None if out is None else Path(out)
        order = whole_number(order, "order")
        asked = {"corpus": [], "order": order, "out": file, "overwrite": overwrite, **given}
        return TextModel.load(ngram.fit_ngram(texts=opened, **asked).model)


def read_arpa(
    path: str | Path,
    *,
    out: str | Path | None = None,
    tokenizer: str | None = None,
    blank: str | None = None,
    overwrite: bool = False,
) -> TextModel:
    """
    Convert an ARPA file (from KenLM, SRILM, IRSTLM or lmgen) to a model file, and open it.

    Does not import torch.
    `TextModel.export(path, to="arpa")` writes an ARPA file.

    Args:
        path: ARPA file; `.gz`, `.bz2`, `.xz` and `.zst` files are decompressed.
        out: path of the model file; None: `checkpoints/NAME-ngram.safetensors`, NAME being the ARPA file's.
        tokenizer: `word` or `char`, the tokens that the file's words stand for; None: the tokenizer stored in
            a file from lmgen, else `char` where that is clear, else `word`.
        blank: the word that stands for the blank of a character model, such as `|`; None: found where clear.
        overwrite: replace an existing file.

    Raises:
        ConfigError: the tokenizer is unknown, or the file has no such blank.
        CorpusError: the file cannot be read.
        ModelError: the file is damaged or not an ARPA file, or `out` exists.
    """
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.runs.ngram import convert_arpa
    from lmgen.text_model import TextModel

    with in_python_words():
        file = None if out is None else Path(out)
        read = convert_arpa(Path(path), file, tokenizer=tokenizer, blank=blank, overwrite=overwrite)
        return TextModel.load(read.model)


def compress(
    file: str | PathLike[str],
    model: str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str],
    preset: Literal["quick", "good"] | None = None,
    overwrite: bool = False,
    on_progress: OnCoding | None = None,
) -> Compressed:
    """
    Compress a file by arithmetic coding with the probabilities of a model.

    The archive is decompressed and compared with the file before it gets its name. One that no model of its
    own makes smaller, like random bytes, is stored as it is.

    Args:
        file: path of the file; `-` is standard input.
        model: a run folder or model file, which decompressing needs again; None: a model is made while the
            file is read, and once more when it is decompressed.
        out: path of the archive; `-` is standard output.
        preset: without a model, how much work each byte takes: `quick`, counts of contexts; `good`, a
            network, too, which imports torch. None: `good`.
        overwrite: replace an existing file.
        on_progress: called after each step.

    Raises:
        ConfigError: the preset is unknown, or given with a model.
        CorpusError: the file cannot be read, or would not come back from the model's tokens as it is.
        MissingExtraError: the extra `compress` is not installed.
        ModelError: there is no such model, or `out` exists.
        WriteError: the archive cannot be written.
    """
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.compression import files

    with in_python_words():
        return files.compress(
            Path(file),
            None if model is None else Path(model),
            Path(out),
            preset=preset,
            overwrite=overwrite,
            on_progress=on_progress,
        )


def decompress(
    file: str | PathLike[str],
    *,
    out: str | PathLike[str],
    model: str | PathLike[str] | None = None,
    overwrite: bool = False,
    on_progress: OnCoding | None = None,
) -> Compressed:
    """
    Write the file that `compress` made an archive of, byte for byte.

    Args:
        file: path of the archive; `-` is standard input.
        out: path of the file; `-` is standard output.
        model: where the model is now that the archive was made with; None: where it was then, from here or
            from the archive's folder.
        overwrite: replace an existing file.
        on_progress: called after each step.

    Raises:
        ConfigError: a model is given for an archive that was made without one.
        CorpusError: the file is no archive, is damaged, or comes from a machine that computes in another way.
        MissingExtraError: the extra `compress` is not installed.
        ModelError: the model is not there or is another one, or `out` exists.
        WriteError: the file cannot be written.
    """
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.compression import files

    with in_python_words():
        return files.decompress(
            Path(file),
            Path(out),
            model=None if model is None else Path(model),
            overwrite=overwrite,
            on_progress=on_progress,
        )


def list_corpora() -> list[Listing]:
    """List all named corpora, each with its location, length, split and licence."""
    from lmgen.text.corpora import listed_corpora

    return listed_corpora()


def list_cells() -> list[CellDescription]:
    """List all recurrent cells, each with its equations, its source and its number of parameters."""
    from lmgen.models.network.recurrent import described_cells

    return described_cells()


def read_corpus(
    name: str | Path,
    *,
    split: Literal["train", "valid", "test"] | None = None,
    field: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[str]:
    """
    Read the text of a corpus in chunks: `"".join(lmgen.read_corpus("unicode-names"))`.

    Args:
        name: corpus name, file or folder.
        split: read only this part, split as `train` does by default; None: the whole corpus.
        field: the field that holds the text in CSV, TSV, JSON and JSON Lines.
        encoding: the character encoding of a file or folder.

    Raises:
        ConfigError: there is no such encoding.
        CorpusError: there is no such corpus, or it has no such split.
    """
    from lmgen.data.named_corpora import corpus_text

    return corpus_text(str(name), split, field=field, encoding=encoding)


def get_corpus(name: str) -> list[Path]:
    """
    Find or download the files of a corpus; returns their paths, none for a built-in corpus.

    Raises:
        CorpusError: there is no such corpus, a file cannot be downloaded, or a checksum does not match.
    """
    from lmgen.data import named_corpora

    return named_corpora.get_corpus(name)


def make_corpus(
    name: str,
    out: str | Path,
    *,
    characters: int | None = None,
    count: int | None = None,
    seed: int = 0,
    test: str | Path | None = None,
    test_count: int | None = None,
    overwrite: bool = False,
    **parameters: Any,
) -> MadeCorpus:
    """
    Write a task, an instance a line, or a synthetic text to a file; the result has the best possible score.

    `lmgen.make_corpus("addition", "add.txt", digits=3, reverse=True, test="test.txt")`

    Args:
        name: name of the corpus, `addition` or `synthetic-markov` for one.
        out: path of the file.
        characters: length of a synthetic text (default: 1,000,000).
        count: instances of a task; its default differs from task to task.
        seed: the same one gives the same text.
        test: a second file, for instances of the task that are distinct and not in the first.
        test_count: how many; None: a tenth of `count`, or as many as there are.
        overwrite: replace existing files.
        parameters: those of the task (`describe_task`).

    Raises:
        ConfigError: a parameter is unknown or invalid, or does not go with the corpus.
        CorpusError: the corpus is not one that can be made, or there are too few instances for `test`.
        ModelError: a file exists.
        WriteError: a file cannot be written.
    """
    from lmgen.calls import in_python_words
    from lmgen.data import made_corpora

    with in_python_words():
        return made_corpora.make_corpus(
            name,
            out,
            characters=characters,
            count=count,
            seed=seed,
            test=test,
            test_count=test_count,
            overwrite=overwrite,
            **parameters,
        )


def describe_task(name: str) -> TaskDescription:
    """
    Describe a task: its parameters, the mark between question and answer, its source and its best score.

    Raises:
        CorpusError: there is no such task.
    """
    from lmgen.data import made_corpora

    return made_corpora.describe_task(name)


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
    from lmgen.text_model import TextModel

    run = _Run(out, overwrite=overwrite, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return TextModel.load(run.trained(corpus, texts, settings, from_model, with_labels=False))


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
    from lmgen.label_model import LabelModel

    run = _Run(out, overwrite=overwrite, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return LabelModel.load(run.trained(corpus, texts, {"labels": True, **settings}, with_labels=True))


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
    from lmgen.text_model import TextModel

    run = _Run(folder, on_event=on_event, should_stop=should_stop, on_note=on_note)
    return TextModel.load(run.resumed(settings, with_labels=False))


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
    from lmgen.label_model import LabelModel

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
    from lmgen.calls import in_python_words
    from lmgen.runs import trials
    from lmgen.runs.config_file import configured

    with in_python_words():
        given, opened = _given(corpus, texts, settings, from_model)
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
    from lmgen.calls import in_python_words
    from lmgen.runs import trials
    from lmgen.runs.config_file import configured

    with in_python_words():
        given, opened = _given(corpus, texts, settings, from_model)
        return trials.find_learning_rate(configured(given, "lmgen.find_learning_rate", opened))


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
        from pathlib import Path

        self.folder = None if folder is None else Path(folder)
        self.overwrite = overwrite
        self.on_event = on_event
        self.should_stop = should_stop
        self.on_note = on_note or _ignore

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
        from lmgen.calls import in_python_words
        from lmgen.runs import run
        from lmgen.runs.config_file import configured
        from lmgen.runs.interruption import run_to_end

        with in_python_words():
            given, opened = _given(corpus, texts, settings, from_model)
            config = configured(given, "lmgen.train", opened)
            _check_kind("train", config.labelling.labels, with_labels=with_labels)

            def begin(stop: Callable[[], bool]) -> Generator[Event, None, None]:
                return run.train(
                    config, self.folder, overwrite=self.overwrite, should_stop=stop, on_note=self.on_note
                )

            return run_to_end(begin, self.on_event, self.should_stop)

    def resumed(self, settings: dict[str, Any], *, with_labels: bool) -> Path:
        """Continue a run; the run folder."""
        from lmgen.calls import in_python_words
        from lmgen.data.run_folder import RunFolder, newest_begun
        from lmgen.runs import run
        from lmgen.runs.config_file import read_run_config
        from lmgen.runs.interruption import run_to_end

        with in_python_words():
            path = newest_begun().folder if self.folder is None else self.folder
            changes, opened = _given((), settings.pop("texts", None), settings)
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


def load_vectors(path: str | Path | None = None) -> Vectors:
    """
    Open word vectors: a file in a format of word2vec, GloVe or fastText, or the embedding of a model.

    Args:
        path: the file of vectors, a run folder or a model file; None: the newest model under `checkpoints/`.

    Raises:
        CorpusError: the file is cut off, or no file of word vectors.
        ModelError: there is none, or the model has no embedding.
    """
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.vectors.models import open_vectors

    with in_python_words():
        return open_vectors(None if path is None else Path(path))


def train_vectors(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> Vectors:
    """
    Train word vectors with negative sampling, by gensim (`pip install "lmgen[vectors]"`).

        lmgen.train_vectors("book.txt", lowercase=True).near("king - man + woman")

    Args:
        corpus: as in `train`; its own validation and test texts are left out.
        texts: as in `train`.
        on_note: callback for the notes that `lmgen vectors train` prints.
        settings: flags of `lmgen vectors train --help` as keywords: `method="cbow", window=10`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        MissingExtraError: gensim is not installed.
    """
    from lmgen.calls import in_python_words
    from lmgen.vectors import training

    with in_python_words():
        kept: dict[str, Text] = {}
        names = _named(corpus, texts, kept)
        return training.train_vectors(names, texts=kept, on_note=on_note or _ignore, **settings).vectors


def write_report(
    *runs: str | Path,
    out: str | Path,
    text: str | Path | Text | None = None,
    svg: str | Path | None = None,
    characters: int = 50_000,
    adapt: bool | None = None,
    overwrite: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> WrittenReport:
    """
    Write a run, or several side by side, as one HTML page (`pip install "lmgen[report]"`).

        lmgen.write_report("checkpoints/lstm", "checkpoints/gru", out="compared.html")

    Args:
        runs: run folders and model files; none: the newest under `checkpoints/`.
        out: path of the page.
        text: what the models are measured on: a path, or a str with a line end in it. None: the text that the
            runs have held out, which has to be the same.
        svg: a folder, for each picture as a file of its own.
        characters: how much of the text is taken, from its beginning.
        adapt: also the models that learn from the text as they read it. None: if the run has adapted before.
        overwrite: replace an existing page and pictures.
        on_note: callback for the notes that `lmgen report` prints.

    Raises:
        ConfigError: a number is out of range, or a run is named twice.
        CorpusError: the text cannot be read or is empty, or the runs have held out different texts.
        MissingExtraError: matplotlib or jinja2 is not installed.
        ModelError: there is no such run, it predicts labels, or a file exists.
        WriteError: a file cannot be written.
    """
    from pathlib import Path

    from lmgen.calls import in_python_words
    from lmgen.report import writing

    with in_python_words():
        return writing.write_report(
            runs or (None,),
            Path(out),
            text=text,
            svg=None if svg is None else Path(svg),
            characters=characters,
            adapt=adapt,
            overwrite=overwrite,
            on_note=on_note or _ignore,
        )


def _named(corpus: tuple[Any, ...], texts: Any, kept: dict[str, Text]) -> list[str]:
    """
    Names of files and corpora, and of texts that were given, which are added to `kept` by their names.

    Raises:
        ConfigError, CorpusError: a text is something else, or empty.
    """
    from lmgen.text.given import opened, texts_of

    names = [_name(opened(text, "the corpus"), kept) for text in corpus]
    if texts is not None:
        names.append(_name(texts_of(texts, "texts"), kept))
    return names


def _name(text: Text | str, kept: dict[str, Text]) -> str:
    """A name as it is; a text is added to `kept` by the name that this returns."""
    from lmgen.text.given import placeholder

    if isinstance(text, str):
        return text
    name = placeholder(len(kept) + 1)
    kept[name] = text
    return name


def _given(
    corpus: tuple[Any, ...],
    texts: Any,
    settings: dict[str, Any],
    from_model: str | PathLike[str] | None = None,
) -> tuple[dict[str, Any], dict[str, Text]]:
    """
    Sort arguments into settings, by the names of the flags, and texts, by the names that stand for them.

    Raises:
        ConfigError, CorpusError: a setting is unknown; a text is something else, or empty.
    """
    from os import PathLike, fspath

    from lmgen.runs.config import setting_names, with_state
    from lmgen.settings import of_python, refuse_unknown
    from lmgen.text.given import opened, texts_of

    known = (setting_names() | ARGUMENTS) - {"from"}  # from_model, as `from` is a word of Python's own
    refuse_unknown(settings, known, "", "see `lmgen train --help`")
    given = {
        name: fspath(value) if isinstance(value, PathLike) else of_python(value)
        for name, value in with_state(settings).items()
    }
    if from_model is not None:
        given["from"] = fspath(from_model)
    by_name = given.pop("corpus", ())
    corpus = (*corpus, *(by_name if isinstance(by_name, list | tuple) else [by_name]))
    kept: dict[str, Text] = {}
    if names := _named(corpus, texts, kept):
        given["corpus"] = names
    for part in {"valid", "test"} & given.keys():
        value = of_python(settings[part])
        if value is None or type(value) in (int, float):
            continue
        if isinstance(value, str | bytes | PathLike) or not hasattr(value, "__iter__"):
            given[part] = _name(opened(value, part), kept)
        else:
            given[part] = _name(texts_of(value, part), kept)
    return given, kept


def _ignore(_note: str) -> None:
    """Default callback for notes: discard them."""
