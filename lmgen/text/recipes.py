"""
Recipes: the address, licence, files, checksums and standard split of published corpora.

A recipe is a TOML file in the folder corpora/, whose README explains the keys. The files of the corpus itself
are found, downloaded and opened in corpus_files.py.
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
"""Size limit of a recipe file, in bytes."""

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One form in which a corpus is distributed: an archive with the texts inside, or plain text files."""

    train: str
    """The file, or archive member, that holds the training text; the whole text if there are no others."""

    valid: str | None = None
    test: str | None = None

    archive: str | None = None
    """A .zip, .tar or .tgz file; None if the texts are plain files."""

    address: str | None = None
    """URL of the archive, or of the only file."""

    def files(self) -> list[str]:
        """Names of the files that must exist: the archive, or the text files."""
        return [self.archive] if self.archive else [file for file in self.members() if file]

    def members(self) -> tuple[str, str | None, str | None]:
        """The files or archive members with the training, validation and test texts."""
        return self.train, self.valid, self.test


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything known about one corpus: the content of its recipe file."""

    name: str
    description: str
    licence: str
    homepage: str
    variants: tuple[Variant, ...]
    """Its forms, in the order in which to look for them."""

    split: Mapping[str, float] = field(default_factory=dict)
    """Standard fractions to cut from the end of the text: `valid`, then `test` after it."""

    split_bytes: tuple[int, int, int] | None = None
    """Standard lengths in bytes of the training, validation and test parts, in this order."""

    sha256: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by file name; files whose checksum is unknown are missing."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Known numbers of `characters`, `words`, `line_ends` in `whole`, `train`, `valid` and `test`."""

    def characters(self) -> int | None:
        """Length of the whole corpus; None if unknown."""
        parts = [part.get("characters") for part in self.counts.values()]
        return sum(length for length in parts if length) if parts and all(parts) else None


def load_recipes(folder: Path | None = None) -> dict[str, Recipe]:
    """
    Read all recipes in a folder, by name; without a folder, those that ship with lmgen.

    Raises:
        CorpusError: a recipe is invalid.
    """
    paths = sorted((folder or _recipe_folder()).glob("*.toml"))
    return {path.stem: read_recipe(path) for path in paths}


def read_recipe(path: Path) -> Recipe:
    """
    Read one recipe; its name is the file name without `.toml`.

    Raises:
        CorpusError: it is not TOML, or a key is unknown, missing or has a value of the wrong type.
    """
    with readable(path), path.open("rb") as file:
        content = file.read(LARGEST_RECIPE + 1)
    try:
        if len(content) > LARGEST_RECIPE:
            raise ValueError(f"it is larger than {LARGEST_RECIPE:,} bytes")
        table = tomllib.loads(content.decode())
        return _recipe(path.stem, table)
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or rejected by `_recipe`
        raise CorpusError(f"{path} is not a recipe: {error}") from error


def _recipe_folder() -> Path:
    """The folder of lmgen's recipes: inside an installed package, beside the package in a source tree."""
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
            raise ValueError(f"[[variants]]: {file!r} leads out of the folder of the corpus")
    if variant.address and not variant.address.startswith(("https://", "http://")):
        raise ValueError(f"[[variants]]: {variant.address!r} is not a web address (https://...)")
    if variant.address and len(variant.files()) > 1:
        raise ValueError("[[variants]]: an address is allowed only for a single file")
    return variant


def _split(table: Mapping[str, object]) -> dict[str, float]:
    fractions = _check(table, "[split]", {}, {"valid": float, "test": float})
    if not (all(value > 0 for value in fractions.values()) and sum(fractions.values()) < 1):
        raise ValueError("[split]: valid and test must be positive fractions with a sum below 1")
    return fractions


def _split_bytes(lengths: list[object]) -> tuple[int, int, int]:
    train, valid, test = (
        [_length(value, "split_bytes") for value in lengths] if len(lengths) == 3 else [0] * 3
    )
    if not train:
        raise ValueError("split_bytes must be three lengths: train, valid, test")
    return train, valid, test


def _checksums(table: Mapping[str, object], variants: tuple[Variant, ...]) -> dict[str, str]:
    files = {file for variant in variants for file in variant.files()}
    for file, checksum in table.items():
        if file not in files:
            raise ValueError(f"[sha256]: {file!r} is not a file of any variant")
        if not (isinstance(checksum, str) and re.fullmatch("[0-9a-f]{64}", checksum)):
            raise ValueError(f"[sha256]: {file!r} needs 64 lower-case hexadecimal digits")
    return {file: str(checksum) for file, checksum in table.items()}


def _counts(table: Mapping[str, object]) -> dict[str, dict[str, int]]:
    _check(table, "[counts]", {}, dict.fromkeys(("whole", *PARTS), dict))
    keys = dict.fromkeys(("characters", "words", "line_ends"), int)
    return {part: _check(counts, f"[counts.{part}]", {}, keys) for part, counts in table.items()}


def _length(value: object, where: str) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{where}: {value!r} is not a length")
    return value


def _check(
    table: object, where: str, required: Mapping[str, type], optional: Mapping[str, type]
) -> dict[str, Any]:
    """Return `table` after checking for unknown keys, missing keys and values of the wrong type."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table")
    known = {**required, **optional}
    if unknown := sorted(set(table) - set(known)):
        raise ValueError(f"{where}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if missing := sorted(set(required) - set(table)):
        raise ValueError(f"{where}: missing keys {', '.join(missing)}")
    for key, value in table.items():
        if type(value) is not known[key]:
            raise ValueError(f"{where}: {key} is {value!r}, but has to be of type {known[key].__name__}")
    return table
