"""Downloads from a real server that cuts, corrupts, redirects, stalls and lies."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text import download as module
from lmgen.text.download import WATCHED, download

CONTENT = bytes(range(256)) * 2_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers by the path that is asked for; the server notes what was asked."""

    server: "Server"
    timeout = 5

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        ANSWERS[self.path](self)

    def log_message(self, *arguments: object) -> None:
        pass

    def give(self, content: bytes, *, length: int | None = None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    @property
    def begin(self) -> int:
        """Where the part begins that is asked for."""
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.closing = threading.Event()

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def in_parts(handler: Handler) -> None:
    """A third of what is missing, then nothing more; it goes on where it is asked to."""
    rest = CONTENT[handler.begin :]
    piece = rest[: max(len(rest) // 3, 100_000)]
    if not handler.begin:
        handler.give(piece, length=len(rest))
        return
    where = f"bytes {handler.begin}-{len(CONTENT) - 1}/{len(CONTENT)}"
    handler.give(piece, length=len(rest), status=206, Content_Range=where)


def whole_or_cut(handler: Handler) -> None:
    """Knows no parts: cut off the first time, whole the second."""
    first = len(handler.server.asked) == 1
    handler.give(CONTENT[:1000] if first else CONTENT, length=len(CONTENT))


def always_cut(handler: Handler) -> None:
    handler.give(CONTENT[:1000], length=len(CONTENT))


def wrong_part(handler: Handler) -> None:
    """Gives another part than it is asked for, then the whole."""
    if not handler.begin:
        handler.give(CONTENT[:100_000], length=len(CONTENT))
    else:
        handler.give(CONTENT, status=206, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")


def stalls(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:1000])
    handler.server.closing.wait(5)


def silent(handler: Handler) -> None:
    handler.server.closing.wait(5)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        pass


def redirected(to: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.give(b"", status=302, Location=to)

    return answer


ANSWERS: dict[str, Answer] = {
    "/whole": lambda handler: handler.give(CONTENT),
    "/corrupt": lambda handler: handler.give(CONTENT[:-1] + b"x"),
    "/longer": lambda handler: handler.give(CONTENT, length=10),
    "/in-parts": in_parts,
    "/whole-or-cut": whole_or_cut,
    "/always-cut": always_cut,
    "/wrong-part": wrong_part,
    "/stalls": stalls,
    "/silent": silent,
    "/endless": endless,
    "/gone": lambda handler: handler.give(b"", status=404),
    "/elsewhere": redirected("/whole"),
    "/round": redirected("/round"),
    "/to-a-file": redirected("file:///etc/hostname"),
    "/to-ftp": redirected("ftp://127.0.0.1/x"),
    "/to-no-name": redirected(f"http://{'a' * 64}.example/"),
    "/to-no-address": redirected("http://[::1"),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(module, "LARGEST_BYTES", 1_000_000)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("way", ["/whole", "/in-parts", "/whole-or-cut", "/wrong-part", "/elsewhere"])
def test_a_file_arrives_whole_however_it_comes(way: str, server: Server, tmp_path: Path) -> None:
    download(server.site + way, tmp_path / "text", SHA256)

    assert (tmp_path / "text").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_what_follows_a_download_is_told_how_much_is_there(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    before = WATCHED.set(lambda: nullcontext(lambda done, total: told.append((done, total))))
    try:
        download(f"{server.site}/in-parts", tmp_path / "text", SHA256)
    finally:
        WATCHED.reset(before)

    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert {total for _, total in told} == {len(CONTENT)}


def test_a_download_that_is_cut_goes_on_from_there(server: Server, tmp_path: Path) -> None:
    download(f"{server.site}/in-parts", tmp_path / "text", SHA256)

    begins = [int((asked or "bytes=0-")[6:-1]) for _, asked in server.asked]
    assert begins[0] == 0 < begins[1] < begins[2]


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (
            "/corrupt",
            rf"no longer gives .* \(its sha256 is [0-9a-f]{{64}}, not {SHA256}\); get text elsewhere",
        ),
        ("/longer", r"no longer gives the expected file"),
        ("/always-cut", r"cannot download .*\(ChunkedEncodingError\); try again, or get text elsewhere"),
        ("/stalls", r"cannot download .*\(ConnectionError\); try again"),
        ("/silent", r"cannot download .*\(ReadTimeout\); try again"),
        ("/endless", r"cannot download .*\(it is larger than 1,000,000 bytes\)"),
        ("/gone", r"cannot download .*\(HTTPError\)"),
        ("/round", r"cannot download .*\(TooManyRedirects\)"),
        ("/to-a-file", r"cannot download .*\(InvalidSchema\)"),
        ("/to-ftp", r"cannot download .*\(InvalidSchema\)"),
        ("/to-no-name", r"cannot download .*\(LocationParseError\)"),
        ("/to-no-address", r"cannot download .*\(ValueError\)"),
    ],
)
def test_what_does_not_arrive_leaves_what_was_there(
    way: str, message: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("old")
    with pytest.raises(CorpusError, match=message):
        download(server.site + way, tmp_path / "text", SHA256)

    assert (tmp_path / "text").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
