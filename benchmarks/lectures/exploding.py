"""
Exploding gradients: how they grow with distance in untrained networks, and training with clipping or without.

    python -m benchmarks.lectures.exploding tiny-shakespeare --steps 1000 --seeds 3

The first table is `lmgen inspect gradients --cell ... --init-scale ...`, the others read metrics.jsonl.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from statistics import median
from typing import Any

from benchmarks.lectures.measuring import Measurement, Trained, arguments, measuring, spread
from lmgen.data.named_corpora import corpus_text
from lmgen.errors import NumericalError
from lmgen.inspection.gradients import GradientNorm
from lmgen.inspection.pictures import gradients_chart
from lmgen.text_model import TextModel

DISTANCES = (1, 5, 10, 20, 50, 100)

SCALE = 1.7
"""Of the recurrent matrix of the network that is trained."""

OTHERS = ("rnn-relu, scale 1", "rnn, scale 4")
"""Networks in which clipping decides less, trained with the highest of the learning rates."""

OUTCOME = ("clipping", "first norm", "median norm", "rollbacks", "broken off", "loss")
"""Columns of the tables of training."""

STARTS: dict[str, dict[str, Any]] = {
    "rnn, scale 0.5": {"cell": "rnn", "init_scale": 0.5},
    "rnn, scale 1": {"cell": "rnn"},
    "rnn, scale 2": {"cell": "rnn", "init_scale": 2.0},
    "rnn, scale 4": {"cell": "rnn", "init_scale": 4.0},
    "rnn-relu, scale 1": {"cell": "rnn-relu"},
    f"rnn-relu, scale {SCALE:g}": {"cell": "rnn-relu", "init_scale": SCALE},
    "lstm, scale 4": {"cell": "lstm", "init_scale": 4.0},
}
"""Networks before training: recurrent matrices are orthogonal, times the scale."""

CLIPPINGS: dict[str, dict[str, Any]] = {
    "`--clip none`": {"clip": None},
    "`--clip 1`": {"clip": 1.0},
    "`--clip-value 0.01`": {"clip": None, "clip_value": 0.01},
}

EVALUATIONS = 50
"""Of each run; a gradient norm stands in metrics.jsonl for each."""

READ = 100_000
"""Characters that the gradients of untrained networks are taken over."""


def main() -> None:
    parser = arguments(__doc__, seconds=None, hidden_size=128)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 1.0], help="learning rates")
    with measuring("exploding", "Exploding gradients, and clipping", parser.parse_args()) as page:
        given = page.given
        page.heading("Before training")
        page.say(
            f"Norm of d loss(t) / d h(t-k) by distance k: one layer of {given.hidden_size} units whose "
            f"recurrent matrices are orthogonal ones times a scale. {page.averaged.capitalize()}."
        )
        page.table(("network", *(f"k = {k}" for k in DISTANCES)), untrained_rows(page))
        page.heading("Training")
        page.say(
            f"A vanilla network with the rectifier, `--cell rnn-relu --init-scale {SCALE:g} --optimizer sgd "
            f"--warmup 0`, one layer of {given.hidden_size} units, {given.steps:,} updates. Gradient norms "
            f"before clipping, at every {given.steps // EVALUATIONS}th update from that one on; the lowest "
            f"validation loss in nats per character: {page.averaged}. A run is "
            f"broken off at its third rollback."
        )
        start = STARTS[f"rnn-relu, scale {SCALE:g}"]
        page.table(
            ("learning rate", *OUTCOME),
            ((f"{rate:g}", *row) for rate in given.rates for row in training_rows(page, start, rate)),
        )
        page.heading("Other networks")
        fastest = max(given.rates)
        page.say(f"The same with a learning rate of {fastest:g}.")
        page.table(
            ("network", *OUTCOME),
            ((name, *row) for name in OTHERS for row in training_rows(page, STARTS[name], fastest)),
        )


def untrained_rows(page: Measurement) -> Iterator[tuple[str, ...]]:
    """A row for each start; the picture is of the first seed."""
    text = "".join(corpus_text(page.given.corpus, None))[:READ] + "\n"
    shown: list[tuple[str, GradientNorm]] = []
    for name, start in STARTS.items():
        by_distance: dict[int, list[float]] = {}
        for seed in page.seeds:
            model = TextModel.untrained(text, hidden_size=page.given.hidden_size, seed=seed, **start)
            with suppress(NumericalError):  # beyond what float64 holds
                norms = model.gradients(text, distance=max(DISTANCES))
                found = [at for at in norms if at.state == "h"]
                shown += [(name.partition(", ")[2], at) for at in found if seed == 1]
                for at in found:
                    by_distance.setdefault(at.distance, []).append(at.norm)
        yield name, *(f"{median(by_distance[k]):.1e}" if by_distance else "too large" for k in DISTANCES)
    page.picture("lectures-exploding", gradients_chart(shown))


def training_rows(page: Measurement, start: dict[str, Any], rate: float) -> Iterator[tuple[str, ...]]:
    """A row for each way to clip."""
    for name, clipping in CLIPPINGS.items():
        runs = [
            page.train(
                f"{'-'.join(map(str, start.values()))}-{rate:g}-{list(CLIPPINGS).index(name)}-{seed}",
                **start,
                hidden_size=page.given.hidden_size,
                steps=page.given.steps,
                optimizer="sgd",
                warmup=0.0,
                learning_rate=rate,
                evaluations=EVALUATIONS,
                evaluation_tokens=10_000,
                seed=seed,
                **clipping,
            )
            for seed in page.seeds
        ]
        yield name, *outcome(runs)


def outcome(runs: Sequence[Trained]) -> tuple[str, ...]:
    """What became of the runs of a row."""
    norms = [[float(line["gradient_norm"]) for line in run.metrics] for run in runs if run.metrics]
    return (
        f"{median(each[0] for each in norms):.2g}" if norms else "",
        f"{median(map(median, norms)):.2g}" if norms else "",
        ", ".join(str(run.rollbacks) for run in runs),
        f"{sum(run.ended_early for run in runs)} of {len(runs)}",
        spread([run.nats for run in runs if run.metrics]) if norms else "no model",
    )


if __name__ == "__main__":
    main()
