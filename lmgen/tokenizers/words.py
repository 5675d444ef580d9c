r"""
Tokens are words separated by white space, and every line ends in </s>. Id 0 is <unk>, id 1 is </s>.

A word is what `str.split` finds in a line. Decoding puts one space between words, so a text with single
spaces is restored exactly; other white space within a line is lost.

With `split_punctuation`, punctuation marks are tokens of their own. A mark is a run of one punctuation or
symbol character (Unicode categories P and S): `...` is one mark and `?!` is two. These are not split from the
letters and digits around them:

- an apostrophe, full stop or hyphen between two letters or digits: don't, U.S, 3.14, state-of-the-art
- a comma or colon between two digits: 1,000 and 12:30
- an underscore anywhere: snake_case

So that decoding restores the spacing, the spelling of a mark begins with a tab if no white space precedes the
mark, and ends with a tab if a word follows immediately. A word never contains a tab, so this is unambiguous:
`(don't!)` is `(⇥`, `don't`, `⇥!`, `⇥)`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property, lru_cache
from itertools import pairwise, repeat
from typing import Any, Self

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import CorpusError
from lmgen.text.sources import line_blocks
from lmgen.tokenizers.base import Chunks, Decoder, TrainedTokenizer, damaged, plain_ids, saved_value
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.edges import Edge
from lmgen.tokenizers.word_edges import WordSpellings, is_mark

UNKNOWN, LINE_END = 0, 1
"""The ids of <unk> and </s>."""

SPECIAL_PIECES = ["<unk>", "</s>"]
"""The names of the special tokens, by id."""

GLUE = "\t"
"""Marks the side on which a punctuation mark touches its neighbour; part of the mark's spelling."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_WORD_OR_LINE_END = re.compile(r"\S+|\n")


class WordTokenizer(TrainedTokenizer):
    """
    Tokenizer whose ids are words, found in a dictionary.

    Args:
        words: the vocabulary in the order of its ids, without the two special tokens.
        lowercase: convert words to lower case.
        split_punctuation: make punctuation marks tokens of their own.
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
        """The id of </s>, the end of the line before."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """Count the words of the text; keep the most frequent ones, with ties broken by spelling."""
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
        """The counts of words and marks that are not in the vocabulary, most frequent first."""
        counts = _count_words(chunks(), lowercase=self.lowercase, split_punctuation=self.split_punctuation)
        return {word: counts[word] for word in _by_frequency(counts) if word not in self._ids}

    def extended(self, tokens: Sequence[str]) -> Self:
        """A copy with more words, whose ids follow the existing ones."""
        return type(self)(
            [*self.words, *tokens], lowercase=self.lowercase, split_punctuation=self.split_punctuation
        )

    def encode(self, text: str) -> IdArray:
        """The ids of the words in each line, and </s> for each line end."""
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
        """As `encode`; the position of </s> is that of the line end."""
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

    def edge(self, text: str) -> Edge:
        """
        The tokens before a last word that is unknown, but begins words of the vocabulary; see word_edges.py.

        A known word counts as finished, though others may begin with it.
        """
        ids, line = self.encode(text), text.rpartition("\n")[2]
        if line[-1:].isspace():
            return Edge(ids, self._spellings.after_blank() if self.split_punctuation else None, True)
        last = (line.rsplit(None, 1) or [""])[-1]
        own, offsets = self.encode_with_offsets(last)
        if not len(own):
            return Edge(ids)
        parts = [self._folded(last[begin:end]) for begin, end in pairwise([*offsets.tolist(), len(last)])]
        unknown = bool(self.unknown_among(last, own)[-1])
        rest = self._spellings.rest(parts, own, unknown=unknown)
        return Edge(ids) if rest is None else Edge(ids[: len(ids) - len(rest.ids)], rest)

    def piece(self, token: int) -> str:
        """The word; a punctuation mark includes the tabs that say where it touches its neighbours."""
        return self._pieces[token]

    def decoder(self) -> Decoder:
        """A decoder that writes <unk> as a word of the text."""
        return _WordDecoder(self._pieces)

    def to_json(self) -> dict[str, Any]:
        """The words in the order of their ids, and the settings."""
        return {
            "tokenizer": self.name,
            "words": self.words,
            "lowercase": self.lowercase,
            "split_punctuation": self.split_punctuation,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild a tokenizer; refuses repeated words and words that no text can contain."""
        words = saved_value(saved, "words", list)
        split_punctuation = saved_value(saved, "split_punctuation", bool)
        for word in words:
            if not isinstance(word, str) or not _is_word(word, split_punctuation):
                raise damaged(f"{repr(word)[:60]} is not a word")
        if len(set(words)) < len(words):
            raise damaged("a word occurs twice")
        return cls(
            words, lowercase=saved_value(saved, "lowercase", bool), split_punctuation=split_punctuation
        )

    @cached_property
    def _spellings(self) -> WordSpellings:
        return WordSpellings(self._pieces, self.special_ids, GLUE if self.split_punctuation else None)

    def _parts(self, word: str) -> tuple[list[int], list[int]]:
        """As `_look_up_parts`, but cached for words of ordinary length, most of which recur often."""
        return self._parts_of_short_word(word) if len(word) <= 40 else self._look_up_parts(word)

    def _look_up_parts(self, word: str) -> tuple[list[int], list[int]]:
        """The ids and offsets of the words and marks in `word`, a run of characters without white space."""
        parts = list(_split(word))
        ids = [self._ids.get(self._folded(part), UNKNOWN) for _, part in parts]
        return ids, [offset for offset, _ in parts]

    def _folded(self, word: str) -> str:
        return word.lower() if self.lowercase else word


