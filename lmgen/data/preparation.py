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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path

from lmgen.data.config import HeldOutConfig
from lmgen.data.run_folder import RunFolder
from lmgen.data.splitting import split_corpus
from lmgen.data.token_file import write_tokens
from lmgen.errors import CorpusError, LmgenError, ModelError
from lmgen.files import replacing, write_text
from lmgen.text.corpora import Corpus
from lmgen.text.counts import TextCounter
from lmgen.text.sources import Text
from lmgen.tokenizers.base import IdArray, Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import TOKENIZERS, tokenizer_from_json, train_tokenizer

EXAMPLES = 8
"""How many unknown tokens are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How much there is of the training, validation or test text."""

    tokens: int
    unknown_tokens: int
    characters: int
    bytes: int
    words: int

    def __post_init__(self) -> None:
        if any(type(count) is not int or count < 0 for count in asdict(self).values()) or not self.tokens:
            raise ValueError(f"{self} is not how much there is of a text")

    def bits_per_character(self, nats_per_token: float) -> float | None:
        """The same loss per character; None where unknown tokens make it mean less than the text."""
        if self.unknown_tokens or not self.characters:
            return None
        return nats_per_token * self.tokens / log(2) / self.characters


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
    given: Tokenizer | None = None,
    extend: bool = False,
    overwrite: bool = False,
    needed_tokens: int = 1,
    check_vocabulary: Callable[[int], object] = lambda _: None,
) -> Prepared:
    """
    Make the run folder with its token files: all of it, or (after an error) nothing.

    Args:
        corpus: what to train on.
        held_out: what of it is not trained on.
        config: what a token is.
        run: where the files go.
        given: a tokenizer that is there already, of the kind that `config` names; None: train one.
        extend: give the tokens that it does not know ids of their own, as far as `config` allows.
        overwrite: replace the run that is there, once the new one's data are complete.
        needed_tokens: the fewest tokens that can be trained on.
        check_vocabulary: is given V, and raises an error if the network cannot be made for it.

    Raises:
        ConfigError: the given vocabulary cannot be extended.
        CorpusError: a part of the corpus would be empty or too short, or cannot be read.
        ModelError: the run folder exists.
    """
    _check_free(run, overwrite=overwrite)
    with _workplace(run) as workplace:
        kind = TOKENIZERS[config.tokenizer]
        texts = split_corpus(corpus, held_out, at_line_ends=kind.reads_lines, errors=kind.reading_errors)
        notes = list(corpus.notes)
        if given is None:
            tokenizer = train_tokenizer(texts["train"].chunks, config)
        else:
            missing = given.missing(texts["train"].chunks)
            tokenizer = _extended(given, missing, config) if extend else given
            notes += _vocabulary_notes(given, tokenizer, missing)
        check_vocabulary(tokenizer.vocabulary_size)
        parts = {name: _encode(text, name, tokenizer, workplace) for name, text in texts.items()}
        if given is not None:
            notes += _held_out_notes(parts)
        _check_length(parts["train"].tokens, needed_tokens)
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
        notes=tuple(notes),
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
            corpus=str(saved["corpus"]),
            tokenizer=tokenizer_from_json(saved["tokenizer"]),
            train=parts["train"],
            valid=parts["valid"],
            test=parts.get("test"),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, LmgenError) as error:
        raise ModelError(f"cannot read {run.prepared} ({error}); train again with --overwrite") from error


def discard_run(run: RunFolder) -> None:
    """Delete a run's own files, and nothing else that may lie beside them."""
    for file in (run.model, run.ngram, run.mixture, run.config, run.metrics):
        file.unlink(missing_ok=True)
    for folder in (run.last.parent, run.prepared.parent):
        shutil.rmtree(folder, ignore_errors=True)


def _extended(given: Tokenizer, missing: Mapping[str, int], config: TokenizerConfig) -> Tokenizer:
    """The tokenizer with what it lacks, but for tokens that are too rare."""
    return given.extended([token for token, count in missing.items() if count >= config.min_count])


def _vocabulary_notes(given: Tokenizer, used: Tokenizer, missing: Mapping[str, int]) -> list[str]:
    """What a vocabulary lacks for a text, and what was added to it."""
    if not missing:
        return []
    new = used.vocabulary_size - given.vocabulary_size
    notes = []
    if new:
        first = given.vocabulary_size
        added = {used.piece(token): missing[used.piece(token)] for token in range(first, first + new)}
        notes.append(f"{new:,} new tokens have ids from {first:,} on: {_examples(added)}")
        missing = {token: count for token, count in missing.items() if token not in added}
    if missing:
        notes.append(
            f"{sum(missing.values()):,} tokens of the training text are unknown to the vocabulary, "
            f"{len(missing):,} different ones: {_examples(missing)}"
            + ("" if new else "; --extend-vocabulary gives them ids")
        )
    return notes


def _held_out_notes(parts: Mapping[str, Part]) -> list[str]:
    return [
        f"{part.unknown_tokens:,} tokens of the {name} text are unknown to the vocabulary"
        for name, part in parts.items()
        if name != "train" and part.unknown_tokens
    ]


def _examples(counts: Mapping[str, int]) -> str:
    """The most frequent tokens with their counts: `'é' 12, 'ü' 3, ...`."""
    frequent = sorted(counts, key=lambda token: -counts[token])
    shown = [f"{token[:60]!r} {counts[token]:,}" for token in frequent[:EXAMPLES]]
    return ", ".join(shown) + (", ..." if len(frequent) > EXAMPLES else "")


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


def _check_length(tokens: int, needed: int) -> None:
    """Refuse a training text that is too short for its windows, before there is a run folder."""
    if tokens < needed:
        raise CorpusError(
            f"the training text has {tokens} tokens, but one window needs at least {needed}: take more text, "
            "or a smaller --batch-size or --window-length"
        )


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
