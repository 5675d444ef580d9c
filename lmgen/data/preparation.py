"""
Prepare a corpus for training: split it, build the vocabulary, encode it into token files.

Each step streams over the text, which is never in memory as a whole.

    corpus ──► train │ valid │ test        parts of the text
                 │
                 ▼
             tokenizer                     its vocabulary comes from the training text alone
                 │
                 ▼
    data/train.npy, valid.npy              token ids; valid.txt and test.txt keep the held-out text, if any

Where texts have labels, data/train.labels.npy and valid.labels.npy are beside them, and held-out texts keep
their labels, each after a tab.
"""

import json
import unicodedata
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import log
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from lmgen.arrays import IdArray
from lmgen.data.answers import AnswerSizes
from lmgen.data.config import HeldOutConfig
from lmgen.data.labels import LabelledBlock, LabelSet
from lmgen.data.run_folder import RunFolder
from lmgen.data.splitting import split_corpus
from lmgen.data.token_file import id_type, not_as_prepared, write_tokens
from lmgen.data.unfinished import Stamp, Unfinished, refuse_changes, stamps
from lmgen.errors import CorpusError, LmgenError, ModelError
from lmgen.files import CHECKED_BYTES, block_checksum, block_checksums, checksum, replacing, write_text
from lmgen.text import progress
from lmgen.text.config import LabelFormat, ReadingConfig
from lmgen.text.corpora import Corpus
from lmgen.text.counts import TextCounter, TextCounts, count
from lmgen.text.given import is_placeholder
from lmgen.text.labels import found_format, labelled, labels_of, unlabelled
from lmgen.text.sources import Text, cut, open_text
from lmgen.text.units import JsonLines, Unit
from lmgen.tokenizers.base import Chunks, EncodedBlock, Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.parallel import in_processes
from lmgen.tokenizers.registry import TOKENIZERS, tokenizer_from_json, train_tokenizer

PARTS = ("train", "valid", "test")

VERSION = 1
"""To be increased when a text is split into other tokens than before: earlier ones are not used then."""

LARGEST_COUNT = 2**63 - 1
"""Upper bound on the token, character, byte and word counts of a text: no file is larger."""

VERIFIED_BY_BLOCK = 1 << 26
"""
From this size on, in bytes, a file is not read as a whole each time that its run goes on.

Its blocks have checksums of their own, which are verified where they are read (token_file.py).
"""

