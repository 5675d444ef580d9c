"""Fits n-gram models, as the baseline of a run or alone, and reads them from ARPA files. Needs no torch."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from lmgen.data.answers import Answers
from lmgen.data.config import HeldOutConfig
from lmgen.data.preparation import prepare
from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder, ngram_file
from lmgen.data.verified import open_kept_tokens, read_kept_tokens
from lmgen.errors import ConfigError, ModelError
from lmgen.evaluation.baseline import fit_on_run
from lmgen.evaluation.scoring import mean_nats
from lmgen.files import behind_links, is_special, refuse_existing, remains, rename, unwritable
from lmgen.memory import memory_bytes
from lmgen.models.model_file import save_model
from lmgen.models.ngram.arpa import read_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.models.ngram.words import Words
from lmgen.processors import available_processors
from lmgen.runs.config import RunConfig
from lmgen.runs.corpus_notes import corpus_notes, held_out_notes
from lmgen.runs.events import BaselineFitted
from lmgen.runs.lock import is_abandoned, locked
from lmgen.settings import names_of, refuse_unknown
from lmgen.text.config import ReadingConfig
from lmgen.text.corpora import Corpus, open_corpus, short_name
from lmgen.text.given import given_text, is_placeholder
from lmgen.text.sources import Text, open_text
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import TOKENIZERS
from lmgen.tokenizers.words import UNKNOWN

BASELINE_ORDERS = {"char": 7, "byte": 7, "word": 5, "bpe": 5, "unigram": 5, "sentencepiece": 5}
"""By tokenizer; on tinyshakespeare's characters, order 7 predicts best."""

BASELINE_TOKENS = 300_000_000
"""
Longer training texts get no baseline unless its order is asked for: it would take more than ten minutes.

benchmarks/results/ngram.md has the seconds for each million tokens.
"""

LONG_TOKENS = 2_000_000
"""The baseline of a longer training text is fitted after training, since it takes seconds or minutes."""

BEGINNING_TOKENS, BEGINNING_ORDER = 100_000, 5
"""A model of the first of them tells in 0.1 s what held-out texts of such a training text do not fit."""

SECONDS_OF_TOKEN = 2e-6
"""What an order-5 baseline takes for each token, about."""

BYTES_OF_PROCESS = 500 << 20
"""Of --memory for each process that splits a text into tokens: it has numpy, the vocabulary, some blocks."""


SETTINGS = names_of(ReadingConfig, HeldOutConfig, TokenizerConfig)
"""The settings of a run that an n-gram model has, too."""


