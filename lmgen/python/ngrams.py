"""Fit n-gram models, and convert those of other programs."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from lmgen.calls import in_python_words
from lmgen.python.given import given_settings
from lmgen.runs import ngram
from lmgen.runs.ngram import convert_arpa
from lmgen.settings import whole_number
from lmgen.text.sources import Text
from lmgen.text_model import TextModel


def fit_ngram(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    order: int = 5,
    out: str | Path | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> TextModel:
    """
    Fit an n-gram model with interpolated modified Kneser-Ney smoothing, and open it. Does not import torch.

    It is fitted on the whole corpus, unless `valid` or `test` holds text out or the corpus has its own split.

    Args:
        corpus: as in `train`.
        texts: as in `train`.
        order: maximum n-gram length, in tokens.
        out: path of the model file; None: `checkpoints/CORPUS-ngram.safetensors`, where `lmgen.load()` finds
            the newest model.
        overwrite: replace an existing file.
        settings: flags of `lmgen ngram --help` as keywords; `prune` is a list such as `[0, 0, 1]`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the file exists.
    """
    with in_python_words():
        given, opened = given_settings(corpus, texts, settings)
        file = None if out is None else Path(out)
        order = whole_number(order, "order")
        asked = {"corpus": [], "order": order, "out": file, "overwrite": overwrite, **given}
        return TextModel.load(ngram.fit_ngram(texts=opened, **asked).model)


def read_arpa(
    path: str | Path,
    *,
    out: str | Path | None = None,
    tokenizer: str | None = None,
    blank: str | None = None,
    overwrite: bool = False,
) -> TextModel:
    """
    Convert an ARPA file (from KenLM, SRILM, IRSTLM or lmgen) to a model file, and open it.

    Does not import torch.
    `TextModel.export(path, to="arpa")` writes an ARPA file.

    Args:
        path: ARPA file; `.gz`, `.bz2`, `.xz` and `.zst` files are decompressed.
        out: path of the model file; None: `checkpoints/NAME-ngram.safetensors`, NAME being the ARPA file's.
        tokenizer: `word` or `char`, the tokens that the file's words stand for; None: the tokenizer stored in
            a file from lmgen, else `char` where that is clear, else `word`.
        blank: the word that stands for the blank of a character model, such as `|`; None: found where clear.
        overwrite: replace an existing file.

    Raises:
        ConfigError: the tokenizer is unknown, or the file has no such blank.
        CorpusError: the file cannot be read.
        ModelError: the file is damaged or not an ARPA file, or `out` exists.
    """
    with in_python_words():
        file = None if out is None else Path(out)
        read = convert_arpa(Path(path), file, tokenizer=tokenizer, blank=blank, overwrite=overwrite)
        return TextModel.load(read.model)
