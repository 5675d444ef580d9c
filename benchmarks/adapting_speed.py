"""
How fast models adapt: growing counts, beside PPMd; networks, beside a plain torch script.

    python benchmarks/adapting_speed.py [FILE] [--tokens N] [--turns N] [--threads N]

FILE (../shared/data/tinyshakespeare.txt) is read as bytes. Ours and theirs run in turns, and a ratio is the
median of the turns' ratios, so that it holds on a machine that has other work too. One thread is timed by the
processor time of the process, several by the clock. Networks have one layer of 512 units and random weights,
which take as long as trained ones. PPMd needs the package pyppmd.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lmgen.arrays import IdArray
from lmgen.evaluation.adapting import word_rule
from lmgen.models.adapting import AdaptingConfig
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.training.adapting import AVERAGING, AdaptingNetwork
from lmgen.training.process import computing

TEXT = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"

ORDER, PPMD_MEMORY = 6, 1 << 26
UNITS, EMBEDDING = 512, 64
NETWORK_PART = 100
"""The networks read one token of so many."""
STOCK: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}

Run = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path, default=TEXT)
    parser.add_argument("--tokens", type=int, default=400_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.file.exists():
        sys.exit(f"there is no {arguments.file}; name a text")
    content = arguments.file.read_bytes()[: arguments.tokens]
    _, symbols = np.unique(np.frombuffer(content, np.uint8), return_inverse=True)
    measure = Measure(arguments.turns, time.process_time if arguments.threads == 1 else time.perf_counter)
    print(f"{arguments.file.name}, threads: {arguments.threads}\n")
    print("| ours | tokens/s | theirs | tokens/s | ours / theirs |\n| --- | --- | --- | --- | --- |")
    with computing(arguments.threads):
        counts_rows(measure, content, symbols)
        for cell in STOCK:
            network_row(measure, cell, symbols[: max(len(symbols) // NETWORK_PART, 64)])
    if not importlib.util.find_spec("pyppmd"):
        print("\nPPMd was not measured: the package pyppmd is not installed")


class Measure:
    """Prints rows of speeds."""

    def __init__(self, turns: int, clock: Callable[[], float]) -> None:
        self._turns, self._clock = turns, clock

    def row(self, tokens: int, ours: tuple[str, Run], theirs: tuple[str, Run] | None) -> None:
        """Of two ways, each with its name, to read some tokens."""
        runs = [each[1] for each in (ours, theirs) if each]
        turns = [[tokens / self._seconds(run) for run in runs] for _ in range(self._turns)]
        cells = [ours[0], f"{median(turn[0] for turn in turns):,.0f}", "", "", ""]
        if theirs:
            cells[2:] = [
                theirs[0],
                f"{median(turn[1] for turn in turns):,.0f}",
                f"{median(turn[0] / turn[1] for turn in turns):.3g}",
            ]
        print("| " + " | ".join(cells) + " |", flush=True)

    def _seconds(self, run: Run) -> float:
        begun = self._clock()
        run()
        return self._clock() - begun


def counts_rows(measure: Measure, content: bytes, symbols: IdArray) -> None:
    ppmd: tuple[str, Run] | None = None
    if importlib.util.find_spec("pyppmd"):
        encoder = import_module("pyppmd").Ppmd7Encoder
        ppmd = f"PPMd, order {ORDER}", lambda: encoder(ORDER, PPMD_MEMORY).encode(content)
    words = word_rule(ByteTokenizer())
    every_byte = np.frombuffer(content, np.uint8).astype(np.int64)
    for name, rule, ids, size in (
        (f"counts, order {ORDER}", None, symbols, int(symbols.max()) + 1),
        (f"counts, order {ORDER}, and of words", words, every_byte, 256),
    ):
        measure.row(len(content), (name, lambda r=rule, i=ids, s=size: count(r, i, s)), ppmd)  # type: ignore[misc]


def count(words: WordRule | None, ids: IdArray, vocabulary_size: int) -> None:
    counts = GrowingCounts(Contexts(ORDER, None, words), vocabulary_size)
    counts.score(counts.start(1), ids[:, None])


def network_row(measure: Measure, cell: str, ids: IdArray) -> None:
    V = int(ids.max()) + 1
    config = NetworkConfig(cell=cell, hidden_size=UNITS, embedding_size=EMBEDDING)
    network = RecurrentModel(config, V, 0, initial_parameters(config, V, None, 0))
    model = AdaptingNetwork(network, AdaptingConfig())
    stock = Stock(STOCK[cell], V)
    ours = f"{cell}, 1 x {UNITS}", lambda: model.score(model.start(1), ids[:, None])
    measure.row(len(ids), ours, ("torch's layer, plain script", lambda: stock.adapt(ids)))


class Stock(nn.Module):
    """A language model of torch's own layers, as one writes it down."""

    def __init__(self, layer: type[nn.LSTM] | type[nn.GRU], vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, EMBEDDING)
        self.recurrent = layer(EMBEDDING, UNITS)
        self.output = nn.Linear(UNITS, vocabulary_size)

    def adapt(self, ids: IdArray) -> float:
        """Dynamic evaluation: score some tokens, then take a step on them. The nats of the text."""
        settings = AdaptingConfig()
        optimizer = torch.optim.Adam(self.parameters(), settings.size, betas=(0.0, AVERAGING))
        text = torch.from_numpy(np.concatenate([[0], ids]))
        state, nats = None, 0.0
        for first in range(0, len(ids), settings.every):
            read = text[first : first + settings.every + 1]
            hidden, state = self.recurrent(self.embedding(read[:-1]), state)
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            loss = functional.cross_entropy(self.output(hidden), read[1:])
            nats += loss.item() * (len(read) - 1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimizer.step()
        return nats


if __name__ == "__main__":
    main()
