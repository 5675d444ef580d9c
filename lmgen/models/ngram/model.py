"""
The n-gram model in use: P(next token | the last N - 1 tokens), from tables of probabilities.

The tables are estimated by kneser_ney.py or read from an ARPA file (arpa.py); table.py finds n-grams in them.
For a token w after a context h, and h' the context without its first token:

    P(w | h) = the table's value where it has the n-gram h w
               backoff(h) P(w | h') otherwise
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import FloatArray, IdArray, Int64Array, Tensors
from lmgen.errors import ModelError
from lmgen.memory import resident_memory
from lmgen.models.ngram.kneser_ney import Discounts, bytes_in_memory, estimate
from lmgen.models.ngram.on_disk.estimate import estimate_on_disk
from lmgen.models.ngram.packed_table import AnyTable
from lmgen.models.ngram.table import NO_ROW, RowArray
from lmgen.models.ngram.tensors import UNSIGNED, pack_tables, unpack_tables
from lmgen.models.ngram.words import Words

TRAINING = "training"
"""The tensor of the training text, unsigned, (N,): less than any tables of counts, which follow from it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NgramModel:
    """
    An n-gram language model of order N.

    Every text begins after `<s>`, which is context only. The state of a stream is the row of its last n
    tokens in the table of order n, for n = 1 .. N - 1: (B, N - 1), NO_ROW where the table lacks them.
    """

    vocabulary_size: int
    """V, the number of ids that are predicted; row V of the first table is `<s>`."""

    sentence_end: int | None
    """The id that ends a sentence: the next begins after `<s>`. None if a text is one long sentence."""

    tables: tuple[AnyTable, ...]
    """The n-grams of order 1 .. N."""

    discounts: tuple[Discounts, ...]
    """Kneser-Ney discounts of order 1 .. N; empty for a model from an ARPA file."""

    notes: tuple[str, ...] = ()
    """What a user should know about the estimation or the ARPA file, a sentence each."""

    training: IdArray | None = None
    """The text that it was fitted on, (N,), whose counts can grow; None where the file does not keep it."""

    kind = "ngram"
    reads_in_order = False
    in_threads = True
    resets_at = None

    @classmethod
    def fit(
        cls,
        ids: IdArray,
        *,
        order: int,
        vocabulary_size: int,
        sentence_end: int | None = None,
        prune: Sequence[int] = (),
        words: Words | None = None,
        memory: int | None = None,
        folder: Path | None = None,
    ) -> Self:
        """
        Estimate a model from a training text, in memory or on disk: the figures are the same.

        Arguments and errors are those of `kneser_ney.estimate`, and:

        Args:
            ids: see there.
            order: see there.
            vocabulary_size: see there.
            sentence_end: see there.
            prune: see there.
            words: see there; the model's ids are those that they give.
            memory: bytes that the process may have; with more to do, it is done on disk. None: any number.
            folder: where on disk; None: the system's folder for temporary files.

        Raises:
            WriteError: the disk is full.
        """
        text = ids, order, vocabulary_size, sentence_end, prune, words
        left = None if memory is None else memory - resident_memory()
        if left is None or bytes_in_memory(len(ids), vocabulary_size) <= left:
            result = estimate(*text)
        else:
            result = estimate_on_disk(*text, folder=folder, memory=left)
        if words is not None:
            vocabulary_size = words.size
            sentence_end = None if sentence_end is None else int(words.new_ids[sentence_end])
        return cls(
            vocabulary_size=vocabulary_size,
            sentence_end=sentence_end,
            tables=result.tables,
            discounts=result.discounts,
            notes=result.notes,
        )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<NgramModel {self}, V = {self.vocabulary_size}>"

    @property
    def format_version(self) -> int:
        """The oldest format of model files that knows such models."""
        return 1

    @property
    def name(self) -> str:
        """The name in results: `ngram-5`."""
        return f"ngram-{self.order}"

    @property
    def order(self) -> int:
        """N: a token is predicted from N - 1 before it."""
        return len(self.tables)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of n-grams of order 1 .. N, counted as in ARPA files: `<s>` is a 1-gram."""
        return tuple(len(table) for table in self.tables)

    @property
    def score_width(self) -> int:
        """The n-grams that end at a token are looked up, one of each order."""
        return self.order

    def start(self, streams: int) -> RowArray:
        """The state after `<s>`."""
        state = np.full((streams, self.order - 1), NO_ROW)
        state[:, :1] = self.vocabulary_size
        return state

    def predict(self, state: RowArray) -> FloatArray:
        """Log-probabilities of the next token, (B, V), float32; each row sums to 1 when exponentiated."""
        log_probs = np.tile(self.tables[0].log_probs[: self.vocabulary_size], (len(state), 1))
        for contexts, (lower, table) in zip(state.T, pairwise(self.tables), strict=True):
            log_probs += lower.backoff(contexts)[:, None]
            streams, ids, rows = table.followers(contexts)
            log_probs[streams, ids] = table.log_prob(rows)
        return log_probs

    def advance(self, state: RowArray, ids: IdArray) -> RowArray:
        """The state after reading T more tokens a stream; `ids` is (T, B)."""
        if not len(ids) or self.order == 1:
            return state
        recent = ids[-(self.order - 1) :]  # earlier tokens are out of every context
        return np.stack([contexts[-1] for contexts, _ in self._walk(state, recent)], axis=1)

    def score(self, state: RowArray, ids: IdArray) -> tuple[FloatArray, RowArray]:
        """Log-probabilities of the tokens `ids`, (T, B), float32, and the state after them."""
        log_probs = self.tables[0].log_prob(ids)
        for (contexts, rows), (lower, table) in zip(
            self._walk(state, ids), pairwise(self.tables), strict=True
        ):
            log_probs += lower.backoff(contexts[:-1])
            found = rows != NO_ROW
            log_probs[found] = table.log_prob(rows[found])
        return log_probs, self.advance(state, ids)

    def matched(self, state: RowArray, ids: IdArray) -> Int64Array:
        """
        Length of the longest n-gram that ends at each of the tokens `ids`, (T, B): 1 for a unigram.

        The probability of the token comes from that n-gram. As in KenLM, `<s>` counts as a token.
        """
        lengths = np.ones(ids.shape, np.int64)
        for n, (_, rows) in enumerate(self._walk(state, ids), start=2):
            lengths[rows != NO_ROW] = n
        return lengths

    def select(self, state: RowArray, streams: Sequence[int]) -> RowArray:
        """The state of the listed streams, in that order."""
        return state[list(streams)]

    def join(self, states: Sequence[RowArray]) -> RowArray:
        """The state of the streams of several states, one after another."""
        return np.concatenate(list(states))

    def describe(self) -> dict[str, Any]:
        """Its `order`, and `ngrams`: how many it has of each order."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "order": self.order,
            "ngrams": list(self.counts),
            "parameters": sum(self.counts),
        }

    def as_network(self) -> None:
        """None: it is fitted in one go, and training cannot go on from it."""

    def as_ngrams(self) -> Self:
        """Itself."""
        return self

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What a model file keeps: JSON values, and arrays by name (tensors.py)."""
        config = {
            "order": self.order,
            "vocabulary_size": self.vocabulary_size,
            "sentence_end": self.sentence_end,
            "discounts": [list(discounts) for discounts in self.discounts],
            "notes": list(self.notes),
        }
        tensors = pack_tables(self.tables)
        if self.training is not None:
            tensors[TRAINING] = self.training.astype(np.min_scalar_type(self.vocabulary_size - 1))
        return config, tensors

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """
        Make a model of what `to_tensors` gave.

        Raises:
            ModelError: something is missing or does not fit.
        """
        order, vocabulary_size, sentence_end = _checked_sizes(config)
        return cls(
            vocabulary_size=vocabulary_size,
            sentence_end=sentence_end,
            tables=unpack_tables(tensors, order, vocabulary_size),
            discounts=_checked_discounts(config, order),
            notes=_checked_notes(config),
            training=_checked_training(tensors, vocabulary_size),
        )

    def _walk(self, state: RowArray, ids: IdArray) -> Iterator[tuple[RowArray, RowArray]]:
        """
        Find the n-grams that end at each of the tokens, order by order from 2 up.

        Yields:
            contexts: row of the n - 1 tokens before each token, and of the last n - 1 tokens, (T + 1, B).
            rows: row of the n-gram that ends at each token, (T, B).
        """
        rows = ids = np.asarray(ids, np.int64)
        ends = None if self.sentence_end is None else np.nonzero(ids == self.sentence_end)
        for n, table in enumerate(self.tables[1:], start=2):
            contexts = np.concatenate([state[None, :, n - 2], rows])
            if ends is not None:
                contexts[1:][ends] = self.vocabulary_size if n == 2 else NO_ROW
            rows = table.find(contexts[:-1], ids)
            yield contexts, rows


def _checked_sizes(config: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """Order, V and sentence end of an untrusted file; V is still to be checked against the tensors."""
    match config:
        case {"order": int(order), "vocabulary_size": int(size), "sentence_end": int() | None as end}:
            fits = order >= 1 and size >= 1 and (end is None or 0 <= end < size)
            if fits and not any(isinstance(value, bool) for value in (order, size, end)):
                return order, size, end
    raise ModelError(
        "its configuration lacks order, vocabulary_size or sentence_end, or they are out of range"
    )


def _checked_discounts(config: Mapping[str, Any], order: int) -> tuple[Discounts, ...]:
    """The discounts of every order; or none, as of a model that was read from an ARPA file."""
    rows = config.get("discounts")
    if not isinstance(rows, list) or len(rows) not in (0, order) or not all(map(_are_discounts, rows)):
        raise ModelError(f"its configuration lacks discounts, three numbers for each of the {order} orders")
    return tuple((one, two, three) for one, two, three in rows)


def _are_discounts(row: object) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 3
        and all(isinstance(discount, float) and 0 < discount <= k for k, discount in enumerate(row, start=1))
    )


def _checked_training(tensors: Tensors, vocabulary_size: int) -> IdArray | None:
    """The training text, if it is there, with ids that exist."""
    if TRAINING not in tensors:
        return None
    ids = tensors[TRAINING]
    if ids.dtype not in UNSIGNED or ids.ndim != 1 or int(ids.max(initial=0)) >= vocabulary_size:
        raise ModelError(f"its tensor {TRAINING} is no list of ids, or holds ids that do not exist")
    return ids


def _checked_notes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The notes, without control characters, for they are shown on terminals."""
    notes = config.get("notes")
    if not isinstance(notes, list) or not all(isinstance(note, str) and note.isprintable() for note in notes):
        raise ModelError("its configuration lacks notes, a list of lines of text")
    return tuple(notes)
