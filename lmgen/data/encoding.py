"""Encode the text of a part of a corpus, counting it on the way; a long one in several processes."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from lmgen.arrays import IdArray
from lmgen.data.token_file import id_type
from lmgen.text.counts import TextCounter, TextCounts, counts_of
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.parallel import in_order
from lmgen.tokenizers.registry import tokenizer_from_json


class Encoded:
    """The blocks of a text with their ids (an `Encoding`), and how much of it there has been so far."""

    def __init__(self, tokenizer: Tokenizer, counter: TextCounter | None = None, unknown: int = 0) -> None:
        """
        Args:
            tokenizer: encodes each block.
            counter: of the text before, if there was some.
            unknown: how many of its tokens were unknown.
        """
        self._tokenizer = tokenizer
        self.counter = counter or TextCounter()
        self.unknown = unknown
        self.before = self.state
        """How far it had come before the last block that it gave."""

    @property
    def state(self) -> dict[str, Any]:
        """How far it has come, as JSON values, from which `going_on` goes on."""
        return {"counts": asdict(self.counter.counts), "last": self.counter.last, "unknown": self.unknown}

    @classmethod
    def going_on(cls, tokenizer: Tokenizer, state: dict[str, Any]) -> "Encoded":
        """Go on from a `state`; raises LookupError, TypeError or ValueError if it is none."""
        counts = TextCounts(**{**state["counts"], "open_lines": 0})
        return cls(tokenizer, TextCounter(counts, str(state["last"])), int(state["unknown"]))

    def __call__(self, blocks: Iterable[str]) -> Iterator[tuple[str, IdArray]]:
        """Encode blocks of whole lines."""
        for block, (ids, unknown, counts) in in_order(_Encoding(self._tokenizer), blocks):
            self.before = self.state
            self.unknown += unknown
            self.counter.add_counted(block, counts)
            yield block, ids


class _Encoding:
    """Encodes and counts a block by itself (parallel.Work)."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._kind = id_type(tokenizer.vocabulary_size)

    def __reduce__(self) -> tuple[Any, ...]:
        return _encoding_with, (self._tokenizer.to_json(),)

    def __call__(self, block: str) -> tuple[IdArray, int, TextCounts]:
        """The ids of the block, how many of them are unknown, and its length."""
        ids = self._tokenizer.encode(block)
        unknown = int(np.count_nonzero(self._tokenizer.unknown_among(block, ids)))
        return ids.astype(self._kind), unknown, counts_of(block)

    def total(self) -> None:
        """Nothing: all that is known is known of each block."""

    def merge(self, total: None) -> None:
        """Do nothing."""


def _encoding_with(saved: dict[str, Any]) -> _Encoding:
    """An encoding by the same tokenizer, in another process."""
    return _Encoding(tokenizer_from_json(saved))
