"""
What it costs to use a model, beside torch's own layers and beside what the machine's memory allows.

    python benchmarks/using.py                 # all cells and sizes, about five minutes
    python benchmarks/using.py --threads 1 --cells lstm --sizes 256 --rounds 5

Models are two layers with random weights, V = 65. Every figure is measured in a process of its own, all of a
row in turn, several rounds; printed are medians, and medians of the ratios within a round. The columns:

- one stream: `lmgen.generation.sampler.stream` with its text, tokens a second;
- stock: embedding, `torch.nn.LSTM` (`GRU`, `RNN`), linear, softmax and multinomial, one token after the other
  under `inference_mode`;
- limit: matrix-vector products over the bytes of the same weights, and nothing else;
- 64 streams: `lmgen.generation.sampler.complete`, and the stock loop with 64 streams;
- scored: `lmgen.evaluation.scoring.score_ids` over 262,400 tokens, and torch's layers over the same tokens in
  64 streams, 64 at a time, with the log-probability of each.
"""

import argparse
import os
import platform
import string
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

V, LAYERS, STREAMS, WINDOW = 65, 2, 64, 64
SCORED_TOKENS = 64 * 4096 + 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="*", default=["lstm", "gru", "rnn"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[256, 512])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "CELL", "UNITS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, cell, units = arguments.measure
        print(MEASURES[what](cell, int(units)))
        return
    kernels = os.environ.get("OPENBLAS_CORETYPE", "as OpenBLAS finds best")
    print(f"{platform.machine()}, {arguments.threads} threads, numpy {np.__version__}, V = {V}")
    print(f"kernels of numpy's matrix products: {kernels}\n")
    header = ["model", *MEASURES, *RATIOS]
    print("| " + " | ".join(header) + " |\n" + "| --- " * len(header) + "|")
    for cell in arguments.cells:
        for units in arguments.sizes:
            rounds = [
                {what: in_a_process(what, cell, units, arguments.threads) for what in MEASURES}
                for _ in range(arguments.rounds)
            ]
            rates = [f"{median(each[what] for each in rounds):,.0f}" for what in MEASURES]
            ratios = [f"{median(each[a] / each[b] for each in rounds):.2f}" for a, b in RATIOS.values()]
            print("| " + " | ".join([f"{cell} {LAYERS} x {units}", *rates, *ratios]) + " |", flush=True)


def in_a_process(what: str, cell: str, units: int, threads: int) -> float:
    """One figure, tokens a second, with nothing else in the process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--measure", what, cell, str(units)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(result.stdout)


def rate(run: Callable[[int], None], count: int, seconds: float = 1.0) -> float:
    """Tokens a second; `run` handles so many."""
    run(min(count, 1000))  # warm
    runs, begun = 0, perf_counter()
    while perf_counter() - begun < seconds:
        run(count)
        runs += 1
    return runs * count / (perf_counter() - begun)


def one_stream(cell: str, units: int) -> float:
    from lmgen.generation.config import SamplingConfig
    from lmgen.generation.sampler import stream

    model, tokenizer = random_model(cell, units)

    def run(count: int) -> None:
        "".join(stream(model, tokenizer, "a", SamplingConfig(length=count, seed=1)))

    return rate(run, 500)


def many_streams(cell: str, units: int) -> float:
    from lmgen.generation.config import SamplingConfig
    from lmgen.generation.sampler import complete

    model, tokenizer = random_model(cell, units)

    def run(count: int) -> None:
        list(complete(model, tokenizer, ["a"], SamplingConfig(length=count // STREAMS, seed=1), num=STREAMS))

    return rate(run, 100 * STREAMS)


def limit(cell: str, units: int) -> float:
    model, _ = random_model(cell, units)
    matrices = [array for name, array in model.parameters.items() if "weight" in name]
    matrices.remove(model.parameters["layers.0.weight_input"])  # depends on the token alone
    vectors = [np.ones(matrix.shape[1], np.float32) for matrix in matrices]
    results = [np.empty(len(matrix), np.float32) for matrix in matrices]

    def run(count: int) -> None:
        for _ in range(count):
            for matrix, vector, result in zip(matrices, vectors, results, strict=True):
                np.dot(matrix, vector, out=result)

    return rate(run, 500)


def scored(cell: str, units: int) -> float:
    from lmgen.evaluation.scoring import score_ids

    model, _ = random_model(cell, units)
    ids = np.random.default_rng(0).integers(1, V, SCORED_TOKENS)

    def run(count: int) -> None:
        for _ in score_ids(model, ids[:count]):
            pass

    return rate(run, SCORED_TOKENS)


def stock_one_stream(cell: str, units: int) -> float:
    return stock_sampling(cell, units, 1)


def stock_many_streams(cell: str, units: int) -> float:
    return stock_sampling(cell, units, STREAMS)


def stock_sampling(cell: str, units: int, streams: int) -> float:
    import torch

    embedding, layers, output = stock_layers(cell, units)

    def run(count: int) -> None:
        ids, state = torch.zeros(1, streams, dtype=torch.long), None
        for _ in range(count // streams):
            hidden, state = layers(embedding(ids), state)
            ids = torch.multinomial(torch.softmax(output(hidden[0]), -1), 1).T

    with torch.inference_mode():
        return rate(run, 100 * streams if streams > 1 else 200)


def stock_scoring(cell: str, units: int) -> float:
    import torch

    embedding, layers, output = stock_layers(cell, units)
    ids = torch.randint(V, (SCORED_TOKENS // STREAMS, STREAMS))

    def run(count: int) -> None:
        state = None
        for window in torch.split(ids[: count // STREAMS], WINDOW):
            hidden, state = layers(embedding(window), state)
            output(hidden).log_softmax(-1).gather(-1, window[..., None])

    with torch.inference_mode():
        return rate(run, SCORED_TOKENS)


def stock_layers(cell: str, units: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - torch is imported late
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]
    return nn.Embedding(V, units), layers(units, units, LAYERS), nn.Linear(units, V)


def random_model(cell: str, units: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    from lmgen.models.network.config import NetworkConfig
    from lmgen.models.network.initialization import initial_parameters
    from lmgen.models.network.model import RecurrentModel
    from lmgen.tokenizers.characters import CharacterTokenizer

    tokenizer = CharacterTokenizer("".join(sorted(" \n" + string.ascii_letters + string.digits)))
    config = NetworkConfig(cell=cell, layers=LAYERS, hidden_size=units, embedding_size=units)
    parameters = initial_parameters(config, V, tokenizer.start, seed=1)
    return RecurrentModel(config, V, tokenizer.start, parameters), tokenizer


MEASURES: dict[str, Callable[[str, int], float]] = {
    "one stream": one_stream,
    "stock": stock_one_stream,
    "limit": limit,
    "64 streams": many_streams,
    "stock, 64": stock_many_streams,
    "scored": scored,
    "stock, scored": stock_scoring,
}

RATIOS = {
    "one stream : stock": ("one stream", "stock"),
    "one stream : limit": ("one stream", "limit"),
    "64 streams : one": ("64 streams", "one stream"),
    "64 streams : stock": ("64 streams", "stock, 64"),
    "scored : stock": ("scored", "stock, scored"),
}


if __name__ == "__main__":
    main()
