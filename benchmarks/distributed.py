"""
Several processes that train one model, beside one: tokens a second, and what they send each other.

    python -m benchmarks.distributed                          # 1 and 2 processes of one thread, batch 64
    python -m benchmarks.distributed --processes 4 --rounds 5

Each row is a training on python-docs as torchrun starts it, one thread a process; where the system can do
it, process n keeps to processor n. Speeds are those of the median update after the first quarter, by the
clock on the wall: the sample that a run writes after each of its quarters would weigh much in so short a
one. Ratios are medians of those within a round: by that clock, and by the processor time that process 0
took instead, which is what it comes to where others use the processors as well, less what processes wait
for each other. Bytes are what goes over the loopback device in an update, all processes together, counted
by the system, so nothing else may use it. Of P processes each sends 2 (P - 1) / P times 4 bytes for each
parameter.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch

import lmgen
from lmgen.runs.events import Event, Started
from lmgen.training.events import Stepped

COUNTERS = Path("/proc/net/dev")

ONLY_UPDATES = {"evaluations": 1, "evaluation_tokens": 1000, "checkpoint_minutes": 1000, "baseline_order": 0}
"""Settings with which nothing but updates happens until the end."""


class Measured(NamedTuple):
    """What the updates of a run came to."""

    tokens_per_second: float
    tokens_per_processor_second: float
    bytes_per_update: float
    parameters: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["1x512", "2x650"], help="layers x hidden units")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--window-length", type=int, default=64)
    parser.add_argument("--updates", type=int, default=16, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # what each process of a training is given
    arguments = parser.parse_args()
    if arguments.measure:
        measure(json.loads(arguments.measure))
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}, batch "
        f"{arguments.batch_size}, {arguments.rounds} rounds of {arguments.updates} updates\n"
    )
    print(
        f"| network | parameters | 1 process | {arguments.processes} processes | ratio | "
        "by processor time | bytes an update |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for size in arguments.sizes:
        layers, _, units = size.partition("x")
        settings = {
            "layers": int(layers),
            "hidden_size": int(units),
            "batch_size": arguments.batch_size,
            "window_length": arguments.window_length,
            "steps": arguments.updates,
        }
        rounds = [
            (trained(1, settings), trained(arguments.processes, settings)) for _ in range(arguments.rounds)
        ]
        one, several = zip(*rounds, strict=True)
        by_clock = median(many.tokens_per_second / alone.tokens_per_second for alone, many in rounds)
        by_processor = median(
            many.tokens_per_processor_second / alone.tokens_per_processor_second for alone, many in rounds
        )
        print(
            f"| {size} | {one[0].parameters:,} | {median(each.tokens_per_second for each in one):,.0f} | "
            f"{median(each.tokens_per_second for each in several):,.0f} | {by_clock:.2f} | "
            f"{by_processor:.2f} | {median(each.bytes_per_update for each in several):,.0f} |",
            flush=True,
        )


def trained(processes: int, settings: dict[str, Any]) -> Measured:
    """Train in so many processes, and measure."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        asked = json.dumps({"out": str(Path(folder) / "run"), **ONLY_UPDATES, **settings})
        command = [sys.executable, *launcher, "-m", "benchmarks.distributed", "--measure", asked]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stderr)
    return Measured(*json.loads(ended.stdout))


def measure(settings: dict[str, Any]) -> None:
    """Train in this process, alone or with others; the first prints a `Measured`."""
    rank = int(os.environ["RANK"])
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, [processors[rank % len(processors)]])
    seen: list[tuple[float, float, int]] = []
    parameters = 0

    def note(event: Event) -> None:
        nonlocal parameters
        if isinstance(event, Started):
            parameters = event.parameters
        elif isinstance(event, Stepped):
            seen.append((perf_counter(), process_time(), loopback_bytes()))

    lmgen.train("python-docs", on_event=note, **settings)
    if rank == 0:
        kept = seen[len(seen) // 4 :]
        updates = [[after - before for before, after in zip(*both, strict=True)] for both in pairwise(kept)]
        seconds, processor_seconds, sent = map(median, zip(*updates, strict=True))
        tokens = settings["batch_size"] * settings["window_length"]
        found = Measured(tokens / seconds, tokens / processor_seconds, sent, parameters)
        print(json.dumps(found))


def loopback_bytes() -> int:
    """How many bytes have come over the loopback device since the system started; 0 if it does not tell."""
    if not COUNTERS.exists():
        return 0
    [line] = [line for line in COUNTERS.read_text("utf-8").splitlines() if line.strip().startswith("lo:")]
    return int(line.split()[1])


if __name__ == "__main__":
    main()
