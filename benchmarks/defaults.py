"""
What `lmgen train` reaches by default in a minute, beside a plain loop over torch's own LSTM in the same time.

    python benchmarks/defaults.py                        # python-docs
    python benchmarks/defaults.py --minutes 1 input.txt  # any text: 90% train, 10% validate

The plain loop is what one would write by hand: embedding (64), `torch.nn.LSTM` (256), linear, AdamW at 8e-3,
cosine over the time, clipping at 1, 16 streams of 64 steps, state carried. Both run alone, one after the
other, on the same number of threads; both are scored on the validation text as one stream.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from torch import nn
from torch.nn import functional

from lmgen.data.config import HeldOutConfig
from lmgen.data.splitting import split_corpus
from lmgen.text.corpora import open_corpus

STREAMS, WINDOW, EMBEDDING, HIDDEN, HIGHEST_RATE = 16, 64, 64, 256, 8e-3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", default=["python-docs"], help="files or corpus names")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    print(f"{arguments.minutes:g} minutes of training; nats per character on the last 10%\n")
    print(f"{'text':<24}{'lmgen':>8}{'plain loop':>12}{'n-gram':>8}{'tokens/s, lmgen : plain':>26}")
    for corpus in arguments.corpus:
        ours = lmgen(corpus, arguments.minutes, arguments.threads)
        plain, speed = plain_loop(corpus, 60 * arguments.minutes)
        ngram = math.log(ours["baseline"]["valid_perplexity"])
        ratio = f"{ours['tokens_per_second']:,.0f} ({ours['tokens_per_second'] / speed:.2f})"
        print(
            f"{Path(corpus).name:<24}{ours['valid_nats_per_token']:>8.4f}{plain:>12.4f}{ngram:>8.4f}{ratio:>26}",
            flush=True,
        )


def lmgen(corpus: str, minutes: float, threads: int) -> dict:  # type: ignore[type-arg]
    """The summary of a run of the command, with nothing but its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lmgen.cli.app", "train", corpus, "--json", "--quiet"]
        command += ["--minutes", str(minutes), "--threads", str(threads), "--out", f"{folder}/run"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def plain_loop(corpus: str, seconds: float) -> tuple[float, float]:
    """Nats per character on the validation text, and tokens trained on a second."""
    torch.manual_seed(0)
    parts = split_corpus(open_corpus([corpus]), HeldOutConfig())
    train, valid = ("".join(parts[name].chunks()) for name in ("train", "valid"))
    ids = {character: number for number, character in enumerate(sorted(set(train + valid)))}
    x = torch.tensor([ids[character] for character in train])
    held_out = torch.tensor([ids[character] for character in valid])
    embedding, lstm = nn.Embedding(len(ids), EMBEDDING), nn.LSTM(EMBEDDING, HIDDEN)
    output = nn.Linear(HIDDEN, len(ids))
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
    with torch.inference_mode():
        hidden, _ = lstm(embedding(held_out[:-1, None]))
        nats = functional.cross_entropy(output(hidden)[:, 0], held_out[1:]).item()
    return nats, steps * STREAMS * WINDOW / seconds


if __name__ == "__main__":
    main()
