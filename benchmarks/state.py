"""
Stateful against stateless training: `carry` and `reset`, the same cell, budget and seed, and why they differ.

    python benchmarks/state.py                                  # python-docs
    python benchmarks/state.py input.txt --window-length 16     # any text: 90% train, 10% validate

Both models score the same validation text twice: cut into windows that each begin from zeros, and in streams
whose state is carried. For the windows the loss stands beside how far into the window a token is, which is
all that the model has read before it: at the first step one token, at the last `--window-length`. Training
with `reset` spends a part of every window on such a beginning; with `carry` only an epoch's first window has
one. Where the loss no longer falls towards the window's end, a longer memory than the window has nothing to
give.
"""

import argparse
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmgen.arrays import IdArray
from lmgen.data.windows import Windows
from lmgen.models.model_file import load_model
from lmgen.models.network.model import RecurrentModel
from lmgen.runs.config_file import configured
from lmgen.runs.run import train
from lmgen.training.network import Network

Float64Array = npt.NDArray[np.float64]

STREAMS = 16
"""Side by side where state is carried; each begins with a single cold start."""

OFFSETS = 16
"""Windows are cut so many times, each time beginning elsewhere, so that each step sees the same tokens."""

RANGES = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 64), (65, 128))
"""First and last of the steps by which losses are averaged."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", default="python-docs", help="a file or a corpus name")
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru", "rnn"])
    parser.add_argument("--epochs", type=float, default=5.0)
    parser.add_argument("--window-length", type=int, default=64, help="a power of 2")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    length = arguments.window_length
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    print(f"{Path(arguments.corpus).name}: nats per character after {arguments.epochs:g} epochs")
    print(f"windows of {length} steps, and the loss by step where each begins from zeros\n")
    ranges = [(first, last) for first, last in RANGES if last <= length]
    names = [f"{first}-{last}" if first < last else f"{last}" for first, last in ranges]
    print(f"{'':<12}{'trained':<9}{'carried':>9}{'windows':>9}" + "".join(f"{name:>8}" for name in names))
    for cell in arguments.cells:
        for state in ("carry", "reset"):
            settings = {"cell": cell, "state": state, "window_length": length, "epochs": arguments.epochs}
            carried, by_step = losses(arguments.corpus, {**settings, "threads": arguments.threads})
            steps = "".join(f"{by_step[first - 1 : last].mean():>8.3f}" for first, last in ranges)
            print(f"{cell:<12}{state:<9}{carried:>9.4f}{by_step.mean():>9.4f}{steps}", flush=True)


def losses(corpus: str, settings: dict[str, Any]) -> tuple[float, Float64Array]:
    """Train, and score the held-out text: its mean loss with carried state, and by step in a window, (T,)."""
    config = configured({**settings, "corpus": [corpus], "evaluations": 1, "baseline_order": 0}, "this run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        for _ in train(config, folder):
            pass
        saved = load_model(folder / "model.safetensors")
        ids = np.load(folder / "data" / "valid.npy")
    assert isinstance(saved.model, RecurrentModel)
    network = Network(saved.model.config, saved.model.vocabulary_size, saved.model.parameters).eval()
    length, start = config.training.window_length, saved.tokenizer.start
    carried = by_step(network, ids, start, length, carried=True)
    offsets = range(1, length, max(length // OFFSETS, 1))
    by_offset = [by_step(network, ids[at:], int(ids[at - 1]), length, carried=False) for at in offsets]
    return float(carried.mean()), np.mean(by_offset, axis=0)


@torch.inference_mode()
def by_step(network: Network, ids: IdArray, start: int, length: int, *, carried: bool) -> Float64Array:
    """The mean loss of each step of the whole windows of a text, (T,), with state carried or from zeros."""
    windows = Windows(ids=ids, start_token=start, streams=STREAMS, length=length, carried=carried)
    state = network.initial_state(STREAMS)
    nats = []
    for window in windows.epoch(0):
        steps, streams = window.targets.shape
        before = state if carried else network.initial_state(streams)
        hidden, state = network.read(torch.from_numpy(window.inputs), before)
        targets = torch.from_numpy(window.targets).flatten()
        scored = -network.predict_only(targets, hidden.flatten(0, 1)).view(steps, streams)
        if steps == length:
            nats.append(scored.double().mean(1).numpy())
    return np.mean(nats, axis=0)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