@dataclass(frozen=True, slots=True)
class FittedNgram:
    """The result of `lmgen ngram`. The fields are those of its `--json`."""

    model: str
    order: int
    vocabulary_size: int
    ngrams: tuple[int, ...]
    """The number of n-grams of each order."""
    train_tokens: int | None
    """None for a model that was read from an ARPA file."""
    valid_nats_per_token: float | None
    """None without validation text, and for a model that was read from an ARPA file."""
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The summary that programs read."""
        return asdict(self)


def fit_ngram(
    corpus: Sequence[str],
    order: int,
    out: Path | None = None,
    *,
    prune: Sequence[int] = (),
    limit_vocab_file: Path | None = None,
    memory: str | None = None,
    keep_tokens: bool = False,
    texts: Mapping[str, Text] = MappingProxyType({}),
    overwrite: bool = False,
    on_note: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> FittedNgram:
    """
    Fit an n-gram model on a corpus and save it.

    Nothing is held out, unless `valid` or `test` says so or the corpus has a split of its own.

    Args:
        corpus: files, folders or corpus names; none: the built-in default.
        order: tokens of an n-gram, 1 to 100.
        out: the model file; None: `checkpoints/CORPUS-ngram.safetensors`.
        prune: for each order, leave out n-grams that occur at most this often; see `kneser_ney.estimate`.
        limit_vocab_file: words, separated by white space: others are counted and then left out, as by lmplz;
            to the model they are unknown.
        memory: what the process may have, such as `2G`, `500M` or `80%` of all; n-grams that need more are
            counted on disk, beside `out`, and a long text is split into tokens by at most one process for
            each 500 MB. None: half of what is free.
        keep_tokens: keep the training tokens in the file, so that its counts can grow.
        texts: the texts that some names of files stand for (text/given.py).
        overwrite: replace a file that is there.
        on_note: called with notes for the user, such as that a download begins.
        settings: of the tokenizer and of the held-out text, by the names of the flags.

    Raises:
        ConfigError: a setting is unknown or out of range, or `out` is a file that is read.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the file exists, or is a pipe or a device.
        WriteError: the disk is full.
    """
    if out is not None:
        named = [each for each in corpus if each not in texts]
        read = [*named, limit_vocab_file, settings.get("valid"), settings.get("test")]
        _refuse_out(out, read, overwrite=overwrite)
    processes = _processes(memory)
    if limit_vocab_file is not None and keep_tokens:
        raise ConfigError(
            "--limit-vocab-file leaves out tokens that --keep-tokens would keep: give one of them"
        )
    refuse_unknown(settings, SETTINGS, "", "an n-gram model has no such setting, see `lmgen ngram --help`")
    config = RunConfig.from_settings({**settings, "corpus": corpus}, "the settings")
    config = replace(config, texts=texts)
    opened = open_run_corpus(config, on_note)
    if out is None:
        out = ngram_file(opened.name)
        _refuse_out(out, (), overwrite=overwrite)
    file = behind_links(out)
    with _folder_beside(file) as run:
        held_out = _held_out(config, opened)
        prepared = prepare(
            opened, held_out, config.tokenizer, run, reading=config.reading, processes=processes
        )
        tokenizer, words = prepared.tokenizer, None
        if limit_vocab_file is not None:
            tokenizer, words = _limited(tokenizer, limit_vocab_file)
        model = fit_on_run(run, prepared.tokenizer, order, prune, words, memory)
        nats = _valid_nats(run, prepared, model, tokenizer, words=words)
        misfits = held_out_notes(run, tokenizer, model)
        if keep_tokens:
            model = replace(
                model, training=np.array(read_kept_tokens(run, run.train_tokens, model.vocabulary_size))
            )
        save_model(run.ngram, model, tokenizer, _training(prepared, nats))
        rename(run.ngram, file)
    return FittedNgram(
        model=str(out),
        order=order,
        vocabulary_size=model.vocabulary_size,
        ngrams=tuple(model.counts),
        train_tokens=prepared.train.tokens,
        valid_nats_per_token=nats,
        notes=(*prepared.notes, *corpus_notes(config, opened), *misfits, *model.notes),
    )


def convert_arpa(
    arpa: Path,
    out: Path | None = None,
    *,
    tokenizer: str | None = None,
    blank: str | None = None,
    overwrite: bool = False,
) -> FittedNgram:
    """
    Make a model file of an ARPA file.

    Args:
        arpa: the file; its order is the model's.
        out: the model file; None: `checkpoints/NAME-ngram.safetensors`, where NAME is that of the ARPA file.
        tokenizer: how to take its words, "word" or "char"; see `arpa.read_arpa`.
        blank: the word that is the blank of a character model.
        overwrite: replace a file that is there.

    Raises:
        ConfigError: the tokenizer is another one, or the file has no such blank; or `out` is that file.
        CorpusError: the file cannot be read.
        ModelError: it is no ARPA file, or damaged; or `out` exists.
    """
    out = ngram_file(short_name(str(arpa))) if out is None else out
    refuse_existing(out, overwrite=overwrite, read=[arpa])
    model, made = read_arpa(arpa, tokenizer, blank)
    save_model(behind_links(out), model, made, {"arpa": str(arpa)})
    return FittedNgram(
        model=str(out),
        order=model.order,
        vocabulary_size=model.vocabulary_size,
        ngrams=model.counts,
        train_tokens=None,
        valid_nats_per_token=None,
        notes=model.notes,
    )


def fit_baseline(
    run: RunFolder,
    prepared: Prepared,
    order: int,
    evaluation_tokens: int,
    memory: str | None = None,
    *,
    compares: bool = True,
) -> BaselineFitted:
    """
    Fit the baseline of a run on its training tokens, and save it.

    It is scored on the same tokens of the validation text as the network, the first `evaluation_tokens`.
    Without validation text it is not scored. Unless that was told before (`compares`), notes tell where
    held-out text is unlike the training text.
    """
    model = fit_on_run(run, prepared.tokenizer, order, memory=memory)
    nats = _valid_nats(run, prepared, model, prepared.tokenizer, evaluation_tokens)
    save_model(run.ngram, model, prepared.tokenizer, _training(prepared, nats))
    misfits = held_out_notes(run, prepared.tokenizer, model) if compares else []
    return BaselineFitted(order, sum(model.counts), nats, (*misfits, *model.notes))


def open_run_corpus(config: RunConfig, on_note: Callable[[str], None]) -> Corpus:
    """Open the corpus of a run, decoded as its tokenizer needs it, with the held-out texts that are given."""
    errors, texts = TOKENIZERS[config.tokenizer.tokenizer].reading_errors, config.texts
    reading = config.reading
    corpus = open_corpus(
        config.corpus,
        reading.field,
        errors,
        reading.encoding,
        texts=texts,
        tabs=config.labelling.labels or reading.marks_by_tabs,
        on_note=on_note,
    )
    if config.labelling.labels and reading.field is not None and corpus.train.records is None:
        raise ConfigError(
            f"--field names the text of records, and {corpus.name} is read as lines, each with its label "
            "(--labels): leave --field out"
        )
    valid, test = config.held_out.valid, config.held_out.test
    return replace(
        corpus,
        valid=given_text(valid, texts) if is_placeholder(valid) else corpus.valid,
        test=given_text(test, texts) if is_placeholder(test) else corpus.test,
    )


def baseline_order(config: RunConfig, prepared: Prepared) -> int:
    """The order of a run's baseline: the one asked for, or that of its tokenizer; 0 is no baseline."""
    if prepared.labels is not None:
        return 0
    if config.training.baseline_order is not None:
        return config.training.baseline_order
    if prepared.train.tokens > BASELINE_TOKENS:
        return 0
    return BASELINE_ORDERS[config.tokenizer.tokenizer]


