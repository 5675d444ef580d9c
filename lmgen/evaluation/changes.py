r"""
Other ways in which a text may have been written: with other line ends, in another normal form or case.

`mends` are for what is amiss in the text itself, `other_ways` for a text that is plainer than a model's own.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lmgen.text.config import ReadingConfig
from lmgen.text.guessing import iconv_name, misread_as
from lmgen.text.reading import read_text
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.pieces import escape

_CP1252 = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""The characters that Windows' Western encoding has in place of C1 control characters."""

_CONTINUED = rf"[\x80-\xbf{_CP1252}]"

_MISREAD = re.compile(rf"[\xc2-\xdf]{_CONTINUED}|[\xe0-\xef]{_CONTINUED}{{2}}|[\xf0-\xf4]{_CONTINUED}{{3}}")
"""A character in UTF-8, each of its bytes taken for a character of CP1252."""

_CONTROL = re.compile(r"[\x80-\x9f]")
"""Characters that Latin-1 has and CP1252 has not."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another way to read a text."""

    said: str
    """As in "in NFC 12 would be unknown"."""

    apply: Callable[[str], str]

    remedy: str
    """What to do about a text that a finished model is given: a flag, or advice in words."""

    in_training: str = ""
    """The same about a held-out text, before training, if that is something else."""

    unknown: float = 0.0
    """The least share of tokens that are known thanks to it, to be worth a note."""

    saving: float = 0.03
    """The least share of bits that it saves, where unknown tokens do not tell."""

    dearest_line_end: float = 0.0
    """If not 0, the most nats that each line end may cost which it adds, in place of `saving`."""


def mends(text: str, tokenizer: Tokenizer, encoding: str) -> Iterator[Change]:
    """What could be amiss in a text, by what it has in it and the encoding that it was read in."""
    if other := misread_as(text, encoding):
        yield Change(
            f"read as {iconv_name(other)}",
            lambda passage: passage.encode(encoding, "replace").decode(other, "replace"),
            f"--encoding {other.replace('_', '-')}",
            f"iconv -f {iconv_name(other)} -t {iconv_name(encoding)}",
        )
    if "\ufeff" in text:
        yield Change(
            "without the byte order marks in it",
            lambda passage: passage.replace("\ufeff", ""),
            "remove them: sed 's/\\xef\\xbb\\xbf//g'",
            saving=0.06,  # where a model knows of them, to leave them out saves a little still
        )
    if _MISREAD.search(text):
        read_as = "LATIN1" if _CONTROL.search(text) else "CP1252"
        yield Change(
            "with such as Ã© mended to é",
            _as_written,
            f"it was read as {read_as} once; iconv -f UTF-8 -t {read_as} takes that back",
        )
    if "\r" in text:
        found = "\r\n" if "\r\n" in text else "\r"
        glued = tokenizer.reads_lines and found == "\r" and text.count("\r") > text.count("\n")
        yield Change(
            rf"with line ends \n in place of {escape(found)}",
            lambda passage: read_text(passage, ReadingConfig(newlines="lf")),
            "--newlines lf",
            # In a model of lines each line end costs up to 4 nats more than it saves by what it tells of the
            # next word; in a model of glued lines, which expects none, 18 and more.
            dearest_line_end=8.0 if glued else 0.0,
        )
    for form in ("nfc", "nfkc"):
        yield Change(
            f"in {form.upper()}",
            lambda passage, form=form: read_text(passage, ReadingConfig(normalize=form)),  # type: ignore[misc]
            f"--normalize {form}",
        )


def other_ways(text: str, tokenizer: Tokenizer) -> Iterator[Change]:
    """How the model's own text may be written, where it is the text given that is the plainer one."""
    folds = tokenizer.name in ("char", "word")
    if "\n" in text and "\r" not in text and _can_spell(tokenizer, "\r"):
        end = "\r\n" if _can_spell(tokenizer, "\n") else "\r"
        yield Change(
            f"with line ends {escape(end)}, as the model's text has them,",
            lambda passage: passage.replace("\n", end),
            "a model trained with --newlines lf reads both alike",
            "--newlines lf",
        )
    if not text.isascii():
        yield Change(
            "in NFD",
            lambda passage: unicodedata.normalize("NFD", passage),
            "a model trained with --normalize nfc reads both alike",
            "--normalize nfc",
        )
    for said, apply in (("in lower case", str.lower), ("in upper case", str.upper)):
        if said == "in lower case" and not folds and not _shouts(text):
            continue
        yield Change(
            said,
            apply,
            "a model trained with --lowercase reads both alike" if folds else f"give it {said}",
            in_training="--lowercase" if folds else "",
            unknown=0.05 if tokenizer.name == "word" else 0.01,
            saving=0.2,
        )


def _can_spell(tokenizer: Tokenizer, character: str) -> bool:
    """Whether a tokenizer has a token for a character, or spells it by other tokens."""
    ids = tokenizer.encode(character)
    return len(ids) > 0 and not tokenizer.unknown_among(character, ids).any()


def _shouts(text: str) -> bool:
    """Whether most letters that have a case are capitals."""
    capitals, small = sum(map(str.isupper, text)), sum(map(str.islower, text))
    return capitals > small


def _as_written(text: str) -> str:
    """
    A text in which UTF-8 was taken for CP1252: "cafÃ©" -> "café". What is no such text stays as it is.
    """

    def again(found: re.Match[str]) -> str:
        try:
            written = b"".join(_byte_of(character) for character in found[0])
            return written.decode("utf-8")
        except UnicodeError:
            return found[0]

    return _MISREAD.sub(again, text)


def _byte_of(character: str) -> bytes:
    """The byte that CP1252 reads as this character, or Latin-1 where CP1252 has none."""
    return character.encode("latin-1" if character < "\u0100" else "cp1252")
