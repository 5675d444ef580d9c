"""
Find, download, verify and open the files of a corpus that has a recipe.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lmgen.errors import CorpusError
from lmgen.text.chunks import cut
from lmgen.text.download import download
from lmgen.text.encodings import decoded
from lmgen.text.raw import file_blocks, readable
from lmgen.text.recipes import Recipe, Variant
from lmgen.text.sources import Text, joined


@dataclass(frozen=True)
class Found:
    """A corpus whose files are all in one folder on this machine."""

    recipe: Recipe
    variant: Variant
    folder: Path

    def files(self) -> list[Path]:
        """The paths of the files, in the order of `Variant.files`."""
        return [self.folder / file for file in self.variant.files()]

    def verify(self) -> tuple[str, ...]:
        """
        Compare the files with the recipe's checksums.

        Returns:
            One note for each file without a known checksum.

        Raises:
            CorpusError: a file does not match its checksum.
        """
        notes = []
        for file, path in zip(self.variant.files(), self.files(), strict=True):
            expected = self.recipe.sha256.get(file)
            if expected is None:
                notes.append(f"{path} is unverified: the recipe of {self.recipe.name} has no checksum for it")
            elif (sha256 := sha256_of(path)) != expected:
                raise CorpusError(
                    f"{path} does not match the recipe of {self.recipe.name} (its sha256 is {sha256}, not "
                    f"{expected}); move it away and get it again, or train on it by its path"
                )
        return tuple(notes)

    def texts(self, errors: str = "strict") -> tuple[Text, Text | None, Text | None]:
        """The training (or whole), validation and test texts; `errors` as in `open_text`."""
        if self.recipe.split_bytes:
            return self._byte_parts(self.recipe.split_bytes, errors)
        train, valid, test = (
            self._text(member, errors) if member else None for member in self.variant.members()
        )
        assert train
        return train, valid, test

    def _text(self, member: str, errors: str) -> Text:
        blocks, name = self._blocks(member), self._name(member)
        return joined(name, [Text(name, lambda: decoded(blocks(), name, errors))])

    def _byte_parts(self, lengths: tuple[int, int, int], errors: str) -> tuple[Text, Text, Text]:
        """
        Cut the one text into parts whose lengths are given in bytes.

        A character that a cut would split is dropped, unless `errors` lets arbitrary bytes through.
        """
        blocks, name = self._blocks(self.variant.train), self._name(self.variant.train)
        train, valid, test = lengths

        def part(start: int, end: int) -> Text:
            return Text(
                name, lambda: decoded(cut(blocks(), start, end), name, errors, fragment=errors == "strict")
            )

        return part(0, train), part(train, train + valid), part(train + valid, train + valid + test)

    def _blocks(self, member: str) -> Callable[[], Iterator[bytes]]:
        if self.variant.archive:
            from lmgen.text.archives import member_blocks

            return partial(member_blocks, self.folder / self.variant.archive, member)
        return partial(file_blocks, self.folder / member)

    def _name(self, member: str) -> str:
        return (
            f"{self.folder / self.variant.archive}:{member}"
            if self.variant.archive
            else str(self.folder / member)
        )


def corpora_folders() -> list[Path]:
    """
    The folders where corpus files are looked for; downloads go to the last one.

    They are `corpora` in the working directory and the user's cache; or $LMGEN_CORPORA alone if it is set.
    """
    if named := os.environ.get("LMGEN_CORPORA"):
        return [Path(named)]
    from platformdirs import user_cache_path

    return [Path("corpora"), user_cache_path("lmgen", appauthor=False) / "corpora"]


def find(recipe: Recipe) -> Found | None:
    """Look for the files of a corpus in each of `corpora_folders()`, in a folder of its own there first."""
    for place in corpora_folders():
        for variant in recipe.variants:
            for folder in (place / recipe.name, place):
                if all((folder / file).is_file() for file in variant.files()):
                    return Found(recipe, variant, folder)
    return None


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(recipe: Recipe, on_note: Callable[[str], None]) -> Found:
    """
    Download a corpus into its own folder in the last of `corpora_folders()`.

    Args:
        recipe: the corpus.
        on_note: callback that receives a note before the download starts.

    Raises:
        CorpusError: the download failed, the file does not match its checksum, or the recipe lacks an address
            or a checksum; the message says how to get the corpus by hand.
    """
    for variant in recipe.variants:
        file = variant.files()[0]
        if variant.address and file in recipe.sha256:
            folder = corpora_folders()[-1] / recipe.name
            on_note(f"downloading {variant.address} to {folder / file}")
            try:
                download(variant.address, folder / file, recipe.sha256[file])
            finally:
                with suppress(OSError):
                    folder.rmdir()  # fails, as it should, unless the download left it empty
            return Found(recipe, variant, folder)
    raise CorpusError(f"{recipe.name} must be downloaded by hand: {_instructions(recipe)}")


def downloadable(recipe: Recipe) -> bool:
    """Whether `fetch` can download a corpus: some variant has both an address and a checksum."""
    return any(variant.address and variant.files()[0] in recipe.sha256 for variant in recipe.variants)


def _instructions(recipe: Recipe) -> str:
    """How to get the files by hand, for an error message."""
    forms = ", or ".join(" and ".join(variant.files()) for variant in recipe.variants)
    return f"get {forms} (see {recipe.homepage}) and put it into {corpora_folders()[0] / recipe.name}/"
