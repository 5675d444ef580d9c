"""
What a run keeps of its texts, compared with the checksums in its `prepared.json` where it is used later.

A small file is compared as a whole when it is opened; of a large token file each block where it is read.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from lmgen.arrays import IdArray
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import TokenFile, not_as_prepared, open_tokens, read_tokens
from lmgen.errors import ModelError
from lmgen.files import block_checksums, checksum


def open_kept_tokens(run: RunFolder, file: Path, vocabulary_size: int) -> TokenFile:
    """
    Open a token file of a run.

    Raises:
        CorpusError: it is missing, or no token file for that vocabulary.
        ModelError: it is not what was prepared, also where it is read.
    """
    return open_tokens(file, vocabulary_size, _checksums(run, file))


def read_kept_tokens(run: RunFolder, file: Path, vocabulary_size: int) -> IdArray:
    """
    Memory-map a token file of a run, (N,), after one look at all of it.

    Raises:
        CorpusError, ModelError: as `open_kept_tokens`.
    """
    return read_tokens(file, vocabulary_size, _checksums(run, file))


def check_kept_text(run: RunFolder, file: Path) -> None:
    """
    Check that a held-out text of a run is what was prepared.

    Raises:
        ModelError: it is not, or cannot be read.
    """
    try:
        of_blocks = _checksums(run, file)
        if of_blocks is not None and block_checksums(file) != list(of_blocks):
            raise not_as_prepared(file)
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}; train again with --overwrite") from error


def _checksums(run: RunFolder, file: Path) -> Sequence[int] | None:
    """Those of the blocks of a large file; None for a small one, which is what was prepared."""
    try:
        saved = json.loads(run.prepared.read_text(encoding="utf-8"))
        whole = saved.get("crc32", {}).get(file.name)
        of_blocks = saved.get("crc32_of_blocks", {}).get(file.name)
        known = None if of_blocks is None else list(map(int, of_blocks))
    except FileNotFoundError:  # the first version of lmgen wrote no checksums either
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"cannot read {run.prepared} ({error}); train again with --overwrite") from error
    if whole is not None and file.exists() and checksum(file) != whole:
        raise not_as_prepared(file)
    return known
