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

Some spellings in a text stand for special tokens, not for words of their own (`Reserved`): `<unk>` is the
unknown token; `<s>` and `</s>` are boundaries of sentences, as is `<eos>` where a line ends in it. Lines are
sentences already, so around a line these add nothing. Within a line `<s>` and `</s>` are white space, as for
KenLM's lmplz with `--skip_symbols`, and `<eos>` is a word.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import compress, pairwise, repeat
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import BoolArray, IdArray
from lmgen.errors import CorpusError
from lmgen.text.chunks import line_blocks
from lmgen.tokenizers.base import Chunks, Decoder, TrainedTokenizer, damaged, plain_ids, saved_value
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.edges import Edge
from lmgen.tokenizers.parallel import in_order
from lmgen.tokenizers.word_edges import WordSpellings, is_mark

UNKNOWN, LINE_END = 0, 1
"""The ids of <unk> and </s>."""

SPECIAL_PIECES = ["<unk>", "</s>"]
"""The names of the special tokens, by id."""

GLUE = "\t"
"""Marks the side on which a punctuation mark touches its neighbour; part of the mark's spelling."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reserved:
    """The spellings in a text that stand for special tokens. Lower-casing comes first, if it is asked for."""

    unknown: str | None = "<unk>"
    """Read as the unknown token, which it does not count as. None: it is a word like any other."""
    boundaries: tuple[str, ...] = ("<s>", "</s>")
    """Sentence marks, which are read as white space."""
    last: str | None = "<eos>"
    """A sentence mark where a line ends in it (more than once, too)."""

    def kept(self, words: list[str], fold: Callable[[str], str]) -> list[str]:
        """The words of a line without its sentence marks."""
        words = [word for word in words if fold(word) not in self.boundaries]
        while words and fold(words[-1]) == self.last:
            words.pop()
        return words

    def marks_in(self, text: str) -> bool:
        """Whether a text, which is lower-cased already if that is asked for, may have sentence marks."""
        return any(mark in text for mark in self.boundaries) or (self.last is not None and self.last in text)


DEFAULT = Reserved()
LITERAL_MARKS = Reserved(boundaries=(), last=None)
"""Sentence marks are words."""
NOTHING = Reserved(unknown=None, boundaries=(), last=None)
"""Even <unk> is a word like any other, as in the models of the first versions of lmgen."""

WHITE_SPACE = {"unicode": r"\S", "ascii": r"[^\0\t\n\v\f\r ]"}
"""What words consist of, by what separates them: all at which `str.split` splits, or what KenLM splits at."""


class WordTokenizer(TrainedTokenizer):
    """
    Tokenizer whose ids are words, found in a dictionary.

    Args:
        words: the vocabulary in the order of its ids, without the two special tokens.
        lowercase: convert words to lower case.
        split_punctuation: make punctuation marks tokens of their own.
        reserved: the spellings that are no words.
        white_space: what separates words, one of WHITE_SPACE.
    """

    name = "word"
    settings = frozenset({"vocab_size", "min_count", "lowercase", "split_punctuation", "literal_marks"})
    reads_lines = True
    special_ids = frozenset({UNKNOWN, LINE_END})
    unknown = UNKNOWN
    line_end = LINE_END

    def __init__(
        self,
        words: list[str],
        *,
        lowercase: bool = False,
        split_punctuation: bool = False,
        reserved: Reserved = DEFAULT,
        white_space: str = "unicode",
    ) -> None:
        self.words = words
        self.lowercase = lowercase
        self.split_punctuation = split_punctuation
        self.tokens_are_words = not split_punctuation
        self.reserved = reserved
        self.white_space = white_space
        of_others = white_space != "unicode" or reserved not in (DEFAULT, LITERAL_MARKS, NOTHING)
        self.format_version = 4 if of_others else 1  # earlier versions split such texts otherwise
        self._pieces = SPECIAL_PIECES + words
        self.vocabulary_size = len(self._pieces)
        self._ids = {word: token for token, word in enumerate(words, start=len(SPECIAL_PIECES))}
        self._word_or_line_end = re.compile(WHITE_SPACE[white_space] + r"+|\n")
        self._parts_of_short_word = lru_cache(maxsize=1 << 16)(self._look_up_parts)

    @property
    def start(self) -> int:
        """The id of </s>, the end of the line before."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """Count the words of the text; keep the most frequent ones, with ties broken by spelling."""
        tokenizer = cls(
            [],
            lowercase=config.lowercase,
            split_punctuation=config.split_punctuation,
            reserved=LITERAL_MARKS if config.literal_marks else DEFAULT,
        )
        counts, notes = tokenizer._count_words(chunks())
        if not counts:
            raise CorpusError("the training text has no words; give one that is more than white space")
        frequent = [word for word in _by_frequency(counts) if counts[word] >= config.min_count]
        if not frequent:
            raise CorpusError(f"no word occurs {config.min_count} times; lower --min-count")
        most = None if config.vocab_size is None else config.vocab_size - len(SPECIAL_PIECES)
        trained = tokenizer.extended(frequent[:most])
        trained.notes = notes
        return trained

    def missing(self, chunks: Chunks) -> dict[str, int]:
        """The counts of words and marks that are not in the vocabulary, most frequent first."""
        counts, _ = self._count_words(chunks())
        return {word: counts[word] for word in _by_frequency(counts) if word not in self._ids}

    def extended(self, tokens: Sequence[str]) -> Self:
        """A copy with more words, whose ids follow the existing ones."""
        return self._with_words([*self.words, *tokens])

    def limited_to(self, words: Set[str]) -> tuple[Self, BoolArray]:
        """As every tokenizer; a punctuation mark is among the words however it touches its neighbours."""
        listed = {self._folded(word) for word in words}
        kept = [word.strip(GLUE) in listed for word in self.words]
        limited = self._with_words(list(compress(self.words, kept)))
        return limited, np.array([True] * len(SPECIAL_PIECES) + kept)

    def _with_words(self, words: list[str]) -> Self:
        return type(self)(
            words,
            lowercase=self.lowercase,
            split_punctuation=self.split_punctuation,
            reserved=self.reserved,
            white_space=self.white_space,
        )

    def encode(self, text: str) -> IdArray:
        """The ids of the words in each line, and </s> for each line end."""
        ids: list[int] = []
        for number, words in enumerate(self._lines(text)):
            if number:
                ids.append(LINE_END)
            if self.split_punctuation:
                for word in words:
                    ids += self._parts(word)[0]
            else:
                ids += map(self._ids.get, words, repeat(UNKNOWN))
        return np.array(ids, np.int64)

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; the position of </s> is that of the line end."""
        ids: list[int] = []
        offsets: list[int] = []
        possible_ends: list[re.Match[str]] = []  # of a line, unless another word follows
        for match in self._word_or_line_end.finditer(text):
            word = self._folded(match[0])
            if word == self.reserved.last:
                possible_ends.append(match)
            elif word == "\n":
                possible_ends.clear()
                ids.append(LINE_END)
                offsets.append(match.start())
            elif word not in self.reserved.boundaries:
                for found in (*possible_ends, match):
                    if self.split_punctuation:
                        parts, starts = self._parts(found[0])
                        ids += parts
                        offsets += [found.start() + start for start in starts]
                    else:
                        ids.append(self._ids.get(self._folded(found[0]), UNKNOWN))
                        offsets.append(found.start())
                possible_ends.clear()
        return np.array(ids, np.int64), np.array(offsets, np.int64)

    def unknown_among(self, text: str, ids: IdArray) -> npt.NDArray[np.bool_]:
        """The unknown tokens among the ids of a text, without those that it spells itself, as <unk>."""
        unknown: npt.NDArray[np.bool_] = ids == UNKNOWN
        spelling = self.reserved.unknown
        if spelling is None or spelling not in self._folded(text) or not unknown.any():
            return unknown
        if self.split_punctuation:
            spelled: list[str | None] = []
            for number, words in enumerate(self._lines(text)):
                spelled += [None] if number else []
                for word in words:
                    spelled += [self._folded(word)] * len(self._parts(word)[0])
        else:
            spelled = [word for words in self._lines(text) for word in (*words, None)]
        places = np.flatnonzero(unknown)
        unknown[places] = [spelled[place] != spelling for place in places.tolist()]
        return unknown

    def edge(self, text: str) -> Edge:
        """
        The tokens before a last word that is unknown, but begins words of the vocabulary; see word_edges.py.

        A known word counts as finished, though others may begin with it.
        """
        ids, line = self.encode(text), text.rpartition("\n")[2]
        words = self._split_at_white_space(line)
        last = words[-1] if words else ""
        if line and not (last and line.endswith(last)):
            return Edge(ids, self._spellings.after_blank() if self.split_punctuation else None, True)
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
        """The words in the order of their ids, and the settings; `literal_marks` if <unk> is no word."""
        saved: dict[str, Any] = {
            "tokenizer": self.name,
            "words": self.words,
            "lowercase": self.lowercase,
            "split_punctuation": self.split_punctuation,
        }
        if self.reserved != NOTHING:
            saved["literal_marks"] = not self.reserved.boundaries
        if self.reserved not in (DEFAULT, LITERAL_MARKS, NOTHING):
            saved["reserved"] = [self.reserved.unknown, *self.reserved.boundaries[:2]]
        if self.white_space != "unicode":
            saved["white_space"] = self.white_space
        return saved

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild a tokenizer; refuses repeated words and words that no text can contain."""
        words = saved_value(saved, "words", list)
        tokenizer = cls(
            [],
            lowercase=saved_value(saved, "lowercase", bool),
            split_punctuation=saved_value(saved, "split_punctuation", bool),
            reserved=_saved_reserved(saved),
            white_space=_saved_white_space(saved),
        )
        for word in words:
            if not isinstance(word, str) or not tokenizer._is_word(word):
                raise damaged(f"{repr(word)[:60]} is not a word")
        if len(set(words)) < len(words):
            raise damaged("a word occurs twice")
        return tokenizer.extended(words)

    def _lines(self, text: str) -> Iterator[list[str]]:
        """The words of each line, without sentence marks; in lower case if their parts are not looked for."""
        if self.lowercase and not self.split_punctuation:
            text = text.lower()
        has_marks = self.reserved.marks_in(self._folded(text))
        for line in text.split("\n"):
            words = self._split_at_white_space(line)
            yield self.reserved.kept(words, self._folded) if has_marks else words

    def _split_at_white_space(self, text: str) -> list[str]:
        if self.white_space == "unicode":
            return text.split()
        return [word for word in self._word_or_line_end.findall(text) if word != "\n"]

    @cached_property
    def _spellings(self) -> WordSpellings:
        return WordSpellings(self._pieces, self.special_ids, GLUE if self.split_punctuation else None)

    def _parts(self, word: str) -> tuple[list[int], list[int]]:
        """As `_look_up_parts`, but cached for words of ordinary length, most of which recur often."""
        return self._parts_of_short_word(word) if len(word) <= 40 else self._look_up_parts(word)

    def _look_up_parts(self, word: str) -> tuple[list[int], list[int]]:
        """The ids and offsets of the words and marks in `word`, a run of characters without white space."""
        if self._folded(word) == self.reserved.unknown:
            return [UNKNOWN], [0]
        parts = list(_split(word))
        ids = [self._ids.get(self._folded(part), UNKNOWN) for _, part in parts]
        return ids, [offset for offset, _ in parts]

    def _folded(self, word: str) -> str:
        return word.lower() if self.lowercase else word

    def _count_words(self, chunks: Iterable[str]) -> tuple[Counter[str], tuple[str, ...]]:
        """
        Count each word of a text, and note its sentence marks.

        Memory grows only with the number of distinct words.
        """
        counting = _Counting(self)
        for _ in in_order(counting, line_blocks(chunks)):
            pass
        counts, marked_lines = counting.total()
        for word in [word for word in counts if _LONE_SURROGATE.search(word)]:
            del counts[word]  # UTF-8 cannot represent it, so no file contains it
        if self.reserved.unknown is not None:
            for word in [word for word in counts if self._folded(word) == self.reserved.unknown]:
                del counts[word]
        if self.split_punctuation:
            counts = _sum_counts((part, count) for word, count in counts.items() for _, part in _split(word))
        if self.lowercase:
            counts = _sum_counts((word.lower(), count) for word, count in counts.items())
        return counts, (_marks_note(marked_lines),) if marked_lines else ()

    def _is_word(self, word: str) -> bool:
        """Whether `encode` could get this word from a text."""
        if self.split_punctuation:
            word = word.removeprefix(GLUE).removesuffix(GLUE)
        return (
            self._split_at_white_space(word) == [word]
            and "\n" not in word
            and not _LONE_SURROGATE.search(word)
            and word not in (self.reserved.unknown, *self.reserved.boundaries)
        )


class _Counting:
    """Counts the words of blocks of whole lines, and the lines with sentence marks (parallel.Work)."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._tokenizer = tokenizer
        self._counts: Counter[str] = Counter()
        self._marked_lines = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _counting_like, (
            self._tokenizer.lowercase,
            self._tokenizer.reserved,
            self._tokenizer.white_space,
        )

    def __call__(self, block: str) -> None:
        tokenizer = self._tokenizer
        if not tokenizer.reserved.marks_in(tokenizer._folded(block)):
            self._counts.update(tokenizer._split_at_white_space(block))
            return
        for line in block.split("\n"):
            words = tokenizer._split_at_white_space(line)
            kept = tokenizer.reserved.kept(words, tokenizer._folded)
            self._marked_lines += len(kept) < len(words)
            self._counts.update(kept)

    def total(self) -> tuple[Counter[str], int]:
        """How often each word came, and how many lines had marks."""
        return self._counts, self._marked_lines

    def merge(self, total: tuple[Counter[str], int]) -> None:
        """Add the counts of other blocks."""
        counts, marked_lines = total
        self._counts.update(counts)
        self._marked_lines += marked_lines


