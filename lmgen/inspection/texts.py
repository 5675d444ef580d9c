"""The tokens of a text that is looked at, unit by unit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from lmgen.arrays import IdArray, Int64Array, in_short
from lmgen.errors import ConfigError, CorpusError
from lmgen.evaluation.units import UnitReader, UnknownTokens
from lmgen.settings import shown
from lmgen.text.reading import read_alike
from lmgen.text.sources import Text
from lmgen.text.units import UNITS, Unit
from lmgen.tokenizers.base import Tokenizer

BLOCK = 512
"""The most tokens of a block, whose states are in memory together."""


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens of one unit of a text, one after another."""

    ids: IdArray
    """(N,), at least one."""
    first: int
    """The number of tokens in the text before them."""
    unit: int
    """The number of the unit, from 1."""
    begins: bool
    """Whether the unit begins here."""
    ends: bool
    """Whether it ends here."""

    __repr__ = in_short


def blocks_of(
    tokenizer: Tokenizer, text: Text, unit: Unit | None, on_note: Callable[[str], None]
) -> Iterator[Block]:
    """
    Encode a text of any length.

    Args:
        tokenizer: the model's.
        text: the text.
        unit: what is read afresh; None: what is one text for the model.
        on_note: called if the text has tokens that the vocabulary lacks.

    Raises:
        ConfigError: there is no such unit.
        CorpusError: the text cannot be read, or is empty.
    """
    if unit is not None and unit not in UNITS:
        raise ConfigError(f"unit is {shown(unit)}, but has to be one of {', '.join(UNITS)}")
    unit = unit or tokenizer.unit
    chunks = read_alike(text, tokenizer.reading).in_units(tokenizer.unit if unit == "document" else unit)
    unknown = UnknownTokens()
    number, first = 1, 0
    waiting: Block | None = None  # until it is known whether the unit ends with it
    for part in UnitReader(tokenizer, unit, unknown).parts(chunks.chunks()):
        ends = part.unit_ends.tolist()
        for place, (begin, end) in enumerate(pairwise([0, *ends, len(part.ids)])):
            for start in range(begin, end, BLOCK):
                if waiting:
                    yield waiting
                begins = waiting is None or waiting.ends
                ids = part.ids[start : min(start + BLOCK, end)]
                waiting = Block(ids, first, number, begins, ends=False)
                first += len(ids)
            if place < len(ends):
                if waiting and waiting.unit == number:
                    waiting = replace(waiting, ends=True)
                number += 1
    if waiting:
        yield waiting
    if not first:
        raise CorpusError(f"{text.name} is empty; give a text with at least one token")
    if note := unknown.note(text.name):
        on_note(note)


def ids_of(tokenizer: Tokenizer, text: Text, on_note: Callable[[str], None]) -> Int64Array:
    """All tokens of a text, (N,), as the model reads it."""
    blocks: list[Any] = [block.ids for block in blocks_of(tokenizer, text, None, on_note)]
    ids: Int64Array = np.concatenate(blocks).astype(np.int64)
    return ids


def spread(first: int, end: int, count: int) -> Int64Array:
    """At most `count` different positions, evenly spread over first .. end - 1."""
    return np.unique(np.linspace(first, end - 1, min(count, end - first)).astype(np.int64))
