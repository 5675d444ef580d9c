"""
Analogies: a is to b as c is to d. Right is the model whose word nearest to b - a + c is d.

    : capitals              a section; lines before the first one have none
    Athens Greece Baghdad Iraq

The format is that of word2vec's questions-words.txt (Mikolov, Chen, Corrado and Dean 2013).
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmgen.arrays import Int64Array
from lmgen.errors import CorpusError
from lmgen.settings import shown
from lmgen.text.chunks import line_blocks
from lmgen.text.sources import Text
from lmgen.vectors.lookup import Lookup

BATCH = 256
"""Questions that are answered by one product of matrices."""

Question = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """How many questions of a section were answered, and how many rightly."""

    section: str
    """Its name; empty for questions before the first one."""
    questions: int
    unknown: int
    """Questions with a word that has no vector, which count neither as right nor as wrong."""
    correct: int

    @property
    def accuracy(self) -> float | None:
        """The share of right answers among the questions whose words all have vectors; None without any."""
        answered = self.questions - self.unknown
        return self.correct / answered if answered else None

    def to_json(self) -> dict[str, Any]:
        """The fields and the accuracy, ready for `json.dumps`."""
        return {**asdict(self), "accuracy": self.accuracy}


@dataclass(frozen=True, slots=True)
class Analogies:
    """The result of all questions of a file."""

    sections: tuple[Section, ...]

    @property
    def total(self) -> Section:
        """All sections as one."""
        return Section(
            section="total",
            questions=sum(each.questions for each in self.sections),
            unknown=sum(each.unknown for each in self.sections),
            correct=sum(each.correct for each in self.sections),
        )

    def to_json(self) -> dict[str, Any]:
        """What `lmgen vectors analogies --json` prints: all questions, and each section."""
        total = self.total.to_json()
        del total["section"]
        return {**total, "sections": [each.to_json() for each in self.sections]}


def read_questions(text: Text) -> dict[str, list[Question]]:
    """
    The questions by section, in the order of the file.

    Raises:
        CorpusError: a line has not four words, or there is no question.
    """
    sections: dict[str, list[Question]] = {}
    section = ""
    for number, line in enumerate(_lines(text.chunks()), 1):
        words = line.split()
        if words and words[0].startswith(":"):
            section = line.strip()[1:].strip()
        elif len(words) == 4:
            a, b, c, d = words
            sections.setdefault(section, []).append((a, b, c, d))
        elif words and not words[0].startswith("//"):  # as the first line of questions-words.txt
            raise CorpusError(
                f"{text.name}, line {number:,}: {shown(line.strip())} is no question of four words, nor a "
                "section such as `: capitals`"
            )
    if not sections:
        raise CorpusError(f"{text.name} has no questions; a line is four words: Athens Greece Baghdad Iraq")
    return sections


def ask(vectors: Lookup, sections: dict[str, list[Question]]) -> Analogies:
    """Answer questions with the word nearest to b - a + c, never one of these three."""
    return Analogies(tuple(_section(vectors, name, asked) for name, asked in sections.items()))


def _section(vectors: Lookup, name: str, questions: list[Question]) -> Section:
    found = [[vectors.find(word) for word in question] for question in questions]
    known = np.array([rows for rows in found if None not in rows], np.int64).reshape(-1, 4)
    correct = sum(
        int((answers(vectors, batch) == batch[:, 3]).sum())
        for batch in np.split(known, range(BATCH, len(known), BATCH))
    )
    return Section(
        section=name, questions=len(questions), unknown=len(questions) - len(known), correct=correct
    )


def answers(vectors: Lookup, questions: Int64Array) -> Int64Array:
    """The rows of the words nearest to b - a + c, (N,); a question is the rows of a, b, c and d, (N, 4)."""
    a, b, c = questions[:, 0], questions[:, 1], questions[:, 2]
    scores = (vectors.unit[b] - vectors.unit[a] + vectors.unit[c]) @ vectors.unit.T
    scores[np.arange(len(questions))[:, None], questions[:, :3]] = -np.inf
    return scores.argmax(axis=1)  # type: ignore[no-any-return]


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    for block in line_blocks(chunks):
        yield from block.splitlines()
