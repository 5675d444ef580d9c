r"""
What the words of an ARPA file stand for: how tokens are written, and the tokenizer of a file that is read.

A file of lmgen brings its tokenizer, and lists its tokens in the order of their ids. A file of another
program is read in one of two ways:

- As words. A text is split at ASCII white space alone, as KenLM splits it. `<unk>`, `<s>` and `</s>` may be
  spelled in capitals.
- As characters, one a word. The blank is spelled by some visible symbol. A line of a text is a sentence, and
  its line end is the file's `</s>`. Words such as `<noise>`, which no text has, are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lmgen.arrays import Float32Array, Int64Array
from lmgen.errors import ConfigError, ModelError
from lmgen.models.ngram.arpa_text import ArpaText
from lmgen.tokenizers.base import Tokenizer, saved_value
from lmgen.tokenizers.pieces import SPECIAL_PIECES, escape, unescape
from lmgen.tokenizers.reading import ALIKE as MARK_ALIKE
from lmgen.tokenizers.registry import tokenizer_from_json

VOCABULARY_KEYS = {"word": "words", "char": "characters"}
"""Tokenizers whose vocabulary is listed by the 1-grams, with its key in the saved tokenizer."""

WAYS = ("word", "char")
"""The ways to read a file of another program."""

ALIKE = r"\1"
"""Added to a token that would be spelled like another; no escape looks like this."""

NOT_A_TOKEN = -1

LINE_END = r"\n"
"""How a line end is written that is text within a record."""

BLANK = "▁"
"""How lmgen writes a blank."""

BLANK_NAMES = frozenset({BLANK, "␣", "<space>", "<sp>", "[space]"})
"""Other spellings of a blank, in lower case, which hardly mean anything else."""

BLANK_SYMBOLS = ("|", "_")
"""Characters that many character models have in place of the blank."""

SHARE_OF_BLANK = 0.25
"""A symbol is a blank only if its probability is at least this share of the mean of all characters."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the words of a file are."""

    tokenizer: Tokenizer
    ids: Int64Array
    """The id of each word: V for `<s>`, NOT_A_TOKEN for words that are ignored."""
    notes: tuple[str, ...] = ()


# Writing


def spellings(tokenizer: Tokenizer, log_probs: Float32Array) -> list[str]:
    """
    The spelling of each token; of two that are spelled alike, the more probable one keeps it.

    Raises:
        ModelError: more than two tokens would be spelled alike.
    """
    spell = partial(_spell_word, tokenizer) if _has_plain_words(tokenizer.to_json()) else escape
    spelled = [
        tokenizer.piece(token) if token in tokenizer.special_ids else spell(tokenizer.piece(token))
        for token in range(tokenizer.vocabulary_size)
    ]
    if tokenizer.answer_mark is not None:  # it may have blanks, even in a model of words
        spelled[tokenizer.answer_mark] = tokenizer.escaped_piece(tokenizer.answer_mark)
    taken: set[str] = set()
    for token in np.argsort(-log_probs[: len(spelled)], kind="stable").tolist():
        if spelled[token] in taken:
            spelled[token] += ALIKE
        taken.add(spelled[token])
    if len(taken) < len(spelled):
        raise ModelError("two tokens of the model are spelled alike, which no ARPA file can tell apart")
    return spelled


def _has_plain_words(saved: Mapping[str, Any]) -> bool:
    return saved.get("tokenizer") == "word" and not saved.get("split_punctuation")


def _spell_word(tokenizer: Tokenizer, word: str) -> str:
    """The word, with a backslash if it is spelled like a special one. KenLM splits at NUL: it is escaped."""
    if word == "\n":
        return LINE_END
    if _is_special(word, in_records=tokenizer.unit == "record"):
        return "\\" + word
    return escape(word) if "\0" in word else word


def _is_special(word: str, *, in_records: bool) -> bool:
    """Whether a word is spelled like a special token, with or without backslashes before it."""
    bare = word.lstrip("\\")
    return bare in SPECIAL_PIECES or (in_records and bare == "n" and bare != word)


# Reading


