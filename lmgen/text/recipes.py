"""
Recipes: what is known of a corpus in the field. Where from, licence, files, checksums, split.

A recipe is a TOML file in the folder corpora/ (its README explains the keys). The corpus itself is not here:
corpus_files.py finds, fetches and opens it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lmgen.errors import CorpusError
from lmgen.text.raw import readable

LARGEST_RECIPE = 1 << 20
"""In bytes."""

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A form that a corpus goes round in: an archive with the texts inside, or the texts as files."""

    train: str
    """The file, or the file inside the archive, with the training text; or with the whole text."""

    valid: str | None = None
    test: str | None = None

    archive: str | None = None
    """A .zip, .tar or .tgz file; None: the texts are files themselves."""

    address: str | None = None
    """Where the archive, or the one file, can be downloaded."""

    def files(self) -> list[str]:
        """The files that have to be there."""
        return [self.archive] if self.archive else [file for file in self.members() if file]

    def members(self) -> tuple[str, str | None, str | None]:
        """Where the training, validation and test text are."""
        return self.train, self.valid, self.test


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is known of one corpus."""

    name: str
    description: str
    licence: str
    homepage: str
    variants: tuple[Variant, ...]
    """In the order in which they are looked for."""

    split: Mapping[str, float] = field(default_factory=dict)
    """The fractions that the field cuts from the text's end: `valid`, and `test` after it."""

    split_bytes: tuple[int, int, int] | None = None
    """The bytes that the field takes to train, validate and test, one after another."""

    sha256: Mapping[str, str] = field(default_factory=dict)
    """Checksums of files, as far as they are known."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Characters, words and line ends of `whole`, `train`, `valid`, `test`, as far as they are known."""

    def characters(self) -> int | None:
        """The length of the whole corpus, if it is known."""
        parts = [part.get("characters") for part in self.counts.values()]
        return sum(length for length in parts if length) if parts and all(parts) else None


def load_recipes(folder: Path | None = None) -> dict[str, Recipe]:
    """
    All recipes by name: those that come with lmgen, or those in a folder.

    Raises:
        CorpusError: a recipe is wrong.
    """
    paths = sorted((folder or _recipe_folder()).glob("*.toml"))
    return {path.stem: read_recipe(path) for path in paths}


def read_recipe(path: Path) -> Recipe:
    """
    Read one recipe.

    Raises:
        CorpusError: it is not TOML, or a key is unknown, missing or of the wrong kind.
    """
    with readable(path), path.open("rb") as file:
        content = file.read(LARGEST_RECIPE + 1)
    try:
        if len(content) > LARGEST_RECIPE:
            raise ValueError(f"it is larger than {LARGEST_RECIPE:,} bytes")
        table = tomllib.loads(content.decode())
        return _recipe(path.stem, table)
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or what `_recipe` finds wrong
        raise CorpusError(f"{path} is not a recipe: {error}") from error


def _recipe_folder() -> Path:
    """In an installed package the recipes are inside it, in a source tree beside it."""
    package = Path(__file__).parents[1]
    inside = package / "corpora"
    return inside if inside.is_dir() else package.parent / "corpora"


def _recipe(name: str, table: dict[str, Any]) -> Recipe:
    required = {"description": str, "licence": str, "homepage": str, "variants": list}
    optional = {"split": dict, "split_bytes": list, "sha256": dict, "counts": dict}
    _check(table, "the recipe", required, optional)
    variants = tuple(_variant(variant) for variant in table["variants"])
    return Recipe(
        name=name,
        description=table["description"],
        licence=table["licence"],
        homepage=table["homepage"],
        variants=variants,
        split=_split(table.get("split", {})),
        split_bytes=_split_bytes(table["split_bytes"]) if "split_bytes" in table else None,
        sha256=_checksums(table.get("sha256", {}), variants),
        counts=_counts(table.get("counts", {})),
    )


def _variant(table: object) -> Variant:
    optional = {"valid": str, "test": str, "archive": str, "address": str}
    checked = _check(table, "[[variants]]", {"train": str}, optional)
    variant = Variant(**checked)
    for file in [*variant.files(), *filter(None, variant.members())]:
        if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
            raise ValueError(f"[[variants]]: {file!r} leads out of the folder it has to be in")
    if variant.address and not variant.address.startswith(("https://", "http://")):
        raise ValueError(f"[[variants]]: {variant.address!r} is no address of the web (https://...)")
    if variant.address and len(variant.files()) > 1:
        raise ValueError("[[variants]]: one address cannot stand for several files")
    return variant


def _split(table: Mapping[str, object]) -> dict[str, float]:
    fractions = _check(table, "[split]", {}, {"valid": float, "test": float})
    if not (all(value > 0 for value in fractions.values()) and sum(fractions.values()) < 1):
        raise ValueError("[split]: valid and test have to be fractions that leave something to train on")
    return fractions


def _split_bytes(lengths: list[object]) -> tuple[int, int, int]:
    train, valid, test = (
        [_length(value, "split_bytes") for value in lengths] if len(lengths) == 3 else [0] * 3
    )
    if not train:
        raise ValueError("split_bytes has to be three lengths: train, valid, test")
    return train, valid, test


def _checksums(table: Mapping[str, object], variants: tuple[Variant, ...]) -> dict[str, str]:
    files = {file for variant in variants for file in variant.files()}
    for file, checksum in table.items():
        if file not in files:
            raise ValueError(f"[sha256]: {file!r} is no file of any variant")
        if not (isinstance(checksum, str) and re.fullmatch("[0-9a-f]{64}", checksum)):
            raise ValueError(f"[sha256]: {file!r} needs 64 hexadecimal digits in lower case")
    return {file: str(checksum) for file, checksum in table.items()}


def _counts(table: Mapping[str, object]) -> dict[str, dict[str, int]]:
    _check(table, "[counts]", {}, dict.fromkeys(("whole", *PARTS), dict))
    keys = dict.fromkeys(("characters", "words", "line_ends"), int)
    return {part: _check(counts, f"[counts.{part}]", {}, keys) for part, counts in table.items()}


def _length(value: object, where: str) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{where}: {value!r} is no length")
    return value


def _check(
    table: object, where: str, required: Mapping[str, type], optional: Mapping[str, type]
) -> dict[str, Any]:
    """Return a table whose keys are all known, whose required keys are there, and whose values fit."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} has to be a table")
    known = {**required, **optional}
    if unknown := sorted(set(table) - set(known)):
        raise ValueError(f"{where}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if missing := sorted(set(required) - set(table)):
        raise ValueError(f"{where}: missing keys {', '.join(missing)}")
    for key, value in table.items():
        if type(value) is not known[key]:
            raise ValueError(f"{where}: {key} is {value!r}, but has to be of type {known[key].__name__}")
    return table