EXAMPLES = 8
"""Maximum number of tokens that a note lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Size of the training, validation or test text, in several units."""

    tokens: int
    unknown_tokens: int
    characters: int
    bytes: int
    words: int
    answer_tokens: int | None = field(default=None, repr=False)
    """Tokens of answers, which alone are scored; None: all tokens are."""
    answer_characters: int | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        counts = self.to_json().values()
        if (
            any(type(count) is not int or not 0 <= count <= LARGEST_COUNT for count in counts)
            or not self.tokens
        ):
            raise ValueError(f"{self} is not a possible size of a text")

    def bits_per_character(self, nats_per_token: float) -> float | None:
        """Convert a mean loss; None without characters, or with unknown tokens, which hide some."""
        tokens, characters = self.tokens, self.characters
        if self.answer_tokens is not None:
            tokens, characters = self.answer_tokens, self.answer_characters or 0
        if self.unknown_tokens or not characters:
            return None
        return nats_per_token * tokens / log(2) / characters

    def to_json(self) -> dict[str, int]:
        """What prepared.json keeps: nothing about answers where there are none."""
        counts = asdict(self)
        return {
            name: count
            for name, count in counts.items()
            if count is not None or name not in ("answer_tokens", "answer_characters")
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Tokenizer and part sizes of a prepared corpus, whose token ids are in the run folder."""

    corpus: str
    tokenizer: Tokenizer
    train: Part
    valid: Part | None
    """None if nothing is held out for validation."""
    scored: Part | None
    """The leading part of the validation text, which is scored in evaluations during training."""
    test: Part | None
    notes: tuple[str, ...] = ()
    labels: LabelSet | None = None
    """The labels that the texts have, if they are to be predicted."""
    block_checksums: Mapping[str, Sequence[int]] = field(default_factory=dict, repr=False)
    """By the names of large files: the checksum of each of their blocks (`files.block_checksums`)."""

    def __str__(self) -> str:
        held_out = "" if self.valid is None else f", {self.valid.tokens:,} to validate"
        return (
            f"prepared  {self.corpus}: {self.train.tokens:,} tokens to train on{held_out}, "
            f"V = {self.tokenizer.vocabulary_size:,}"
            + ("" if self.labels is None else f", {len(self.labels.names):,} labels")
        )


def prepare(
    corpus: Corpus,
    held_out: HeldOutConfig,
    config: TokenizerConfig,
    run: RunFolder,
    *,
    reading: ReadingConfig | None = None,
    given: Tokenizer | None = None,
    extend: bool = False,
    labels: LabelFormat | Literal["any"] | None = None,
    needed_tokens: int = 1,
    scored_tokens: int | None = None,
    check_vocabulary: Callable[[int], object] = lambda _: None,
    processes: int | None = None,
    going_on: bool = False,
    others: Iterable[RunFolder] = (),
) -> Prepared:
    """
    Split and encode a corpus into a run's data folder.

    `prepared.json` is written last, so that its presence means the folder is complete. A long text is encoded
    in several processes, to the same ids.

    Args:
        corpus: text to train on, with its own validation and test text if it has them.
        held_out: settings for the validation and test text.
        config: settings of the tokenizer.
        run: run folder without data files.
        reading: how texts are read; None: as documents, as they are.
        given: existing tokenizer of the kind named in `config`; None: train one.
        extend: add the tokens that `given` lacks, if they occur at least `config.min_count` times.
        labels: how the texts are labelled, `any`: as their beginning tells; None: they have no labels.
        needed_tokens: minimum length of the training text, in tokens.
        scored_tokens: number of leading validation tokens to score in evaluations; None: all.
        check_vocabulary: called with V; raises an error if no network can be built for it.
        processes: how many encode a long text; None: one for each processor.
        going_on: go on with what an interrupted preparation of the same files has left in the folder, and
            leave something to go on with (unfinished.py).
        others: runs whose token files are taken over (as hard links) if they come from the same large files,
            unchanged since, by the same settings.

    Raises:
        ConfigError: the given vocabulary cannot be extended.
        CorpusError: a part of the corpus is empty or too short, or cannot be read, or a file changes
            meanwhile.
        WriteError: the folder cannot be written to.
    """
    kind = TOKENIZERS[config.tokenizer]
    read = None
    files = _files_read(corpus, held_out, config)
    read_files = stamps(files or ())
    answers = reading is not None and reading.answers_after is not None
    comes_from = None
    if going_on and files is not None and given is None and labels is None and not answers:
        comes_from = _comes_from(read_files, corpus, held_out, config, reading)
    begun = Unfinished.begun(run, comes_from)
    large = _taken_over(begun, others if sum(stamp.size for stamp in read_files) >= VERIFIED_BY_BLOCK else ())
    with in_processes(processes), _unchanged(read_files):
        if labels is not None:
            form = None if labels == "any" else labels
            label_of = labels_of(form or found_format(corpus.train))
            read = partial(labelled, form=form, of=label_of)
        with progress.reading("measuring the text", files):
            texts: Mapping[str, Text] = {}
            if large is None:
                texts = split_corpus(
                    corpus,
                    held_out,
                    reading,
                    at_line_ends=kind.reads_lines,
                    errors=kind.reading_errors,
                    labelled=read,
                )
        notes = list(corpus.notes)
        missing: Mapping[str, int] = {}
        label_set = None
        learnt: Chunks = lambda: texts["train"].chunks()  # noqa: E731
        with progress.reading("choosing tokens", files):
            if read is not None:
                label_set = LabelSet.of_text(learnt(), label_of, corpus.name)
                learnt = partial(_without_labels, texts["train"])
            if given is None:
                tokenizer = begun.tokenizer_or(lambda: train_tokenizer(learnt, config, reading))
                notes += begun.notes
            else:
                missing = given.missing(texts["train"].chunks)
                tokenizer = _extended(given, missing, config) if extend else given
                notes += _vocabulary_notes(given, tokenizer, missing)
        check_vocabulary(tokenizer.vocabulary_size)
        parts = {} if large is None else {name: Part(**sizes) for name, sizes in begun.parts.items()}
        for name, text in texts.items():
            with progress.reading(f"tokenizing the {name} text", files):
                if label_set is None:
                    parts[name] = _encode(text, name, tokenizer, begun, notes.append)
                    continue
                parts[name], unknown_labels = _encode_labelled(text, name, tokenizer, label_set, run)
                if unknown_labels:
                    notes.append(
                        f"{unknown_labels:,} labels of the {name} text are none of the training text's; they "
                        "are left out of its loss"
                    )
    if label_set is not None or given is not None or config.tokenizer_file is not None:
        notes += _unknown_notes(parts, counted=bool(missing))
    _check_length(parts["train"].tokens, needed_tokens)
    written = _files(run, parts, tokenizer.unit, with_labels=label_set is not None)
    if large is None:
        large = {file.name: block_checksums(file) for file in written if _is_large(file)}
    saved: dict[str, Any] = {
        "corpus": corpus.name,
        "tokenizer": tokenizer.to_json(),
        "parts": {name: part.to_json() for name, part in parts.items()},
        "crc32": {file.name: checksum(file) for file in written if file.name not in large},
    }
    if large:
        saved["crc32_of_blocks"] = large
        saved["bytes"] = {file.name: file.stat().st_size for file in written if file.name in large}
        saved["comes_from"] = comes_from and {**comes_from, "notes": begun.notes}
    if label_set is not None:
        saved["labels"] = {"of": label_set.of, "names": list(label_set.names)}
    write_text(run.prepared, json.dumps({**saved, "own_crc32": _own_checksum(saved)}))
    return Prepared(
        corpus=corpus.name,
        tokenizer=tokenizer,
        train=parts["train"],
        valid=parts.get("valid"),
        scored=parts.get("valid")
        if label_set
        else _measure_beginning(run.valid_text, parts.get("valid"), tokenizer, scored_tokens),
        test=parts.get("test"),
        notes=tuple(notes),
        labels=label_set,
        block_checksums=large,
    )


def load_prepared(run: RunFolder, scored_tokens: int | None = None) -> Prepared:
    """
    Load a corpus that `prepare` wrote to a run folder, and verify its checksums.

    Of a large file only the first and the last block are verified now, the others where they are read.

    Args:
        run: run folder with data files.
        scored_tokens: as in `prepare`.

    Raises:
        ModelError: a file is missing or damaged; the message says which.
    """
    try:
        saved = json.loads(run.prepared.read_text(encoding="utf-8"))
        if saved.pop("own_crc32", None) not in (None, _own_checksum(saved)):
            raise ValueError("it is damaged")
        checksums = dict(saved.get("crc32", {}))  # the first version of lmgen wrote none
        of_blocks = {
            str(name): list(map(int, of_file)) for name, of_file in saved.get("crc32_of_blocks", {}).items()
        }
        sizes = {name: int(saved["bytes"][name]) for name in of_blocks}
        parts = {name: Part(**saved["parts"][name]) for name in PARTS if name in saved["parts"]}
        prepared = Prepared(
            corpus=str(saved["corpus"]),
            tokenizer=tokenizer_from_json(saved["tokenizer"]),
            train=parts["train"],
            valid=parts.get("valid"),
            scored=parts.get("valid"),
            test=parts.get("test"),
            labels=_saved_labels(saved.get("labels")),
            block_checksums=of_blocks,
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, LmgenError) as error:
        raise ModelError(f"cannot read {run.prepared} ({error}); train again with --overwrite") from error
    with_labels = prepared.labels is not None
    if checksums or of_blocks:
        for file in _files(run, parts, prepared.tokenizer.unit, with_labels=with_labels):
            if file.name in of_blocks:
                matches = partial(_ends_match, file, of_blocks[file.name], sizes[file.name])
            else:
                matches = partial(_matches, file, checksums.get(file.name))
            _check_file(file, matches)
    if with_labels:
        return prepared
    scored = _measure_beginning(run.valid_text, prepared.valid, prepared.tokenizer, scored_tokens)
    return replace(prepared, scored=scored)


def _check_file(file: Path, matches: Callable[[], bool]) -> None:
    """Raise ModelError for a file that is unreadable or does not match its checksum."""
    try:
        whole = matches()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}; train again with --overwrite") from error
    if not whole:
        raise not_as_prepared(file)


def _matches(file: Path, expected: int | None) -> bool:
    return checksum(file) == expected


def _ends_match(file: Path, expected: Sequence[int], size: int) -> bool:
    """Whether the first and the last block of a large file are as they were, and its size."""
    if file.stat().st_size != size or len(expected) != -(-size // CHECKED_BYTES):
        return False
    return all(block_checksum(file, number) == expected[number] for number in (0, len(expected) - 1))


def _all_match(run: RunFolder, prepared: Prepared) -> bool:
    """Whether all blocks of a run's large files are as they were."""
    expected = prepared.block_checksums.items()
    return all(block_checksums(run.data / name) == checksums for name, checksums in expected)


def _is_large(file: Path) -> bool:
    return file.stat().st_size >= VERIFIED_BY_BLOCK


def _files(run: RunFolder, parts: Iterable[str], unit: Unit, *, with_labels: bool) -> list[Path]:
    """The token files of the given parts, those of their labels, and the text files of those held out."""
    names = list(parts)
    files = [file for part in names for file in run.files_of(part, unit) if file is not None]
    return files + [run.labels_of(part) for part in names if with_labels]


def _saved_labels(saved: Any) -> LabelSet | None:
    """The labels that `prepare` wrote down, if there are any; raises ValueError if they are damaged."""
    match saved:
        case None:
            return None
        case {"of": "line" | "word" as of, "names": list(names)} if all(isinstance(n, str) for n in names):
            return LabelSet(of, tuple(names))
        case _:
            raise ValueError("its labels are damaged")


def _own_checksum(saved: Mapping[str, Any]) -> int:
    """CRC-32 of the contents of `prepared.json`, without the field that stores it."""
    return zlib.crc32(json.dumps(saved).encode())


def _extended(given: Tokenizer, missing: Mapping[str, int], config: TokenizerConfig) -> Tokenizer:
    """The tokenizer plus the missing tokens that occur at least `min_count` times."""
    return given.extended([token for token, count in missing.items() if count >= config.min_count])


def _vocabulary_notes(given: Tokenizer, used: Tokenizer, missing: Mapping[str, int]) -> list[str]:
    """Notes on tokens that were added to the vocabulary, and on those still unknown."""
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


def _unknown_notes(parts: Mapping[str, Part], *, counted: bool) -> list[str]:
    """Notes on unknown tokens of each part; of the training text only if they are not `counted` already."""
    return [
        f"{part.unknown_tokens:,} tokens of the {name} text are unknown to the vocabulary"
        for name, part in parts.items()
        if part.unknown_tokens and not (counted and name == "train")
    ]


def _examples(counts: Mapping[str, int]) -> str:
    """List the most frequent tokens with their counts: `'é' 12, 'ü' 3, ...`."""
    frequent = sorted(counts, key=lambda token: -counts[token])
    shown = [f"{token[:60]!r} {counts[token]:,}" for token in frequent[:EXAMPLES]]
    return ", ".join(shown) + (", ..." if len(frequent) > EXAMPLES else "")


def _files_read(corpus: Corpus, held_out: HeldOutConfig, config: TokenizerConfig) -> tuple[Path, ...] | None:
    """The files that the tokens of a corpus come from; None if they do not come from files alone."""
    own = [] if config.tokenizer_file is None else [Path(config.tokenizer_file)]
    for name in ("valid", "test"):
        asked: str | None = getattr(held_out, name)
        if asked is not None and not is_placeholder(asked) and held_out.fraction(name) is None:
            own.append(Path(asked))
    texts = [text for text in (corpus.train, corpus.valid, corpus.test) if text is not None]
    if any(text.files is None for text in texts) or not all(path.is_file() for path in own):
        return None
    return tuple(dict.fromkeys([*(file for text in texts for file in text.files or ()), *own]))


def _taken_over(begun: Unfinished, others: Iterable[RunFolder]) -> Mapping[str, Sequence[int]] | None:
    """
    Take the token files of a run that come from the same files by the same settings, if there is one.

    Returns:
        The checksums of the blocks of large files (`Prepared.block_checksums`); None if there is no such run.
    """
    if begun.parts or begun.under_way:
        return None  # this goes on
    for other in others:
        try:
            saved = json.loads(other.prepared.read_text(encoding="utf-8"))
            notes = [str(note) for note in saved["comes_from"].pop("notes")]
            if not begun.is_of(saved["comes_from"]):
                continue
            prepared = load_prepared(other)
            if not _all_match(other, prepared):
                continue
            begun.take_over(_files(other, saved["parts"], prepared.tokenizer.unit, with_labels=False))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, LmgenError):
            continue  # such files are as good as none
        begun.tokenizer, begun.notes, begun.parts = saved["tokenizer"], notes, saved["parts"]
        return prepared.block_checksums
    return None


