"""
How long a command takes to start, beside `import torch`. Whole processes, from the start of Python on.

    python benchmarks/startup.py
    python benchmarks/startup.py --rounds 31
    python benchmarks/startup.py --train book.txt --rounds 5

Each round runs every command once, `python -c "import torch"` first; printed are medians over the rounds, and
medians of the ratios within a round. A command is timed until it has ended, `sample` until a character has
come: on a terminal the first one that is generated, the prompt being echoed before it; through a pipe, which
is written to in blocks, the first of all. The model is a 2 x 256 LSTM over 65 characters with random weights.

With --train, what is timed is `lmgen train book.txt --minutes 1`, from the end of its `import torch` to the
line that comes before the first update, and to the lines before that; then it is ended. Beside the seconds
of the clock stand those that its processes had of a processor, which tell what a busy machine adds.
"""

import argparse
import os
import platform
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from lmgen.models.model_file import save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.characters import CharacterTokenizer

LMGEN = [sys.executable, "-c", "from lmgen.__main__ import main; main()"]
"""What the installed command does."""

REFERENCE = 'python -c "import torch"'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--train", type=Path, metavar="FILE", help="a text to begin to train on")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    print(f"{platform.machine()}, {os.cpu_count()} processors, numpy {np.__version__}, {rounds} rounds\n")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.train is not None:
            print_beginnings(arguments.train.absolute(), Path(folder), rounds)
            return
        timers = commands(Path(folder))
        for timed in timers.values():
            timed()  # once for the caches of the disk and of Python
        seconds: dict[str, list[float]] = {name: [] for name in timers}
        for _ in range(rounds):
            for name, timed in timers.items():
                seconds[name].append(timed())
    print(f"| command | milliseconds | x `{REFERENCE}` |\n| --- | --- | --- |")
    for name, each in seconds.items():
        ratio = median(own / torch for own, torch in zip(each, seconds[REFERENCE], strict=True))
        print(f"| `{name}` | {1000 * median(each):.0f} | {ratio:.3f} |")


def commands(folder: Path) -> dict[str, Callable[[], float]]:
    """A function for each row that runs its command once and returns the seconds that it took."""
    model, line = save_random_model(folder / "model.safetensors"), folder / "line.txt"
    line.write_text("IT WAS A BRIGHT COLD DAY IN APRIL\n", encoding="utf-8")
    sample = [*LMGEN, "sample", model, "--prompt", "X"]
    return {
        REFERENCE: partial(whole, [sys.executable, "-c", "import torch"]),
        'python -c "import numpy"': partial(whole, [sys.executable, "-c", "import numpy"]),
        'python -c "import typer"': partial(whole, [sys.executable, "-c", "import typer"]),
        'python -c ""': partial(whole, [sys.executable, "-c", ""]),
        "lmgen --version": partial(whole, [*LMGEN, "--version"]),
        "lmgen --help": partial(whole, [*LMGEN, "--help"]),
        "lmgen sample MODEL --prompt X (terminal)": partial(first_generated, sample),
        "lmgen sample MODEL --prompt X (pipe)": partial(first_byte, sample),
        "lmgen next MODEL IT": partial(whole, [*LMGEN, "next", model, "IT"]),
        "lmgen info MODEL": partial(whole, [*LMGEN, "info", model]),
        "lmgen perplexity MODEL line.txt": partial(whole, [*LMGEN, "perplexity", model, str(line)]),
    }


def whole(command: list[str]) -> float:
    """Until the process has ended."""
    begun = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return perf_counter() - begun


def first_byte(command: list[str]) -> float:
    """Until something comes through a pipe."""
    begun = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout
        process.stdout.read(1)
        seconds = perf_counter() - begun
        process.kill()
    return seconds


def first_generated(command: list[str]) -> float:
    """Until a terminal shows the second character: the first is the prompt."""
    terminal, end = pty.openpty()
    begun = perf_counter()
    with subprocess.Popen(command, stdout=end) as process:
        shown = b""
        while len(shown) < 2:
            shown += os.read(terminal, 1)
        seconds = perf_counter() - begun
        process.kill()
    os.close(terminal)
    os.close(end)
    return seconds


TRAIN = """
import builtins, sys

imported, importing = builtins.__import__, []

def traced(name, *rest):
    importing.append(name)
    try:
        return imported(name, *rest)
    finally:
        importing.pop()
        if name.startswith("torch") and not any(other.startswith("torch") for other in importing):
            builtins.__import__ = imported
            print("torch", file=sys.stderr, flush=True)

builtins.__import__ = traced
from lmgen.__main__ import main
main()
"""
"""The command, which says when torch is imported."""

BEFORE_THE_FIRST_UPDATE = {
    "corpus": "text prepared",
    "threads": "threads chosen",
    "chosen": "sizes chosen",
    "network": "first update",
}
"""What is done when a line comes that begins like that."""


def print_beginnings(text: Path, folder: Path, rounds: int) -> None:
    """Print a row for each thing that is done before the first update, in a new folder and once more."""
    print(f"| lmgen train {text.name} --minutes 1 | seconds | of a processor |\n| --- | ---: | ---: |")
    found_first, found_second = [], []
    for number in range(rounds):
        found_first.append(beginning(text, folder / str(number)))
        found_second.append(beginning(text, folder / str(number)))
    for kind, found in (("first start", found_first), ("second start", found_second)):
        for line, done in BEFORE_THE_FIRST_UPDATE.items():
            times = [times[line] for times in found if line in times]
            if times:
                clock, processor = (median(values) for values in zip(*times, strict=True))
                print(f"| {kind}: {done} | {clock:.2f} | {processor:.2f} |", flush=True)


def beginning(text: Path, run: Path) -> dict[str, tuple[float, float]]:
    """Seconds from the end of `import torch` to the first words of lines, by the clock and of a processor."""
    command = [sys.executable, "-c", TRAIN, "train", str(text), "--minutes", "1", "--out", str(run)]
    times = {}
    begun = (0.0, 0.0)
    with subprocess.Popen([*command, "--overwrite"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            first, now = line.partition(" ")[0].strip(), (perf_counter(), processor_seconds(process.pid))
            if first == "torch":
                begun = now
            times[first] = (now[0] - begun[0], now[1] - begun[1])
            if first == "network":
                break
        process.kill()
    return times


def processor_seconds(process: int) -> float:
    """What a process and those that it has waited for had of a processor so far."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    return sum(map(int, re.sub(r".*\)", "", stat).split()[11:15])) / os.sysconf("SC_CLK_TCK")


def save_random_model(path: Path) -> str:
    """Write a 2 x 256 LSTM over 65 characters."""
    tokenizer = CharacterTokenizer("\n" + "".join(map(chr, range(32, 95))))
    config = NetworkConfig(layers=2, hidden_size=256)
    parameters = initial_parameters(config, tokenizer.vocabulary_size, tokenizer.unknown, seed=1)
    save_model(
        path, RecurrentModel(config, tokenizer.vocabulary_size, tokenizer.start, parameters), tokenizer
    )
    return str(path)


if __name__ == "__main__":
    main()