class _WordDecoder(Decoder):
    """Decoder that remembers whether the last token wants a space before the next word."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._needs_space = False

    def push(self, ids: Iterable[int]) -> str:
        """The words, with a space between two of them unless a punctuation mark touches its neighbour."""
        written = []
        for token in plain_ids(ids, len(self._pieces)):
            piece = self._pieces[token]
            if token == LINE_END:
                written.append("\n")
                self._needs_space = False
                continue
            if self._needs_space and not piece.startswith(GLUE):
                written.append(" ")
            written.append(piece.strip(GLUE))
            self._needs_space = not piece.endswith(GLUE)
        return "".join(written)

    def finish(self) -> str:
        """Return nothing: a space is written together with the word after it."""
        return ""


def _by_frequency(counts: Counter[str]) -> list[str]:
    """The words sorted by descending count, with ties broken by spelling."""
    return sorted(counts, key=lambda word: (-counts[word], word))


def _count_words(chunks: Iterable[str], *, lowercase: bool, split_punctuation: bool) -> Counter[str]:
    """Count each word of a text; memory grows only with the number of distinct words."""
    counts: Counter[str] = Counter()
    for block in line_blocks(chunks):
        counts.update(block.split())
    for word in [word for word in counts if _LONE_SURROGATE.search(word)]:
        del counts[word]  # UTF-8 cannot represent it, so no file contains it
    if split_punctuation:
        counts = _sum_counts((part, count) for word, count in counts.items() for _, part in _split(word))
    if lowercase:
        counts = _sum_counts((word.lower(), count) for word, count in counts.items())
    return counts


def _sum_counts(counted: Iterable[tuple[str, int]]) -> Counter[str]:
    """Add up the counts that are listed for each word."""
    sums: Counter[str] = Counter()
    for word, count in counted:
        sums[word] += count
    return sums


def _split(word: str) -> Iterator[tuple[int, str]]:
    r"""
    Split a run of characters without white space into words and marks, each with its offset.

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
    """Pattern that matches a word or a mark; built on first use, since it takes a while."""
    codes = [code for code in range(0x20000) if is_mark(chr(code))]  # none are above that
    marks = "".join(map(_character_range, _runs(codes)))
    letters = rf"[^{marks}\s]+"
    inside = r"(?:['’.\-‐‑]|(?<=\d)[,:](?=\d))"
    word = rf"{letters}(?:{inside}{letters})*"
    return re.compile(rf"(?P<word>{word})|(?P<mark>([{marks}])\3*)(?=(?P<word_follows>{letters})?)")


def _runs(codes: Iterable[int]) -> list[list[int]]:
    """The first and last number of each run of consecutive ones: `1, 2, 3, 7` -> `[1, 3], [7, 7]`."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return runs


def _character_range(run: list[int]) -> str:
    """A run of code points as a range inside the brackets of a regular expression."""
    return f"{re.escape(chr(run[0]))}-{re.escape(chr(run[1]))}"


def _is_word(word: str, split_punctuation: bool) -> bool:
    """Whether `encode` could get this word from a text."""
    if split_punctuation:
        word = word.removeprefix(GLUE).removesuffix(GLUE)
    return word.split() == [word] and not _LONE_SURROGATE.search(word)