def _counting_like(lowercase: bool, reserved: Reserved, white_space: str) -> _Counting:
    """One that has counted nothing yet, in another process."""
    return _Counting(WordTokenizer([], lowercase=lowercase, reserved=reserved, white_space=white_space))


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


def _marks_note(lines: int) -> str:
    return (
        f"{lines:,} lines have sentence marks (<s> and </s> around them, or <eos> at the end), which are "
        "read as the boundaries that every line has; --literal-marks reads them as words"
    )


def _saved_reserved(saved: dict[str, Any]) -> Reserved:
    """The reserved spellings of a saved tokenizer; the first versions of lmgen knew none."""
    if "literal_marks" not in saved:
        return NOTHING
    if saved_value(saved, "literal_marks", bool):
        return LITERAL_MARKS
    if "reserved" not in saved:
        return DEFAULT
    spellings = saved_value(saved, "reserved", list)
    unknown, *marks = spellings or [None]
    if len(marks) != 2 or not all(isinstance(spelling, str) for spelling in (unknown or "", *marks)):
        raise damaged("'reserved' is not three spellings")
    boundaries = dict.fromkeys([*marks, *DEFAULT.boundaries])  # around lines the usual ones are clear, too
    return Reserved(unknown, tuple(boundaries), last=None)


def _saved_white_space(saved: dict[str, Any]) -> str:
    if "white_space" not in saved:
        return "unicode"
    white_space = saved_value(saved, "white_space", str)
    if white_space not in WHITE_SPACE:
        raise damaged(f"'white_space' is none of {', '.join(WHITE_SPACE)}")
    return white_space


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