def vocabulary_of(text: ArpaText, asked: str | None, blank: str | None) -> Vocabulary:
    """
    Find out what the words of a file are.

    Args:
        text: the file.
        asked: one of WAYS; None: as lmgen wrote it, else as characters where that is clear, else as words.
        blank: the word that is the blank of a character model; None: the one that is clear, if any.

    Raises:
        ConfigError: the file has no such blank.
        ModelError: the words do not fit the tokenizer.
    """
    own = text.tokenizer
    if own is not None and blank is None and asked in (None, own.get("tokenizer")):
        return _vocabulary_of_lmgen(text.words, own)
    marks = [_spelled_in(text.words, mark) for mark in SPECIAL_PIECES]
    ordinary = [word for word in text.words if word not in marks]
    if blank is not None and blank not in ordinary:
        raise ConfigError(f"--blank is {blank!r}, but the file has no such word")
    found = blank or _clear_blank(ordinary, text)
    if asked == "char" or blank is not None:
        notes = () if blank is not None else _blank_notes(found)
        return _characters(text.words, ordinary, marks, found, notes)
    if asked is None and found and all(_character(word) or _is_name(word) for word in ordinary):
        note = (
            f"its words are characters, with {found} for the blank, so it is read as a character model; "
            "--tokenizer word reads it as a word model"
        )
        return _characters(text.words, ordinary, marks, found, (note,))
    return _words(text.words, ordinary, marks)


def _spelled_in(words: Sequence[str], mark: str) -> str:
    """How a file spells a special token: in capitals, if it does not have it in small letters."""
    others = sorted(word for word in words if word.lower() == mark)
    return others[0] if others and mark not in others else mark


def _words(words: Sequence[str], ordinary: list[str], marks: Sequence[str]) -> Vocabulary:
    unknown, begin, end = marks
    saved = {
        "tokenizer": "word",
        "words": ordinary,
        "lowercase": False,
        "split_punctuation": False,
        "literal_marks": False,
        "reserved": [unknown if unknown in words else None, begin, end],
        "white_space": "ascii",
    }
    return _vocabulary(words, tokenizer_from_json(saved), [unknown, end, *ordinary], begin)


def _characters(
    words: Sequence[str], ordinary: list[str], marks: Sequence[str], blank: str | None, notes: Sequence[str]
) -> Vocabulary:
    """As words of one character each; the line end of a text is the end mark, unless it is a word itself."""
    unknown, begin, end = marks
    left_out = [word for word in ordinary if word != blank and _is_name(word)]
    if left_out:
        names = ", ".join(word if word.isprintable() else escape(word) for word in left_out[:5]) + (
            ", ..." if len(left_out) > 5 else ""
        )
        notes = (*notes, f"{names}: no character, so no text has it, and it is left out")
    kept = [word for word in ordinary if word not in left_out]
    characters = {word: " " if word == blank else _one_character(word) for word in kept}
    if BLANK in characters and blank not in (None, BLANK):
        characters[BLANK] = BLANK
    saved: dict[str, Any] = {"tokenizer": "char", "lowercase": False}
    if "\n" not in characters.values():
        saved["reading"] = {"unit": "line"}
        kept.append(end)
        characters[end] = "\n"
    order = [unknown, *sorted(kept, key=characters.__getitem__)]
    saved["characters"] = "".join(characters[word] for word in order[1:])
    return _vocabulary(words, tokenizer_from_json(saved), order, begin, notes)


def _is_name(word: str) -> bool:
    """Whether a word is a name in brackets, such as <noise>."""
    return len(word) > 2 and word[0] + word[-1] in ("<>", "[]", "{}", "()")


def _character(written: str) -> str | None:
    """The character that a word stands for: itself, or what lmgen writes so; None if it is none."""
    if len(written) == 1 and written != BLANK:
        return written
    try:
        meant = unescape(written)
    except ValueError:
        return None
    return meant if len(meant) == 1 else None


def _one_character(written: str) -> str:
    character = _character(written)
    if character is None:
        raise ModelError(f"{written[:60]!r} is not one character; leave out --tokenizer char and --blank")
    return character


def _clear_blank(ordinary: Sequence[str], text: ArpaText) -> str | None:
    """The word that is the blank of a character model, if there is one and only one that looks so."""
    named = [word for word in ordinary if word.lower() in BLANK_NAMES]
    if named:
        return named[0] if len(named) == 1 else None
    if not any(symbol in ordinary for symbol in BLANK_SYMBOLS):
        return None
    probabilities = dict(zip(text.words, np.exp(text.orders[0].log_probs).tolist(), strict=True))
    least = SHARE_OF_BLANK * sum(probabilities[word] for word in ordinary) / len(ordinary)
    common = [symbol for symbol in BLANK_SYMBOLS if probabilities.get(symbol, 0) >= least]
    return common[0] if len(common) == 1 else None


