"""
What attention over K hidden states costs in use, beside its equations and beside the LSTM layer below it.

    python benchmarks/attention.py
    python benchmarks/attention.py --sizes 512 --rounds 31

The equations, a layer's `step`, compute the keys of all K states at every step; the kernel computes that of
the newest and keeps the others. All layers have n = m units and random weights, and run in one process. Each
round runs everything once, many steps at a time: one stream, or a tile of 16 of 64 streams. Printed are
medians over the rounds in microseconds a token, and medians of the ratios within a round.
"""

import argparse
import os
import platform
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.models.network.attention import Attention
from lmgen.models.network.kernels import kernel, state_sizes
from lmgen.models.network.layer import Layer, arrays_of
from lmgen.models.network.recurrent import Recurrent
from lmgen.models.network.tiles import TILE

STREAMS = 64
SECONDS = 0.05
"""How long each figure of a round is measured."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="*", type=int, default=[256])
    parser.add_argument("--reach", nargs="*", type=int, default=[4, 16, 64], help="K")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    print(f"{platform.machine()}, {threads} threads, numpy {np.__version__}, {arguments.rounds} rounds\n")
    header = ["units", "streams", "K", "equations", "kernel", "LSTM", "equations : kernel", "kernel : LSTM"]
    print("| " + " | ".join(header) + " |\n" + "| --- " * len(header) + "|")
    for units in arguments.sizes:
        for streams in (1, STREAMS):
            for reach in arguments.reach:
                columns = 1 if streams == 1 else TILE
                timed = steps(units, reach, columns)
                rounds = [[microseconds(each) / columns for each in timed] for _ in range(arguments.rounds)]
                figures = [f"{median(each):.1f}" for each in zip(*rounds, strict=True)]
                ratios = [
                    median(own / other for own, other, _ in rounds),
                    median(k / m for _, k, m in rounds),
                ]
                cells = [units, streams, reach, *figures, *(f"{ratio:.2f}" for ratio in ratios)]
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def steps(units: int, reach: int, columns: int) -> list[Callable[[], object]]:
    """A step of attention by its equations and by its kernel, and one of an LSTM layer."""
    attention = Attention(inputs=units, reach=reach)
    lstm = Recurrent(number=0, cell_name="lstm", inputs=units, outputs=units)
    values = random(units, columns)
    state = tuple(np.ones((columns, size), np.float32) for size in attention.state_sizes)
    return [
        partial(attention.step, random_arrays(attention), np.ascontiguousarray(values.T), state),
        kernel_step(attention, values),
        kernel_step(lstm, values),
    ]


def kernel_step(
    layer: Layer, values: "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
) -> Callable[[], object]:
    ready, columns = kernel(layer, random_arrays(layer)), values.shape[1]
    state = tuple(np.ones((size, columns), np.float32) for size in state_sizes(layer))
    return partial(ready.step, values, state, ready.workspace(columns))


def random_arrays(layer: Layer) -> dict[str, Any]:
    return arrays_of(layer, {one.name: random(*one.shape) for one in layer.parameters})


def random(*shape: int) -> Float32Array:
    return np.random.default_rng(0).normal(0, 0.05, shape).astype(np.float32)


def microseconds(run: Callable[[], object]) -> float:
    """How long a call takes."""
    run()
    calls, begun = 0, perf_counter()
    while (passed := perf_counter() - begun) < SECONDS:
        run()
        calls += 1
    return 1e6 * passed / calls


if __name__ == "__main__":
    main()
