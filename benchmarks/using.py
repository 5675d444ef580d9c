"""
What it costs to use a model, beside torch's own layers and beside what the machine's memory allows.

    python benchmarks/using.py                 # all cells and sizes, about five minutes
    python benchmarks/using.py --threads 1 --cells lstm --sizes 256 --rounds 5
    python benchmarks/using.py --all-cores     # one core beside all of them, two minutes on two cores

Models are two layers with random weights, V = 65. Every figure is measured in a process of its own, all of a
row in turn, several rounds; printed are medians, and medians of the ratios within a round. The columns:

- one stream: `lmgen.generation.sampler.stream` with its text, tokens a second;
- stock: embedding, `torch.nn.LSTM` (`GRU`, `RNN`), linear, softmax and multinomial, one token after the other
  under `inference_mode`;
- limit: matrix-vector products over the bytes of the same weights, and nothing else;
- 64 streams: `lmgen.generation.sampler.complete`, and the stock loop with 64 streams;
- scored: `lmgen.evaluation.scoring.score_ids` over 262,400 tokens, and torch's layers over the same tokens in
  64 streams, 64 at a time, with the log-probability of each.

With `--all-cores` it is work on many streams, in one process that is told to use one core, then all, in turn:

- by line: `lmgen.evaluation.perplexity.score_rows`, from text to rows;
- long text: `lmgen.evaluation.scoring.score_ids`, a segment of 64 streams for each core (n-gram model: two);
- sampled: `lmgen.generation.sampler.complete`, 256 completions of 200 tokens, in copies of the process;
- products alone: scored or sampled by a model that may not be shared, so that only numpy's matrix products
  use all cores.

The n-gram model, of order 5, is fitted on the language manual that comes with Python, as are all texts.
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
from typing import Any
from unittest.mock import patch

import numpy as np

V, LAYERS, STREAMS, WINDOW = 65, 2, 64, 64
SCORED_TOKENS = 64 * 4096 + 256
CHARACTERS = "".join(sorted(" \n" + string.ascii_letters + string.digits))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="*", default=["lstm", "gru", "rnn"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[256, 512])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all-cores", action="store_true", help="one core beside all of them")
    parser.add_argument(
        "--work", nargs="*", help="with --all-cores, some kinds of work only, such as sampled"
    )
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "CELL", "UNITS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, cell, units = arguments.measure
        print(MEASURES[what](cell, int(units)))
        return
    kernels = os.environ.get("OPENBLAS_CORETYPE", "as OpenBLAS finds best")
    print(f"{platform.machine()}, {arguments.threads} threads, numpy {np.__version__}, V = {V}")
    print(f"kernels of numpy's matrix products: {kernels}\n")
    if arguments.all_cores:
        on_all_cores(arguments.cells, arguments.sizes, arguments.threads, arguments.rounds, arguments.work)
        return
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


def on_all_cores(
    cells: list[str], sizes: list[int], threads: int, rounds: int, works: list[str] | None
) -> None:
    """Print, for each model and kind of work, tokens a second on one core and on all, and their ratios."""
    from threadpoolctl import threadpool_limits

    print(f"| model | work | 1 core | {threads} cores | ratio | products alone |\n" + "| --- " * 6 + "|")
    models = {f"{cell} {LAYERS} x {units}": random_model(cell, units) for cell in cells for units in sizes}
    models["n-gram 5"] = ngram_model()
    for name, (model, tokenizer) in models.items():
        for work, (run, tokens) in many_streams_of(model, tokenizer, threads).items():
            if works and work not in works:
                continue
            seconds: dict[str, list[float]] = {"one": [], "all": [], "products": []}
            for _ in range(rounds):
                for how, taken in seconds.items():
                    count = 1 if how == "one" else threads
                    may = patch.object(type(model), "in_threads", how != "products")
                    with threadpool_limits(count, user_api="blas"), may:
                        begun = perf_counter()
                        run()
                        taken.append(perf_counter() - begun)
            one, every, products = seconds.values()
            ratio = median(a / b for a, b in zip(one, every, strict=True))
            alone = median(a / b for a, b in zip(one, products, strict=True))
            rates = [f"{tokens / median(each):,.0f}" for each in (one, every)]
            print(
                f"| {name} | {work} | " + " | ".join([*rates, f"{ratio:.2f}", f"{alone:.2f}"]) + " |",
                flush=True,
            )


def many_streams_of(model: Any, tokenizer: Any, threads: int) -> dict[str, tuple[Callable[[], object], int]]:
    """Work on many streams: what runs it, and its tokens."""
    from lmgen.evaluation.perplexity import score_rows
    from lmgen.evaluation.scoring import STREAM_LENGTH, STREAMS, WARM_UP, score_ids
    from lmgen.generation.config import SamplingConfig
    from lmgen.generation.sampler import complete

    lines = manual(300_000 if model.kind == "recurrent" else 2_000_000)
    chunks = [lines[first : first + (1 << 18)] for first in range(0, len(lines), 1 << 18)]
    segments = max(2 * threads, 4) if model.kind == "ngram" else max(threads, 2)
    ids = np.resize(tokenizer.encode(lines), WARM_UP + segments * STREAMS * STREAM_LENGTH)
    completions, sampling = 256, SamplingConfig(length=200, seed=1)
    return {
        "by line": (lambda: list(score_rows([model], tokenizer, chunks, "manual", by="line")), len(lines)),
        "long text": (lambda: list(score_ids(model, ids)), len(ids)),
        "sampled": (
            lambda: list(complete(model, tokenizer, ["the "], sampling, num=completions)),
            completions * sampling.length,
        ),
    }


def manual(characters: int) -> str:
    """The language manual, of which only letters, digits, blanks and line ends are kept, over and over."""
    from pydoc_data.topics import topics

    kept = "".join(character for character in "".join(topics.values()) if character in CHARACTERS)
    return (kept * (characters // len(kept) + 1))[:characters]


def ngram_model() -> tuple[Any, Any]:
    from lmgen.models.ngram.model import NgramModel
    from lmgen.tokenizers.characters import CharacterTokenizer

    tokenizer = CharacterTokenizer(CHARACTERS)
    ids = tokenizer.encode(manual(400_000))
    return NgramModel.fit(ids, order=5, vocabulary_size=tokenizer.vocabulary_size), tokenizer


def random_model(cell: str, units: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    from lmgen.models.network.config import NetworkConfig
    from lmgen.models.network.initialization import initial_parameters
    from lmgen.models.network.model import RecurrentModel
    from lmgen.tokenizers.characters import CharacterTokenizer

    tokenizer = CharacterTokenizer(CHARACTERS)
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
