"""
How long n-gram models of texts beyond memory take, and how much memory, beside KenLM's lmplz if it is there.

    python benchmarks/ngram_on_disk.py 3e6 1e7 1e8 [--memory 2G] [--lmplz PATH] [--same] [--folder FOLDER]

For each number of tokens a text is generated: each word is one of a few favourites of the two words before
it, or any by Zipf's law, so that the number of distinct n-grams grows about as it does in English. `lmgen
ngram` runs as a process of its own: tokenizing, fitting and saving are all in its figures, as the start of
Python is in those of the process that opens the model and scores a line. --same also fits in memory and
compares the two files, which have to be the same byte for byte.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.ngram import machine

ORDER = 5
VOCABULARY = 50_000
STREAMS = 4_096
"""Texts that are generated side by side; one after another they are the text."""

SHARE_OF_FAVOURITES = 0.6

USE = "import sys, lmgen; lmgen.load(sys.argv[1]).score('w1 w2 w3 w4 w5 w6 w7')"
"""Opens a model and scores a line."""


@dataclass(frozen=True)
class Measurement:
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tokens", nargs="+", type=float)
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--lmplz", help="the program of KenLM")
    parser.add_argument("--same", action="store_true", help="compare with a model fitted in memory")
    parser.add_argument("--folder", help="where to make the files")
    given = parser.parse_args()
    print(f"{machine()}; order {ORDER}, --memory {given.memory}\n")
    print(f"{'tokens':>12}  {'':20}{'s':>9}{'CPU s':>9}{'CPU us/token':>14}{'peak MB':>9}")
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        for tokens in map(int, given.tokens):
            text = folder / "text.txt"
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                pool.submit(write_text, text, tokens).result()  # its memory would count as that of others
            on_disk, in_memory = folder / "disk.safetensors", folder / "memory.safetensors"
            show(tokens, "lmgen", run(lmgen(text, on_disk, given.memory)))
            if given.same:
                show(tokens, "lmgen in memory", run(lmgen(text, in_memory, "1000G")))
                if on_disk.read_bytes() != in_memory.read_bytes():
                    sys.exit("the two files differ")
                in_memory.unlink()
            show(tokens, "load and score", run([sys.executable, "-c", USE, str(on_disk)]))
            print(f"{tokens:12,}  {'the file':20}{on_disk.stat().st_size / 1e6:9,.0f} MB")
            on_disk.unlink()
            if given.lmplz:
                command = [
                    given.lmplz,
                    "-o",
                    str(ORDER),
                    "-S",
                    given.memory,
                    "-T",
                    f"{folder}/",
                    "--discount_fallback",
                ]
                show(
                    tokens,
                    "lmplz",
                    run([*command, "--text", str(text), "--arpa", str(folder / "model.arpa")]),
                )
                (folder / "model.arpa").unlink()


def lmgen(text: Path, out: Path, memory: str) -> list[str]:
    """The command."""
    flags = ["--tokenizer", "word", "--order", str(ORDER), "--memory", memory, "--out", str(out), "--quiet"]
    return [sys.executable, "-m", "lmgen", "ngram", str(text), *flags]


def run(command: Sequence[str]) -> Measurement:
    """Run a process to its end; its output is not shown unless it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = os.posix_spawnp(
            command[0],
            list(command),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), number) for number in (1, 2)],
        )
        _, status, used = os.wait4(process, 0)
        if status:
            output.seek(0)
            sys.exit(output.read().decode(errors="replace"))
    return Measurement(
        time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6
    )


def show(tokens: int, name: str, measured: Measurement) -> None:
    """Print a row."""
    print(
        f"{tokens:12,}  {name:20}{measured.seconds:9.1f}{measured.cpu_seconds:9.1f}"
        f"{measured.cpu_seconds / tokens * 1e6:14.2f}{measured.peak_megabytes:9,.0f}",
        flush=True,
    )


def write_text(path: Path, tokens: int) -> None:
    """Write so many words, in lines of 5 to 44."""
    names = np.array([f"w{number}" for number in range(VOCABULARY)], dtype=object)
    random = np.random.default_rng(1)
    with path.open("w", encoding="utf-8") as file:
        for block in words(tokens):
            ends = np.cumsum(random.integers(5, 45, len(block) // 5 + 1))
            lines = np.split(names[block], ends[ends < len(block)])
            file.writelines(" ".join(line) + "\n" for line in lines)


def words(tokens: int) -> Iterator[npt.NDArray[np.uint16]]:
    """Generate so many words, a block at a time."""
    random = np.random.default_rng(0)
    shares = 1 / np.arange(1, VOCABULARY + 1) ** 1.05
    below = np.cumsum(shares / shares.sum())
    left = tokens
    while left > 0:
        steps = min(-(-left // STREAMS), 256)
        block = np.empty((steps, STREAMS), np.uint16)
        last = before = random.integers(0, VOCABULARY, STREAMS)
        for step in range(steps):
            favourite = np.minimum(random.geometric(0.25, STREAMS), 40)
            mixed = last * 2_654_435_761 + favourite * 40_503 + before * 97 % 7_919 * 65_537
            place = np.where(
                random.random(STREAMS) < SHARE_OF_FAVOURITES,
                mixed % 1_000_003 / 1_000_003,
                random.random(STREAMS),
            )
            before, last = last, np.minimum(np.searchsorted(below, place), VOCABULARY - 1)
            block[step] = last
        yield block.T.reshape(-1)[:left]
        left -= block.size


if __name__ == "__main__":
    main()
