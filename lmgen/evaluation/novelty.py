"""
What a model copies: the passages of a text that stand in its training text, and what share of it is new.

An n-gram is new if it occurs nowhere in the training text (McCoy et al. 2023, "How much do language models
copy from their training data?"). Of every text the long ones are new, a person's too; so held-out text of the
same length is measured beside the sample. Text that repeats less than that is copied more than people do.

matching.py finds the matches; this counts them. Tokens that the vocabulary lacks match nothing.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from heapq import heapify, heappop, heappush
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmgen.arrays import BoolArray, IdArray, Int64Array
from lmgen.data.run_folder import RunFolder
from lmgen.data.verified import read_kept_tokens
from lmgen.errors import CorpusError, ModelError
from lmgen.evaluation.matching import LONGEST, match_lengths, occurrences
from lmgen.evaluation.tables import html_table
from lmgen.models.base import LanguageModel
from lmgen.text.reading import read_text
from lmgen.text.sources import Text
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.characters import code_points, text_of

Of = Literal["tokens", "characters"]
"""What an n-gram consists of."""

LENGTHS = (
    *range(1, 11),
    *(12, 15, 20, 25, 30, 40, 50, 60, 80),
    *(leading * 10**power for power in (1, 2, 3) for leading in (10, 15, 20, 30, 40, 50)),
)
"""The n that are listed, as far as some n-grams of that length are not new."""

DECODED = 1 << 16
"""Tokens of the training text that are decoded at a time."""

NOTHING = -1
"""A symbol of a sample that matches nothing."""

_UNKNOWN = "\ud801"
"""Stands for an unknown token in a text: a lone surrogate, which no text has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramNovelty:
    """How many of the n-grams of one length are new."""

    of: Of
    n: int
    ngrams: int
    """How many n-grams the sample has, each counted as often as it occurs."""
    new: int
    """How many of them occur nowhere in the training text."""
    held_out_share: float | None
    """The share of new n-grams in held-out text of the same length; None without one."""

    @property
    def share(self) -> float:
        """The share of n-grams that are new."""
        return self.new / self.ngrams

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)
        return {**values, "share": self.share, "held_out_share": values.pop("held_out_share")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage of a sample that stands in the training text."""

    characters: int
    sample: int
    """The number of the sample, from 1."""
    offset: int
    """Where it begins in the sample, in characters from 0."""
    occurrences: int
    """How often it stands in the training text."""
    training_line: int
    """The line of the training text, as the tokenizer spells it, in which it first begins, from 1."""
    training_offset: int
    """The same in characters from 0."""
    text: str

    def values(self) -> dict[str, Any]:
        """The values by their names, in order."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """What of some samples stands in the training text of a model."""

    model: str
    text: str
    """The name of the text that was given; `samples` if the model wrote it."""
    samples: int
    tokens: int
    characters: int
    training_tokens: int
    whole: int | None
    """How many samples are whole lines or records of the training text; None for documents."""
    ngrams: tuple[NgramNovelty, ...]
    """First of tokens, then of characters, from n = 1 up to the first length of which all are new."""
    passages: tuple[Passage, ...]
    """The longest passages without white space at their ends; none overlaps a longer one or is part of it."""

    def __repr__(self) -> str:
        """`<Novelty lstm, samples: 10,000 tokens, longest passage 81 characters>`."""
        longest = max((each.characters for each in self.passages), default=0)
        return (
            f"<{type(self).__name__} {self.model}, {self.text}: {self.tokens:,} tokens, longest passage "
            f"{longest:,} characters>"
        )

    def _repr_html_(self) -> str:
        return html_table(self.passages)

    def to_json(self) -> dict[str, Any]:
        """What `lmgen novelty --json` prints."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **values,
            "ngrams": [each.to_json() for each in self.ngrams],
            "passages": [each.values() for each in self.passages],
        }


