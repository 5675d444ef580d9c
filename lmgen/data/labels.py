"""
Labelled texts as arrays: the ids of the tokens, and beside them what is to be predicted at each token.

    a       fine    film    $          the token that ends a text has the label of the whole text
    0       0       0       2          0: nothing is predicted there; k: label k - 1

Where words have labels, each has it at its last token.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from lmgen.arrays import IdArray, Int64Array
from lmgen.errors import CorpusError
from lmgen.text.config import LabelOf
from lmgen.text.labels import instances
from lmgen.tokenizers.base import Tokenizer

BLOCK = 1000
"""How many texts are encoded at a time."""


@dataclass(frozen=True, slots=True)
class LabelledBlock:
    """Some texts, one after another, each ended by its end token."""

    text: str
    """A line each."""
    ids: IdArray
    targets: IdArray
    """What is to be predicted at each token: 0 nothing, k label k - 1."""
    unknown_labels: int
    """How many labels none of the known ones are; they are not predicted."""


@dataclass(frozen=True)
class LabelSet:
    """The labels that a training text has."""

    of: LabelOf
    names: tuple[str, ...]
    """The most frequent first."""

    @classmethod
    def of_text(cls, lines: Iterable[str], of: LabelOf, name: str) -> "LabelSet":
        """
        Count the labels of a text (text/labels.py).

        Raises:
            CorpusError: there are fewer than two.
        """
        counts: Counter[str] = Counter()
        for _, labels in instances(lines):
            counts.update([labels] if of == "line" else labels.split())
        if len(counts) < 2:
            only = f"only the label {next(iter(counts))!r}" if counts else "no labels"
            raise CorpusError(f"the training text of {name} has {only}, so there is nothing to tell apart")
        return cls(of, tuple(sorted(counts, key=lambda label: (-counts[label], label))))

    def encode(self, lines: Iterable[str], tokenizer: Tokenizer) -> Iterator[LabelledBlock]:
        """
        Encode a stream of labelled texts (text/labels.py), some at a time.

        Raises:
            CorpusError: a text spells the token that ends texts.
        """
        assert tokenizer.end is not None, "each text has an end"
        every = instances(lines)
        while group := list(islice(every, BLOCK)):
            ids, targets, unknown = [], [], 0
            for text, labels in group:
                encoded, offsets = encoded_text(text, tokenizer)
                ids.append(encoded)
                numbers = [self._numbers.get(label, 0) for label in self.labels_of(labels)]
                unknown += numbers.count(0)
                target = np.zeros(len(encoded), np.int64)
                target[last_tokens(text, offsets) if self.of == "word" else [-1]] = numbers
                targets.append(target)
            whole = "".join(f"{text}\n" for text, _ in group)
            yield LabelledBlock(whole, np.concatenate(ids), np.concatenate(targets), unknown)

    def labels_of(self, labels: str) -> list[str]:
        """The labels of a line: one, or that of each word."""
        return [labels] if self.of == "line" else labels.split()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """What stands for each label in `targets`."""
        return {name: number for number, name in enumerate(self.names, start=1)}


def encoded_text(text: str, tokenizer: Tokenizer) -> tuple[IdArray, IdArray]:
    """
    The ids of a text with its end, and where in it each token begins, in characters.

    Raises:
        CorpusError: the text spells the token that ends texts.
    """
    ids, offsets = tokenizer.encode_with_offsets(f"{text}\n")
    if (ids[:-1] == tokenizer.end).any():
        raise CorpusError(
            f"a mark in {text[:60]!r} ends a text, which goes on after it: give --literal-marks, with which "
            "marks are words"
        )
    return ids, offsets


def last_tokens(text: str, offsets: IdArray) -> Int64Array:
    """
    The place of the last token of each word of a text.

    Args:
        text: words with one blank between them.
        offsets: where each token begins, in characters, that of the end of the text last.
    """
    ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
    places: Int64Array = np.maximum(np.searchsorted(offsets[:-1], ends) - 1, 0)
    return places
