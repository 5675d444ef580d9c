"""
Open corpora by name (built in, generated, or described by a recipe), files, folders and standard input.
"""

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from lmgen.errors import CorpusError
from lmgen.settings import shown_path
from lmgen.text.built_in import BUILT_IN
from lmgen.text.corpus_files import downloadable, fetch, find
from lmgen.text.counts import TextCounter
from lmgen.text.encodings import UTF_8
from lmgen.text.generated import GENERATED
from lmgen.text.given import given_text, is_placeholder
from lmgen.text.recipes import Recipe, load_recipes
from lmgen.text.sources import STANDARD_INPUT, Text, joined, source
from lmgen.text.synthetic import CHARACTERS, SYNTHETIC
from lmgen.text.tasks import TASKS

DEFAULT_CORPUS = "python-docs"
"""The corpus to train on when none is named."""

_FALLBACKS = {"python-docs": "python-code", "python-code": "synthetic-markov"}
"""Which corpus replaces a built-in one that this Python installation lacks."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text to train on, with its standard held-out texts or split if it has any."""

    name: str
    """Short and valid as a folder name: a run is named after it."""

    train: Text
    """The training text; if `valid` and `test` are None, the whole text."""

    valid: Text | None = None
    test: Text | None = None
    """The corpus's own validation and test texts, if it has them."""

    split: Mapping[str, float] = field(default_factory=dict)
    """Standard fractions to cut from the end of `train`: `valid`, then `test` after it."""

    notes: tuple[str, ...] = ()
    """Notes to show to the user."""

    description: str = ""

    def __repr__(self) -> str:
        own = [name for name in ("valid", "test") if getattr(self, name)]
        return f"<Corpus {self.name}{', with its own ' if own else ''}{' and '.join(own)}>"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One line of `lmgen corpus list`."""

    name: str
    kind: str
    """`built in`, `task`, `synthetic` or `recipe`."""

    place: str
    """`here`, `to download`, `by hand`, or `missing` (a built-in corpus that this Python lacks)."""

    path: str | None
    """The paths of its files, separated by spaces; None if it has no files here."""

    characters: int | None
    """Length of the whole corpus; None if unknown."""

    split: str
    """The standard split: sizes or percentages joined by `/`, `own files`, or empty if there is none."""

    licence: str
    description: str


def open_corpus(
    names: Sequence[str],
    field: str | None = None,
    errors: str = "strict",
    encoding: str = UTF_8,
    *,
    texts: Mapping[str, Text] = MappingProxyType({}),
    on_note: Callable[[str], None] = lambda _: None,
) -> Corpus:
    """
    Open corpora, files, folders or standard input (`-`) and join them into one corpus.

    A file or folder takes precedence over a corpus of the same name. A corpus whose recipe has a download
    address is downloaded if its files are not here.

    Args:
        names: what to open, in order; if empty, `python-docs`.
        field: the field of records that holds the text, as in `open_text`.
        errors: "strict", or "surrogateescape" to accept bytes that are not UTF-8.
        encoding: the character encoding of files, folders and standard input; named corpora are UTF-8.
        texts: the texts that some of these names stand for (given.py).
        on_note: callback that receives a note before a download starts.

    Raises:
        ConfigError: there is no such encoding.
        CorpusError: a name is unknown, or the text cannot be read; see also `open_text`.
    """
    names = list(names) or [DEFAULT_CORPUS]
    if names.count(STANDARD_INPUT) > 1:
        raise CorpusError("standard input (-) is named twice, but it can be read only once")
    corpora = [
        Corpus(name="texts", train=given_text(name, texts))
        if is_placeholder(name)
        else _open(name, field, errors, encoding, on_note)
        for name in names
    ]
    corpus = corpora[0] if len(corpora) == 1 else _joined_corpora(corpora)
    return replace(corpus, train=joined(corpus.train.name, [corpus.train]))  # rejects an empty text


def listed_corpora() -> list[Listing]:
    """All named corpora. Reads the built-in ones to determine their length, which depends on the Python."""
    return [
        *(_listed_built_in(name) for name in BUILT_IN),
        *(_listed_generated(name) for name in GENERATED),
        *(_listed_recipe(recipe) for recipe in load_recipes().values()),
    ]


def unknown_corpus(name: str) -> CorpusError:
    """The error for a name that is neither a corpus nor an existing path; suggests similar names."""
    known = [*BUILT_IN, *GENERATED, *load_recipes()]
    near = difflib.get_close_matches(name, known, n=2)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return CorpusError(
        f"there is no file, folder or corpus {shown_path(name)!r}; {guess}`lmgen corpus list` shows the "
        "corpora"
    )


def _open(name: str, field: str | None, errors: str, encoding: str, on_note: Callable[[str], None]) -> Corpus:
    known = name in BUILT_IN or name in GENERATED
    recipe = None if known else load_recipes().get(name)
    if name == STANDARD_INPUT or _exists(name):
        text = source(name, field=field, errors=errors, encoding=encoding)
        corpus = Corpus(name=short_name(name), train=text, notes=text.notes)
        note = f"reading the file or folder {name}, not the corpus of that name"
        return replace(corpus, notes=(*corpus.notes, note)) if known or recipe else corpus
    if name in BUILT_IN:
        return _open_built_in(name)
    if name in GENERATED:
        return _open_generated(name)
    if recipe:
        return _open_recipe(recipe, errors, on_note)
    raise unknown_corpus(name)


def _exists(name: str) -> bool:
    """Whether a path exists; True if permission to look is denied, so that opening it reports that."""
    try:
        return Path(name).exists()
    except PermissionError:
        return True
    except OSError:
        return False


def _open_built_in(name: str) -> Corpus:
    text = BUILT_IN[name].open()
    if text is None:
        instead = _FALLBACKS[name]
        corpus = _open_generated(instead) if instead in GENERATED else _open_built_in(instead)
        return replace(corpus, notes=(f"this Python came without {name}; using {instead}", *corpus.notes))
    characters, sha256 = _fingerprint(text)
    note = f"{name}: {characters:,} characters, sha256 {sha256[:16]}... (differs by Python version)"
    return Corpus(name=name, train=text, notes=(note,), description=BUILT_IN[name].description)


def _open_generated(name: str) -> Corpus:
    corpus = GENERATED[name]
    note = f"{name}: the best possible score is {corpus.best_score()}"
    return Corpus(name=name, train=corpus.text(), notes=(note,), description=corpus.description)


def _open_recipe(recipe: Recipe, errors: str, on_note: Callable[[str], None]) -> Corpus:
    found = find(recipe) or fetch(recipe, on_note)
    notes = found.verify()
    train, valid, test = found.texts(errors)
    return Corpus(
        name=recipe.name,
        train=train,
        valid=valid,
        test=test,
        split=recipe.split,
        notes=notes,
        description=recipe.description,
    )


def _joined_corpora(corpora: list[Corpus]) -> Corpus:
    """Join several corpora; those with validation or test texts of their own contribute them."""
    first, *others = corpora
    valid = [corpus.valid for corpus in corpora if corpus.valid]
    test = [corpus.test for corpus in corpora if corpus.test]
    return Corpus(
        name=f"{first.name}-and-{len(others)}-more",
        train=joined(f"{first.train.name} and {len(others)} more", [corpus.train for corpus in corpora]),
        valid=joined("the validation texts", valid) if valid else None,
        test=joined("the test texts", test) if test else None,
        notes=tuple(note for corpus in corpora for note in corpus.notes),
    )


def short_name(path: str) -> str:
    """
    Derive a corpus name from a path: `"data/War & Peace.txt.gz"` -> `"War-Peace"`.
    """
    if path == STANDARD_INPUT:
        return "stdin"
    name = Path(path).absolute().resolve().name
    name = re.sub(r"(\.tar)?\.(gz|bz2|xz|zst)$", "", name, flags=re.IGNORECASE)
    name = re.sub(r"[^\w.-]+", "-", re.sub(r"\.[^.]*$", "", name))
    return name.strip(".-") or "text"


def _fingerprint(text: Text) -> tuple[int, str]:
    """Length in characters and hexadecimal SHA-256 of a text."""
    counter, sha256 = TextCounter(), hashlib.sha256()
    for chunk in counter.counting(text.chunks()):
        sha256.update(chunk.encode())
    return counter.counts.characters, sha256.hexdigest()


def _listed_built_in(name: str) -> Listing:
    corpus = BUILT_IN[name]
    text = corpus.open()
    return Listing(
        name=name,
        kind="built in",
        place="here" if text else "missing",
        path=None,
        characters=text.counts().characters if text else None,
        split="",
        licence=corpus.licence,
        description=corpus.description,
    )


def _listed_generated(name: str) -> Listing:
    return Listing(
        name=name,
        kind="task" if name in TASKS else "synthetic",
        place="here",
        path=None,
        characters=CHARACTERS if name in SYNTHETIC else None,
        split="",
        licence="public domain",
        description=GENERATED[name].description,
    )


def _listed_recipe(recipe: Recipe) -> Listing:
    found = find(recipe)
    absent = "to download" if downloadable(recipe) else "by hand"
    return Listing(
        name=recipe.name,
        kind="recipe",
        place="here" if found else absent,
        path=" ".join(map(str, found.files())) if found else None,
        characters=recipe.characters(),
        split=_split_label(recipe),
        licence=recipe.licence,
        description=recipe.description,
    )


def _split_label(recipe: Recipe) -> str:
    """The standard split as shown to the user: `90M/5M/5M`, `90%/5%/5%`, `own files` or nothing."""
    if recipe.split_bytes:
        return "/".join(f"{length / 1e6:g}M" for length in recipe.split_bytes)
    if recipe.split:
        train = 1 - sum(recipe.split.values())
        return "/".join(f"{fraction:.0%}" for fraction in (train, *recipe.split.values()))
    return "own files" if recipe.variants[0].valid else ""
