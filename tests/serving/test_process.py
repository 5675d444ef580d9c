"""`lmgen serve` as a process: with OpenAI's own client, curl, clients that leave, and signals."""

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.models.model_file import save_model
from tests.cli.tiny_model import save_label_model
from tests.process import ENVIRONMENT, Running
from tests.process import lmgen as command
from tests.serving.models import model, tokenizer

openai = pytest.importorskip("openai", reason="OpenAI's client is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

pytestmark = pytest.mark.slow

READY = re.compile(r"note: serving .* at (http://127\.0\.0\.1:\d+)/ \(Ctrl-C ends it\)\n")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model files."""
    folder = tmp_path_factory.mktemp("models")
    for kind, tokens in (("lstm", "char"), ("mixture", "bpe")):
        save_model(folder / f"{kind}.safetensors", model(kind, tokens), tokenizer(tokens))
    return folder


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server with its address."""
    with Running("serve", *arguments, "--port", "0", cwd=folder) as process:
        assert process.stderr is not None
        found = READY.fullmatch(line := process.stderr.readline())
        assert found, line
        yield found[1], process


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[str]:
    with served(models, "lstm.safetensors", "mixture.safetensors", "--max-length", "1000000") as (url, _):
        yield url


def client_of(url: str, key: str = "none") -> Any:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60)


def stop(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(timeout=60)


def test_openais_client_completes(server: str, models: Path) -> None:
    client = client_of(server)
    assert [each.id for each in client.models.list()] == ["lstm.safetensors", "mixture.safetensors"]
    assert client.models.retrieve("mixture.safetensors").owned_by == "lmgen"
    answer = client.completions.create(
        model="mixture.safetensors",
        prompt=["worker 3 fin", "job"],
        n=2,
        max_tokens=9,
        seed=5,
        temperature=0.8,
        logprobs=2,
        extra_body={"top_k": 20},
    )
    expected = lmgen.load(models / "mixture.safetensors").complete(
        ["worker 3 fin", "job"], num=2, length=9, seed=5, temperature=0.8, top_k=20
    )

    assert [each.text for each in answer.choices] == [each.text for each in expected]
    assert answer.usage.completion_tokens == 36
    assert all(len(each.logprobs.token_logprobs) == 9 for each in answer.choices)


def test_openais_client_streams(server: str) -> None:
    client = client_of(server)
    asked: dict[str, Any] = {"model": "lstm.safetensors", "prompt": "worker", "max_tokens": 30, "seed": 2}
    whole = client.completions.create(**asked)
    pieces = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    assert "".join(each.choices[0].text for each in pieces if each.choices) == whole.choices[0].text
    assert pieces[-2].choices[0].finish_reason == "length"
    assert pieces[-1].usage == whole.usage


def test_openais_client_says_what_was_wrong(server: str) -> None:
    client = client_of(server)
    with pytest.raises(openai.BadRequestError, match="best_of is not supported"):
        client.completions.create(model="lstm.safetensors", prompt="a", best_of=2)
    with pytest.raises(openai.NotFoundError, match=r"there is lstm\.safetensors, mix"):
        client.completions.create(model="lstm", prompt="a")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_completes(server: str) -> None:
    body = '{"prompt": "worker", "max_tokens": 4, "seed": 1}'
    given = ["-d", body, "-H", "Content-Type: application/json"]
    shown = subprocess.run(
        ["curl", "-sS", f"{server}/v1/completions", *given], capture_output=True, text=True, check=True
    )

    assert json.loads(shown.stdout)["usage"]["completion_tokens"] == 4


def test_clients_at_once_get_what_each_gets_alone(server: str) -> None:
    client = client_of(server)

    def text(number: int) -> str:
        answer = client.completions.create(
            model="lstm.safetensors", prompt=f"worker {number}", max_tokens=20 + number, seed=number
        )
        return str(answer.choices[0].text)

    alone = [text(number) for number in range(24)]
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(text, range(24))) == alone