@contextmanager
def _unchanged(read_files: Sequence[Stamp]) -> Iterator[None]:
    """In the block, files are read that have to stay as they are; raises CorpusError if one does not."""
    try:
        yield
    except CorpusError:
        refuse_changes(read_files)  # which says more
        raise
    refuse_changes(read_files)


def _comes_from(
    read_files: Sequence[Stamp],
    corpus: Corpus,
    held_out: HeldOutConfig,
    config: TokenizerConfig,
    reading: ReadingConfig | None,
) -> dict[str, Any]:
    """All that token files depend on, as JSON values."""
    return {
        "version": [VERSION, unicodedata.unidata_version],
        "files": read_files,
        "split": dict(corpus.split),
        "held_out": asdict(held_out),
        "tokenizer": asdict(config),
        "reading": asdict(reading or ReadingConfig()),
    }


def _encode(
    text: Text, name: str, tokenizer: Tokenizer, begun: Unfinished, on_note: Callable[[str], None]
) -> Part:
    """Write the token ids of one part, and its text if it is held out; return its size."""
    if name in begun.parts:
        return Part(**begun.parts[name])
    encoded = begun.encoded(name, tokenizer)
    position = encoded.counter.counts.characters
    sizes = AnswerSizes(tokenizer)

    def counted(blocks: Iterable[EncodedBlock]) -> Generator[IdArray]:
        for block in blocks:
            sizes.add(block)
            if len(block.ids):
                yield block.ids

    ids_path, text_path = begun.run.files_of(name, tokenizer.unit)
    chunks = text.part(position).chunks() if position else text.chunks()
    with (
        _copied_to(chunks, text_path) as passed,
        closing(counted(tokenizer.encode_blocks(passed, encoded))) as blocks,
    ):
        tokens = write_tokens(ids_path, blocks, tokenizer.vocabulary_size, begun.file_of(name, encoded))
    if tokens and (note := sizes.note(name)):
        on_note(note)
    part = _part(name, tokens, encoded.unknown, tokenizer.closed(encoded.counter.counts), sizes.counts)
    begun.finished(name, part.to_json())
    return part


