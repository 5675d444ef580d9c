"""Split a corpus into training, validation and test text."""

from collections.abc import Callable
from typing import cast

from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError, CorpusError
from lmgen.text.config import ReadingConfig
from lmgen.text.corpora import Corpus
from lmgen.text.given import is_placeholder
from lmgen.text.reading import read_alike
from lmgen.text.sources import Text, open_text
from lmgen.text.units import UNIT_END, Unit

VALID_FRACTION = 0.1
"""Default validation fraction, if neither the user nor the corpus defines a validation text."""


def split_corpus(
    corpus: Corpus,
    held_out: HeldOutConfig,
    reading: ReadingConfig | None = None,
    *,
    at_line_ends: bool = False,
    errors: str = "strict",
    labelled: Callable[[Text], Text] | None = None,
) -> dict[str, Text]:
    """
    Split a corpus into `train`, `valid` (unless its fraction is 0) and, if requested, `test`.

    A held-out text is a file, the corpus's own, or a fraction from its end. For N characters and fractions
    v and t, training gets the first floor((1 - v - t) N) characters, then comes validation, then test.

    Args:
        corpus: corpus to split.
        held_out: the user's settings for validation and test text.
        reading: how the corpus is read, and held-out files; None: as documents. Units are never cut.
        at_line_ends: move each cut to the next line end, for tokenizers that read whole lines.
        errors: how to decode held-out files, as in `open_text`.
        labelled: reads each text with labels as a stream of its labelled lines (text/labels.py).

    Raises:
        CorpusError: a held-out file cannot be read, or the corpus is too short to hold a fraction out.
        ConfigError: a fraction is out of range, or the fractions leave no training text.
    """
    reading = reading or ReadingConfig()
    tabs = labelled is not None or reading.marks_by_tabs
    valid = _held_out("valid", held_out, corpus, reading, errors, tabs=tabs)
    if valid is None:
        valid = VALID_FRACTION
    test = _held_out("test", held_out, corpus, reading, errors, tabs=tabs)
    shares = {
        name: part for name, part in (("valid", valid), ("test", test)) if isinstance(part, float) and part
    }
    if sum(shares.values()) >= 1:
        raise ConfigError(
            f"{' and '.join(f'--{name} {share}' for name, share in shares.items())} leave nothing to train "
            "on; give fractions that sum to less than 1"
        )
    unit = cast(Unit, reading.unit)

    def in_units(text: Text) -> Text:
        read = read_alike(text, reading)  # first: units end at the line ends as read
        return (labelled(read) if labelled else read).in_units(unit)

    whole = in_units(corpus.train)
    mark = {"document": "\n" if at_line_ends else None, "line": "\n", "record": UNIT_END}[unit]
    texts = {"train": whole, **_cut_off(whole, shares, mark, whole_units=unit != "document")}
    for name, part in (("valid", valid), ("test", test)):
        if isinstance(part, Text):
            texts[name] = in_units(part)
    return texts


def _held_out(
    name: str, held_out: HeldOutConfig, corpus: Corpus, reading: ReadingConfig, errors: str, *, tabs: bool
) -> Text | float | None:
    """
    The `valid` or `test` part: a text, a fraction of the corpus (0: nothing is held out), or None.

    The user's setting comes first, then the corpus's own text, then the fraction in its recipe. A text given
    in Python has taken the place of the corpus's own by now.
    """
    asked: str | None = getattr(held_out, name)
    if asked is None or is_placeholder(asked):
        own: Text | None = getattr(corpus, name)
        return own if own is not None else corpus.split.get(name)
    fraction = held_out.fraction(name)
    if fraction is not None:
        return fraction
    return open_text(asked, field=reading.field, errors=errors, encoding=reading.encoding, tabs=tabs)


def _cut_off(text: Text, shares: dict[str, float], mark: str | None, *, whole_units: bool) -> dict[str, Text]:
    """Cut fractions from the end of a text, in the order given; `train` is the text before them."""
    if not shares:
        return {}
    total = sum(map(len, text.chunks()))
    parts = {}
    begin, share_so_far = 0, 0.0
    for name, share in {"train": 1.0 - sum(shares.values()), **shares}.items():
        share_so_far += share
        end = _cut(text, share_so_far, total, mark, whole_units=whole_units)
        if name == "train" and not end and total:
            raise _too_short(text.name, total, shares, whole_units=whole_units)
        parts[name] = text.part(begin, end)
        begin = end
    return parts


def _too_short(name: str, characters: int, shares: dict[str, float], *, whole_units: bool) -> CorpusError:
    """The error for a text that is all held out."""
    held_out = " and ".join(f"--{part} {share:g}" for part, share in shares.items())
    length = "1 character" if characters == 1 else f"{characters:,} characters"
    units = " in too few units to cut it between two" if whole_units else ""
    return CorpusError(
        f"{name} has {length}{units}, and {held_out} leaves nothing of it to train on; take more text, a "
        "smaller fraction, or a file of its own"
    )


def _cut(text: Text, share: float, total: int, mark: str | None, *, whole_units: bool) -> int:
    """
    End of a share of the text, in characters; moved past the next `mark`, if there is one before the last.

    With `whole_units` it is then moved back to the last one before.
    """
    begin = int(share * total + 1e-6)  # 0.9 of 10 is 9, though 1 - 0.1 is a little less than 0.9
    if mark is None:
        return begin
    position = begin
    for chunk in text.part(begin, total).chunks():
        if (place := chunk.find(mark)) >= 0:
            end = position + place + 1
            if end < total:
                return end
            break
        position += len(chunk)
    return _last_end(text.part(0, begin), mark) if whole_units and begin < total else begin


def _last_end(text: Text, mark: str) -> int:
    """Where the last unit ends that ends in a text, in characters."""
    end = position = 0
    for chunk in text.chunks():
        end = position + chunk.rfind(mark) + 1 if mark in chunk else end
        position += len(chunk)
    return end
