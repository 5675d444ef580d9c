"""The files that a corpus is read from: what each is recognised by, so that no change is missed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lmgen.data.config import HeldOutConfig
from lmgen.errors import CorpusError, CutOffError
from lmgen.text.corpora import Corpus
from lmgen.text.given import is_placeholder
from lmgen.tokenizers.config import TokenizerConfig


class Stamp(NamedTuple):
    """What a file is recognised by."""

    path: str
    size: int
    """In bytes."""
    modified: int
    """When its content was last changed, in nanoseconds; programs that copy files set it."""
    inode: int
    """Which file of its disk it is."""
    changed: int
    """When its content, or what is known about it, was last changed: no program sets that."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files that the tokens of a corpus come from."""

    paths: tuple[Path, ...] | None
    """None if they do not come from files alone."""
    stamps: list[Stamp]
    """What each was recognised by before it was read; empty without `paths`."""

    @classmethod
    def of(cls, corpus: Corpus, held_out: HeldOutConfig, config: TokenizerConfig) -> "SourceFiles":
        """
        Those of a corpus, of held-out texts that are files of their own, and of a tokenizer.

        Raises:
            CutOffError: one is no longer there.
        """
        paths = _paths(corpus, held_out, config)
        return cls(paths, _stamps(paths or ()))

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(stamp.size for stamp in self.stamps)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """In the block, they are read, and have to stay as they are; raises CorpusError if one does not."""
        try:
            yield
        except CorpusError:
            self._refuse_changes()  # which says more
            raise
        self._refuse_changes()

    def _refuse_changes(self) -> None:
        """Raise CorpusError if a file is not as it was."""
        for one, other in zip(self.stamps, _stamps([Path(stamp.path) for stamp in self.stamps]), strict=True):
            if one != other._replace(changed=one.changed):  # a new name or owner meanwhile does no harm
                raise CorpusError(
                    f"{one.path} changed while it was read; wait until it is complete, or take a copy of it"
                )


def _paths(corpus: Corpus, held_out: HeldOutConfig, config: TokenizerConfig) -> tuple[Path, ...] | None:
    """The files that the tokens of a corpus come from; None if they do not come from files alone."""
    own = [] if config.tokenizer_file is None else [Path(config.tokenizer_file)]
    for name in ("valid", "test"):
        asked: str | None = getattr(held_out, name)
        if asked is not None and not is_placeholder(asked) and held_out.fraction(name) is None:
            own.append(Path(asked))
    texts = [text for text in (corpus.train, corpus.valid, corpus.test) if text is not None]
    if any(text.files is None for text in texts) or not all(path.is_file() for path in own):
        return None
    return tuple(dict.fromkeys([*(file for text in texts for file in text.files or ()), *own]))


def _stamps(files: Sequence[Path]) -> list[Stamp]:
    """What files are recognised by; raises CutOffError if one is no longer there."""
    try:
        found = [(str(file.absolute()), file.stat()) for file in files]
    except OSError as error:
        raise CutOffError(f"cannot read {error.filename}: {error.strerror}") from error
    return [Stamp(path, at.st_size, at.st_mtime_ns, at.st_ino, at.st_ctime_ns) for path, at in found]
