"""
Download one file completely and verify its checksum, or leave nothing behind.

pooch keeps the file under a temporary name until its checksum is verified. This module adds resuming after
interruptions, limits on time and size, and a restriction to http and https, even after a redirect.
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from lmgen.errors import CorpusError

MAX_STALLED_ATTEMPTS = 3
"""An interrupted download is resumed until this many attempts in a row have added no bytes."""

TIMEOUT_SECONDS = 30.0
"""How long to wait for the connection, and for each further piece of the response."""

LARGEST_BYTES = 1 << 32
"""Larger than any corpus with a recipe; stops a server that never ends its response."""

BLOCK_BYTES = 1 << 14
"""Bytes written to disk at a time."""

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and those of the whole file, None where the server does not say."""


def _unwatched() -> AbstractContextManager[OnBytes]:
    return nullcontext(lambda _done, _total: None)


WATCHED: ContextVar[Callable[[], AbstractContextManager[OnBytes]]] = ContextVar("WATCHED", default=_unwatched)
"""Makes what follows each download. The command line sets it to a progress bar; without it all is silent."""


def download(address: str, path: Path, sha256: str) -> None:
    """
    Download `address` to `path`; unless the checksum matches, whatever is at `path` stays unchanged.

    Args:
        address: URL, http or https.
        path: where the file goes; its folder is created if missing.
        sha256: the expected checksum, in hexadecimal.

    Raises:
        CorpusError: the download failed or the checksum differs; the message says what to do.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    elsewhere = f"get {path.name} elsewhere and put it into {path.parent}/"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(
            f"cannot make the folder {path.parent} for {address} ({error.strerror}); name another place for "
            "corpora in the environment variable LMGEN_CORPORA"
        ) from error

    def downloader(_address: str, temporary: str, _pooch: Any) -> None:
        with WATCHED.get()() as on_bytes:
            _download(address, Path(temporary), on_bytes)
        with Path(temporary).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise CorpusError(
                f"{address} no longer gives the expected file (its sha256 is {found}, not {sha256}); "
                f"{elsewhere}"
            )

    try:
        pooch.retrieve(address, f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # requests raises ValueError for a malformed URL
        why = getattr(error, "strerror", None) or type(error).__name__  # str(error) of requests is very long
        raise CorpusError(f"cannot download {address} ({why}); try again, or {elsewhere}") from error


def _download(address: str, path: Path, on_bytes: OnBytes) -> None:
    """
    Download a file, resuming after each interruption that follows some progress.

    Raises:
        OSError: the download failed; the errors of requests derive from it.
    """
    from requests import exceptions

    path.write_bytes(b"")
    stalled = size = 0
    while True:
        try:
            return _resume(address, path, on_bytes)
        except (exceptions.ChunkedEncodingError, exceptions.ConnectionError, exceptions.Timeout) as error:
            before, size = size, path.stat().st_size
            stalled = 0 if size > before else stalled + 1
            interrupted = size or isinstance(error, exceptions.ChunkedEncodingError)
            if stalled == MAX_STALLED_ATTEMPTS or not interrupted:
                raise


def _resume(address: str, path: Path, on_bytes: OnBytes) -> None:
    """Append the rest of the file; start over if the server does not support range requests."""
    import requests

    begin = path.stat().st_size
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {begin}-")
        rest = response.headers.get("Content-Length")
        total = int(rest) + (begin if resumed else 0) if rest and rest.isdecimal() else None
        with path.open("ab" if resumed else "wb") as file:
            for block in response.iter_content(BLOCK_BYTES):
                file.write(block)
                on_bytes(file.tell(), total)
                if file.tell() > LARGEST_BYTES:
                    raise OSError(0, f"it is larger than {LARGEST_BYTES:,} bytes")
