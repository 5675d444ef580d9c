"""
A prepared corpus: its tokenizer and sizes, which `prepared.json` keeps beside the token files.

    data/prepared.json        written last, so that its presence means that the folder is complete
    data/train.npy            and all others: compared with their checksums when they are loaded

Of a large file only the first and the last block are compared then, the others where they are read.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import log
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lmgen.data.answers import AnswerSizes
from lmgen.data.held_out_text import held_out_chunks
from lmgen.data.labels import LabelSet
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import TokenFile, blocks_of, not_as_prepared, open_tokens
from lmgen.data.unit_batches import whole_units
from lmgen.errors import LmgenError, ModelError
from lmgen.files import CHECKED_BYTES, block_checksum, block_checksums, checksum, write_text
from lmgen.text.chunks import cut
from lmgen.text.counts import TextCounts, count
from lmgen.text.units import Unit
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.registry import tokenizer_from_json

PARTS = ("train", "valid", "test")

LARGEST_COUNT = 2**63 - 1
"""Upper bound on the token, character, byte and word counts of a text: no file is larger."""

VERIFIED_BY_BLOCK = 1 << 26
"""
From this size on, in bytes, a file is not read as a whole each time that its run goes on.

Its blocks have checksums of their own, which are verified where they are read (token_file.py,
held_out_text.py).
"""


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

    @classmethod
    def of(
        cls,
        tokens: int,
        unknown: int,
        counts: TextCounts,
        answers: Mapping[str, int] = MappingProxyType({}),
    ) -> "Part":
        """The size of a text by what was counted of it; `answers` has the fields about answers, if any."""
        return cls(
            tokens=tokens,
            unknown_tokens=unknown,
            characters=counts.characters,
            bytes=counts.bytes,
            words=counts.words,
            **answers,
        )

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

    @classmethod
    def of(cls, parts: Mapping[str, Part], **others: Any) -> "Prepared":
        """A corpus of some parts, of whose validation text all is scored; `others` are fields."""
        return cls(
            train=parts["train"],
            valid=parts.get("valid"),
            scored=parts.get("valid"),
            test=parts.get("test"),
            **others,
        )

    def __str__(self) -> str:
        held_out = "" if self.valid is None else f", {self.valid.tokens:,} to validate"
        return (
            f"prepared  {self.corpus}: {self.train.tokens:,} tokens to train on{held_out}, "
            f"V = {self.tokenizer.vocabulary_size:,}"
            + ("" if self.labels is None else f", {len(self.labels.names):,} labels")
        )

    def with_scored(self, run: RunFolder, limit: int | None) -> "Prepared":
        """
        The same, with the first `limit` tokens of the validation text to be scored; None: all.

        With labels they are whole texts (`UnitBatches`), and all are counted.

        Raises:
            ModelError: that text cannot be read, or is damaged.
        """
        whole = self.valid
        if self.labels is not None or limit is None or whole is None or whole.tokens <= limit:
            return self
        text = run.valid_text
        read = partial(held_out_chunks, text, self.block_checksums.get(text.name))
        return replace(self, scored=_beginning(read, self.tokenizer, limit) or whole)

    def open_tokens(self, path: Path, vocabulary_size: int) -> TokenFile:
        """
        A token file of the run folder, verified block by block if it is large.

        Raises:
            CorpusError, ModelError: as `token_file.open_tokens`.
        """
        return open_tokens(path, vocabulary_size, self.block_checksums.get(path.name))

    def nothing_scored(self, run: RunFolder, limit: int | None) -> str | None:
        """
        Why evaluations score nothing: there is no label or answer to predict in what they read.

        Args:
            run: the run folder.
            limit: that of `with_scored`, which this comes from.

        Returns:
            What to say of it; None if something is scored.

        Raises:
            ModelError: the validation text cannot be read, or is damaged.
        """
        if limit is None or self.valid is None or self.valid.tokens <= limit:
            return None
        if self.labels is not None:
            missing = None if self._has_label(run, limit) else "label that the training text has"
        elif self.scored is not None and self.scored.answer_tokens == 0:
            missing = f"answer after {self.tokenizer.reading.answers_after!r}"
        else:
            missing = None
        return missing and (
            f"the first {limit:,} tokens of the validation text have no {missing}, so that evaluations score "
            "nothing"
        )

    def _has_label(self, run: RunFolder, limit: int) -> bool:
        """Whether a label is to be predicted in the texts with the first `limit` tokens to validate on."""
        assert self.labels is not None
        assert self.tokenizer.end is not None, "labelled texts have an end each"
        ids, targets = (
            self.open_tokens(file, size)
            for file, size in (
                (run.valid_tokens, self.tokenizer.vocabulary_size),
                (run.labels_of("valid"), len(self.labels.names) + 1),
            )
        )
        return any(block.any() for block in blocks_of(targets, whole_units(ids, self.tokenizer.end, limit)))


def files_of_parts(run: RunFolder, parts: Iterable[str], unit: Unit, *, with_labels: bool) -> list[Path]:
    """The token files of the given parts, those of their labels, and the text files of those held out."""
    names = list(parts)
    files = [file for part in names for file in run.files_of(part, unit) if file is not None]
    return files + [run.labels_of(part) for part in names if with_labels]


def checksums_of_large(files: Iterable[Path]) -> dict[str, list[int]]:
    """The checksum of each block of those files that are verified by block, by their names."""
    return {file.name: block_checksums(file) for file in files if file.stat().st_size >= VERIFIED_BY_BLOCK}


def save_prepared(
    run: RunFolder, prepared: Prepared, parts: Mapping[str, Part], comes_from: Mapping[str, Any] | None
) -> None:
    """
    Write `prepared.json`, which says that all other files are complete.

    Args:
        run: the run folder, with the files.
        prepared: what is in them.
        parts: its parts in the order in which they are kept.
        comes_from: files and settings that the tokens depend on, for another run that takes them over.

    Raises:
        WriteError: it cannot be written.
    """
    labels, large = prepared.labels, prepared.block_checksums
    files = files_of_parts(run, parts, prepared.tokenizer.unit, with_labels=labels is not None)
    saved: dict[str, Any] = {
        "corpus": prepared.corpus,
        "tokenizer": prepared.tokenizer.to_json(),
        "parts": {name: part.to_json() for name, part in parts.items()},
        "crc32": {file.name: checksum(file) for file in files if file.name not in large},
    }
    if large:
        saved["crc32_of_blocks"] = large
        saved["bytes"] = {file.name: file.stat().st_size for file in files if file.name in large}
        saved["comes_from"] = comes_from
    if labels is not None:
        saved["labels"] = {"of": labels.of, "names": list(labels.names)}
    write_text(run.prepared, json.dumps({**saved, "own_crc32": _own_checksum(saved)}))


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
        prepared = Prepared.of(
            parts,
            corpus=str(saved["corpus"]),
            tokenizer=tokenizer_from_json(saved["tokenizer"]),
            labels=_saved_labels(saved.get("labels")),
            block_checksums=of_blocks,
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, LmgenError) as error:
        raise ModelError(f"cannot read {run.prepared} ({error}); train again with --overwrite") from error
    if checksums or of_blocks:
        with_labels = prepared.labels is not None
        for file in files_of_parts(run, parts, prepared.tokenizer.unit, with_labels=with_labels):
            if file.name in of_blocks:
                matches = partial(_ends_match, file, of_blocks[file.name], sizes[file.name])
            else:
                matches = partial(_matches, file, checksums.get(file.name))
            _check_file(file, matches)
    return prepared.with_scored(run, scored_tokens)


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


def _beginning(read: Callable[[], Iterator[str]], tokenizer: Tokenizer, limit: int) -> Part | None:
    """
    Size of the first `limit` tokens of a text, with characters counted up to the start of the next token.

    Args:
        read: starts a new reading of the text, in chunks.
        tokenizer: tokenizer whose tokens are counted.
        limit: number of tokens.

    Returns:
        The size; None if the text has no more tokens.
    """
    tokens = unknown = 0
    sizes = AnswerSizes(tokenizer)
    for block in tokenizer.encode_blocks(read()):
        taken = min(len(block.ids), limit - tokens)
        sizes.add(block, taken)
        tokens += taken
        unknown += int(tokenizer.unknown_among(block.text, block.ids)[:taken].sum())
        if taken < len(block.ids):
            offset = 0 if block.closes else int(tokenizer.encode_with_offsets(block.text)[1][taken])
            counts = count(cut(read(), 0, block.position + offset))
            return Part.of(tokens, unknown, counts, sizes.counts)
    return None
