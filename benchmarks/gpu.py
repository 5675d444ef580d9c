"""
How fast lmgen trains on a GPU, beside a plain loop over cuDNN's LSTM on the same tokens.

    python -m benchmarks.gpu                            # on a GPU, about five minutes
    python -m benchmarks.gpu --device cpu --quick       # a smoke test, anywhere

Two networks: 2 x 1024 on characters (V = 100, 64 streams of 128 steps), and three layers of 1150 on words
(V = 33,278, 80 streams of 70 steps, adaptive output against the plain loop's full softmax, as each would be
used). The plain loop is embedding, `torch.nn.LSTM`, linear, cross-entropy, AdamW, clipping at 1, with its
state carried and autocast for 16 bits. Both are timed over the same number of updates, in turns; a ratio is
the median of the turns'.
"""

import argparse
import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.data.windows import Windows
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.training.config import TrainingConfig
from lmgen.training.events import Stepped
from lmgen.training.loop import Trainer
from lmgen.training.precision import SHORT
from lmgen.training.setup import new_network

WARM = 5
"""Updates that are not timed."""


@dataclass(frozen=True)
class Size:
    """A network and its batches."""

    name: str
    layers: int
    units: int
    vocabulary: int
    embedding: int
    streams: int
    steps: int
    output: str
    optimizer: str


SIZES = (
    Size("lstm 2 x 1024, characters", 2, 1024, 100, 64, 64, 128, "softmax", "adamw"),
    Size("lstm 3 x 1150, words", 3, 1150, 33_278, 400, 80, 70, "adaptive", "adamw-adagrad"),
)
SMALL = (Size("lstm 2 x 16, characters", 2, 16, 20, 8, 4, 8, "softmax", "adamw"),)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--precisions", default="float32,tf32,bfloat16,float16")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tiny network, to see that it runs")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    print(torch.cuda.get_device_name() if device.type == "cuda" else "CPU", f"torch {torch.__version__}\n")
    print("| network | precision | lmgen, tokens/s | plain loop | lmgen : plain | peak memory, lmgen |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for size in SMALL if arguments.quick else SIZES:
        ids = np.random.default_rng(1).integers(0, size.vocabulary, 200 * size.streams * size.steps)
        for precision in ["float32"] if device.type == "cpu" else arguments.precisions.split(","):
            found = []
            for _ in range(arguments.turns):
                forget_peak(device)
                ours = timed(trained(size, precision, ids, device), arguments.updates, size, device)
                peak = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else 0.0
                found.append(
                    (ours, timed(plain(size, precision, ids, device), arguments.updates, size, device))
                )
            rates = " | ".join(f"{median(column):,.0f}" for column in zip(*found, strict=True))
            ratio = median(mine / other for mine, other in found)
            print(f"| {size.name} | {precision} | {rates} | {ratio:.2f} | {peak:,.0f} MB |", flush=True)


def timed(update: Callable[[], object], updates: int, size: Size, device: torch.device) -> float:
    """Tokens a second."""
    for _ in range(WARM):
        update()
    synchronize(device)
    begun = perf_counter()
    for _ in range(updates):
        update()
    synchronize(device)
    return updates * size.streams * size.steps / (perf_counter() - begun)


def forget_peak(device: torch.device) -> None:
    """Free what was computed before, so that the peak memory is that of what comes."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def trained(size: Size, precision: str, ids: np.ndarray, device: torch.device) -> Callable[[], object]:
    """An update of lmgen's own loop."""
    network = NetworkConfig(
        layers=size.layers, hidden_size=size.units, embedding_size=size.embedding, output=size.output
    ).resolved(size.vocabulary)
    config = TrainingConfig(
        batch_size=size.streams,
        window_length=size.steps,
        optimizer=size.optimizer,
        epochs=1e6,
        evaluations=1,
        device=device.type,
        precision=precision,
    )
    windows = Windows(ids=ids, start_token=0, streams=size.streams, length=size.steps, carried=True)
    parameters = initial_parameters(network, size.vocabulary, None, 0)
    trainer = Trainer(new_network(network, size.vocabulary, parameters, config), windows, None, config)
    events = (event for event in trainer.run() if isinstance(event, Stepped))
    return lambda: next(events)


def plain(size: Size, precision: str, ids: np.ndarray, device: torch.device) -> Callable[[], object]:
    """An update of what one would write by hand."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    embedding = nn.Embedding(size.vocabulary, size.embedding).to(device)
    lstm = nn.LSTM(size.embedding, size.units, size.layers).to(device)
    linear = nn.Linear(size.units, size.vocabulary).to(device)
    parameters = [*embedding.parameters(), *lstm.parameters(), *linear.parameters()]
    optimizer = torch.optim.AdamW(parameters, fused=True)
    short = SHORT.get(precision)
    scaler = torch.amp.GradScaler(device.type, enabled=short is torch.float16)
    text = (
        torch.from_numpy(ids[: len(ids) // size.streams * size.streams]).view(size.streams, -1).T.to(device)
    )
    state: tuple[Tensor, Tensor] | None = None
    place = 0

    def update() -> None:
        nonlocal state, place
        if place + size.steps >= len(text):
            state, place = None, 0
        inputs, targets = (text[place + shift :][: size.steps] for shift in (0, 1))
        place += size.steps
        with torch.autocast(device.type, short, enabled=short is not None):
            hidden, (h, c) = lstm(embedding(inputs), state)
            loss = functional.cross_entropy(linear(hidden).flatten(0, 1), targets.flatten())
        state = h.detach(), c.detach()
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()

    return update


if __name__ == "__main__":
    main()
