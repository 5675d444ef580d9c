"""
What `lmgen train` reaches with its defaults, as median and range over seeds; a Markdown table.

    python benchmarks/seeds.py                            # python-docs, seeds 1, 2 and 3
    python benchmarks/seeds.py python-docs input.txt --seeds 5 --threads 2

The budget is the default one, 10 epochs, so the figures do not depend on the speed of the machine. Nats per
character of the held-out last tenth: the n-gram baseline, the network, and the mixture of both.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", default=["python-docs"], help="files or corpus names")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    print(f"{platform.machine()}, {arguments.threads} threads, Python {platform.python_version()}\n")
    print("| text | n-gram of order 7 | network | mixture of both |\n| --- | --- | --- | --- |")
    for corpus in arguments.corpus:
        reached = [nats(corpus, seed, arguments.threads) for seed in seeds]
        cells = [spread(model) for model in zip(*reached, strict=True)]
        print(f"| {Path(corpus).name} | {' | '.join(cells)} |", flush=True)


def nats(corpus: str, seed: int, threads: int) -> tuple[float, float, float]:
    """Nats per character of the n-gram model, the network and their mixture."""
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        summary = lmgen("train", corpus, "--out", run, "--seed", seed, "--threads", threads)
        mixture = lmgen("perplexity", run, "--mix")
    ngram = math.log(summary["baseline"]["valid_perplexity"])
    return ngram, summary["valid_nats_per_token"], mixture["nats_per_token"]


def lmgen(command: str, *arguments: Any) -> dict[str, Any]:
    """The last JSON object that a command prints."""
    line = [sys.executable, "-m", "lmgen", command, *map(str, arguments), "--json", "--quiet"]
    result = subprocess.run(line, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def spread(values: Sequence[float]) -> str:
    """Median and range; one number where all are alike."""
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{median(values):.3f} ({low}-{high})"


if __name__ == "__main__":
    main()
