"""Which part of a corpus is trained on, and which is held out."""

from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.text.corpora import Corpus
from lmgen.text.sources import Text, open_text

VALID_FRACTION = 0.1
"""Held out for validation when neither the user nor the corpus says otherwise."""


def split_corpus(
    corpus: Corpus, held_out: HeldOutConfig, *, at_line_ends: bool = False, errors: str = "strict"
) -> dict[str, Text]:
    """
    Cut a corpus into `train`, `valid` and, if there is to be one, `test`.

    The held-out texts are files, the corpus's own, or fractions cut from its end: of N characters and
    fractions v and t, training gets the first floor((1 - v - t) N), validation what follows, test the rest.

    Args:
        corpus: the whole.
        held_out: what the user says of its parts.
        at_line_ends: move each cut to the next line end, for tokenizers that read lines.
        errors: how held-out files are decoded, as `open_text` does it.

    Raises:
        CorpusError: a held-out file cannot be read.
        ConfigError: a fraction is out of range, or they leave nothing to train on.
    """
    valid = _held_out("valid", held_out, corpus, errors) or VALID_FRACTION
    test = _held_out("test", held_out, corpus, errors)
    shares = {name: part for name, part in (("valid", valid), ("test", test)) if isinstance(part, float)}
    if sum(shares.values()) >= 1:
        raise ConfigError(
            f"{' and '.join(f'{name} {share}' for name, share in shares.items())} leave nothing to train on; "
            "give fractions that sum to less than 1"
        )
    texts = {"train": corpus.train, **_cut_off(corpus.train, shares, at_line_ends)}
    texts |= {name: part for name, part in (("valid", valid), ("test", test)) if isinstance(part, Text)}
    return texts


def _held_out(name: str, held_out: HeldOutConfig, corpus: Corpus, errors: str) -> Text | float | None:
    """A text, a fraction of the corpus, or None: what was asked for, else the corpus's own, else its rule."""
    asked: str | None = getattr(held_out, name)
    if asked is None:
        own: Text | None = getattr(corpus, name)
        return own if own is not None else corpus.split.get(name)
    try:
        fraction = float(asked)
    except ValueError:
        return open_text(asked, field=held_out.field, errors=errors)
    if not 0 < fraction < 1:
        raise ConfigError(f"{name} is {asked}, but a fraction has to be above 0 and below 1")
    return fraction


def _cut_off(text: Text, shares: dict[str, float], at_line_ends: bool) -> dict[str, Text]:
    """Cut fractions from the end of a text, the last one last: `train` is what is left before them."""
    if not shares:
        return {}
    total = text.counts().characters
    parts = {}
    begin, share_so_far = 0, 0.0
    for name, share in {"train": 1.0 - sum(shares.values()), **shares}.items():
        share_so_far += share
        end = _cut(text, share_so_far, total, at_line_ends)
        parts[name] = text.part(begin, end)
        begin = end
    return parts


def _cut(text: Text, share: float, total: int, at_line_ends: bool) -> int:
    """Where a share of the text ends, in characters; after the line end that follows, if one does."""
    begin = int(share * total + 1e-6)  # 0.9 of 10 is 9, though 1 - 0.1 is a little less than 0.9
    if not at_line_ends:
        return begin
    position = begin
    for chunk in text.part(begin, total).chunks():
        if (line_end := chunk.find("\n")) >= 0:
            end = position + line_end + 1
            return end if end < total else begin
        position += len(chunk)
    return begin
