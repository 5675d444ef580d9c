r"""
Where an unfinished text of words ends.

- After white space, the last word is finished. With punctuation marks as tokens of their own, no mark follows
  that would touch it.
- A last word in the vocabulary is finished, too: `the cat` goes on with the next word.
- One that is not in the vocabulary, but begins words that are, becomes one of these: `the ca` goes on as
  `the cat` or `the camel`. If none begins so, it is an unknown word.
- A last punctuation mark may touch a word that follows or not, become longer (`.` -> `...`), or be a part of
  a word (`don'` -> `don't`).
"""

import unicodedata
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from lmgen.arrays import IdArray
from lmgen.tokenizers.edges import Rest, Spellings

Place = Literal["blank", "touching", "opened"]
"""What stands before a token: white space or nothing; a token; a mark that touches the word after it."""


class WordSpellings(Spellings):
    """The words and marks of a vocabulary, found by how they begin."""

    def __init__(self, pieces: Sequence[str], special: Collection[int], glue: str | None) -> None:
        """
        Args:
            pieces: the tokens by id.
            special: ids of tokens that are no words.
            glue: stands at the side of a mark that touches its neighbour; None where marks belong to words.
        """
        self._has_marks = glue is not None
        glue = glue or "\t"
        words = ["" if token in special else piece.strip(glue) for token, piece in enumerate(pieces)]
        super().__init__([word.encode("utf-8", "surrogatepass") for word in words])
        touches_before = np.array([piece.startswith(glue) for piece in pieces])
        self._touches_after = np.array([piece.endswith(glue) for piece in pieces])
        is_word = np.array([word != "" and not self._is_mark(word) for word in words])
        self._allowed: dict[Place, npt.NDArray[np.bool_]] = {
            "blank": ~touches_before,
            "touching": touches_before,
            "opened": is_word & ~touches_before,
        }

    def rest(self, parts: Sequence[str], ids: IdArray, *, unknown: bool) -> Rest | None:
        """
        The open end of a run without white space; None if its last word is finished.

        Args:
            parts: the words and marks of the run, lower-cased where the vocabulary is.
            ids: their tokens.
            unknown: whether the last part is not in the vocabulary.
        """
        last = self._rest(parts, ids, 1)
        if not self._is_mark(parts[-1]):
            return last if unknown and len(last.beyond(0, None)) else None
        if len(parts) > 1 and not self._is_mark(parts[-2]):
            with_word = self._rest(parts, ids, 2)
            if len(with_word.beyond(0, None)):
                return with_word
        return last if last.within(0, None) or len(last.beyond(0, None)) else None

    def after_blank(self) -> Rest:
        """The end of a text that ends in white space."""
        return _WordRest(b"", np.zeros(0, np.int64), self, "blank")

    def allowed(self, tokens: IdArray, place: Place) -> IdArray:
        """Those of the tokens that may stand in a place."""
        return tokens[self._allowed[place][tokens]]

    def anything(self, place: Place) -> IdArray:
        """All tokens that may stand in a place, special ones too."""
        return np.flatnonzero(self._allowed[place])

    def place_after(self, token: int) -> Place:
        """What the place after a token is, without white space between."""
        return "opened" if self._touches_after[token] else "touching"

    def _rest(self, parts: Sequence[str], ids: IdArray, count: int) -> Rest:
        """The last few parts of a run, after the others."""
        place = self.place_after(int(ids[-count - 1])) if count < len(ids) else "blank"
        return _WordRest("".join(parts[-count:]).encode("utf-8", "surrogatepass"), ids[-count:], self, place)

    def _is_mark(self, text: str) -> bool:
        return self._has_marks and is_mark(text)


class _WordRest(Rest):
    """The end of a text of words."""

    def __init__(self, spelling: bytes, ids: IdArray, spellings: WordSpellings, place: Place) -> None:
        """
        Args:
            spelling: the text.
            ids: its own tokens.
            spellings: those of all tokens.
            place: where the text begins.
        """
        self.spelling = spelling
        self.ids = ids
        self._spellings = spellings
        self._place = place

    def within(self, position: int, previous: int | None) -> list[tuple[int, int]]:
        """The words and marks that fit the place, and with which the text at the position begins."""
        tokens = np.array(self._spellings.beginning(self.spelling[position:]), np.int64)
        fitting = self._spellings.allowed(tokens, self._place_after(previous)).tolist()
        return [(token, position + len(self.spelling_of(token))) for token in fitting]

    def beyond(self, position: int, previous: int | None) -> IdArray:
        """The words and marks that fit the place, and begin with all of the text at the position."""
        place = self._place_after(previous)
        if not self.spelling:
            return self._spellings.anything(place)
        return self._spellings.allowed(self._spellings.continuing(self.spelling[position:]), place)

    def spelling_of(self, token: int) -> bytes:
        """The word or mark, without what says which sides it touches."""
        return self._spellings.spelling(token)

    def _place_after(self, previous: int | None) -> Place:
        return self._place if previous is None else self._spellings.place_after(previous)


def is_mark(text: str) -> bool:
    """Whether a text begins with punctuation or a symbol that is split off words."""
    return unicodedata.category(text[0])[0] in "PS" and text[0] != "_"