def _blank_notes(blank: str | None) -> tuple[str, ...]:
    if blank is None:
        return ("no word is clearly the blank, which is unknown then; --blank says which one is",)
    return () if blank == BLANK else (f"{blank} is taken for the blank; --blank names another",)


def _vocabulary_of_lmgen(words: list[str], saved: dict[str, Any]) -> Vocabulary:
    """The vocabulary of a file with a tokenizer in it; its tokens are listed in the order of their ids."""
    reading = saved_value(saved, "reading", dict) if "reading" in saved else {}
    has_own_end = reading.get("end") is not None
    mark = _mark_among(words, reading)
    inner = [word for word in words if word not in ("<s>", mark) and not (has_own_end and word == "</s>")]
    kind = saved.get("tokenizer")
    if kind == "word":
        line_end = LINE_END if has_own_end else "</s>"
        ordinary = [word for word in inner if word not in ("<unk>", line_end)]
        saved = {**saved, "words": [_word(word, saved, in_records=has_own_end) for word in ordinary]}
        order = ["<unk>", line_end, *ordinary]
    elif kind == "char":
        ends_lines = reading.get("unit") == "line" and not has_own_end
        ordinary = [word for word in inner if word != "<unk>" and (ends_lines or word != "</s>")]
        characters = ["\n" if word == "</s>" else _one_character(word) for word in ordinary]
        saved = {**saved, "characters": "".join(characters)}
        order = ["<unk>", *ordinary]
    else:
        order = [word for word in inner if word != "</s>" or reading.get("unit") == "line"]
    tokenizer = tokenizer_from_json(saved)
    if has_own_end and tokenizer.end is not None:
        order.insert(tokenizer.end, "</s>")
    if mark is not None and tokenizer.answer_mark is not None:
        order.insert(tokenizer.answer_mark, mark)
    if kind not in VOCABULARY_KEYS:
        _check_order(order, tokenizer)
    return _vocabulary(words, tokenizer, order, "<s>")


def _mark_among(words: Sequence[str], reading: Mapping[str, Any]) -> str | None:
    """
    The word that is the mark before answers; None if there is none.

    Raises:
        ModelError: it is not where its id says.
    """
    mark, text = reading.get("mark"), reading.get("answers_after")
    if type(mark) is not int or not isinstance(text, str):
        return None
    word = words[mark] if 0 <= mark < len(words) else ""
    if word.removesuffix(MARK_ALIKE) != escape(text):
        raise ModelError(
            f"its 1-gram {mark} is not the mark {text!r}; was the file changed by another program?"
        )
    return word


def _word(written: str, saved: Mapping[str, Any], *, in_records: bool) -> str:
    if _has_plain_words(saved):
        return written[1:] if _is_special(written, in_records=in_records) else written
    try:
        return unescape(written)
    except ValueError as error:
        raise ModelError(f"{error}; was the file changed by another program?") from error


def _check_order(order: Sequence[str], tokenizer: Tokenizer) -> None:
    """Check that a file has the tokens of its tokenizer, which are not listed by its 1-grams alone."""
    expected = [tokenizer.escaped_piece(token) for token in range(tokenizer.vocabulary_size)]
    if expected not in ([word.removesuffix(ALIKE) for word in order], list(order)):
        raise ModelError(
            f"its 1-grams are not the tokens of its {tokenizer.name} tokenizer in their order; was the file "
            "changed by another program?"
        )


def _vocabulary(
    words: Sequence[str], tokenizer: Tokenizer, order: Sequence[str], begin: str, notes: Sequence[str] = ()
) -> Vocabulary:
    """The ids of words that are listed by id; `begin` is V, and words that are in no list are ignored."""
    ids = {word: token for token, word in enumerate(order)} | {begin: tokenizer.vocabulary_size}
    found = np.fromiter((ids.get(word, NOT_A_TOKEN) for word in words), np.int64, len(words))
    return Vocabulary(tokenizer, found, tuple(notes))