def _encode_labelled(
    text: Text, name: str, tokenizer: Tokenizer, labels: LabelSet, run: RunFolder
) -> tuple[Part, int]:
    """
    Write the token ids of one part and what is to be predicted, and the labelled text if it is held out.

    Returns:
        The size of the part, without labels, and how many of its labels are unknown.
    """
    counter = TextCounter()
    unknown = unknown_labels = 0
    targets: list[IdArray] = []

    def counted(blocks: Iterable[LabelledBlock]) -> Iterator[IdArray]:
        nonlocal unknown, unknown_labels
        for block in blocks:
            counter.add(block.text)
            unknown += int(tokenizer.unknown_among(block.text, block.ids).sum())
            unknown_labels += block.unknown_labels
            targets.append(block.targets.astype(id_type(len(labels.names) + 1)))
            yield block.ids

    ids_path, text_path = run.files_of(name, tokenizer.unit)
    with _copied_to(text.chunks(), text_path) as passed:
        tokens = write_tokens(ids_path, counted(labels.encode(passed, tokenizer)), tokenizer.vocabulary_size)
    write_tokens(run.labels_of(name), targets, len(labels.names) + 1)
    return _part(name, tokens, unknown, counter.counts), unknown_labels


def _part(
    name: str,
    tokens: int,
    unknown: int,
    counts: TextCounts,
    answers: Mapping[str, int] = MappingProxyType({}),
) -> Part:
    """The size of a part, with that of its answers; raises CorpusError if it is empty."""
    if tokens == 0:
        raise CorpusError(
            f"the {name} part of the corpus is empty; take more text, or other fractions for --valid and "
            "--test"
        )
    return Part(
        tokens=tokens,
        unknown_tokens=unknown,
        characters=counts.characters,
        bytes=counts.bytes,
        words=counts.words,
        **answers,
    )


