"""
Memory and time of texts that are larger than memory may be: prepared, trained on, gone on with, scored.

    python benchmarks/large_corpus.py                        # 4 GB: the table in results/large-corpus.md
    python benchmarks/large_corpus.py --bytes 200M           # a quick run
    python benchmarks/large_corpus.py --tokenizer word

The text is made of 200,000 random lines of 50,000 words, drawn by a seed. Each stage is the command itself,
in a process of its own:

    carry       prepares the text and makes a few updates, with the state carried along
    resume      goes on with that run for a few updates more
    reset       another run of the same text, whose tokens it takes over: separate windows in random order
    score       scores a text of so many bytes with the model (--scored)
    count       fits a 5-gram model to 20 MB
    n-grams     scores a text of so many bytes (--scored-by-ngrams) with that model

Printed are the seconds of each, from its start to its end, the peak of its resident memory (VmHWM), and the
sum of those of the processes that it has running at one time for splitting the text.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

WORDS, LINES = 50_000, 200_000
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}

NETWORK = ["--hidden-size", "64", "--embedding-size", "32", "--batch-size", "64", "--baseline-order", "0"]
UPDATES = 20

COUNTED = "20M"
"""Size of the text that the n-gram model is fitted to."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", default="4G", help="size of the text, such as 200M")
    parser.add_argument("--scored", default="20M", help="size of the text that is scored")
    parser.add_argument("--scored-by-ngrams", default="20M", help="size of the text that n-grams score")
    parser.add_argument("--tokenizer", default="char")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--folder", type=Path, help="where the files are made; they are deleted afterwards")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="large-", dir=arguments.folder) as folder:
        measure(Path(folder), arguments)


def measure(place: Path, arguments: argparse.Namespace) -> None:
    """Make the texts, run the stages and print a row of the table for each."""
    for name in ("bytes", "scored", "scored_by_ngrams"):
        write_text(place / f"{name}.txt", size_of(getattr(arguments, name)))
    write_text(place / "counted.txt", size_of(COUNTED))
    tokenizer = ["--tokenizer", arguments.tokenizer]
    large = ["--vocab-size", "30000", "--output", "adaptive"]  # scores of all words would fill the memory
    size = large if arguments.tokenizer == "word" else []
    kind = [*tokenizer, *size, "--valid", "0.01", "--evaluation-tokens", "10000"]
    train = ["train", "bytes.txt", *kind, *NETWORK, "--threads", arguments.threads, "--steps", str(UPDATES)]
    count = ["ngram", "counted.txt", "--order", "5", *tokenizer, "--out", "5.safetensors"]
    print(f"{arguments.bytes} of text, {arguments.tokenizer}, {arguments.threads} threads")
    print(f"{'stage':8} {'seconds':>8} {'peak MB':>8} {'others MB':>10}")
    stages = {
        "carry": [*train, "--out", "carry"],
        "resume": ["train", "--resume", "--out", "carry", "--steps", str(2 * UPDATES)],
        "reset": [*train, "--out", "reset", "--state", "reset"],
        "score": ["perplexity", "carry", "scored.txt", "--no-baseline"],
        "count": count,
        "n-grams": ["perplexity", "5.safetensors", "scored_by_ngrams.txt"],
    }
    for stage, command in stages.items():
        seconds, peak, others = run(command, place)
        print(f"{stage:8} {seconds:8.1f} {peak / 1000:8.0f} {others / 1000:10.0f}", flush=True)


def run(arguments: list[str], place: Path) -> tuple[float, int, int]:
    """Seconds of a command, its peak of resident memory in kB, and the sum of those of its own processes."""
    begun = time.monotonic()
    with (place / "log").open("w") as log:
        command = [sys.executable, "-m", "lmgen", *arguments]
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log)
    peak = others = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        others = max(others, sum(map(memory, children(process.pid))))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)}:\n{(place / 'log').read_text()}")
    return time.monotonic() - begun, peak, others


def memory(process: int) -> int:
    """The peak of resident memory of a process so far, in kB; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def children(process: int) -> list[int]:
    """The processes that a process has started to split a text."""
    with suppress(OSError):
        tasks = Path(f"/proc/{process}/task").iterdir()
        started = [child for task in tasks for child in (task / "children").read_text().split()]
        # Until it has become a program of its own, a new process shows the memory of the one that started it.
        return [int(child) for child in started if b"serve()" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return []


def write_text(path: Path, size: int) -> None:
    """A text of so many bytes."""
    with path.open("wb") as file:
        for block in text_blocks():
            file.write(block[: size - file.tell()])
            if file.tell() >= size:
                return


def text_blocks() -> Iterator[bytes]:
    """An endless text of random lines, each of 12 words by Zipf's law."""
    random = np.random.default_rng(0)
    lengths = random.integers(2, 11, WORDS)
    rows = random.integers(97, 123, (WORDS, 11))
    letters = [bytes(row[:length].tolist()) for row, length in zip(rows, lengths, strict=True)]
    words = np.array(letters, object)
    shares = np.cumsum(1 / np.arange(1, WORDS + 1))
    drawn = words[np.searchsorted(shares, random.random((LINES, 12)) * shares[-1])]
    lines = np.array([b" ".join(line) + b"\n" for line in drawn.tolist()], object)
    while True:
        yield b"".join(lines[random.integers(LINES, size=100_000)].tolist())


def size_of(text: str) -> int:
    """Bytes: `200M` is 200 million."""
    return int(float(text.rstrip("KMG")) * UNITS.get(text[-1], 1))


if __name__ == "__main__":
    main()
