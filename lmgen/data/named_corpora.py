"""Corpora by name, as texts and files: what `lmgen corpus show`, `get` and `make` do."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from lmgen.data.config import HeldOutConfig
from lmgen.data.splitting import split_corpus
from lmgen.errors import CorpusError
from lmgen.files import replacing
from lmgen.text.built_in import BUILT_IN
from lmgen.text.corpora import open_corpus, unknown_corpus
from lmgen.text.corpus_files import fetch, find
from lmgen.text.recipes import load_recipes
from lmgen.text.synthetic import CHARACTERS, SYNTHETIC

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class MadeCorpus:
    """A synthetic corpus that was written. The fields are those of `lmgen corpus make --json`."""

    corpus: str
    path: str
    characters: int
    seed: int
    best_nats_per_character: float
    """The entropy rate of the process: no model can predict the text better."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def corpus_text(
    name: str, split: Split | None = None, *, on_note: Callable[[str], None] = lambda _: None
) -> Iterator[str]:
    """
    The text of a corpus, in pieces cut anywhere.

    Args:
        name: a name, a file or a folder.
        split: only this part, cut as `lmgen train` cuts it by default.
        on_note: called with what a reader should know, and before a download.

    Raises:
        CorpusError: there is no such corpus, or it has no such split.
    """
    opened = open_corpus([name], errors="surrogateescape", on_note=on_note)
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
    The files of a corpus, found or downloaded, and compared with their checksums; none if it is built in.

    Raises:
        CorpusError: there is no such corpus; or a file cannot be downloaded, or is another one.
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


def make_corpus(name: str, out: str | Path, *, characters: int = CHARACTERS, seed: int = 0) -> MadeCorpus:
    """
    Write a synthetic corpus to a file.

    Args:
        name: one of `SYNTHETIC`.
        out: the file; an existing one is replaced.
        characters: its length.
        seed: another seed, another text.

    Raises:
        CorpusError: the corpus is not synthetic.
        WriteError: the file cannot be written.
    """
    if name not in SYNTHETIC:
        raise CorpusError(f"{name} is not synthetic; those that can be made are {', '.join(SYNTHETIC)}")
    made = SYNTHETIC[name]
    with replacing(Path(out)) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(made.text(characters, seed).chunks())
    return MadeCorpus(name, str(out), characters, seed, made.best_nats_per_character)
