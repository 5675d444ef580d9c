"""
What `lmgen serve` gives many clients at once, beside the same requests one after the other.

    python benchmarks/serving.py                        # about a minute
    python benchmarks/serving.py --requests 10000       # memory over 10,000 requests, some minutes more

The model is a 2 x 256 LSTM over 65 characters with random weights, saved as a file and served by a process of
its own; the clients are threads of this one, which keep their connections. Each asks for 200 tokens after a
prompt of 60 with a seed of its own, first one after the other, then all at once, in rounds that take turns;
printed are medians over the rounds, and whether every text was the same. The columns:

- clients: how many ask at once, whole or streamed;
- tokens a second: of all clients together, prompts not counted;
- x one: the median of the ratios to one after the other, within a round;
- a processor second: tokens for each second that the server's processors worked, which hardly depends on what
  else the machine does, and the same ratio;
- first token: milliseconds until the first piece of a streamed answer;
- same texts: whether every client got what it gets alone.
"""

import argparse
import json
import os
import platform
import re
import signal
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import local
from time import perf_counter
from typing import NamedTuple

import numpy as np

from lmgen.models.model_file import save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.characters import CharacterTokenizer

PROMPT = "It was the best of times it was the worst of times it was th"


class Answer(NamedTuple):
    """What one client got."""

    text: str
    tokens: int
    first: float
    """Seconds until the first piece came."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--clients", type=int, nargs="*", default=[8, 64])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--requests", type=int, default=0, help="measure memory over so many requests")
    given = parser.parse_args()
    print(f"{platform.machine()}, {given.threads} threads, numpy {np.__version__}, lstm 2 x {given.size}\n")
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(Path(folder) / "model.safetensors", given.size)
        with served(model, given.threads) as (port, process):
            speed(port, process.pid, given.clients, given.tokens, given.rounds)
            if given.requests:
                memory(port, process.pid, given.requests)


def random_model(path: Path, size: int) -> Path:
    tokenizer = CharacterTokenizer("".join(sorted(" \n" + string.ascii_letters + string.digits)))
    config, V = NetworkConfig(cell="lstm", layers=2, hidden_size=size, embedding_size=size), 65
    parameters = initial_parameters(config, V, tokenizer.start, seed=1)
    save_model(path, RecurrentModel(config, V, tokenizer.start, parameters), tokenizer)
    return path


@contextmanager
def served(model: Path, threads: int) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A server, with its port."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "lmgen", "serve", str(model), "--port", "0", "--max-waiting", "1000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        found = re.search(r":(\d+)/", line := process.stderr.readline())
        assert found, line
        yield int(found[1]), process
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def speed(port: int, pid: int, clients: Sequence[int], tokens: int, rounds: int) -> None:
    """Print a row for each number of clients, whole and streamed."""
    most = max(clients)
    ask = asking(port)

    def one(number: int, *, stream: bool = False) -> Answer:
        return ask({"prompt": PROMPT, "max_tokens": tokens, "seed": number, "stream": stream})

    one(0)
    alone = [one(number).text for number in range(most)]
    columns = (
        "| clients | tokens a second | x one | a processor second | x one | first token, ms | same texts |"
    )
    print(f"{columns}\n{'| --- ' * 7}|", flush=True)
    rates: dict[tuple[int, bool], list[float]] = {}
    works: dict[tuple[int, bool], list[float]] = {}
    firsts: dict[tuple[int, bool], list[float]] = {}
    same: dict[tuple[int, bool], bool] = {}
    for _ in range(rounds):
        for count, stream in [(1, False), (1, True), *((each, s) for each in clients for s in (False, True))]:
            asked = range(8) if count == 1 else range(count)
            begun, worked = perf_counter(), processor_seconds(pid)
            with ThreadPoolExecutor(count) as pool:
                answers = list(pool.map(lambda number, s=stream: one(number, stream=s), asked))
            drawn = sum(answer.tokens for answer in answers)
            rates.setdefault((count, stream), []).append(drawn / (perf_counter() - begun))
            works.setdefault((count, stream), []).append(drawn / (processor_seconds(pid) - worked))
            firsts.setdefault((count, stream), []).extend(answer.first for answer in answers)
            is_same = all(answer.text == alone[number] for number, answer in zip(asked, answers, strict=True))
            same[count, stream] = same.get((count, stream), True) and is_same
    for (count, stream), each in rates.items():
        work = works[count, stream]
        ratio = median(own / single for own, single in zip(each, rates[1, stream], strict=True))
        of_work = median(own / single for own, single in zip(work, works[1, stream], strict=True))
        first = f"{1000 * median(firsts[count, stream]):.0f}" if stream else "-"
        name = f"{count}, streamed" if stream else f"{count}"
        alike = "yes" if same[count, stream] else "NO"
        rate = f"{median(each):,.0f} | {ratio:.1f} | {median(work):,.0f} | {of_work:.1f}"
        print(f"| {name} | {rate} | {first} | {alike} |", flush=True)


def memory(port: int, pid: int, requests: int) -> None:
    """Print the server's memory as 32 clients ask for completions and scores, and some of them leave."""
    ask = asking(port)

    def one(number: int) -> None:
        if number % 10 == 9:
            leave(port, {"prompt": PROMPT, "max_tokens": 4000, "stream": number % 20 == 9})
            return
        scored = {"echo": True, "logprobs": 5, "max_tokens": 1} if number % 3 == 0 else {"max_tokens": 8}
        ask({"prompt": f"{number} {PROMPT}", "seed": number, "stream": number % 2 == 0, **scored})

    print("\n| requests | memory of the server, MB | requests a second |\n| --- | --- | --- |")
    done = 0
    with ThreadPoolExecutor(32) as pool:
        for share in (1, 9, 10, 10, 10, 10, 10, 10, 10, 10, 10):
            begun, more = perf_counter(), requests * share // 100
            list(pool.map(one, range(done, done + more)))
            done += more
            rate = more / (perf_counter() - begun)
            print(f"| {done:,} | {resident(pid):.1f} | {rate:,.0f} |", flush=True)


def resident(pid: int) -> float:
    """The memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def processor_seconds(pid: int) -> float:
    """What a process has used of all processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asking(port: int) -> Callable[[dict[str, object]], Answer]:
    """A function that asks for one completion; each thread keeps its connection."""
    kept = local()

    def ask(body: dict[str, object]) -> Answer:
        if not hasattr(kept, "connection"):
            kept.connection = HTTPConnection("127.0.0.1", port)
        connection: HTTPConnection = kept.connection
        begun = perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(response.read().decode())
        if not body["stream"]:
            [choice] = json.loads(response.read())["choices"]
            return Answer(choice["text"], len(choice["text"]), perf_counter() - begun)
        first = response.readline()
        seconds = perf_counter() - begun
        lines = [first, *response.read().split(b"\n")]
        pieces = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
        text = "".join(piece["choices"][0]["text"] for piece in pieces)
        return Answer(text, len(text), seconds)

    return ask


def leave(port: int, body: dict[str, object]) -> None:
    """Ask for a completion, and go before it is complete."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    if body["stream"]:
        connection.getresponse().read(100)
    connection.close()


if __name__ == "__main__":
    main()
