"""
Which tokens of a text are scored, where each of its units is a question with an answer.

The first mark of a unit ends the question. What follows it is the answer, the unit's end with it; a unit
without a mark has none.

    1 2 + 3 = 1 5 $      "=" is the mark, "$" the end of a unit
    . . . . . x x x      x: scored
"""

from dataclasses import dataclass

import numpy as np

from lmgen.arrays import BoolArray, IdArray
from lmgen.data.token_file import Tokens
from lmgen.errors import CorpusError
from lmgen.tokenizers.base import EncodedBlock, Tokenizer

BLOCK = 1 << 20
"""Tokens that are looked at together, so that little memory is needed beside the result."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How the answers of a text are found among its tokens."""

    mark: int
    """Id of the token after which an answer begins."""
    unit_end: int
    """Id of the token that ends it."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Answers | None":
        """Those of the texts that a tokenizer reads; None if all tokens are scored."""
        if tokenizer.answer_mark is None or tokenizer.end is None:
            return None
        return cls(tokenizer.answer_mark, tokenizer.end)

    def among(self, ids: Tokens) -> BoolArray:
        """Which tokens of a whole text are of answers, (N,)."""
        marker = AnswerMarker(self)
        found = np.zeros(len(ids), np.bool_)
        for first in range(0, len(ids), BLOCK):
            found[first : first + BLOCK] = marker.among(ids[first : first + BLOCK])
        return found


class AnswerMarker:
    """Finds the answers of a text whose tokens come block by block."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._inside = False
        self.units = self.with_answer = 0
        """The units that have ended so far, and those of them, or begun since, that have an answer."""

    def among(self, ids: IdArray) -> BoolArray:
        """Which of the next tokens are of answers, (N,)."""
        is_mark, is_end = ids == self._answers.mark, ids == self._answers.unit_end
        self.units += int(is_end.sum())
        turns = np.concatenate([[True], is_mark | is_end])
        begins = np.concatenate([[self._inside], is_mark])
        inside = begins[np.maximum.accumulate(np.where(turns, np.arange(len(turns)), 0))]
        self.with_answer += int((is_mark & ~inside[:-1]).sum())
        self._inside = bool(inside[-1])
        return inside[:-1]


class AnswerSizes:
    """Adds up the sizes of the answers of a text that comes block by block (`Tokenizer.encode_blocks`)."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        answers = Answers.of(tokenizer)
        self._marker = None if answers is None else AnswerMarker(answers)
        self._tokens = self._characters = 0

    def add(self, block: EncodedBlock, tokens: int | None = None) -> None:
        """Count the first `tokens` tokens of a block, and the characters that they spell; None: all."""
        if self._marker is None:
            return
        scored = self._marker.among(block.ids[:tokens])
        self._tokens += int(scored.sum())
        if block.closes:  # an end that the text lacks counts as a character
            self._characters += int(scored.sum())
            return
        end = len(block.text)
        if tokens is not None and tokens < len(block.ids):
            end = int(self._tokenizer.encode_with_offsets(block.text)[1][tokens])
        self._characters += int(self._tokenizer.answer_characters(block.text)[:end].sum())

    @property
    def counts(self) -> dict[str, int]:
        """The fields of `Part` that are about answers; empty where all tokens are scored."""
        if self._marker is None:
            return {}
        return {"answer_tokens": self._tokens, "answer_characters": self._characters}

    def note(self, text: str) -> str | None:
        """
        What to say about the units of a text that have no answer; None if all have one.

        Raises:
            CorpusError: none has one.
        """
        marker, reading = self._marker, self._tokenizer.reading
        if marker is None:
            return None
        where = f"{reading.unit}s of the {text} text"
        if not marker.with_answer:
            raise CorpusError(
                f"none of the {marker.units:,} {where} has the mark {reading.answers_after!r} of "
                "--answers-after, so there is no answer to learn; give the mark that is between question and "
                "answer"
            )
        without = marker.units - marker.with_answer
        if not without:
            return None
        return (
            f"{without:,} of {marker.units:,} {where} have no {reading.answers_after!r}: nothing of them is "
            "learned or scored"
        )
