"""
What `lmgen train --minutes N` reaches, beside plain loops over torch's own LSTM in the same time.

    python -m benchmarks.defaults                                   # python-docs, a minute, three seeds
    python -m benchmarks.defaults --minutes 1,4,15 input.txt        # any text: 90% train, 10% validate
    python -m benchmarks.defaults --tokenizer word --valid valid.txt train.txt
    python -m benchmarks.defaults --points points.jsonl input.txt   # stopped, it goes on where it was

A plain loop is what one would write by hand: embedding (64), `torch.nn.LSTM`, linear, AdamW at 8e-3 for 256
units and less for more, cosine over the time, clipping at 1, 16 streams of 64 steps, state carried, on the
same tokens. All run alone, one after the other, on the same number of threads, and are scored on the
validation text as one stream. lmgen is compared with the best of the plain loops, by the medians of seeds.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.cells import processor
from lmgen.runs.presets import PRESETS

STREAMS, WINDOW, EMBEDDING, HIGHEST_RATE = 16, 64, 64, 8e-3

TIMED_PRESETS = [name for name, preset in PRESETS.items() if "minutes" in preset]

SCORED_AT_ONCE = 500
"""Tokens of the validation text; for large vocabularies all scores of more would not fit into memory."""


@dataclass(frozen=True)
class Reached:
    """Nats per token on the validation text, and what they cost."""

    nats: float
    tokens_per_second: float


@dataclass(frozen=True)
class Point:
    """One seed of one text and time: lmgen, and plain loops in turn with it."""

    text: str
    """The whole path of a file, or the name of a corpus."""
    valid: str | None
    tokenizer: str
    minutes: float
    seed: int
    threads: int
    chosen: str
    """The network that lmgen chose."""
    lmgen: Reached
    ngram: float
    mixture: float
    plain: dict[str, Reached]
    """By the number of units."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", default=["python-docs"], help="files or corpus names")
    parser.add_argument("--minutes", default="1", help="separated by commas (default: 1)")
    parser.add_argument("--units", default="256,384,512", help="of the plain loops")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on (default: 3)")
    parser.add_argument("--tokenizer", default="char")
    parser.add_argument("--valid", help="validation text, instead of the last tenth")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--points", type=Path, help="file of results, JSON lines; what it has is not run again"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{processor()}, {arguments.threads} threads, torch {torch.__version__}")
    print(f"Nats per token ({arguments.tokenizer}) of held-out text, median and range.\n")
    names = " | ".join(f"plain 1 x {units}" for units in arguments.units.split(","))
    print(f"| text | minutes | lmgen | {names} | lmgen - best plain | n-gram | mixture |")
    print(f"| --- | --- | --- |{' --- |' * len(arguments.units.split(','))} --- | --- | --- |")
    for corpus in arguments.corpus:
        for minutes in map(float, arguments.minutes.split(",")):
            print(row(list(points(corpus, minutes, arguments))), flush=True)


def points(corpus: str, minutes: float, arguments: argparse.Namespace) -> Iterator[Point]:
    """One for each seed, those that are known and those that are measured now."""
    known = (
        arguments.points.read_text().splitlines() if arguments.points and arguments.points.exists() else []
    )
    units = arguments.units.split(",")
    for seed in range(1, arguments.seeds + 1):
        wanted = {
            "text": whole_path(corpus),
            "valid": arguments.valid and whole_path(arguments.valid),
            "tokenizer": arguments.tokenizer,
            "minutes": minutes,
            "seed": seed,
            "threads": arguments.threads,
        }
        found = [json.loads(line) for line in known]
        found = [point for point in found if wanted.items() <= point.items() and [*point["plain"]] == units]
        if found:
            yield read(found[-1])
            continue
        point = measured(corpus, minutes, seed, arguments)
        if arguments.points:
            with arguments.points.open("a") as file:
                file.write(json.dumps(asdict(point)) + "\n")
        yield point


def whole_path(text: str) -> str:
    """The path of a file from the root on; the name of a corpus as it is."""
    return str(Path(text).resolve()) if Path(text).exists() else text


def measured(corpus: str, minutes: float, seed: int, arguments: argparse.Namespace) -> Point:
    """Train by the command, then by plain loops on the tokens of its run."""
    flags = ["--minutes", f"{minutes:g}", "--tokenizer", arguments.tokenizer, "--seed", str(seed)]
    flags += ["--threads", str(arguments.threads)]
    flags += ["--valid", arguments.valid] if arguments.valid else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        ours = lmgen("train", corpus, "--out", folder, *flags)
        mixed = lmgen("perplexity", folder, "--mix")
        chosen = lmgen("info", folder)["network"]
        plain = {
            units: plain_loop(folder, 60 * minutes, int(units), seed) for units in arguments.units.split(",")
        }
    return Point(
        whole_path(corpus),
        arguments.valid and whole_path(arguments.valid),
        arguments.tokenizer,
        minutes,
        seed,
        arguments.threads,
        in_words(chosen),
        Reached(ours["valid_nats_per_token"], ours["tokens_per_second"]),
        math.log(ours["baseline"]["valid_perplexity"]),
        mixed["nats_per_token"],
        plain,
    )


