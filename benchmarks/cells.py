"""
How fast recurrent layers train, beside torch's own and beside the machine's matrix products.

    python benchmarks/cells.py [SECONDS] [CELL ...]

For each cell and size: one layer over a window of 64 steps, forward and back, with as many inputs as units.
Ours, torch's and autograd through the cell's equations run in turns, and a ratio is the median of the turns'
ratios, so that it holds on a machine that has other work too. SECONDS (2) go to each row. One thread is timed
by the processor time of the process, all threads by the clock.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from lmgen.models.network.cells import CELLS, CellState
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.layers import network_layers
from lmgen.models.network.recurrent import run_equations
from lmgen.training.layers import run_recurrent
from lmgen.training.layers.products import product
from lmgen.training.process import computing

STEPS = 64
SIZES = ((128, 16), (256, 16), (512, 16), (128, 64), (256, 64), (512, 64))
STOCK: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
    "rnn-relu": lambda inputs, units: nn.RNN(inputs, units, nonlinearity="relu"),
}

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """What was measured of a cell at a size."""

    cell: str
    units: int
    streams: int
    seconds: float
    """For a window, the median."""
    to_stock: float | None
    """How many times as fast as torch's layer of that name, if there is one."""
    to_autograd: float
    """How many times as fast as autograd through the equations."""
    to_lstm: float
    """Multiply-adds a second, as a part of those of torch's LSTM."""
    to_product: float
    """The same, as a part of those of the product of two matrices of 1024 x 1024."""

    @property
    def tokens_per_second(self) -> float:
        """Of one layer, forward and back."""
        return STEPS * self.streams / self.seconds

    @property
    def gigaflops(self) -> float:
        """In matrix products; what else there is to do counts as time only."""
        return flops(self.cell, self.units, self.streams) / self.seconds / 1e9


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    cells = sys.argv[2:] or list(CELLS)
    print(f"{os.cpu_count()} cores of {processor()}, torch {torch.__version__}")
    for threads in numbers_of_threads():
        print(f"{product_rates(threads)}\n")
        print_table(measured(cells, seconds, clock_for(threads)))


def numbers_of_threads() -> Iterator[int]:
    """One, and all: a heading for each, and torch computes in so many until the next."""
    for threads in sorted({1, torch.get_num_threads()}):
        with computing(threads):
            print(f"\n## {threads} thread{'s' * (threads > 1)}\n")
            yield threads


def print_table(rows: Iterator[Row]) -> None:
    """Row by row, as they come."""
    print(
        "| cell | units | batch | tokens/s | GFLOP/s | of a product "
        "| to torch's layer | to autograd | to LSTM |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        to_stock = "" if row.to_stock is None else f"{row.to_stock:.2f} x"
        print(
            f"| {row.cell} | {row.units} | {row.streams} | {row.tokens_per_second:,.0f} "
            f"| {row.gigaflops:.0f} | {row.to_product:.2f} | {to_stock} | {row.to_autograd:.2f} x "
            f"| {row.to_lstm:.2f} |",
            flush=True,
        )


def measured(cells: list[str], seconds: float, clock: Callable[[], float]) -> Iterator[Row]:
    """A row after the other."""
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    for cell in cells:
        for units, streams in SIZES:
            ways: dict[str, Run] = {
                "ours": window(our_layer(cell, units, streams, run_recurrent), units, streams),
                "autograd": window(our_layer(cell, units, streams, run_equations), units, streams),
                "lstm": window(stock_layer("lstm", units), units, streams),
                "product": lambda: product(left, right),
            }
            if cell in STOCK:
                ways["stock"] = window(stock_layer(cell, units), units, streams)
            times = in_turns(ways, seconds, clock)
            work = flops(cell, units, streams)
            yield Row(
                cell=cell,
                units=units,
                streams=streams,
                seconds=median(times["ours"]),
                to_stock=ratio(times["stock"], times["ours"]) if cell in STOCK else None,
                to_autograd=ratio(times["autograd"], times["ours"]),
                to_lstm=ratio(times["lstm"], times["ours"]) * work / flops("lstm", units, streams),
                to_product=ratio(times["product"], times["ours"]) * work / (2 * 1024**3),
            )


def in_turns(ways: dict[str, Run], seconds: float, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Times of each way, turn by turn: the middle one of three runs, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["ours"]) < 3:
        for name, run in ways.items():
            run()
            times[name].append(median(timed(run, clock) for _ in range(3)))
    return times


def timed(run: Run, clock: Callable[[], float]) -> float:
    begun = clock()
    run()
    return clock() - begun


def ratio(times: list[float], ours: list[float]) -> float:
    """How many times as fast ours is."""
    return median(other / our for other, our in zip(times, ours, strict=True))


def clock_for(threads: int) -> Callable[[], float]:
    return time.process_time if threads == 1 else time.perf_counter


Layer = tuple[Callable[[Tensor], Tensor], list[Tensor]]
"""A function of the input, and its parameters."""


def our_layer(
    cell: str, units: int, streams: int, run_layer: Callable[..., tuple[Tensor, CellState]]
) -> Layer:
    """A layer with random parameters, computed one way or another."""
    config = NetworkConfig(cell=cell, layers=1, embedding_size=units, hidden_size=units)
    parameters = {
        shape.name.removeprefix("layers.0."): (torch.randn(shape.shape) / units**0.5).requires_grad_()
        for shape in network_layers(config, 1).parameters
        if shape.name.startswith("layers.0.")
    }
    state = tuple(torch.zeros(streams, units) for _ in CELLS[cell].states)
    return lambda values: run_layer(CELLS[cell], parameters, values, state)[0], list(parameters.values())


def stock_layer(cell: str, units: int) -> Layer:
    layer = STOCK[cell](units, units)
    return lambda values: layer(values)[0], list(layer.parameters())


def window(layer: Layer, units: int, streams: int) -> Run:
    """Forward and back, as in training: gradients start from nothing."""
    run, parameters = layer
    values = torch.randn(STEPS, streams, units, requires_grad=True)
    upstream = torch.randn(STEPS, streams, units)

    def forward_and_back() -> None:
        for tensor in (values, *parameters):
            tensor.grad = None
        run(values).backward(upstream)  # type: ignore[no-untyped-call]

    return forward_and_back


def flops(cell: str, units: int, streams: int) -> int:
    """Of the matrix products: forward once, back twice, two multiplications a weight."""
    return 2 * 3 * STEPS * streams * len(CELLS[cell].gates) * units * 2 * units


def product_rates(threads: int) -> str:
    """How fast the machine multiplies matrices, by either library."""
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    times = in_turns(
        {"ours": lambda: product(left, right), "mm": lambda: left @ right}, 1, clock_for(threads)
    )
    ours, mm = (2 * 1024**3 / median(times[name]) / 1e9 for name in ("ours", "mm"))
    return f"Product of two 1024 x 1024 matrices: {ours:.0f} GFLOP/s by oneDNN, {mm:.0f} by torch.mm."


def processor() -> str:
    """Its name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