def training_tokens(path: Path, model: LanguageModel, tokenizer: Tokenizer) -> IdArray:
    """
    The tokens that a model was trained on, (N,): its run's, or those that an n-gram model keeps.

    Raises:
        ModelError: they are not there.
        CorpusError: their file is damaged.
    """
    ngrams = model.as_ngrams()
    if ngrams is not None and ngrams.training is not None:
        return ngrams.training
    run = RunFolder(path.parent)
    if path in (run.model, run.ngram) and run.train_tokens.exists():
        return read_kept_tokens(run, run.train_tokens, tokenizer.vocabulary_size)
    raise ModelError(
        f"{path} comes without the text that it was trained on, which a run holds as data/"
        f"{run.train_tokens.name}; name a run folder, or fit an n-gram model with --keep-tokens"
    )


def note_on_training(path: Path) -> str | None:
    """What a reader should know of the training text that is looked at; None if it is all there is."""
    run = RunFolder(path.parent)
    if path != run.model or not run.config.exists():
        return None
    try:
        origin = tomllib.loads(run.config.read_text(encoding="utf-8")).get("from")
    except (OSError, ValueError):
        return None
    if origin is None:
        return None
    return f"the model was fine-tuned; what it copies from the training text of {origin} is not found"


def held_out_tokens(path: Path, tokenizer: Tokenizer) -> IdArray | None:
    """The tokens of the validation text of a model's run, (N,); None where there is none."""
    run = RunFolder(path.parent)
    if path not in (run.model, run.ngram) or not run.valid_tokens.exists():
        return None
    return read_kept_tokens(run, run.valid_tokens, tokenizer.vocabulary_size)


def samples_of(text: Text, tokenizer: Tokenizer) -> list[str]:
    """
    A text cut into what is one text for the model: its lines or records, or the whole document.

    Raises:
        CorpusError: the text cannot be read, or is empty.
    """
    whole = read_text("".join(text.in_units(tokenizer.unit).chunks()), tokenizer.reading)
    parts = whole.split(_mark(tokenizer)) if tokenizer.end is not None else [whole]
    samples = [part for part in parts if part]
    if not samples:
        raise CorpusError(f"{text.name} is empty; give a text with at least one character")
    return samples


def novelty(
    samples: Sequence[str],
    training: IdArray,
    tokenizer: Tokenizer,
    *,
    model: str,
    text: str = "samples",
    held_out: IdArray | None = None,
    top: int = 10,
) -> Novelty:
    """
    Measure what of some samples stands in a training text.

    Args:
        samples: texts, none of which is part of another; of a model of lines or records without their ends.
        training: the tokens of the training text, (N,).
        tokenizer: what made them.
        model: the name of the model.
        text: the name of the samples.
        held_out: the tokens of a text that the model was not trained on, to compare with.
        top: how many passages to list.

    Raises:
        CorpusError: the samples are empty.
    """
    encoded = [_encoded(sample, tokenizer) for sample in samples]
    tokens = sum(map(len, encoded))
    if not tokens:
        raise CorpusError(f"{text}: there is not a single token to look for; sample more, or longer")
    others = [] if held_out is None else _units(held_out[:tokens], tokenizer)
    spelled = _spelled(training, tokenizer)
    written = [_symbols(ids, tokenizer) for ids in encoded]
    edge = code_points("" if tokenizer.end is None else tokenizer.decode([tokenizer.end])).astype(np.int64)
    around = [np.concatenate([edge, codes, edge]) for codes in written]
    matches = match_lengths(np.concatenate([edge, spelled]) if len(edge) else spelled, around)
    inside = [
        np.minimum(found[len(edge) : len(found) - len(edge)], np.arange(len(codes), 0, -1))
        for found, codes in zip(matches, written, strict=True)
    ]
    held_out_codes = [_symbols(ids, tokenizer) for ids in others]
    of_characters = list(_shares("characters", inside, match_lengths(spelled, held_out_codes)))
    if tokenizer.name == "char":
        of_tokens = [NgramNovelty(**{**asdict(each), "of": "tokens"}) for each in of_characters]
    else:
        ids = [_known(each, tokenizer) for each in encoded]
        other_ids = [_known(each, tokenizer) for each in others]
        of_tokens = list(_shares("tokens", match_lengths(training, ids), match_lengths(training, other_ids)))
    whole = sum(int(found[0]) == len(found) for found in matches if len(found) > 2 * len(edge))
    return Novelty(
        model=model,
        text=text,
        samples=len(samples),
        tokens=tokens,
        characters=sum(map(len, written)),
        training_tokens=len(training),
        whole=whole if len(edge) else None,
        ngrams=(*of_tokens, *of_characters),
        passages=tuple(_passages(inside, written, spelled, top)),
    )


