"""
Tell a list, such as one of names, commands or molecules, from running text, by the looks of its lines.

The lines of a list are short and do not end as sentences, clauses or verses do. No blank lines part them
into paragraphs, they are not indented as code is, and they are not of one width as wrapped text is.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, quantiles

FEWEST_LINES = 20
"""Fewer lines are no list to train on."""

LONGEST_MEAN = 72
"""Most characters of a line of a list, on average."""

BLANK = 0.01
"""Most blank lines of a list, as a share of all."""

INDENTED = 0.1
"""Most lines of a list that begin with white space, as a share."""

PUNCTUATED = 0.2
"""Most lines of a list that end in a punctuation mark, as a share."""

_CLOSING = "\"'”’»」』)]}"
"""What may stand after a punctuation mark at the end of a line."""

_ENDING = frozenset(".,;:!?-–—…")
"""The ASCII marks, and some others, at which a sentence, a clause or a verse ends, or a word is divided."""

_INSIDE = re.compile(r"[^\W\d_][,;:.!?][\"'”’]? \S")
"""A punctuation mark in the middle of running text."""


@dataclass(frozen=True, slots=True)
class LineList:
    """What a list looks like."""

    lines: int
    characters: float
    """Of a line, on average."""


def list_in(text: str) -> LineList | None:
    """
    The list that a text is; None if it is anything else, or if that is not plain.

    Args:
        text: the text, or whole lines from its beginning.
    """
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    filled = [line for line in lines if line.strip()]
    if len(filled) < FEWEST_LINES or len(lines) - len(filled) > BLANK * len(lines):
        return None
    lengths = list(map(len, filled))
    length = mean(lengths)
    if length > LONGEST_MEAN or _share(filled, lambda line: line[0].isspace()) > INDENTED:
        return None
    if _share(filled, _is_punctuated) > PUNCTUATED or _is_wrapped(filled, lengths):
        return None
    return LineList(len(filled), length)


def _is_punctuated(line: str) -> bool:
    """Whether a line ends in a mark of any script at which reading pauses: `that is it."`, `好。`."""
    end = line.rstrip().rstrip(_CLOSING)[-1:]
    return end in _ENDING or (end > "\x7f" and unicodedata.category(end) in ("Po", "Pd"))


def _is_wrapped(lines: list[str], lengths: list[int]) -> bool:
    """Whether most lines are about as long as a page is wide: wrapped prose, or a long sequence in rows."""
    long = quantiles(lengths, n=20)[-1]
    full = sum(length > 0.8 * long for length in lengths) / len(lengths)
    if long < 40:
        return False
    return full > 0.9 or (full > 0.6 and _share(lines, lambda line: bool(_INSIDE.search(line))) > 0.2)


def _share(lines: list[str], has: Callable[[str], bool]) -> float:
    return sum(map(has, lines)) / len(lines)
