"""
What normalisation does to learning: nats per character after as many updates, median and range over seeds.

    python benchmarks/normalization.py                          # python-docs, 400 updates, 3 seeds
    python benchmarks/normalization.py input.txt --steps 2000 --seeds 5 --hidden-size 256

Each row is a network with other layers. The budget is in updates, over which the learning rate falls to 0, so
the figures do not depend on the speed of the machine.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from lmgen.models.network.config import NORMALIZATIONS

NETWORKS = {
    "lstm 1": ("--layers", "1"),
    "lstm 2": ("--layers", "2"),
    "lstm 2, dropout 0.2": ("--layers", "2", "--dropout", "0.2"),
    "gru 2": ("--cell", "gru", "--layers", "2"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", default="python-docs", help="file or corpus name")
    parser.add_argument("--steps", type=int, default=400, help="updates")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on")
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    chosen = parser.parse_args()
    print(f"{Path(chosen.corpus).name}, {chosen.steps} updates, {chosen.hidden_size} units, one thread,")
    print(f"{chosen.seeds} seeds; Python {platform.python_version()}\n")
    print("| network | normalization | nats per character |\n| --- | --- | --- |")
    for network in chosen.networks:
        for normalization in NORMALIZATIONS:
            flags = [*NETWORKS[network], "--normalization", normalization, "--steps", str(chosen.steps)]
            flags += ["--hidden-size", str(chosen.hidden_size)]
            nats = [trained(chosen.corpus, flags, seed) for seed in range(1, chosen.seeds + 1)]
            print(f"| {network} | {normalization} | {spread(nats)} |", flush=True)


def trained(corpus: str, flags: Sequence[str], seed: int) -> float:
    """Train a network; nats per character of the held-out text."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "lmgen", "train", corpus, *flags, "--seed", str(seed)]
        line += ["--out", str(Path(folder) / "run"), "--threads", "1", "--baseline-order", "0"]
        line += ["--evaluations", "1", "--json", "--quiet"]
        result = subprocess.run(line, capture_output=True, text=True, check=True)
    return float(json.loads(result.stdout.splitlines()[-1])["valid_nats_per_token"])


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


if __name__ == "__main__":
    main()