def in_words(network: dict[str, Any]) -> str:
    """The size of a network, and how it is regularised: `1 x 384, dropout 0.2`."""
    words = f"{network['layers']} x {network['hidden_size']}"
    if network["variational"]:
        return f"{words}, variational"
    return f"{words}, dropout {network['dropout']:g}" if network["dropout"] else words


def read(found: dict[str, Any]) -> Point:
    """A point as it was written."""
    plain = {units: Reached(**reached) for units, reached in found["plain"].items()}
    return Point(**{**found, "lmgen": Reached(**found["lmgen"]), "plain": plain})


def row(found: list[Point]) -> str:
    """A line of the table."""
    ours = [point.lmgen.nats for point in found]
    plain = {units: [point.plain[units].nats for point in found] for units in found[0].plain}
    difference = median(ours) - min(map(median, plain.values()))
    of_plain = " | ".join(map(in_short, plain.values()))
    sizes = "; ".join(sorted({point.chosen for point in found}))
    return (
        f"| {Path(found[0].text).stem} | {found[0].minutes:g} | {in_short(ours)}, {sizes} | {of_plain} "
        f"| {difference:+.3f} | {found[0].ngram:.3f} | {in_short([point.mixture for point in found])} |"
    )


def in_short(values: list[float]) -> str:
    """The median, and the range of several values."""
    spread = f" ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else ""
    return f"{median(values):.3f}{spread}"


def lmgen(command: str, *arguments: Any) -> dict[str, Any]:
    """The last thing that a command says."""
    return lmgen_rows(command, *arguments)[-1]


def lmgen_rows(command: str, *arguments: Any) -> list[dict[str, Any]]:
    """All JSON objects that a command prints."""
    line = [sys.executable, "-m", "lmgen", command, *map(str, arguments), "--json", "--quiet"]
    result = subprocess.run(line, capture_output=True, text=True, check=True)
    return [json.loads(row) for row in result.stdout.splitlines()]


def plain_loop(folder: Path, seconds: float, units: int = 256, seed: int = 1) -> Reached:
    """Train on the tokens of a run."""
    torch.manual_seed(seed)
    x, held_out = (
        torch.from_numpy(np.load(folder / "data" / f"{part}.npy").astype(np.int64))
        for part in ("train", "valid")
    )
    size = int(max(x.max(), held_out.max())) + 1
    embedding, lstm = nn.Embedding(size, EMBEDDING), nn.LSTM(EMBEDDING, units)
    output = nn.Linear(units, size)
    parameters = [*embedding.parameters(), *lstm.parameters(), *output.parameters()]
    highest_rate = HIGHEST_RATE * 256 / units
    optimizer = torch.optim.AdamW(parameters, lr=highest_rate, betas=(0.9, 0.99), fused=True)
    length = (len(x) - 1) // STREAMS
    inputs = x[: length * STREAMS].view(STREAMS, length).t()
    targets = x[1 : length * STREAMS + 1].view(STREAMS, length).t()
    state, position, steps, begun = None, 0, 0, perf_counter()
    while (spent := (perf_counter() - begun) / seconds) < 1:
        if position + WINDOW > length:
            state, position = None, 0
        rate = 0.5 * (1 + math.cos(math.pi * spent)) * min(1.0, (steps + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = highest_rate * rate
        window = slice(position, position + WINDOW)
        hidden, state = lstm(embedding(inputs[window]), state)
        state = tuple(part.detach() for part in state)
        loss = functional.cross_entropy(output(hidden).flatten(0, 1), targets[window].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        position += WINDOW
        steps += 1
    nats = scored(embedding, lstm, output, held_out)
    return Reached(nats, steps * STREAMS * WINDOW / seconds)


@torch.inference_mode()
def scored(embedding: nn.Embedding, lstm: nn.LSTM, output: nn.Linear, ids: Tensor) -> float:
    """Nats per token of a text as one stream, after its first token."""
    total, state = 0.0, None
    for first in range(0, len(ids) - 1, SCORED_AT_ONCE):
        targets = ids[first + 1 : first + 1 + SCORED_AT_ONCE]
        hidden, state = lstm(embedding(ids[first : first + len(targets), None]), state)
        total += functional.cross_entropy(output(hidden)[:, 0], targets, reduction="sum").item()
    return total / (len(ids) - 1)


if __name__ == "__main__":
    main()
