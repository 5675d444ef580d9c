"""
Read the validation or test text that a run keeps: UTF-8, or JSON Lines if it consists of records.

With checksums each block of the file is verified when it is read: no large text is read for that alone.
"""

import codecs
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lmgen.data.run_folder import RECORDS_SUFFIX
from lmgen.data.token_file import not_as_prepared
from lmgen.errors import CorpusError, ModelError
from lmgen.files import CHECKED_BYTES
from lmgen.text.records import json_lines
from lmgen.text.units import record_stream


def held_out_chunks(path: Path, checksums: Sequence[int] | None) -> Iterator[str]:
    """
    Read a held-out text that `prepare` wrote, in chunks.

    Args:
        path: its file.
        checksums: of its blocks, each of which is verified before anything of it is given; None: of none.

    Raises:
        ModelError: it cannot be read, or is damaged.
    """
    try:
        chunks = _decoded(_verified(path, checksums))
        yield from (
            record_stream(json_lines(chunks, None, str(path))) if path.suffix == RECORDS_SUFFIX else chunks
        )
    except (OSError, CorpusError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot read {path}: {why}; train again with --overwrite") from error


def _verified(path: Path, checksums: Sequence[int] | None) -> Iterator[bytes]:
    """The blocks of a file; raises ModelError at one that does not match its checksum."""
    with path.open("rb") as file:
        for number, block in enumerate(iter(lambda: file.read(CHECKED_BYTES), b"")):
            if checksums is not None and [zlib.crc32(block)] != list(checksums[number : number + 1]):
                raise not_as_prepared(path)
            yield block


def _decoded(blocks: Iterable[bytes]) -> Iterator[str]:
    """The characters of a text in UTF-8, in which bytes that are none stand for themselves."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in blocks:
        if text := decoder.decode(block):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest
