"""Read and download named corpora: the work of `lmgen corpus show` and `get`."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

from lmgen.data.config import HeldOutConfig
from lmgen.data.splitting import split_corpus
from lmgen.errors import CorpusError
from lmgen.text.built_in import BUILT_IN
from lmgen.text.corpora import open_corpus, unknown_corpus
from lmgen.text.corpus_files import fetch, find
from lmgen.text.encodings import UTF_8
from lmgen.text.generated import GENERATED
from lmgen.text.recipes import load_recipes

Split = Literal["train", "valid", "test"]


def corpus_text(
    name: str,
    split: Split | None = None,
    *,
    field: str | None = None,
    encoding: str = UTF_8,
    on_note: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """
    Read the text of a corpus in chunks of arbitrary length.

    Args:
        name: corpus name, file or folder.
        split: read only this part, split as `lmgen train` does by default; None: the whole corpus.
        field: the field of records that holds the text, as in `open_text`.
        encoding: the character encoding of a file or folder.
        on_note: callback for notes, such as one before a download.

    Raises:
        ConfigError: there is no such encoding.
        CorpusError: there is no such corpus, or it has no such split.
    """
    opened = open_corpus([name], field, "surrogateescape", encoding, on_note=on_note)
    for note in opened.notes:
        on_note(note)
    texts = [opened.train, opened.valid, opened.test]
    if split:
        texts = [split_corpus(opened, HeldOutConfig()).get(split)]
    if not any(texts):
        raise CorpusError(f"{name} has no {split} split")
    return chain.from_iterable(text.chunks() for text in filter(None, texts))


def get_corpus(name: str, *, on_note: Callable[[str], None] = lambda _: None) -> list[Path]:
    """
    Find or download the files of a corpus, and verify their checksums.

    Returns:
        The paths of the files; empty for a corpus that comes with lmgen.

    Raises:
        CorpusError: there is no such corpus, a file cannot be downloaded, or a checksum does not match.
    """
    recipe = load_recipes().get(name)
    if recipe is None:
        if name not in BUILT_IN and name not in GENERATED:
            raise unknown_corpus(name)
        on_note(f"{name} comes with lmgen: there is nothing to fetch")
        return []
    found = find(recipe) or fetch(recipe, on_note)
    for note in found.verify():
        on_note(note)
    return found.files()
