"""
Every recurrent cell after the same time on the same text: parameters, updates and loss.

    python -m benchmarks.lectures.cells tiny-shakespeare --seconds 60 --seeds 3

Everything but the cell is a default of `lmgen train`, also the learning rate, which was chosen for the LSTM.
"""

from collections.abc import Iterator
from statistics import median

import lmgen
from benchmarks.lectures.measuring import Measurement, arguments, measuring, spread


def main() -> None:
    parser = arguments(__doc__, seconds=60, hidden_size=256)
    parser.add_argument("--cells", nargs="+", default=[each.name for each in lmgen.list_cells()])
    with measuring("cells", "Every cell after the same time", parser.parse_args()) as page:
        given = page.given
        page.say(
            f"One layer of {given.hidden_size} units after {given.seconds:g} seconds each, all other "
            f"settings the defaults of `lmgen train`. Nats per character of the held-out last "
            f"tenth, {page.averaged}."
        )
        page.table(("cell", "parameters", "updates", "nats/character"), rows(page))


def rows(page: Measurement) -> Iterator[tuple[str, str, str, str]]:
    """A row for each cell."""
    for cell in page.given.cells:
        runs = [
            page.train(
                f"{cell}-{seed}",
                cell=cell,
                hidden_size=page.given.hidden_size,
                minutes=page.given.seconds / 60,
                seed=seed,
            )
            for seed in page.seeds
        ]
        updates = f"{median(run.steps for run in runs):,.0f}"
        if any(run.ended_early for run in runs):
            updates += ", broke down"
        yield cell, f"{runs[0].parameters:,}", updates, spread([run.nats for run in runs])


if __name__ == "__main__":
    main()