def _mark(tokenizer: Tokenizer) -> str:
    """What ends a line or record in a text that is to be encoded."""
    return UNIT_END if tokenizer.unit == "record" else "\n"


def _encoded(sample: str, tokenizer: Tokenizer) -> IdArray:
    """The tokens of a sample, without the end of its line or record."""
    if tokenizer.end is None:
        return tokenizer.encode(sample)
    ids = tokenizer.encode(sample + _mark(tokenizer))
    return ids[: len(ids) - (len(ids) > 0 and int(ids[-1]) == tokenizer.end)]


def _units(ids: IdArray, tokenizer: Tokenizer) -> list[IdArray]:
    """Tokens of a text, cut at the ends of its lines or records, which are left out."""
    if tokenizer.end is None:
        return [np.asarray(ids)]
    return [part[part != tokenizer.end] for part in np.split(ids, np.flatnonzero(ids == tokenizer.end))]


def _known(ids: IdArray, tokenizer: Tokenizer) -> Int64Array:
    """Tokens as symbols to look for: an unknown one matches nothing."""
    found = ids.astype(np.int64)
    return found if tokenizer.unknown is None else np.where(found == tokenizer.unknown, NOTHING, found)


def _symbols(ids: IdArray, tokenizer: Tokenizer) -> Int64Array:
    """The characters of tokens as symbols to look for; in the place of an unknown one stands NOTHING."""
    text = tokenizer.decode(ids)
    if tokenizer.unknown is not None and (ids == tokenizer.unknown).any():
        text = text.replace(tokenizer.decode([tokenizer.unknown]).strip(), _UNKNOWN)
    codes = code_points(text).astype(np.int64)
    return np.where(codes == ord(_UNKNOWN), NOTHING, codes)


def _spelled(ids: IdArray, tokenizer: Tokenizer) -> IdArray:
    """The code points of a training text, in the smallest type that holds them."""
    decoder = tokenizer.decoder()
    texts = (decoder.push(ids[first : first + DECODED]) for first in range(0, len(ids), DECODED))
    blocks = [_narrow(text) for text in texts]
    return np.concatenate([*blocks, _narrow(decoder.finish())])


def _narrow(text: str) -> IdArray:
    codes = code_points(text)
    return codes.astype(np.min_scalar_type(int(codes.max(initial=0))))


def _shares(of: Of, matches: Sequence[Int64Array], held_out: Sequence[Int64Array]) -> Iterator[NgramNovelty]:
    """The new n-grams by length; `matches` has the longest match at each place of each sample."""
    own, others = _Counts(matches), _Counts(held_out)
    for n in LENGTHS:
        ngrams, new = own.of_length(n)
        if not ngrams:
            return
        compared, new_ones = others.of_length(n)
        yield NgramNovelty(
            of=of,
            n=n,
            ngrams=ngrams,
            new=new,
            held_out_share=new_ones / compared if compared else None,
        )
        if new == ngrams:
            return


