"""
What a training step of a word model costs, by the size of the vocabulary and how its output is trained.

    python benchmarks/words.py                        # V of 10,000, 33,278 and 250,000
    python benchmarks/words.py --hidden 512 --threads 2

The network is an LSTM of one layer, 256 wide, on windows of 32 streams x 35 steps. The text is drawn with the
frequencies that words have: 1 / rank, and falling faster from the 8,000th word on (Gerlach and Altmann 2013).
`full softmax, adamw` is what a plain loop does: all V scores, AdamW on everything. Neither full softmax is
run beyond `--largest-softmax` tokens.
"""

import argparse
import platform
from time import process_time
from typing import Any

import numpy as np
import torch

from lmgen.arrays import IdArray
from lmgen.data.windows import Windows
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.training.config import TrainingConfig
from lmgen.training.events import Stepped
from lmgen.training.loop import Trainer
from lmgen.training.network import Network
from lmgen.training.validation import TextValidation

STREAMS, WINDOW = 32, 35
SLOPE_CHANGES = 8_000
"""The rank from which words become rare faster ..."""
RARE_SLOPE = 1.6
"""... by this power of the rank, instead of 1."""

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "full softmax, adamw": ({}, {}),
    "full softmax": ({}, {"optimizer": "adamw-adagrad"}),
    "sampled, 1,024": ({}, {"optimizer": "adamw-adagrad", "objective": "sampled"}),
    "adaptive": ({"output": "adaptive"}, {"optimizer": "adamw-adagrad"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 33_278, 250_000])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--largest-softmax", type=int, default=50_000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    print(f"milliseconds of CPU a step of {STREAMS} x {WINDOW} tokens, and million parameters\n")
    print(f"{'':<22}" + "".join(f"{f'V {size:,}':>18}" for size in arguments.sizes))
    for name, (network, training) in ROWS.items():
        cells = []
        for size in arguments.sizes:
            if name.startswith("full") and size > arguments.largest_softmax:
                cells.append("-")
                continue
            milliseconds, parameters = step(size, arguments.hidden, arguments.steps, network, training)
            cells.append(f"{milliseconds:,.0f} ({parameters / 1e6:.1f})")
        print(f"{name:<22}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def step(
    vocabulary_size: int, hidden: int, steps: int, network: dict[str, Any], training: dict[str, Any]
) -> tuple[float, int]:
    """Median milliseconds of CPU that a step takes, and the number of parameters."""
    shape = NetworkConfig(hidden_size=hidden, embedding_size=hidden, **network)
    made = Network(shape, vocabulary_size, initial_parameters(shape, vocabulary_size, None, 0))
    ids = zipfian_text(vocabulary_size, STREAMS * WINDOW * (steps + 2))
    windows = Windows(ids=ids, start_token=0, streams=STREAMS, length=WINDOW, carried=True)
    config = TrainingConfig(steps=steps + 2, evaluations=1, **training)
    trainer = Trainer(made, windows, TextValidation(ids=ids[:WINDOW], limit=WINDOW, start_token=0), config)
    seconds = []
    begun = process_time()
    for event in trainer.run():
        if isinstance(event, Stepped):
            seconds.append(process_time() - begun)
        begun = process_time()
    return 1e3 * float(np.median(seconds[2:])), made.parameter_count  # the first two set up


def zipfian_text(vocabulary_size: int, length: int) -> IdArray:
    """Ids by falling frequency, drawn independently."""
    ranks = np.arange(1, vocabulary_size + 1, dtype=np.float64)
    frequencies = 1 / ranks * np.minimum(1, (SLOPE_CHANGES / ranks) ** (RARE_SLOPE - 1))
    random = np.random.default_rng(0)
    return random.choice(vocabulary_size, length, p=frequencies / frequencies.sum())


if __name__ == "__main__":
    main()
