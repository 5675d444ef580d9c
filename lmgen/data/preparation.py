"""
A corpus to token files: cut off what is held out, choose the vocabulary, encode. All in streaming passes.

    corpus ──► train │ valid │ test        parts of the text, never in memory as a whole
                 │
                 ▼
             tokenizer                     its vocabulary comes from the training text alone
                 │
                 ▼
    data/train.npy, valid.npy              ids; and valid.txt, test.txt, the held-out texts themselves
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lmgen.data.config import HeldOutConfig
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError
from lmgen.files import replacing, write_text
from lmgen.text.corpora import Corpus, open_corpus
from lmgen.text.counts import TextCounter
from lmgen.text.sources import Text
from lmgen.tokenizers.base import IdArray, Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import tokenizer_from_json, train_tokenizer

VALID_FRACTION = 0.1
"""Held out for validation when neither the user nor the corpus says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How much there is of the training, validation or test text."""

    tokens: int
    unknown_tokens: int
    characters: int
    bytes: int
    words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A corpus that is ready to be trained on; the ids are in the run folder."""

    corpus: str
    tokenizer: Tokenizer
    train: Part
    valid: Part
    test: Part | None
    notes: tuple[str, ...] = ()


def prepare(
    corpus: Corpus,
    held_out: HeldOutConfig,
    config: TokenizerConfig,
    run: RunFolder,
    *,
    overwrite: bool = False,
) -> Prepared:
    """
    Make the run folder with its token files: all of it, or (after an error) nothing.

    Args:
        corpus: what to train on.
        held_out: what of it is not trained on.
        config: what a token is.
        run: where the files go.
        overwrite: replace the run that is there, once the new one's data are complete.

    Raises:
        CorpusError: a part of the corpus would be empty, or cannot be read.
        ModelError: the run folder exists.
    """
    _check_free(run, overwrite=overwrite)
    with _workplace(run) as workplace:
        texts = split_corpus(corpus, held_out, at_line_ends=config.tokenizer == "word")
        tokenizer = train_tokenizer(texts["train"].chunks, config)
        parts = {name: _encode(text, name, tokenizer, workplace) for name, text in texts.items()}
        saved = {
            "corpus": corpus.name,
            "tokenizer": tokenizer.to_json(),
            "parts": {name: asdict(part) for name, part in parts.items()},
        }
        write_text(workplace.prepared, json.dumps(saved))
        if overwrite:
            discard_run(run)
        _move_data(workplace, run)
    return Prepared(
        corpus=corpus.name,
        tokenizer=tokenizer,
        train=parts["train"],
        valid=parts["valid"],
        test=parts.get("test"),
        notes=tuple(corpus.notes),
    )