class _Counts:
    """Counts the n-grams of some texts by the longest match at each place."""

    def __init__(self, matches: Sequence[Int64Array]) -> None:
        self._sizes = np.array([len(each) for each in matches], np.int64)
        self._lengths = np.sort(np.concatenate([*matches, np.zeros(0, np.int64)]))

    def of_length(self, n: int) -> tuple[int, int]:
        """How many n-grams there are, and how many of them match nowhere."""
        ngrams = int(np.maximum(self._sizes - n + 1, 0).sum())
        return ngrams, ngrams - (len(self._lengths) - int(np.searchsorted(self._lengths, n)))


def _passages(
    matches: Sequence[Int64Array], written: Sequence[Int64Array], spelled: IdArray, top: int
) -> Iterator[Passage]:
    """The longest passages, the earlier of equals first; none overlaps or is part of one before it."""
    taken = [np.zeros(len(codes), np.bool_) for codes in written]
    trim = [_Trim(codes) for codes in written]
    found: list[str] = []
    heap: list[tuple[int, int, int]] = []  # -length, number of the sample, offset
    for number, lengths in enumerate(matches):
        begins = _begins(lengths)
        offsets, sizes = trim[number](begins, begins + lengths[begins])
        heap += zip((-sizes).tolist(), repeat(number), offsets.tolist(), strict=False)
    heapify(heap)
    while heap and heap[0][0] and len(found) < top:
        size, number, offset = heappop(heap)
        length = -size
        first, end = _longest_run(~taken[number][offset : offset + length])
        if end - first < length:  # what a longer passage leaves of it
            offsets, sizes = trim[number](np.array([offset + first]), np.array([offset + end]))
            heappush(heap, (-int(sizes[0]), number, int(offsets[0])))
            continue
        codes = written[number][offset : offset + length]
        text = text_of(codes)
        if any(text in other for other in found):
            continue
        found.append(text)
        taken[number][offset : offset + length] = True
        places = list(occurrences(spelled, codes))
        yield Passage(
            characters=length,
            sample=number + 1,
            offset=offset,
            occurrences=len(places),
            training_line=1 + int((spelled[: places[0]] == ord("\n")).sum()),
            training_offset=places[0],
            text=text,
        )


def _begins(lengths: Int64Array) -> Int64Array:
    """
    Where a match begins that is not the rest of the one before it.

    Of a match that is too long to be measured there is one at every LONGEST symbols, and one to its end.
    """
    before = np.append(0, lengths[:-1])[: len(lengths)]
    begins = (lengths > 0) & (before <= lengths)
    for run in np.split(np.flatnonzero(lengths == LONGEST), _gaps(lengths == LONGEST)):
        begins[run] = False
        begins[run[::LONGEST]] = True
        begins[run[-1:]] = True
    return np.flatnonzero(begins)


def _gaps(chosen: BoolArray) -> Int64Array:
    """Where the places of true values are not one after another, for np.split."""
    return np.flatnonzero(np.diff(np.flatnonzero(chosen)) > 1) + 1


class _Trim:
    """Leaves out white space at both ends of passages of a sample."""

    def __init__(self, codes: Int64Array) -> None:
        blank = [code for code in np.unique(codes).tolist() if code != NOTHING and chr(code).isspace()]
        places = np.arange(len(codes))
        is_blank = np.isin(codes, blank)
        self._next = np.minimum.accumulate(np.where(is_blank, len(codes), places)[::-1])[::-1]
        self._last = np.maximum.accumulate(np.where(is_blank, -1, places))

    def __call__(self, begins: Int64Array, ends: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Where passages begin without it, and how long they are then: 0 for nothing but white space."""
        if not len(begins):
            return begins, ends
        first = self._next[np.minimum(begins, len(self._next) - 1)]
        return first, np.maximum(self._last[ends - 1] + 1 - first, 0)


def _longest_run(free: BoolArray) -> tuple[int, int]:
    """Where the longest run of true values begins, and where it ends."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
    begins, ends = turns[::2], turns[1::2]
    if not len(begins):
        return 0, 0
    best = int((ends - begins).argmax())
    return int(begins[best]), int(ends[best])