def seconds_of(process: "subprocess.Popen[str]") -> float:
    """The time of all processors that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc says what time a process takes")
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_who_leaves_costs_nothing_more(models: Path, stream: bool) -> None:
    with served(models, "lstm.safetensors", "--max-length", "1000000") as (url, process):
        host, _, port = url.removeprefix("http://").partition(":")
        body = json.dumps({"prompt": "worker", "max_tokens": 1_000_000, "stream": stream}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.5)
            if stream:
                assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        time.sleep(0.3)
        before = seconds_of(process)
        time.sleep(0.7)
        used = seconds_of(process) - before

        assert used < 0.25
        assert client_of(url).completions.create(model="lstm.safetensors", prompt="a").choices
        assert stop(process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_runs_finish(models: Path, number: int) -> None:
    asked: dict[str, Any] = {"model": "lstm.safetensors", "prompt": "worker", "max_tokens": 4000}
    with served(models, "lstm.safetensors") as (url, process):
        pieces = client_of(url).completions.create(**asked, stream=True)
        text = next(pieces).choices[0].text
        process.send_signal(number)
        text += "".join(piece.choices[0].text for piece in pieces)

        assert len(text) == 4000
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_second_ctrl_c_does_not_wait(models: Path) -> None:
    asked: dict[str, Any] = {"model": "lstm.safetensors", "prompt": "worker", "max_tokens": 1_000_000}
    with served(models, "lstm.safetensors", "--max-length", "1000000") as (url, process):
        pieces = client_of(url).completions.create(**asked, stream=True)
        next(pieces)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        next(pieces)

        assert stop(process, signal.SIGINT) == 130


def test_clients_who_rest_do_not_keep_the_server_from_ending(models: Path) -> None:
    asked = {"prompt": "worker" * 30, "n": 64, "max_tokens": 1, "echo": True, "logprobs": 20}
    whole = json.dumps(asked).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with served(models, "lstm.safetensors") as (url, process), ExitStack() as stack:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        sending, taking = (stack.enter_context(socket.create_connection(address)) for _ in range(2))
        taking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sending.sendall(head + b'Content-Length: 100\r\n\r\n{"prompt"')
        taking.sendall(head + b"Content-Length: %d\r\n\r\n" % len(whole) + whole)
        assert taking.recv(10)

        assert stop(process) == 0
        answer = sending.recv(1000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the rest of the body did not come within 10 seconds" in answer


def test_errors_are_one_line(models: Path) -> None:
    save_label_model(models / "labels.safetensors", "last")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, code, message in [
            (
                ["lstm.safetensors", "--port", port],
                1,
                f"cannot listen on 127.0.0.1, port {port}: Address alr",
            ),
            (
                ["lstm.safetensors", "--host", "0.0.0.0"],  # noqa: S104
                2,
                "--host 0.0.0.0 lets other machines ask this serv",
            ),
            (["lstm.safetensors", "--host", "no such host"], 1, "--host no such host is no address of this"),
            (["lstm.safetensors", "lstm.safetensors"], 2, "two models are called 'lstm.safetensors'"),
            (["labels.safetensors"], 1, "labels.safetensors labels"),
            (["nothing"], 1, "there is no model nothing"),
        ]:
            ended = command("serve", *arguments, cwd=models)
            assert ended.returncode == code, ended.stderr
            assert ended.stderr.startswith(f"error: {message}"), ended.stderr
            assert len(ended.stderr.splitlines()) == 1


def test_with_a_key_it_listens_to_other_machines_and_does_not_tell_it(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "LMGEN_API_KEY", "hidden-key")
    with Running("serve", "lstm.safetensors", "--host", "0.0.0.0", "--port", "0", cwd=models) as process:  # noqa: S104
        assert process.stderr is not None
        ready = process.stderr.readline()
        port = ready.split("http://0.0.0.0:")[1].split("/")[0]
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(openai.AuthenticationError):
            client_of(url).models.list()
        assert client_of(url, "hidden-key").models.list().data
        assert stop(process) == 0
        assert "hidden-key" not in ready + process.stderr.read()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc says how much memory a process has")
def test_memory_does_not_grow_with_requests(models: Path) -> None:
    def memory(process: "subprocess.Popen[str]") -> int:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]

    with served(models, "lstm.safetensors") as (url, process):
        client = client_of(url)

        def ask(number: int) -> None:
            client.completions.create(
                model="lstm.safetensors",
                prompt="worker " * 20,
                max_tokens=3,
                echo=True,
                logprobs=5,
                seed=number,
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(100)))
            before = memory(process)
            list(pool.map(ask, range(200)))
            assert memory(process) < before + 4000
