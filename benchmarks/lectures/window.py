"""
The window network of Bengio et al. 2003 beside recurrent ones, at equal parameters and equal time.

    python -m benchmarks.lectures.window tiny-shakespeare --seconds 120 --seeds 3

Its hidden layer reads the vectors of the last WIDTH characters side by side, which is a convolution of that
width: `--layers 0 --convolution WIDTHxUNITS --convolution-activation tanh`. Every network has as many units
as keep it from having more parameters than the LSTM of `--hidden-size` units.
"""

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod
from statistics import median
from typing import Any

from benchmarks.lectures.measuring import Measurement, Trained, arguments, measuring, spread
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.layers import network_layers

SIZES = range(1, 1 << 16)
"""Numbers of units to choose from."""


def main() -> None:
    parser = arguments(__doc__, seconds=120, hidden_size=128)
    parser.add_argument("--widths", type=int, nargs="+", default=[2, 5, 10, 20, 40])
    with measuring("window", "The window network beside recurrent ones", parser.parse_args()) as page:
        page.say(
            f"About as many parameters each, {page.given.seconds:g} seconds each, all other settings the "
            f"defaults of `lmgen train`. Nats per character of the held-out last tenth, {page.averaged}."
        )
        page.table(("network", "parameters", "epochs", "nats/character"), rows(page))


def rows(page: Measurement) -> Iterator[tuple[str, ...]]:
    """A row for each network, the LSTM first."""
    given = page.given

    def trained(name: str, network: dict[str, Any]) -> list[Trained]:
        minutes = given.seconds / 60
        return [page.train(f"{name}-{seed}", minutes=minutes, seed=seed, **network) for seed in page.seeds]

    lstms = trained("lstm", {"cell": "lstm", "hidden_size": given.hidden_size})
    yield row(f"lstm, {given.hidden_size} units", lstms)

    def largest(network: Callable[[int], dict[str, Any]]) -> int:
        """The most units with which a network has no more parameters than the LSTM."""
        V = lstms[0].model.tokenizer.vocabulary_size
        return bisect(SIZES, lstms[0].parameters, key=lambda units: parameters(network(units), V))

    units = largest(recurrent)
    yield row(f"rnn, {units} units", trained("rnn", recurrent(units)))
    for width in given.widths:
        of_width = partial(window, width)
        units = largest(of_width)
        yield row(f"window of {width}, {units} units", trained(f"window-{width}", of_width(units)))


def row(name: str, runs: Sequence[Trained]) -> tuple[str, ...]:
    """A row of the table."""
    epochs = median(float(run.metrics[-1]["epoch"]) for run in runs)
    return name, f"{runs[0].parameters:,}", f"{epochs:.1f}", spread([run.nats for run in runs])


def recurrent(units: int) -> dict[str, Any]:
    """A vanilla network."""
    return {"cell": "rnn", "hidden_size": units}


def window(width: int, units: int) -> dict[str, Any]:
    """Bengio's network, without the direct connections from vectors to output."""
    return {"layers": 0, "convolution": f"{width}x{units}", "convolution_activation": "tanh"}


def parameters(network: dict[str, Any], vocabulary_size: int) -> int:
    """How many numbers a network has."""
    layers = network_layers(NetworkConfig(**network), vocabulary_size)
    return sum(prod(each.shape) for each in layers.parameters)


if __name__ == "__main__":
    main()