def comes_late(config: RunConfig, prepared: Prepared) -> bool:
    """Whether a run has a baseline that is fitted after training: that of a long text is."""
    return prepared.train.tokens > LONG_TOKENS and baseline_order(config, prepared) > 0


def late_baseline_notes(run: RunFolder, config: RunConfig, prepared: Prepared) -> list[str]:
    """
    What is told before training where the baseline comes late; nothing where it does not.

    For a new tokenizer, a model of the beginning of the training text finds where held-out text is unlike it.
    """
    if not comes_late(config, prepared):
        return []
    tokens = prepared.train.tokens
    seconds = tokens * SECONDS_OF_TOKEN
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    note = (
        f"the n-gram baseline is fitted after training, on {tokens:,} tokens in about {time}; "
        "--baseline-order 0 goes without"
    )
    return [note] if config.origin else [note, *_misfits_of_beginning(run, prepared)]


def _misfits_of_beginning(run: RunFolder, prepared: Prepared) -> list[str]:
    """Notes on held-out texts that a model of the first BEGINNING_TOKENS of the training text finds."""
    tokenizer = prepared.tokenizer
    model = NgramModel.fit(
        open_kept_tokens(run, run.train_tokens, tokenizer.vocabulary_size)[:BEGINNING_TOKENS],
        order=BEGINNING_ORDER,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
    )
    return held_out_notes(run, tokenizer, model)


def _refuse_out(out: Path, read: Iterable[object], *, overwrite: bool) -> None:
    """
    Check that a model can be made in a folder beside a file, and then renamed to it.

    Raises:
        ConfigError: it is one of the files that are read.
        ModelError: the file exists and may not be replaced, or is a pipe or a device.
    """
    refuse_existing(out, overwrite=overwrite, read=read)
    if is_special(out):
        raise ModelError(f"{out} is a pipe or a device, and a model is a file: give --out the name of one")


@contextmanager
def _folder_beside(out: Path) -> Iterator[RunFolder]:
    """
    A folder beside a file that is to be made, for what leads to it, until the block ends.

    Folders that killed processes have left there are deleted: nobody holds their lock.

    Raises:
        WriteError: no folder can be made there.
    """
    for left in remains(out):
        if is_abandoned(RunFolder(left)):
            shutil.rmtree(left, ignore_errors=True)
    made = not out.parent.exists()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        with locked(RunFolder(folder)):
            yield RunFolder(folder)
    finally:
        # Windows does not delete files that are still mapped into memory.
        shutil.rmtree(folder, ignore_errors=True)
        if made:
            with suppress(OSError):  # it is not empty: the file is in it
                out.parent.rmdir()


def _processes(memory: str | None) -> int:
    """
    How many processes split a long text into tokens: one for each processor, as far as the memory goes.

    Raises:
        ConfigError: the memory is no such limit.
    """
    return max(min(available_processors(), memory_bytes(memory) // BYTES_OF_PROCESS), 1)


def _held_out(config: RunConfig, corpus: Corpus) -> HeldOutConfig:
    """The settings of the held-out text; none is cut from a corpus that has no split of its own."""
    if config.held_out.valid is None and corpus.valid is None and "valid" not in corpus.split:
        return replace(config.held_out, valid="0")
    return config.held_out


def _limited(tokenizer: Tokenizer, file: Path) -> tuple[Tokenizer, Words]:
    """
    The tokenizer with only those of its words that a file lists, and which of its ids they are.

    Raises:
        ConfigError: it does not split a text into words, or has none of them.
        CorpusError: the file cannot be read.
    """
    listed = open_text(str(file), encoding=tokenizer.reading.encoding)
    limited, kept = tokenizer.limited_to(set("".join(listed.chunks()).split()))
    if limited.vocabulary_size == tokenizer.limited_to(frozenset())[0].vocabulary_size:
        raise ConfigError(f"{file} lists no word of the text; is it the right list?")
    return limited, Words.some_of(kept)


def _valid_nats(
    run: RunFolder,
    prepared: Prepared,
    model: NgramModel,
    tokenizer: Tokenizer,
    limit: int | None = None,
    words: Words | None = None,
) -> float | None:
    """
    Validation loss of an n-gram model on the first `limit` tokens; None without validation text.

    `words` says which of the prepared tokens the model and its tokenizer have; None: all.
    """
    if prepared.valid is None:
        return None
    ids = read_kept_tokens(run, run.valid_tokens, prepared.tokenizer.vocabulary_size)
    if words is not None and words.kept is not None:
        ids = np.where(words.kept, words.new_ids, UNKNOWN)[ids]
    return mean_nats(model, ids, limit, Answers.of(tokenizer))[0]


def _training(prepared: Prepared, nats: float | None) -> dict[str, Any]:
    return {
        "corpus": prepared.corpus,
        "train_tokens": prepared.train.tokens,
        "valid_nats_per_token": nats,
    }