def load_prepared(run: RunFolder) -> Prepared:
    """
    What `prepare` made of a corpus, read from the run folder.

    Raises:
        ModelError: the file that says so is missing or damaged.
    """
    try:
        saved = json.loads(run.prepared.read_text(encoding="utf-8"))
        parts = {name: Part(**part) for name, part in saved["parts"].items()}
        return Prepared(
            corpus=saved["corpus"],
            tokenizer=tokenizer_from_json(saved["tokenizer"]),
            train=parts["train"],
            valid=parts["valid"],
            test=parts.get("test"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LmgenError) as error:
        raise ModelError(f"cannot read {run.prepared} ({error}); train again with --overwrite") from error


def split_corpus(corpus: Corpus, held_out: HeldOutConfig, *, at_line_ends: bool) -> dict[str, Text]:
    """
    Cut a corpus into `train`, `valid` and, if asked for, `test`.

    The validation and test texts are files, the corpus's own, or fractions cut from the end: of N characters
    and fractions v and t, training gets the first floor((1 - v - t) N).

    Args:
        corpus: the whole.
        held_out: what the user says of its parts.
        at_line_ends: move each cut to the next line end, for tokenizers that read lines.

    Raises:
        CorpusError: a part would be empty.
        ConfigError: the fractions leave nothing to train on.
    """
    valid = _held_out(held_out.valid, corpus.valid, corpus.split, "valid")
    test = _held_out(held_out.test, corpus.test, corpus.split, "test")
    if valid is None:
        valid = VALID_FRACTION
    valid_share = valid if isinstance(valid, float) else 0.0
    test_share = test if isinstance(test, float) else 0.0
    if valid_share + test_share >= 1:
        raise ConfigError(f"valid and test are {valid_share} and {test_share}: nothing is left to train on")
    texts: dict[str, Text] = {"train": corpus.train}
    if valid_share + test_share > 0:
        total = corpus.train.counts().characters
        train_end = _cut(corpus.train, 1 - valid_share - test_share, total, at_line_ends)
        valid_end = _cut(corpus.train, 1 - test_share, total, at_line_ends) if test_share else total
        texts["train"] = corpus.train.part(0, train_end)
        if valid_share:
            valid = corpus.train.part(train_end, valid_end)
        if test_share:
            test = corpus.train.part(valid_end, total)
    assert isinstance(valid, Text)
    texts["valid"] = valid
    if isinstance(test, Text):
        texts["test"] = test
    return texts


def discard_run(run: RunFolder) -> None:
    """Delete a run's own files, and nothing else that may lie beside them."""
    for file in (run.model, run.ngram, run.config, run.metrics):
        file.unlink(missing_ok=True)
    for folder in (run.last.parent, run.prepared.parent):
        shutil.rmtree(folder, ignore_errors=True)


def _held_out(
    asked: str | None, own: Text | None, split: Mapping[str, float], name: str
) -> Text | float | None:
    """A text, a fraction of the corpus, or None: what was asked for, else the corpus's own, else its rule."""
    if asked is None:
        return own if own is not None else split.get(name)
    try:
        fraction = float(asked)
    except ValueError:
        return open_corpus([asked]).train
    if not 0 < fraction < 1:
        raise ConfigError(f"{name} is {asked}, but a fraction has to be above 0 and below 1")
    return fraction


def _cut(text: Text, share: float, total: int, at_line_ends: bool) -> int:
    """Where a share of the text ends, in characters; at the next line end if there is one before the end."""
    begin = int(share * total + 1e-6)  # 0.9 of 10 is 9, though 1 - 0.1 is a little less than 0.9
    if not at_line_ends:
        return begin
    position = begin
    for chunk in text.part(begin, total).chunks():
        if (line_end := chunk.find("\n")) >= 0:
            end = position + line_end + 1
            return end if end < total else begin
        position += len(chunk)
    return begin


def _encode(text: Text, name: str, tokenizer: Tokenizer, run: RunFolder) -> Part:
    """Write one part's ids (and what is held out as text too), and count it."""
    counter = TextCounter()
    unknown = 0

    def counted(blocks: Iterable[IdArray]) -> Iterator[IdArray]:
        nonlocal unknown
        for ids in blocks:
            if tokenizer.unknown is not None:
                unknown += int((ids == tokenizer.unknown).sum())
            yield ids

    chunks = counter.counting(text.chunks())
    ids_path, text_path = run.files_of(name)
    with _copied(chunks, text_path) as passed:
        blocks = counted(tokenizer.encode_stream(passed))
        tokens = write_tokens(ids_path, blocks, tokenizer.vocabulary_size)
    if tokens == 0:
        raise CorpusError(
            f"the {name} part of the corpus is empty; take more text, or other fractions for --valid and "
            "--test"
        )
    counts = counter.counts
    return Part(
        tokens=tokens,
        unknown_tokens=unknown,
        characters=counts.characters,
        bytes=counts.bytes,
        words=counts.words,
    )


@contextmanager
def _copied(chunks: Iterable[str], path: Path | None) -> Iterator[Iterable[str]]:
    """Pass chunks on; with a path, write them there as they pass."""
    if path is None:
        yield chunks
        return
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield (chunk for chunk in chunks if file.write(chunk) or True)


def _check_free(run: RunFolder, *, overwrite: bool) -> None:
    """Refuse a folder that is in use: a run without `overwrite`, anything else always."""
    if not run.folder.exists():
        return
    if not run.folder.is_dir():
        raise ModelError(f"{run.folder} is a file; give --out another folder")
    if not any(run.folder.iterdir()):
        return
    if not (run.config.exists() or run.prepared.exists()):
        raise ModelError(f"{run.folder} is not empty and not a run; give --out another folder")
    if not overwrite:
        raise ModelError(
            f"there is a run in {run.folder} already; go on with it (--resume), replace it (--overwrite) or "
            "give another folder (--out)"
        )


@contextmanager
def _workplace(run: RunFolder) -> Iterator[RunFolder]:
    """A folder beside the run's in which its files are made; it goes in the end, whatever happens."""
    parent = run.folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(dir=parent, prefix=f".{run.folder.name}."))
    except OSError as error:
        raise ModelError(
            f"cannot make a run folder in {parent}: {error.strerror}; give another --out"
        ) from error
    try:
        yield RunFolder(workplace)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _move_data(workplace: RunFolder, run: RunFolder) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    workplace.prepared.parent.replace(run.prepared.parent)
