"""
What `lmgen train` reaches in a given time, beside a plain loop over torch's own LSTM in the same time.

    python benchmarks/defaults.py                             # python-docs, a minute of the defaults
    python benchmarks/defaults.py --preset good input.txt     # any text: 90% train, 10% validate
    python benchmarks/defaults.py --tokenizer word --valid valid.txt train.txt

The plain loop is what one would write by hand: embedding (64), `torch.nn.LSTM` (256), linear, AdamW at 8e-3,
cosine over the time, clipping at 1, 16 streams of 64 steps, state carried, on the same tokens. Both run alone
one after the other, on the same number of threads, and are scored on the validation text as one stream.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.runs.presets import PRESETS

STREAMS, WINDOW, EMBEDDING, HIDDEN, HIGHEST_RATE = 16, 64, 64, 256, 8e-3

TIMED_PRESETS = [name for name, preset in PRESETS.items() if "minutes" in preset]

SCORED_AT_ONCE = 500
"""Tokens of the validation text; for large vocabularies all scores of more would not fit into memory."""


@dataclass(frozen=True)
class Reached:
    """Nats per token on the validation text, and what they cost."""

    nats: float
    tokens_per_second: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", default=["python-docs"], help="files or corpus names")
    parser.add_argument("--preset", choices=TIMED_PRESETS, default="quick")
    parser.add_argument("--minutes", type=float, help="instead of the preset's")
    parser.add_argument("--tokenizer", default="char")
    parser.add_argument("--valid", help="validation text, instead of the last tenth")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    minutes = arguments.minutes or PRESETS[arguments.preset]["minutes"]
    flags = ["--preset", arguments.preset, "--minutes", f"{minutes:g}", "--tokenizer", arguments.tokenizer]
    flags += ["--threads", str(arguments.threads)]
    flags += ["--valid", arguments.valid] if arguments.valid else []
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    print(
        f"{arguments.preset}, {minutes:g} minutes; nats per token ({arguments.tokenizer}) of held-out text\n"
    )
    columns = f"{'text':<24}{'lmgen':>8}{'plain loop':>12}{'n-gram':>8}{'mixture':>9}"
    print(f"{columns}{'tokens/s, lmgen : plain':>26}")
    for corpus in arguments.corpus:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "run"
            ours = lmgen("train", corpus, "--out", folder, *flags)
            mixed = lmgen("perplexity", folder, "--mix")
            plain = plain_loop(folder, 60 * minutes)
        ngram = math.log(ours["baseline"]["valid_perplexity"])
        ratio = (
            f"{ours['tokens_per_second']:,.0f} ({ours['tokens_per_second'] / plain.tokens_per_second:.2f})"
        )
        print(
            f"{Path(corpus).name:<24}{ours['valid_nats_per_token']:>8.4f}{plain.nats:>12.4f}{ngram:>8.4f}"
            f"{mixed['nats_per_token']:>9.4f}{ratio:>26}",
            flush=True,
        )


def lmgen(command: str, *arguments: Any) -> dict[str, Any]:
    """The last thing that a command says."""
    return lmgen_rows(command, *arguments)[-1]


def lmgen_rows(command: str, *arguments: Any) -> list[dict[str, Any]]:
    """All JSON objects that a command prints."""
    line = [sys.executable, "-m", "lmgen", command, *map(str, arguments), "--json", "--quiet"]
    result = subprocess.run(line, capture_output=True, text=True, check=True)
    return [json.loads(row) for row in result.stdout.splitlines()]


def plain_loop(folder: Path, seconds: float) -> Reached:
    """Train on the tokens of a run."""
    torch.manual_seed(0)
    x, held_out = (
        torch.from_numpy(np.load(folder / "data" / f"{part}.npy").astype(np.int64))
        for part in ("train", "valid")
    )
    size = int(max(x.max(), held_out.max())) + 1
    embedding, lstm = nn.Embedding(size, EMBEDDING), nn.LSTM(EMBEDDING, HIDDEN)
    output = nn.Linear(HIDDEN, size)
    parameters = [*embedding.parameters(), *lstm.parameters(), *output.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=HIGHEST_RATE, betas=(0.9, 0.99), fused=True)
    length = (len(x) - 1) // STREAMS
    inputs = x[: length * STREAMS].view(STREAMS, length).t()
    targets = x[1 : length * STREAMS + 1].view(STREAMS, length).t()
    state, position, steps, begun = None, 0, 0, perf_counter()
    while (spent := (perf_counter() - begun) / seconds) < 1:
        if position + WINDOW > length:
            state, position = None, 0
        rate = 0.5 * (1 + math.cos(math.pi * spent)) * min(1.0, (steps + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = HIGHEST_RATE * rate
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
