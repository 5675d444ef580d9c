"""
Where the time of an update goes.

    python -m benchmarks.steps [SECONDS] [CELL ...]

A network of one layer over 65 characters, windows of 64 steps, dropout of 0.2 before the layer and before the
output, AdamW, clipping. Each part of an update is run alone, forward and back, in turns with the whole, and
printed as a percentage of it (medians). SECONDS (2) go to each row. One thread is timed by the processor time
of the process, all threads by the clock.

`products` are the matrix products of layer and output, made as those of cells that lmgen differentiates
itself. `equations` is what the layer takes beside them: gates, and what goes on from step to step. It can be
below 0 for the LSTM, whose kernel makes its products itself. `rest` is what no part accounts for: Python
around the parts, and data that has left the cache. `neither` is what is neither product nor equation.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.cells import Run, clock_for, in_turns, numbers_of_threads, processor
from lmgen.data.windows import Windows
from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.recurrent import Recurrent
from lmgen.training.config import TrainingConfig
from lmgen.training.layers import run_recurrent
from lmgen.training.layers.products import product, repeated_product, weight_gradient
from lmgen.training.loop import Trainer
from lmgen.training.network import Network
from lmgen.training.optimization.clipping import clip_gradients
from lmgen.training.optimization.objectives import full
from lmgen.training.optimization.regularization import dropout

STEPS, VOCABULARY, DROPOUT = 64, 65, 0.2
SIZES = ((256, 16), (512, 16), (256, 64), (512, 64))
CELLS_HERE = ("lstm", "gru", "rnn")
SMALL = ("output", "embedding", "masks", "optimiser", "clipping", "data", "rest")
"""Parts that are neither matrix products nor equations of the cell."""


@dataclass(frozen=True)
class Row:
    """What was measured of a cell at a size."""

    cell: str
    units: int
    streams: int
    seconds: float
    """For an update, the median."""
    shares: dict[str, float]
    """What each part takes of it."""

    @property
    def small(self) -> float:
        """The share of what is neither matrix product nor equation of the cell."""
        return sum(self.shares[part] for part in SMALL)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    cells = sys.argv[2:] or list(CELLS_HERE)
    print(f"{processor()}, torch {torch.__version__}")
    for threads in numbers_of_threads():
        print_table(measured(cells, seconds, clock_for(threads)))


def print_table(rows: Iterator[Row]) -> None:
    """Row by row, as they come, shares in percent."""
    columns = ["products", "equations", *SMALL]
    print(f"| cell | units | batch | ms | {' | '.join(columns)} | neither |")
    print("| --- |" + " ---: |" * (4 + len(columns)))
    for row in rows:
        shares = " | ".join(f"{100 * row.shares[part]:.1f}" for part in columns)
        print(
            f"| {row.cell} | {row.units} | {row.streams} | {1000 * row.seconds:.2f} "
            f"| {shares} | **{100 * row.small:.0f}%** |",
            flush=True,
        )


def measured(cells: list[str], seconds: float, clock: Callable[[], float]) -> Iterator[Row]:
    """A row after the other."""
    for cell in cells:
        for units, streams in SIZES:
            times = in_turns(parts(cell, units, streams), seconds, clock)
            of = {name: median(each) for name, each in times.items()}
            whole = of["ours"]
            shares = {
                name: of[name] / whole for name in ("embedding", "masks", "optimiser", "clipping", "data")
            }
            shares["products"] = (of["layer's products"] + of["output's products"]) / whole
            shares["equations"] = (of["layer"] - of["layer's products"]) / whole
            shares["output"] = (of["output"] - of["output's products"]) / whole
            shares["rest"] = 1 - sum(shares.values())
            yield Row(cell, units, streams, whole, shares)


def parts(cell: str, units: int, streams: int) -> dict[str, Run]:
    """The whole update, which is `ours`, and its parts."""
    network, trainer, windows = training(cell, units, streams)
    updates = trainer.run()
    for _ in range(3):
        next(updates)  # the optimiser has its moments, the parameters their gradients
    layer = next(layer for layer in network.structure.hidden if isinstance(layer, Recurrent))
    arrays = arrays_of(layer, dict(network.named_parameters()))
    state = tuple(torch.zeros(streams, units) for _ in CELLS[cell].states)
    table = network.get_parameter("embedding")
    embedded, hidden = random(STEPS, streams, table.shape[1]), random(STEPS, streams, units)
    upstream, above = torch.randn(hidden.shape), torch.randn(embedded.shape)
    ids = torch.randint(VOCABULARY, (STEPS, streams))
    batches = (batch for epoch in count() for batch in windows.epoch(epoch, 0))
    named = list(network.parameters())
    optimizer = trainer.state.optimizer

    def of_layer() -> None:
        clear(embedded, *named)
        back(run_recurrent(layer.cell, arrays, embedded, state)[0], upstream)

    def of_output() -> None:
        clear(hidden, *named)
        full(network, hidden, ids, None).backward()  # type: ignore[no-untyped-call]

    def of_embedding() -> None:
        clear(*named)
        back(functional.embedding(ids, table), above)

    def of_masks() -> None:
        clear(embedded, hidden)
        back(dropout(embedded, DROPOUT), above)
        back(dropout(hidden, DROPOUT), upstream)

    gradients = [torch.randn_like(parameter) for parameter in named]

    def of_clipping() -> None:
        for parameter, gradient in zip(named, gradients, strict=True):
            parameter.grad = gradient
        clip_gradients(named, 1.0)

    def of_optimiser() -> None:
        for parameter, gradient in zip(named, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad()

    return {
        "ours": lambda: next(updates),
        "layer": of_layer,
        "layer's products": layer_products(arrays, layer.cell.recurrent, embedded.detach(), hidden.detach()),
        "output": of_output,
        "output's products": output_products(network, hidden.detach()),
        "embedding": of_embedding,
        "masks": of_masks,
        "optimiser": of_optimiser,
        "clipping": of_clipping,
        "data": lambda: next(batches),
    }


def training(cell: str, units: int, streams: int) -> tuple[Network, Trainer, Windows]:
    """A network that learns random characters, without end and without validation text."""
    config = NetworkConfig(cell=cell, hidden_size=units, dropout=DROPOUT, dropout_input=DROPOUT)
    settings = TrainingConfig(batch_size=streams, window_length=STEPS, steps=1_000_000, evaluations=1)
    windows = Windows(
        ids=np.random.default_rng(0).integers(0, VOCABULARY, 1_000_000).astype(np.uint8),
        start_token=0,
        streams=streams,
        length=STEPS,
        carried=True,
    )
    network = Network(config, VOCABULARY, initial_parameters(config, VOCABULARY, None, 0))
    return network, Trainer(network, windows, None, settings), windows


def layer_products(
    arrays: dict[str, Tensor], recurrent: Iterable[str], values: Tensor, hidden: Tensor
) -> Run:
    """The matrix products of a layer over a window: forward, and back to values and weights."""
    read, states = values.flatten(0, 1), hidden.flatten(0, 1)
    weight, streams = arrays["weight_input"].detach(), hidden.shape[1]
    sums = torch.randn(len(read), len(weight))
    matrices = [arrays[name].detach() for name in recurrent]
    rows = [torch.randn(streams, len(matrix)).numpy() for matrix in matrices]
    step = hidden[0].numpy()

    def run() -> None:
        product(read, weight)
        for matrix in matrices:
            multiply = repeated_product(matrix, streams)
            for _ in range(STEPS):
                multiply(step)
        for matrix, row in zip(matrices, rows, strict=True):
            multiply = repeated_product(matrix.T, streams)
            for _ in range(STEPS):
                multiply(row)
            weight_gradient(sums[:, : len(matrix)], states)
        product(sums, weight.T)
        weight_gradient(sums, read)

    return run


def output_products(network: Network, hidden: Tensor) -> Run:
    """Those of the output layer."""
    states, weight = hidden.flatten(0, 1), network.get_parameter("output.weight").detach()
    scores = torch.randn(len(states), len(weight))

    def run() -> None:
        torch.mm(states, weight.T)
        torch.mm(scores, weight)
        torch.mm(scores.T, states)

    return run


def random(*shape: int) -> Tensor:
    return torch.randn(shape, requires_grad=True)


def back(result: Tensor, gradient: Tensor) -> None:
    result.backward(gradient)  # type: ignore[no-untyped-call]


def clear(*tensors: Tensor) -> None:
    for tensor in tensors:
        tensor.grad = None


if __name__ == "__main__":
    main()
