"""
A file from the web: all of it, checked, or none of it. Which file, and what for, is for corpus_files.py.

pooch keeps the file under another name until its checksum is found right. Here is how it comes: in as many
goes as it takes, within bounds of time and size, over http and https alone, wherever the address leads.
"""

import hashlib
from pathlib import Path
from typing import Any

from lmgen.errors import CorpusError

IDLE_GOES = 3
"""A download that is cut off goes on from where it stopped; so often in a row it may get no further."""

TIMEOUT_SECONDS = 30.0
"""Without an answer, or any more of the file."""

LARGEST_BYTES = 1 << 32
"""No corpus with a recipe is as large; what goes on beyond it never ends."""

BLOCK_BYTES = 1 << 14


def download(address: str, path: Path, sha256: str) -> None:
    """
    Put a file in place, whole and checked, or leave what was there.

    Raises:
        CorpusError: it cannot be had, or is another file; the message says what to do.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    elsewhere = f"get {path.name} elsewhere and put it into {path.parent}/"

    def downloader(_address: str, temporary: str, _pooch: Any) -> None:
        _download(address, Path(temporary))
        with Path(temporary).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise CorpusError(
                f"{address} no longer gives the file that is wanted (its sha256 is {found}, not {sha256}); "
                f"{elsewhere}"
            )

    try:
        pooch.retrieve(address, f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # requests' are OSErrors, but for addresses that cannot be such
        why = getattr(error, "strerror", None) or type(error).__name__  # which they say in many words
        raise CorpusError(f"cannot download {address} ({why}); try again, or {elsewhere}") from error


def _download(address: str, path: Path) -> None:
    """
    Get a file in as many goes as it takes.

    Raises:
        OSError: it does not come; among them all errors of requests.
    """
    from requests import exceptions

    path.write_bytes(b"")
    idle = size = 0
    while True:
        try:
            return _go_on(address, path)
        except (exceptions.ChunkedEncodingError, exceptions.ConnectionError, exceptions.Timeout) as error:
            before, size = size, path.stat().st_size
            idle = 0 if size > before else idle + 1
            cut_off = size or isinstance(error, exceptions.ChunkedEncodingError)
            if idle == IDLE_GOES or not cut_off:
                raise


def _go_on(address: str, path: Path) -> None:
    """Get what a file still lacks; or all of it, from a server that gives no parts."""
    import requests

    begin = path.stat().st_size
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        response.raise_for_status()
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {begin}-")
        with path.open("ab" if goes_on else "wb") as file:
            for block in response.iter_content(BLOCK_BYTES):
                file.write(block)
                if file.tell() > LARGEST_BYTES:
                    raise OSError(0, f"it is larger than {LARGEST_BYTES:,} bytes")
