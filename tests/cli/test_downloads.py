"""A bar on a terminal, nothing anywhere else."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTENT = bytes(300_000)
SCRIPT = """
import sys
from lmgen.cli import report
from lmgen.cli.downloads import downloads_shown
from lmgen.text.download import download

address, path, sha256, quiet = sys.argv[1:]
report.QUIET = quiet == "quiet"
with downloads_shown():
    download(address, __import__("pathlib").Path(path), sha256)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, "", True), (True, "quiet", False), (False, "", False)]
)
def test_a_bar_shows_how_much_has_come(terminal: bool, quiet: str, shown: bool, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(CONTENT)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/text"
        seen = stderr_of(address, tmp_path / "copy", quiet, terminal=terminal)
        server.shutdown()
        thread.join()

    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert ("300.0/300.0 kB" in seen) == shown
    assert bool(seen) == shown


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has
        """Say nothing."""


def stderr_of(address: str, path: Path, quiet: str, *, terminal: bool) -> str:
    """What a download writes to a stderr that is a terminal or a pipe."""
    reading, end = os.openpty() if terminal else os.pipe()
    arguments = [address, str(path), sha256(CONTENT).hexdigest(), quiet]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stderr=end, env=environment) as process:
        os.close(end)
        shown = b""
        with suppress(OSError):  # Linux's way to say that the other end of a terminal is closed
            while block := os.read(reading, 1 << 16):
                shown += block
    os.close(reading)
    assert process.returncode == 0, shown.decode()
    return shown.decode()
