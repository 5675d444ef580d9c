"""
How well models predict that learn from what they read, beside those that stay as trained and compressors.

    python -m benchmarks.adapting ../shared/data/tinyshakespeare.txt python-docs --presets quick,good
    python -m benchmarks.adapting text.txt --quick                     # a smoke test

Each preset trains on the first nine tenths of a text, and `lmgen perplexity RUN --mix --adapt` scores the
last tenth: every character is predicted before anything is learned from it. Training has a budget of time,
which buys fewer updates on a slow day, so the updates are given; --plain-loop adds what the loop of
defaults.py over torch's own LSTM reaches in the same time. Seconds are those of the command that gives the
row, the start of Python included: `lmgen perplexity --mix` for what stays as trained, `--mix --adapt` for
the rest. A compressor's figure is what the last tenth adds to the archive of the text. PPMd needs the
package pyppmd.
"""

import argparse
import math
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

import lmgen
from benchmarks.cells import processor
from benchmarks.compressors import COMPRESSORS
from benchmarks.defaults import TIMED_PRESETS, lmgen_rows, plain_loop
from lmgen.runs.presets import PRESETS

TEXT = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"

QUICK = ["--steps", "3", "--hidden-size", "8"]


@dataclass(frozen=True)
class Measured:
    """A figure and what it took."""

    nats: float
    """Per character of the last tenth."""
    seconds: float


@dataclass(frozen=True)
class Trained:
    """One run."""

    updates: int
    rows: dict[str, Measured]
    """By the name of the model."""
    train: str
    valid: str
    """The texts."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", default=[str(TEXT), "python-docs"], help="files or corpus names")
    parser.add_argument("--presets", default="quick", help=f"of {','.join(TIMED_PRESETS)} (default: quick)")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on (default: 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--plain-loop", action="store_true", help="train torch's own LSTM as long, too")
    parser.add_argument("--quick", action="store_true", help="a few updates, to see that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # of the commands
    print(f"{processor()}, {arguments.threads} threads, Python {platform.python_version()}")
    for corpus in arguments.corpus:
        print(f"\n## {Path(corpus).stem}, nats per character of the last tenth\n")
        print("| trained | predictor | nats | seconds |\n| --- | --- | --- | --- |")
        compressed = False
        for preset in arguments.presets.split(","):
            runs = []
            for seed in range(1, 2 if arguments.quick else arguments.seeds + 1):
                runs.append(trained(corpus, preset, seed, arguments))
                if not compressed:
                    print_compressors(runs[0].train, runs[0].valid)
                    compressed = True
            updates = [run.updates for run in runs]
            budget = f"{preset}, {spread(updates, ',.0f')} updates"
            for name in runs[0].rows:
                nats = spread([run.rows[name].nats for run in runs], ".3f")
                seconds = median(run.rows[name].seconds for run in runs)
                print(f"| {budget} | {name} | {nats} | {seconds:.1f} |", flush=True)


def trained(corpus: str, preset: str, seed: int, arguments: argparse.Namespace) -> Trained:
    """Train with a preset, and score."""
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        flags = ["--preset", preset, "--seed", seed, "--threads", arguments.threads]
        flags += QUICK if arguments.quick else []
        updates = lmgen_rows("train", corpus, "--out", run, *flags)[-1]["steps"]
        rows: dict[str, Measured] = {}
        for adapt in ([], ["--adapt"]):
            begun = perf_counter()
            scores = lmgen_rows("perplexity", run, "--mix", *adapt)
            seconds = perf_counter() - begun
            for score in scores:
                rows.setdefault(score["model"], Measured(per_character(score), seconds))
        if arguments.plain_loop:
            budget = 1 if arguments.quick else 60 * PRESETS[preset]["minutes"]
            rows["plain loop"] = Measured(plain_loop(run, budget).nats, budget)
        tokenizer = lmgen.load(run).tokenizer
        train, valid = (
            tokenizer.decode(np.load(run / "data" / f"{part}.npy")) for part in ("train", "valid")
        )
        return Trained(updates, rows, train, valid)


def per_character(score: dict[str, Any]) -> float:
    return float(score["nats"]) / int(score["characters"])


def print_compressors(train: str, valid: str) -> None:
    before, whole = train.encode(), (train + valid).encode()
    for name, size in COMPRESSORS.items():
        begun = perf_counter()
        bytes_of_whole = size(whole)
        seconds = perf_counter() - begun
        nats = (bytes_of_whole - size(before)) * 8 * math.log(2) / len(valid)
        print(f"| | {name} | {nats:.3f} | {seconds:.1f} |", flush=True)


def spread(values: Sequence[float], form: str) -> str:
    """Median and range; one number where all are alike."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{format(median(values), form)} ({low}-{high})"


if __name__ == "__main__":
    main()
