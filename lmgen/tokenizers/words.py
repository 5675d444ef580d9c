r"""
What stands between white space is a token, and each line ends in one: 0 is <unk>, 1 is </s>.

A word is what `str.split` finds in a line, as it stands. Decoding puts one blank between words, so a text
with single blanks comes back exactly; other white space within a line is not kept.

With `split_punctuation`, marks are tokens of their own. A mark is a run of one and the same punctuation or
symbol character (Unicode categories P and S); `...` is one mark and `?!` two. Not split from the letters and
digits around them are

- an apostrophe, full stop or hyphen between two of them: don't, U.S, 3.14, state-of-the-art
- a comma or colon between two digits: 1,000 and 12:30
- the underscore, anywhere: snake_case

What stood together comes together again: a mark carries, as part of its spelling, a tab before it where it
was glued to what came before, and a tab after it where it was glued to the word that follows. No text has a
tab inside a word, so the spellings cannot be confused: `(don't!)` is `(⇥`, `don't`, `⇥!`, `⇥)`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import repeat
from typing import Any, Self

import numpy as np

from lmgen.errors import CorpusError
from lmgen.text.sources import line_blocks
from lmgen.tokenizers.base import Chunks, Decoder, IdArray, Tokenizer, damaged, plain_ids, saved_value
from lmgen.tokenizers.config import TokenizerConfig

UNKNOWN, LINE_END = 0, 1
SPECIAL_PIECES = ["<unk>", "</s>"]

GLUE = "\t"
"""Begins or ends the spelling of a mark that touched its neighbour."""

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")

_WORD_OR_LINE_END = re.compile(r"\S+|\n")


class WordTokenizer(Tokenizer):
    """
    Words to ids by a dictionary.

    Args:
        words: the vocabulary without the two special tokens, in the order of the ids: most frequent first.
        lowercase: read all letters as lower case.
        split_punctuation: marks are tokens of their own.
    """

    name = "word"
    settings = frozenset({"vocab_size", "min_count", "lowercase", "split_punctuation"})
    reads_lines = True
    special_ids = frozenset({UNKNOWN, LINE_END})
    unknown = UNKNOWN
    line_end = LINE_END

    def __init__(self, words: list[str], *, lowercase: bool = False, split_punctuation: bool = False) -> None:
        self.words = words
        self.lowercase = lowercase
        self.split_punctuation = split_punctuation
        self._pieces = SPECIAL_PIECES + words
        self.vocabulary_size = len(self._pieces)
        self._ids = {word: token for token, word in enumerate(words, start=len(SPECIAL_PIECES))}
        self._parts_of_short_word = lru_cache(maxsize=1 << 16)(self._look_up_parts)

    @property
    def start(self) -> int:
        """The end of the line before."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """Count the words of the text; keep the most frequent, equally frequent ones by spelling."""
        counts = _count_words(
            chunks(), lowercase=config.lowercase, split_punctuation=config.split_punctuation
        )
        if not counts:
            raise CorpusError("the training text has no words; give one that is more than white space")
        frequent = [word for word in _by_frequency(counts) if counts[word] >= config.min_count]
        if not frequent:
            raise CorpusError(f"no word occurs {config.min_count} times; lower --min-count")
        most = None if config.vocab_size is None else config.vocab_size - len(SPECIAL_PIECES)
        return cls(frequent[:most], lowercase=config.lowercase, split_punctuation=config.split_punctuation)

    def missing(self, chunks: Chunks) -> dict[str, int]:
        """Words and marks, by descending frequency."""
        counts = _count_words(chunks(), lowercase=self.lowercase, split_punctuation=self.split_punctuation)
        return {word: counts[word] for word in _by_frequency(counts) if word not in self._ids}

    def extended(self, tokens: Sequence[str]) -> Self:
        """With more words."""
        return type(self)(
            [*self.words, *tokens], lowercase=self.lowercase, split_punctuation=self.split_punctuation
        )

    def encode(self, text: str) -> IdArray:
        """The words of each line, and </s> for each line end."""
        ids: list[int] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                ids.append(LINE_END)
            if self.split_punctuation:
                for word in line.split():
                    ids += self._parts(word)[0]
            else:
                words = line.lower().split() if self.lowercase else line.split()
                ids += map(self._ids.get, words, repeat(UNKNOWN))
        return np.array(ids, np.int64)

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; a word begins at its first character, </s> is at its line end."""
        ids, offsets = [], []
        for match in _WORD_OR_LINE_END.finditer(text):
            if match[0] == "\n":
                ids.append(LINE_END)
                offsets.append(match.start())
            elif self.split_punctuation:
                parts, starts = self._parts(match[0])
                ids += parts
                offsets += [match.start() + start for start in starts]
            else:
                ids.append(self._ids.get(self._folded(match[0]), UNKNOWN))
                offsets.append(match.start())
        return np.array(ids, np.int64), np.array(offsets, np.int64)

    def piece(self, token: int) -> str:
        """The word, with its tabs if it is a mark that is glued to a neighbour."""
        return self._pieces[token]

    def decoder(self) -> Decoder:
        """A decoder that writes the word <unk> for the unknown."""
        return _WordDecoder(self._pieces)

    def to_json(self) -> dict[str, Any]:
        """The words in the order of their ids."""
        return {
            "tokenizer": self.name,
            "words": self.words,
            "lowercase": self.lowercase,
            "split_punctuation": self.split_punctuation,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild it; each word has to be one that a text can produce, and there once."""
        words = saved_value(saved, "words", list)
        split_punctuation = saved_value(saved, "split_punctuation", bool)
        for word in words:
            if not isinstance(word, str) or not _is_word(word, split_punctuation):
                raise damaged(f"{repr(word)[:60]} is not a word")
        if len(set(words)) < len(words):
            raise damaged("a word is there twice")
        return cls(
            words, lowercase=saved_value(saved, "lowercase", bool), split_punctuation=split_punctuation
        )

    def _parts(self, word: str) -> tuple[list[int], list[int]]:
        """As `_look_up_parts`, remembered for words of an ordinary length: most come again and again."""
        return self._parts_of_short_word(word) if len(word) <= 40 else self._look_up_parts(word)

    def _look_up_parts(self, word: str) -> tuple[list[int], list[int]]:
        """The ids and offsets of the words and marks in what stands between white space."""
        parts = list(_split(word))
        ids = [self._ids.get(self._folded(part), UNKNOWN) for _, part in parts]
        return ids, [offset for offset, _ in parts]

    def _folded(self, word: str) -> str:
        return word.lower() if self.lowercase else word


class _WordDecoder(Decoder):
    """Knows the last token: whether a blank comes before the next word."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._takes_blank = False

    def push(self, ids: Iterable[int]) -> str:
        """Words with a blank between them, unless one is glued to the other."""
        written = []
        for token in plain_ids(ids, len(self._pieces)):
            piece = self._pieces[token]
            if token == LINE_END:
                written.append("\n")
                self._takes_blank = False
                continue
            if self._takes_blank and not piece.startswith(GLUE):
                written.append(" ")
            written.append(piece.strip(GLUE))
            self._takes_blank = not piece.endswith(GLUE)
        return "".join(written)

    def finish(self) -> str:
        """Nothing: the blank comes out with the word after it."""
        return ""


def _by_frequency(counts: Counter[str]) -> list[str]:
    """The words, most frequent first, equally frequent ones by spelling."""
    return sorted(counts, key=lambda word: (-counts[word], word))


def _count_words(chunks: Iterable[str], *, lowercase: bool, split_punctuation: bool) -> Counter[str]:
    """How often each word occurs; memory grows with the number of different words only."""
    counts: Counter[str] = Counter()
    for block in line_blocks(chunks):
        counts.update(block.split())
    for word in [word for word in counts if _HALF_A_CHARACTER.search(word)]:
        del counts[word]  # it stands for nothing, and no file can hold it
    if split_punctuation:
        counts = _sum_counts((part, count) for word, count in counts.items() for _, part in _split(word))
    if lowercase:
        counts = _sum_counts((word.lower(), count) for word, count in counts.items())
    return counts


def _sum_counts(counted: Iterable[tuple[str, int]]) -> Counter[str]:
    """Add up the counts of each word."""
    sums: Counter[str] = Counter()
    for word, count in counted:
        sums[word] += count
    return sums


def _split(word: str) -> Iterator[tuple[int, str]]:
    r"""
    The words and marks in what stands between white space, each with its offset.

    `"Yes!"` -> `(0, "Yes"), (3, "\t!")`.
    """
    if word.isalnum():
        yield 0, word
        return
    for match in _words_and_marks().finditer(word):
        if match["word"]:
            yield match.start(), match["word"]
        else:
            before = GLUE if match.start() else ""
            after = GLUE if match["word_follows"] else ""
            yield match.start(), before + match["mark"] + after


@cache
def _words_and_marks() -> re.Pattern[str]:
    """Matches one word or mark after the other; built when first needed, since it looks at all characters."""
    marks = "".join(map(_character_range, _runs(filter(_is_mark, range(0x20000)))))  # there are none beyond
    letters = rf"[^{marks}\s]+"
    inside = r"(?:['’.\-‐‑]|(?<=\d)[,:](?=\d))"
    word = rf"{letters}(?:{inside}{letters})*"
    return re.compile(rf"(?P<word>{word})|(?P<mark>([{marks}])\3*)(?=(?P<word_follows>{letters})?)")


def _is_mark(code: int) -> bool:
    return unicodedata.category(chr(code))[0] in "PS" and chr(code) != "_"


def _runs(codes: Iterable[int]) -> list[list[int]]:
    """First and last of each run of consecutive numbers: `1, 2, 3, 7` -> `[1, 3], [7, 7]`."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return runs


def _character_range(run: list[int]) -> str:
    """A run of code points as it stands inside the brackets of a regular expression."""
    return f"{re.escape(chr(run[0]))}-{re.escape(chr(run[1]))}"


def _is_word(word: str, split_punctuation: bool) -> bool:
    """Whether a text can produce this word."""
    if split_punctuation:
        word = word.removeprefix(GLUE).removesuffix(GLUE)
    return word.split() == [word] and not _HALF_A_CHARACTER.search(word)
