"""
Where an unfinished text ends: at a boundary between two tokens, or inside of what may become one token.

"the old " may go on as "the old sailor", whose last token begins with the blank. So the tokens of "the old "
itself, the last of which is a lone blank, are not those that a longer text begins with. `Tokenizer.edge`
returns the tokens up to the last boundary that no longer text can move, and the rest of the text after it. A
text goes on with one of the ways to spell that rest: a few tokens within it, and usually one that goes beyond
its end. generation/ways.py finds the likely ones.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmgen.arrays import IdArray

LONGEST_REST = 64
"""
Longest rest of a text in characters. A text that may be one token after another for longer (Chinese, say) is
cut at the boundary of its own tokens before that: one there hardly ever moves.
"""


@dataclass(frozen=True, slots=True)
class Edge:
    """An unfinished text, up to where its tokens are certain."""

    ids: IdArray
    """Its tokens up to there; of a text in units, those of the last unit alone."""
    rest: "Rest | None" = None
    """The text after these tokens, if more text may change how it is split."""
    after_blank: bool = False
    """Whether the text ends in a blank that is no token, and that decoders write before the next word."""


class Rest(ABC):
    """The end of an unfinished text, which may be spelled by tokens in several ways."""

    ids: IdArray
    """Its own tokens: one of the ways."""

    spelling: bytes
    """Its text in UTF-8. Positions in it count bytes."""

    @abstractmethod
    def within(self, position: int, previous: int | None) -> list[tuple[int, int]]:
        """
        The tokens that may come at a position and end within the rest, or with it.

        Args:
            position: where they begin.
            previous: the token before; None at the beginning of the rest.

        Returns:
            Pairs of a token and the position at which it ends.
        """

    @abstractmethod
    def beyond(self, position: int, previous: int | None) -> IdArray:
        """The tokens that may come at a position, and go on after the end of the rest."""

    @abstractmethod
    def spelling_of(self, token: int) -> bytes:
        """The text of a token in UTF-8, as in `spelling`."""

    def text_beyond(self, token: int, position: int) -> str:
        """What of a token at a position goes beyond the end of the rest."""
        return self.spelling_of(token)[len(self.spelling) - position :].decode("utf-8", "surrogateescape")


class Spellings:
    """
    The spellings of all tokens, found by how they begin.

    Args:
        spellings: the bytes of each token, by id; none for a token that spells no text.
    """

    def __init__(self, spellings: Sequence[bytes]) -> None:
        self._spellings = spellings
        self._order = sorted(range(len(spellings)), key=spellings.__getitem__)
        self._sorted = [spellings[token] for token in self._order]
        self._longest = max(map(len, spellings), default=0)

    def beginning(self, text: bytes) -> list[int]:
        """The tokens with which a text begins, shortest first; of equals the lower id."""
        found = []
        for length in range(1, min(len(text), self._longest) + 1):
            low = bisect_left(self._sorted, text[:length])
            high = bisect_right(self._sorted, text[:length], low)
            found += self._order[low:high]
        return found

    def continuing(self, text: bytes) -> IdArray:
        """The tokens that begin with a text and are longer, in ascending order."""
        low = bisect_right(self._sorted, text)
        stem = text.rstrip(b"\xff")
        high = bisect_left(self._sorted, stem[:-1] + bytes([stem[-1] + 1])) if stem else len(self._sorted)
        return np.sort(np.array(self._order[low:high], np.int64))

    def spelling(self, token: int) -> bytes:
        """The bytes of a token."""
        return self._spellings[token]

    def last_boundary(self, text: str, latest: int | None = None) -> int:
        """
        The last position of a text at which a token begins or ends, whatever follows the text.

        Two neighbouring characters that no token contains are never joined: byte-pair encoding merges only
        what makes a token, and a unigram model chooses among tokens. So the text left of the boundary between
        them is split without regard to the text right of it.

        Args:
            text: the text.
            latest: the latest position to consider; None: the end of the text.
        """
        position = len(text) if latest is None else latest
        if position == len(text) and text[-1:] in self._openings:
            position -= 1
        while 0 < position < len(text) and text[position - 1 : position + 1] in self._pairs:
            position -= 1
        return position

    @cached_property
    def _pairs(self) -> frozenset[str]:
        """Every two neighbouring characters within a token."""
        texts = (spelling.decode("utf-8", "surrogateescape") for spelling in self._spellings)
        return frozenset(text[at : at + 2] for text in texts for at in range(len(text) - 1))

    @cached_property
    def _openings(self) -> frozenset[str]:
        """Every character that is not the last of some token."""
        return frozenset(pair[0] for pair in self._pairs)


class PiecesRest(Rest):
    """The end of a text whose tokens are pieces that are simply joined."""

    def __init__(self, spelling: bytes, ids: IdArray, spellings: Spellings) -> None:
        """
        Args:
            spelling: the text.
            ids: its own tokens.
            spellings: those of all tokens.
        """
        self.spelling = spelling
        self.ids = ids
        self._spellings = spellings

    def within(self, position: int, previous: int | None) -> list[tuple[int, int]]:  # noqa: ARG002
        """The tokens with which the text at the position begins."""
        tokens = self._spellings.beginning(self.spelling[position:])
        return [(token, position + len(self.spelling_of(token))) for token in tokens]

    def beyond(self, position: int, previous: int | None) -> IdArray:  # noqa: ARG002
        """The tokens that begin with all of the text at the position."""
        return self._spellings.continuing(self.spelling[position:])

    def spelling_of(self, token: int) -> bytes:
        """The bytes of a token."""
        return self._spellings.spelling(token)


def late_token(offsets: IdArray, length: int) -> int:
    """
    Where the first token begins within the last `LONGEST_REST` characters of a text; else the last token.

    Args:
        offsets: where each token of the text begins.
        length: the text's length.
    """
    first = int(np.searchsorted(offsets, length - LONGEST_REST))
    return int(offsets[min(first, len(offsets) - 1)])
