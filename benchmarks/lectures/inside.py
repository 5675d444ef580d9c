"""
What goes on inside trained networks: how far gradients reach, how much context is used, what gates do.

    python -m benchmarks.lectures.inside tiny-shakespeare --seconds 60 --seeds 3

Networks with each cell are trained for the same time; then `lmgen inspect` is asked of them and of the same
networks before any training. The pictures are of the first seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.lectures.measuring import Measurement, Trained, arguments, measuring
from lmgen.inspection.gates import GateShare, summaries
from lmgen.inspection.gradients import GradientNorm
from lmgen.inspection.pictures import gates_chart, gradients_chart, memory_chart
from lmgen.text_model import TextModel

CELLS = ("rnn", "gru", "lstm")

DISTANCES = (1, 5, 10, 20, 50, 100)

CONTEXTS = (1, 2, 5, 10, 20, 50, 100, 200)

MEMORY = 100
LONG_MEMORY = f"untrained, --init-memory {MEMORY}"

STAGES = ("untrained", LONG_MEMORY, "trained")
"""What gradients are taken of, in the order of the table."""

READ = 20_000
"""Characters of held-out text in which a readable unit is looked for."""


@dataclass(frozen=True)
class Network:
    """A network with one cell and seed, before and after its training."""

    cell: str
    seed: int
    untrained: dict[str, TextModel]
    """By how it starts."""
    run: Trained


def main() -> None:
    given = arguments(__doc__, seconds=60, hidden_size=128).parse_args()
    with measuring("inside", "Inside vanilla, GRU and LSTM networks", given) as page:
        page.say(
            f"One layer of {given.hidden_size} units after {given.seconds:g} seconds each, all other "
            f"settings the defaults of `lmgen train`; everything is measured on the held-out last tenth. "
            f"{page.averaged.capitalize()}, pictures of the first."
        )
        networks = [network(page, cell, seed) for cell in CELLS for seed in page.seeds]
        report_gradients(page, networks)
        report_memory(page, networks)
        gated = [each for each in networks if each.cell != "rnn"]
        report_gates(page, gated)
        report_readable_units(page, gated)


def network(page: Measurement, cell: str, seed: int) -> Network:
    """Train a network, and start the same one again without training."""
    size = page.given.hidden_size
    run = page.train(
        f"{cell}-{seed}", cell=cell, hidden_size=size, minutes=page.given.seconds / 60, seed=seed
    )
    text = next(iter(run.model.texts()))
    starts = {"untrained": None} if cell == "rnn" else {"untrained": None, LONG_MEMORY: MEMORY}
    untrained = {
        name: TextModel.untrained(
            text, like=run.model, cell=cell, hidden_size=size, seed=seed, init_memory=memory
        )
        for name, memory in starts.items()
    }
    return Network(cell, seed, untrained, run)


def report_gradients(page: Measurement, networks: Sequence[Network]) -> None:
    """Norms by distance, untrained and trained."""
    found: list[tuple[str, int, GradientNorm]] = []
    for each in networks:
        text = next(iter(each.run.model.texts()))
        for name, model in (each.untrained | {"trained": each.run.model}).items():
            found += [(name, each.seed, norm) for norm in model.gradients(text, distance=max(DISTANCES))]
    page.heading("How far back gradients reach")
    page.say("Norm of d loss(t) / d h(t-k), and with an LSTM also of d loss(t) / d c(t-k), by distance k.")
    page.table(("network", *(f"k = {k}" for k in DISTANCES)), gradient_rows(found))
    lines = [(name.removeprefix("untrained, "), at) for name, seed, at in found if seed == 1]
    page.picture("lectures-gradients", gradients_chart(lines))


def gradient_rows(found: Sequence[tuple[str, int, GradientNorm]]) -> Iterator[tuple[str, ...]]:
    """A row for each cell, part of the state, and for untrained and trained networks."""
    lines = dict.fromkeys((norm.cell, norm.state, name) for name, _, norm in found)
    for cell, state, trained in sorted(lines, key=lambda line: STAGES.index(line[2])):
        norms = [at for name, _, at in found if (at.cell, at.state, name) == (cell, state, trained)]
        yield (
            f"{cell} {state}, {trained}",
            *(f"{median(at.norm for at in norms if at.distance == k):.1e}" for k in DISTANCES),
        )


def report_memory(page: Measurement, networks: Sequence[Network]) -> None:
    """Loss by the number of characters of context that were given."""
    found = {(each.cell, each.seed): each.run.model.memory(contexts=CONTEXTS) for each in networks}
    page.heading("How much context is used")
    page.say("Nats per character, by the number of characters that were read before the one predicted.")
    page.table(
        ("cell", *map(str, CONTEXTS)),
        (
            (
                cell,
                *(
                    f"{median(found[cell, seed][at].nats_per_token for seed in page.seeds):.3f}"
                    for at in range(len(CONTEXTS))
                ),
            )
            for cell in CELLS
        ),
    )
    page.picture("lectures-memory", memory_chart(loss for cell in CELLS for loss in found[cell, 1]))


def report_gates(page: Measurement, networks: Sequence[Network]) -> None:
    """How often gates are open and closed; the picture is of the first LSTM."""
    page.heading("Gates")
    page.say(
        "Share of characters at which a gate is nearly open (above 0.9) and nearly closed (below 0.1), mean "
        "over its units, and how many units have it open or closed at every character."
    )
    shares = {(each.cell, each.seed): each.run.model.gates() for each in networks}
    page.table(("gate", "open", "closed", "always open", "always closed"), gate_rows(page, shares))
    page.picture("lectures-gates", gates_chart(shares["lstm", 1]))


def gate_rows(page: Measurement, shares: dict[tuple[str, int], list[GateShare]]) -> Iterator[tuple[str, ...]]:
    """A row for each gate of each cell."""
    for cell in dict.fromkeys(cell for cell, _ in shares):
        for group in zip(*(summaries(shares[cell, seed]) for seed in page.seeds), strict=True):
            yield (
                f"{cell} {group[0].gate}",
                f"{median(each.open for each in group):.0%}",
                f"{median(each.closed for each in group):.0%}",
                f"{median(each.always_open for each in group):.0f}",
                f"{median(each.always_closed for each in group):.0f}",
            )


def report_readable_units(page: Measurement, networks: Sequence[Network]) -> None:
    """For each network the units that count best."""
    page.heading("Readable units")
    page.say(
        f"The unit whose state (c of an LSTM, h of a GRU) goes best with how many characters ago the line or "
        f"the word began, over {READ:,} characters: its number and the correlation."
    )
    page.table(("network", "unit", "line", "unit", "word"), (readable_units(each) for each in networks))


def readable_units(network: Network) -> tuple[str, ...]:
    """A row of that table."""
    state = "c" if network.cell == "lstm" else "h"
    model = network.run.model
    ids: list[int] = []
    values = []
    for read in model.states(names=[state]):
        ids += read.block.ids.tolist()
        values.append(read.series[f"layers.0.{state}"])
        if len(ids) >= READ:
            break
    text = model.detokenize(ids)
    found = [f"{network.cell}, seed {network.seed}"]
    for counted in (since(text, "\n"), since(text, " \n")):
        by_unit = np.corrcoef(counted, np.concatenate(values).T)[0, 1:]
        best = int(np.abs(by_unit).argmax())
        found += [str(best), f"{by_unit[best]:.2f}"]
    return tuple(found)


def since(text: str, ends: str) -> list[int]:
    """How many characters each is after the last one of `ends`; such a one itself is 0."""
    counted: list[int] = []
    for character in text:
        counted.append(0 if character in ends else 1 + (counted[-1] if counted else 0))
    return counted


if __name__ == "__main__":
    main()