def _without_labels(text: Text) -> Iterator[str]:
    return unlabelled(text.chunks())


def _measure_beginning(
    path: Path, whole: Part | None, tokenizer: Tokenizer, limit: int | None
) -> Part | None:
    """
    Size of the first `limit` tokens of a text, with characters counted up to the start of the next token.

    Args:
        path: text file written by `prepare`.
        whole: size of the whole text; None if there is none.
        tokenizer: tokenizer whose tokens are counted.
        limit: number of tokens; None: the whole text.

    Raises:
        ModelError: the text cannot be read.
    """
    if limit is None or whole is None or whole.tokens <= limit:
        return whole
    tokens = unknown = 0
    sizes = AnswerSizes(tokenizer)
    for block in tokenizer.encode_blocks(_read_chunks(path)):
        taken = min(len(block.ids), limit - tokens)
        sizes.add(block, taken)
        tokens += taken
        unknown += int(tokenizer.unknown_among(block.text, block.ids)[:taken].sum())
        if taken < len(block.ids):
            offset = 0 if block.closes else int(tokenizer.encode_with_offsets(block.text)[1][taken])
            counts = count(cut(_read_chunks(path), 0, block.position + offset))
            return Part(
                tokens=tokens,
                unknown_tokens=unknown,
                characters=counts.characters,
                bytes=counts.bytes,
                words=counts.words,
                **sizes.counts,
            )
    return whole


def _read_chunks(path: Path) -> Iterator[str]:
    """Read a held-out text that `prepare` wrote, in chunks."""
    try:
        if path.suffix == ".jsonl":
            yield from open_text(str(path), errors="surrogateescape").record_chunks()
            return
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield from iter(lambda: file.read(1 << 20), "")
    except (OSError, CorpusError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot read {path}: {why}; train again with --overwrite") from error


@contextmanager
def _copied_to(chunks: Iterable[str], path: Path | None) -> Iterator[Iterable[str]]:
    """Pass chunks through; if there is a path, also write each one to that file."""
    if path is None:
        yield chunks
        return
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        if path.suffix == ".jsonl":
            lines = JsonLines()
            yield (chunk for chunk in chunks if file.write(lines.written(chunk)) or True)
            file.write(lines.finish())
        else:
            yield (chunk for chunk in chunks if file.write(chunk) or True)


def _check_length(tokens: int, needed: int) -> None:
    """Raise CorpusError if the training text is shorter than one window."""
    if tokens < needed:
        raise CorpusError(
            f"the training text has {tokens} tokens, but one window needs at least {needed}: take more text, "
            "or a smaller --batch-size or --window-length"
        )
