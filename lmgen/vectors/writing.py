"""
Write files of word vectors, in the formats of word2vec that reading.py reads.

Text has each number with as many digits as bring back the same float32. ASCII white space in a word, which
neither format can hold, becomes `_`, as word2vec spells phrases.
"""

import gzip
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from lmgen.arrays import Float32Array
from lmgen.files import behind_links, refuse_existing, refuse_packed, replacing
from lmgen.vectors.reading import has_binary_name


def refuse_vectors(path: Path, *, overwrite: bool, read: Iterable[object] = ()) -> None:
    """
    Check, before vectors are trained, that a file of them can have a name.

    Args:
        path: the file.
        overwrite: whether it may exist.
        read: what the vectors are of.

    Raises:
        ConfigError: the name asks for a compression that is not written, or is that of a file that is read.
        ModelError: the file exists and may not be overwritten, or is a folder.
    """
    refuse_packed(path, ".gz")
    refuse_existing(path, overwrite=overwrite, read=read)


def write_vectors(path: Path, words: Sequence[str], matrix: Float32Array) -> None:
    """
    Write the vectors of some words; the same ones always give the same bytes.

    Args:
        path: replaced if it exists; `.bin` is binary, `.gz` compressed.
        words: in the order of the file.
        matrix: their vectors, (V, E).

    Raises:
        WriteError: it cannot be written.
    """
    binary = has_binary_name(path)
    with replacing(behind_links(path)) as temporary, ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(temporary.open("wb"))
        if path.suffix.lower() == ".gz":
            compressed: Any = gzip.GzipFile("", "wb", 6, file, mtime=0)
            file = stack.enter_context(compressed)
        file.write(f"{matrix.shape[0]} {matrix.shape[1]}\n".encode())
        for word, vector in zip(words, matrix, strict=True):
            parts = word.encode("utf-8", "backslashreplace").split()  # at ASCII blanks alone, as in reading
            spelling = (b"_".join(parts) or b"_") + b" "
            numbers = vector.astype("<f4").tobytes() if binary else " ".join(map(str, vector)).encode()
            file.write(spelling + numbers + b"\n")
