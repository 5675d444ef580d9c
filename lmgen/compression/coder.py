"""
Symbols to bytes by arithmetic coding, and back.

Symbols are cut into S contiguous parts, which are coded side by side: one call of the predictor is for S
symbols at once. Writing and reading run the same loop, so the predictor is asked the same questions in the
same order; its probabilities become whole numbers before they reach the coder. Where they differ
nevertheless, on a machine with other arithmetic, check sums among the symbols tell so early.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float64Array, IdArray
from lmgen.errors import CorpusError, NumericalError
from lmgen.extras import needed

EXTRA = "compress"

CHECKED_STEPS = 1024
"""Steps between two check sums."""

CHECK_SIZE = 1 << 16

PRECISION = 1 << 30
"""Probabilities become whole numbers of this sum, about, and at least 1; the coder itself has 24 bits."""


class Predictor(Protocol):
    """Predicts the next symbol of each of S streams; changes as it reads."""

    def predict(self) -> Float64Array:
        """Probabilities of the next symbols, (S, V)."""

    def read(self, symbols: IdArray) -> None:
        """Go on by the symbol of each stream, (S,)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far coding is."""

    done: int
    """Symbols so far."""
    total: int
    bits: float
    """What the symbols so far take."""


OnProgress = Callable[[Progress], None]


def written(symbols: IdArray, predictor: Predictor, streams: int, on_progress: OnProgress) -> bytes:
    """
    Symbols, (N,), as bytes.

    Raises:
        MissingExtraError: the package that codes is not installed.
        NumericalError: the predictor gives something else than probabilities.
    """
    writer = _Writer(symbols, streams)
    for _ in _coded(writer, len(symbols), predictor, streams, on_progress):
        pass
    return writer.finished()


def read(coded: bytes, count: int, predictor: Predictor, streams: int, on_progress: OnProgress) -> IdArray:
    """
    The symbols, (N,), that `written` made bytes of.

    Args:
        coded: the bytes.
        count: N.
        predictor: as it was at the start of writing.
        streams: S, as in writing.
        on_progress: called with each step's progress.

    Raises:
        CorpusError: the predictor's probabilities are not those of writing.
        MissingExtraError: the package that decodes is not installed.
    """
    rows = list(_coded(_Reader(coded), count, predictor, streams, on_progress))
    if not rows:
        return np.zeros(0, np.int64)
    whole, last = (rows, rows[-1][:0]) if len(rows[-1]) == streams else (rows[:-1], rows[-1])
    columns = np.stack(whole, axis=1) if whole else np.zeros((streams, 0), np.int64)
    longer = len(last)
    return np.concatenate([np.column_stack([columns[:longer], last]).ravel(), columns[longer:].ravel()])


@contextmanager
def one_thread() -> Iterator[None]:
    """In the block matrix products are made by one thread: sums then do not depend on how many there are."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


class _Coder(Protocol):
    """Puts symbols into a stream or takes them from one."""

    def symbols(self, tables: Float64Array) -> IdArray:
        """The next symbols, (s,), given whole numbers in proportion to their probabilities, (s, V)."""

    def check(self, number: int) -> None:
        """Put a number between 0 and CHECK_SIZE - 1, or compare it with the one that was put."""


def _coded(
    coder: _Coder, count: int, predictor: Predictor, streams: int, on_progress: OnProgress
) -> Iterator[IdArray]:
    """The symbols of all streams at each step; at a last step those of the longer streams alone."""
    steps, longer = divmod(count, streams)
    total_steps = steps + bool(longer)
    bits, done, checksum = 0.0, 0, 0
    for step in range(total_steps):
        tables = _whole_numbers(predictor.predict())[: streams if step < steps else longer]
        row = coder.symbols(tables)
        yield row
        done += len(row)
        bits -= float(np.log2(tables[np.arange(len(row)), row] / tables.sum(axis=1)).sum())
        checksum = zlib.crc32(row.tobytes(), checksum)
        if (step + 1) % CHECKED_STEPS == 0 or step + 1 == total_steps:
            coder.check(checksum % CHECK_SIZE)
        if step + 1 < total_steps:
            predictor.read(row)
        on_progress(Progress(done, count, bits))


def _whole_numbers(probabilities: Float64Array) -> Float64Array:
    """Whole numbers of at least 1 in proportion to probabilities, (S, V); so large sums of them are exact."""
    numbers: Float64Array = np.floor(probabilities * PRECISION) + 1
    if not (numbers >= 1).all() or not np.isfinite(numbers).all():
        raise NumericalError("the model gives a probability that is no number; it cannot code a text")
    return numbers


class _Writer:
    """Codes symbols that are known, (N,)."""

    def __init__(self, symbols: IdArray, streams: int) -> None:
        self._stream = _constriction()
        self._encoder: Any = self._stream.queue.RangeEncoder()
        steps, longer = divmod(len(symbols), streams)
        self._begins = np.arange(streams) * steps + np.minimum(np.arange(streams), longer)
        self._coded = symbols
        self._step = 0

    def symbols(self, tables: Float64Array) -> IdArray:
        row: IdArray = self._coded[self._begins[: len(tables)] + self._step]
        self._step += 1
        if tables.shape[1] > 1:
            model = self._stream.model.Categorical(perfect=False)
            self._encoder.encode(row.astype(np.int32), model, tables)
        return row

    def check(self, number: int) -> None:
        self._encoder.encode(number, self._stream.model.Uniform(CHECK_SIZE))

    def finished(self) -> bytes:
        """All that was coded."""
        words: npt.NDArray[np.uint32] = self._encoder.get_compressed()
        return words.astype("<u4").tobytes()


class _Reader:
    """Finds symbols in what a `_Writer` coded."""

    def __init__(self, coded: bytes) -> None:
        self._stream = _constriction()
        words = np.frombuffer(coded, "<u4").astype(np.uint32)
        self._decoder: Any = self._stream.queue.RangeDecoder(words)

    def symbols(self, tables: Float64Array) -> IdArray:
        if tables.shape[1] == 1:
            return np.zeros(len(tables), np.int64)
        model = self._stream.model.Categorical(perfect=False)
        row: IdArray = self._taken(model, tables).astype(np.int64)
        return row

    def check(self, number: int) -> None:
        if int(self._taken(self._stream.model.Uniform(CHECK_SIZE))) != number:
            raise other_arithmetic()

    def _taken(self, *model: Any) -> Any:
        try:
            return self._decoder.decode(*model)
        except (AssertionError, ValueError) as error:  # no symbols have this code
            raise other_arithmetic() from error


def _constriction() -> Any:
    return needed("constriction", EXTRA).stream


def other_arithmetic() -> CorpusError:
    """The error for an archive whose symbols were coded with other probabilities."""
    return CorpusError(
        "the probabilities here are not those that the archive was written with: this machine, its numpy or "
        "its torch computes in another way; decompress it where it was compressed"
    )
