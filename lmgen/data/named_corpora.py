"""Read, download and generate named corpora: the work of `lmgen corpus show`, `get` and `make`."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from lmgen.data.config import HeldOutConfig
from lmgen.data.splitting import split_corpus
from lmgen.errors import CorpusError
from lmgen.files import refuse_existing, replacing
from lmgen.text.built_in import BUILT_IN
from lmgen.text.corpora import open_corpus, unknown_corpus
from lmgen.text.corpus_files import fetch, find
from lmgen.text.encodings import UTF_8
from lmgen.text.recipes import load_recipes
from lmgen.text.synthetic import CHARACTERS, SYNTHETIC

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class MadeCorpus:
    """A generated corpus file. The fields are those of `lmgen corpus make --json`."""

    corpus: str
    path: str
    characters: int
    seed: int
    best_nats_per_character: float
    """Entropy rate of the generating process, a lower bound on the loss of any model."""

    def to_json(self) -> dict[str, Any]:
        """The fields by name, ready for `json.dumps`."""
        return asdict(self)


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
        if name not in BUILT_IN and name not in SYNTHETIC:
            raise unknown_corpus(name)
        on_note(f"{name} comes with lmgen: there is nothing to fetch")
        return []
    found = find(recipe) or fetch(recipe, on_note)
    for note in found.verify():
        on_note(note)
    return found.files()


def make_corpus(
    name: str, out: str | Path, *, characters: int = CHARACTERS, seed: int = 0, overwrite: bool = False
) -> MadeCorpus:
    """
    Write a synthetic corpus to a file.

    Args:
        name: one of `SYNTHETIC`.
        out: output path.
        characters: length of the text.
        seed: seed of the random text.
        overwrite: replace an existing file.

    Raises:
        CorpusError: the corpus is not synthetic.
        ModelError: the file exists.
        WriteError: the file cannot be written.
    """
    if name not in SYNTHETIC:
        raise CorpusError(f"{name} is not synthetic; those that can be made are {', '.join(SYNTHETIC)}")
    made = SYNTHETIC[name]
    refuse_existing(Path(out), overwrite=overwrite)
    with replacing(Path(out)) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(made.text(characters, seed).chunks())
    return MadeCorpus(name, str(out), characters, seed, made.best_nats_per_character)
