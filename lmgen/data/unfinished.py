"""
What is known of a preparation that was interrupted, so that the next one of the same text goes on from there.

    .new/begun.json         files and settings that the tokens come from; the tokenizer; the sizes of finished
                            parts; how far the one under way had come
    .new/data/train.npy     a finished part
    .new/data/.train.part   the one under way, with more in it, perhaps, than is written down

It is written every few seconds, and only where a preparation takes longer than that. Only the training part
is gone on with in the middle; of the others, which are shorter, the whole are kept.
"""

import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lmgen.data.encoding import Encoded
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import Begun, checksum_of_ids
from lmgen.errors import LmgenError
from lmgen.files import checksum, write_text
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.registry import tokenizer_from_json

TRAINING = "train"

SECONDS = 5.0
"""How much of a preparation may be lost."""


@dataclass(slots=True)
class Unfinished:
    """A preparation under way in a run folder."""

    run: RunFolder
    of: Mapping[str, Any] | None
    """The files and settings that the tokens depend on, as JSON values; None: nothing is written down."""
    tokenizer: dict[str, Any] | None = None
    """What `Tokenizer.to_json` gives, once it is trained."""
    notes: list[str] = field(default_factory=list)
    """What is to be said of its training."""
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    """The sizes of finished parts by name."""
    checksums: dict[str, int] = field(default_factory=dict)
    """CRC-32 of the files of finished parts by name."""
    under_way: dict[str, Any] | None = None
    """How far the training part has come."""
    _written: float = field(default_factory=time.monotonic)

    @classmethod
    def begun(cls, run: RunFolder, of: Mapping[str, Any] | None) -> "Unfinished":
        """The preparation that can go on in a folder; if none of this text can, a new one."""
        with suppress(OSError):
            run.prepared.unlink()  # first, so that nobody takes the rest for complete
        found = cls(run, of)
        try:
            saved = json.loads(run.begun.read_text(encoding="utf-8"))
            if saved.pop("own_crc32") != _own_checksum(saved) or not found.is_of(saved["of"]):
                raise ValueError("it is damaged, or of another text")
            found.tokenizer, found.notes = saved["tokenizer"], [str(note) for note in saved["notes"]]
            found.parts, found.checksums = dict(saved["parts"]), dict(saved["checksums"])
            found.under_way = saved["under_way"]
            found._check()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, LmgenError):
            found = cls(run, of)
            run.begun.unlink(missing_ok=True)
            shutil.rmtree(run.data, ignore_errors=True)
        for remains in run.data.glob(".*"):
            if remains != found.part_file:
                with suppress(OSError):  # it is a folder, which is not a half-written file
                    remains.unlink()
        return found

    def _check(self) -> None:
        """Raise ValueError, TypeError or what else there is for damaged values, unless this can go on."""
        if self.tokenizer is None:
            raise ValueError("it has no tokenizer")
        tokenizer = tokenizer_from_json(self.tokenizer)
        if not self.part_file.exists():
            self.under_way = None
        if self.under_way is not None:
            Encoded.going_on(tokenizer, self.under_way)
            ids, crc32 = int(self.under_way["ids"]), int(self.under_way["crc32"])
            if ids < 0 or checksum_of_ids(self.part_file, ids, tokenizer.vocabulary_size) != crc32:
                raise ValueError("its token file is damaged")
        if any(checksum(self.run.data / name) != crc32 for name, crc32 in self.checksums.items()):
            raise ValueError("a finished file is damaged")

    @property
    def part_file(self) -> Path:
        """The token file of the training text while it is written."""
        return self.run.data / ".train.part"

    def is_of(self, saved: Any) -> bool:
        """Whether what is saved comes from the same files and settings."""
        return self.of is not None and saved == json.loads(json.dumps(self.of))

    def take_over(self, files: Iterable[Path]) -> None:
        """
        Link the data files of another run, so that both have them.

        Raises:
            OSError: that cannot be done, as on another file system; then nothing has changed.
        """
        made: list[Path] = []
        self.run.data.mkdir(parents=True, exist_ok=True)
        try:
            for file in files:
                link = self.run.data / file.name
                link.unlink(missing_ok=True)
                os.link(file.resolve(), link)
                made.append(link)
        except OSError:
            for link in made:
                link.unlink()
            raise
        self.part_file.unlink(missing_ok=True)
        self.run.begun.unlink(missing_ok=True)

    def tokenizer_or(self, train: Callable[[], Tokenizer]) -> Tokenizer:
        """The tokenizer that was trained before, else a new one, which is noted."""
        if self.tokenizer is not None:
            return tokenizer_from_json(self.tokenizer)
        tokenizer = train()
        self.notes = list(tokenizer.notes)
        self.tokenizer = tokenizer.to_json()
        self.write()
        return tokenizer

    def encoded(self, name: str, tokenizer: Tokenizer) -> Encoded:
        """What encodes a part from its beginning, or from where it was interrupted."""
        if name == TRAINING and self.under_way is not None:
            return Encoded.going_on(tokenizer, self.under_way)
        return Encoded(tokenizer)

    def file_of(self, name: str, encoded: Encoded) -> Begun | None:
        """Where the tokens of a part are written, if it can be gone on with in the middle."""
        if name != TRAINING or self.of is None:
            return None

        def keep(ids: int, crc32: int) -> None:
            self.under_way = {**encoded.before, "ids": ids, "crc32": crc32}
            self.write()

        begun = self.under_way or {"ids": 0, "crc32": 0}
        return Begun(self.part_file, int(begun["ids"]), int(begun["crc32"]), lambda: self.is_due, keep)

    @property
    def is_due(self) -> bool:
        """Whether it is time to write down how far the work has come."""
        return self.of is not None and time.monotonic() - self._written >= SECONDS

    def finished(self, name: str, sizes: dict[str, int]) -> None:
        """Note that a part is complete."""
        self.parts[name] = sizes
        self.under_way = None
        self.write()

    def write(self) -> None:
        """Write down how far the work has come, if that is worth it."""
        if self.is_due or (self.of is not None and self.run.begun.exists()):
            for file in (file for name in self.parts for file in self.run.data.glob(f"{name}.*")):
                if file.name not in self.checksums:
                    self.checksums[file.name] = checksum(file)
            values = {name: value for name, value in asdict(self).items() if name not in ("run", "_written")}
            write_text(self.run.begun, json.dumps({**values, "own_crc32": _own_checksum(values)}))
            self._written = time.monotonic()


def _own_checksum(values: Mapping[str, Any]) -> int:
    """CRC-32 of what is written down, without the field that stores it."""
    return zlib.crc32(json.dumps(values).encode())
