"""
What `--attention K` costs and brings on a text: an LSTM with and without it, after equal updates and times.

    python -m benchmarks.lectures.attention tiny-shakespeare --steps 3000 --seconds 120 --seeds 3
"""

from collections.abc import Iterator
from statistics import median

from benchmarks.lectures.measuring import Measurement, arguments, measuring, spread


def main() -> None:
    parser = arguments(__doc__, seconds=120, hidden_size=128)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--reach", type=int, nargs="+", default=[5, 20, 60], help="values of K")
    with measuring("attention", "Attention on text", parser.parse_args()) as page:
        given = page.given
        page.say(
            f"One LSTM layer of {given.hidden_size} units, trained for {given.steps:,} updates and, as "
            f"another run, for {given.seconds:g} seconds, all other settings the defaults of "
            f"`lmgen train`. Nats per character of the held-out last tenth, {page.averaged}."
        )
        columns = ("attention", "parameters", "tokens/s", f"{given.steps:,} updates", f"{given.seconds:g} s")
        page.table(columns, rows(page))


def rows(page: Measurement) -> Iterator[tuple[str, ...]]:
    """A row for no attention and for each K."""
    budgets = ({"steps": page.given.steps}, {"minutes": page.given.seconds / 60})
    for reach in (None, *page.given.reach):
        runs = {
            next(iter(budget)): [
                page.train(
                    f"{reach}-{next(iter(budget))}-{seed}",
                    attention=reach,
                    hidden_size=page.given.hidden_size,
                    seed=seed,
                    **budget,
                )
                for seed in page.seeds
            ]
            for budget in budgets
        }
        speed = median(float(run.metrics[-1]["tokens_per_second"]) for run in runs["steps"])
        yield (
            "none" if reach is None else f"K = {reach}",
            f"{runs['steps'][0].parameters:,}",
            f"{speed:,.0f}",
            *(spread([run.nats for run in each]) for each in runs.values()),
        )


if __name__ == "__main__":
    main()
