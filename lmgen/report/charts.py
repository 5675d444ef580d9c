"""The pictures of a report, of one model or of several in one picture."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lmgen.evaluation.results import NATS_PER_BIT, TextScore
from lmgen.inspection.gates import CLOSED, OPEN
from lmgen.inspection.memory import CONTEXTS
from lmgen.inspection.pictures import short_names
from lmgen.report.collected import Collected
from lmgen.report.drawing import COLOURS, INK, MUTED, Picture, colour, drawn, logarithmic, plain, printable
from lmgen.report.history import History
from lmgen.report.losses import Calibration, Means
from lmgen.report.vectors import Plane

Values = TypeVar("Values", Means, Calibration)

MOST_POINTS = 300
"""Units of a gate that are drawn; of more, every second or third one."""

DASHED = (0, (4, 2))

CURVES = {
    "gradient_norm": ("gradient-norm", "Gradient norm", "before clipping", True),
    "learning_rate": ("learning-rate", "Learning rate", "", False),
    "tokens_per_second": ("speed", "Speed", "tokens a second, since training began", False),
}
"""By the names in `metrics.jsonl`: the picture's name and title, what values are, whether in logs."""


def shared_pictures(models: Sequence[Collected]) -> list[Picture]:
    """The pictures that hold all models beside each other."""
    shared = [
        _loss(models),
        *(_curve(models, name) for name in CURVES),
        _scores(models),
        _by_place(models),
        _by_context(models),
        _by_frequency(models),
        _calibration(models),
    ]
    return [each for each in shared if each is not None]


def pictures_of(model: Collected, suffix: str = "") -> list[Picture]:
    """
    The pictures of one model's inside.

    Args:
        model: the model.
        suffix: added to their names, so that those of several models differ.
    """
    found = [_gates(model, suffix), _gradients(model, suffix), _novelty(model, suffix)]
    found += [_vectors(plane, suffix) for plane in model.planes]
    return [each for each in found if each is not None]


def _prefixes(models: Sequence[Collected]) -> list[str]:
    """
    What is put before the names of series; nothing where there is one model.

    A blank stands before `_`, as legends leave out what begins with that.
    """
    names = map(printable, short_names([model.name for model in models]))
    return [f"{' ' * name.startswith('_')}{name} " for name in names] if len(models) > 1 else [""]


def _loss(models: Sequence[Collected]) -> Picture | None:
    if not any(_has(model, "train_nats_per_token", "valid_nats_per_token") for model in models):
        return None

    def draw(axes: Any) -> None:
        for number, (model, prefix) in enumerate(zip(models, _prefixes(models), strict=True)):
            curves = {} if model.history is None else model.history.curves
            train, valid = curves.get("train_nats_per_token"), curves.get("valid_nats_per_token")
            second = number if len(models) > 1 else 1
            if train:
                name = "estimated training loss" if model.history and model.history.estimated else "training"
                axes.plot(
                    train.steps, train.values, color=colour(number), linestyle=DASHED, label=f"{prefix}{name}"
                )
            if valid:
                axes.plot(
                    valid.steps, valid.values, color=colour(second), marker="o", label=f"{prefix}validation"
                )
        _mark_rollbacks(axes, models)
        _finish(axes, "updates", "nats a token")

    return drawn("loss", "Loss on training and validation text, with a point at each evaluation", draw)


def _curve(models: Sequence[Collected], name: str) -> Picture | None:
    if not any(_has(model, name) for model in models):
        return None
    file, title, what, log = CURVES[name]

    def draw(axes: Any) -> None:
        for number, (model, prefix) in enumerate(zip(models, _prefixes(models), strict=True)):
            curve = model.history.curves.get(name) if model.history else None
            if curve:
                axes.plot(
                    curve.steps, curve.values, color=colour(number), marker="o", label=prefix.rstrip() or None
                )
        _mark_rollbacks(axes, models)
        values = [value for model in models if model.history for value in _values(model.history, name)]
        if log and min(values) > 0 and max(values) > 20 * min(values):
            logarithmic(axes, "y")
        else:
            axes.yaxis.set_major_formatter(lambda value, _: plain(value))
        _finish(axes, "updates", what)

    return drawn(file, title, draw)


def _values(history: History, name: str) -> list[float]:
    """The values of a curve; none if the run has not got it."""
    return history.curves[name].values if name in history.curves else []


def _mark_rollbacks(axes: Any, models: Sequence[Collected]) -> None:
    """A vertical line at each rollback."""
    label = "rolled back"
    for number, model in enumerate(models):
        for step in model.history.rollbacks if model.history else ():
            line = colour(number) if len(models) > 1 else MUTED
            axes.axvline(step, color=line, linestyle=(0, (1, 1.5)), linewidth=1, label=label)
            label = "_"


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A score, and the runs that it is of: runs on the same training text have the same n-gram models."""

    runs: tuple[int, ...]
    """Their numbers, from 0."""
    score: TextScore


def score_rows(models: Sequence[Collected]) -> list[ScoreRow]:
    """The scores of all models, each once."""
    found: dict[tuple[str, float, int], tuple[list[int], TextScore]] = {}
    for number, model in enumerate(models):
        for score in model.scores:
            runs, _ = found.setdefault((score.model, score.nats, score.tokens), ([], score))
            runs.append(number)
    return [ScoreRow(tuple(runs), score) for runs, score in found.values()]


def _scores(models: Sequence[Collected]) -> Picture | None:
    rows = score_rows(models)
    if not rows:
        return None
    by_character = all(row.score.bits_per_character is not None for row in rows)
    own, prefixes = models[0].predicted[0].model, _prefixes(models)

    def draw(axes: Any) -> None:
        names = [_of_runs(row.runs, prefixes) + row.score.model for row in rows]
        scores = [row.score for row in rows]
        values = [(each.bits_per_character if by_character else each.nats_per_token) or 0 for each in scores]
        kinds = [_kind(row.score.model, own) if len(models) == 1 else _of_run(row.runs) for row in rows]
        bars = axes.barh(range(len(rows)), values, color=[colour(kind) for kind in kinds], height=0.7)
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8.5)
        axes.set_xlim(0, max(values) * 1.16)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("bits a character" if by_character else "nats a token")

    height = min(max(1.1 + 0.24 * len(rows), 3.0), 9.0)
    title = "How well each model predicts the text; shorter is better"
    return drawn("scores", title, draw, size=(4.6, height), fits=True)


def _of_run(runs: tuple[int, ...]) -> int:
    """The colour of what belongs to some runs: what several share is grey."""
    return runs[0] if len(runs) == 1 else COLOURS - 1


def _of_runs(runs: tuple[int, ...], prefixes: Sequence[str]) -> str:
    """What is put before the name of a series; nothing where several runs share it."""
    return prefixes[runs[0]] if len(runs) == 1 else ""


def _kind(name: str, own: str) -> int:
    """The colour of a bar: of the model itself, of n-gram models, of what is made of both."""
    return 0 if name == own else 1 if name.startswith("ngram") and "+" not in name else 2


def _by_place(models: Sequence[Collected]) -> Picture | None:
    if all(model.places_in_units for model in models):
        title, what = "By place in the unit", "tokens from the beginning"
    else:
        title, what = "By place in the line", "characters from the beginning of the line"

    def draw(axes: Any) -> None:
        _draw_means(axes, models, lambda model: model.places, marker="")
        _finish(axes, what, "bits a token")

    return drawn("by-place", title, draw) if _any(model.places for model in models) else None


def _by_frequency(models: Sequence[Collected]) -> Picture | None:
    def draw(axes: Any) -> None:
        _draw_means(axes, models, lambda model: model.frequencies)
        logarithmic(axes, "x")
        axes.xaxis.set_major_formatter(lambda times, _: plain(times) if times >= 1 else "never")
        _finish(axes, "times in the training text", "bits a token")

    title = "By frequency of the token"
    return drawn("by-frequency", title, draw) if _any(model.frequencies for model in models) else None


def _by_context(models: Sequence[Collected]) -> Picture | None:
    def draw(axes: Any) -> None:
        _draw_means(axes, models, contexts_of)
        axes.set_xscale("symlog", base=2, linthresh=1)
        axes.set_xticks([tick for tick in CONTEXTS if tick <= axes.get_xlim()[1]])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
        axes.minorticks_off()
        _finish(axes, "tokens of context", "bits a token")

    title = "By how much context is given"
    return drawn("by-context", title, draw) if _any(contexts_of(model) for model in models) else None


def _any(of_models: Iterable[Sequence[Means]]) -> bool:
    """Whether a curve has a point."""
    return any(means.xs for each in of_models for means in each)


def _draw_means(
    axes: Any, models: Sequence[Collected], of: Callable[[Collected], Sequence[Means]], marker: str = "o"
) -> None:
    """The loss of networks, and dashed of n-gram models, over something."""
    for label, of_curve, dash, means in _series(models, of):
        axes.plot(means.xs, means.bits, color=of_curve, linestyle=dash, marker=marker, label=label)


def _series(
    models: Sequence[Collected], of: Callable[[Collected], Sequence[Values]]
) -> Iterator[tuple[str, str, Any, Values]]:
    """Label, colour, dashes and values of each model's and its n-gram model's curve, each curve once."""
    prefixes = _prefixes(models)
    found: dict[str, tuple[list[int], int, Values]] = {}
    for number, model in enumerate(models):
        for place, values in enumerate(of(model)):
            found.setdefault(repr(values), ([], place, values))[0].append(number)
    for runs, place, values in found.values():
        own = _of_run(tuple(runs)) if len(models) > 1 else place
        label = f"{_of_runs(tuple(runs), prefixes)}{values.model}"
        yield label, colour(own), DASHED if place else "-", values


def contexts_of(model: Collected) -> list[Means]:
    """The loss by tokens of context; that of an n-gram model stays what it is beyond its order."""
    longest = max((each.context for each in model.contexts), default=0)
    found = []
    for name in dict.fromkeys(each.model for each in model.contexts):
        points = [each for each in model.contexts if each.model == name]
        xs = [float(each.context) for each in points]
        bits = [each.nats_per_token / NATS_PER_BIT for each in points]
        if xs[-1] < longest:
            xs.append(float(longest))
            bits.append(bits[-1])
        found.append(Means(name, xs, bits, [each.tokens for each in points]))
    return found


def _calibration(models: Sequence[Collected]) -> Picture | None:
    if not any(model.calibrations for model in models):
        return None

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        for label, of_curve, dash, found in _series(models, lambda model: model.calibrations):
            axes.plot(
                found.confidence,
                found.accuracy,
                color=of_curve,
                linestyle=dash,
                marker="o",
                label=f"{label}, ECE {found.error:.1%}",
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        _finish(axes, "probability of the likeliest token", "how often it comes")

    return drawn("calibration", "Calibration: a probability of 60% should come true in 60% of cases", draw)


def _gates(model: Collected, suffix: str) -> Picture | None:
    shares = [] if model.inside is None else model.inside.gates
    if not shares:
        return None

    def draw(axes: Any) -> None:
        layers = len({share.layer for share in shares})
        for number, (layer, gate) in enumerate(dict.fromkeys((share.layer, share.gate) for share in shares)):
            points = [share for share in shares if (share.layer, share.gate) == (layer, gate)]
            points = points[:: -(-len(points) // MOST_POINTS)]
            axes.plot(
                [share.closed for share in points],
                [share.open for share in points],
                linestyle="",
                marker="o",
                markersize=3,
                alpha=0.65,
                color=colour(number),
                label=gate if layers == 1 else f"{layer.rpartition('.')[2]} {gate}",
            )
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        _finish(axes, f"share of tokens below {CLOSED}: closed", f"share above {OPEN}: open")

    return drawn(f"gates{suffix}", "Gates: a point for each unit", draw)


def _gradients(model: Collected, suffix: str) -> Picture | None:
    if not any(each.norm > 0 for each in model.gradients):
        return None

    def draw(axes: Any) -> None:
        names = dict.fromkeys((each.layer, each.state) for each in model.gradients)
        layers = len({layer for layer, _ in names})
        for number, (layer, state) in enumerate(names):
            points = [
                (e.distance, e.norm)
                for e in model.gradients
                if (e.layer, e.state) == (layer, state) and e.norm > 0
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=colour(number),
                    label=state if layers == 1 else f"layer {layer.rpartition('.')[2]}, {state}",
                )
        logarithmic(axes, "y")
        _finish(axes, "tokens back", "norm of the gradient")

    return drawn(f"gradients{suffix}", "How far back the gradient of a loss reaches", draw)


def _vectors(plane: Plane, suffix: str) -> Picture:
    def draw(axes: Any) -> None:
        for x, y, name in zip(plane.xs, plane.ys, plane.names, strict=True):
            axes.text(x, y, printable(name), ha="center", va="center", fontsize=9, color=INK, clip_on=True)
        axes.plot(plane.xs, plane.ys, linestyle="", marker="o", markersize=9, color=colour(0), alpha=0.13)
        axes.margins(0.06)
        axes.figure.subplots_adjust(left=0.07, bottom=0.08)
        axes.grid(visible=False)
        axes.tick_params(labelbottom=False, labelleft=False, length=0)
        axes.set_xlabel(plane.axes[0])
        axes.set_ylabel(plane.axes[1])

    name = plane.method.lower().replace("-", "")
    which = f"{len(plane.names)} most frequent" if plane.by_frequency else f"first {len(plane.names)}"
    title = f"Vectors of the {which} tokens, by {plane.method}"
    return drawn(f"vectors-{name}{suffix}", title, draw, size=(5.4, 4.4))


def _novelty(model: Collected, suffix: str) -> Picture | None:
    if model.copies is None:
        return None
    shares = [each for each in model.copies.ngrams if each.of == "characters"]

    def draw(axes: Any) -> None:
        axes.plot(
            [each.n for each in shares],
            [each.share for each in shares],
            color=colour(0),
            marker="o",
            label="samples",
        )
        held_out = [(each.n, each.held_out_share) for each in shares if each.held_out_share is not None]
        if held_out:
            axes.plot(
                *zip(*held_out, strict=True),
                color=colour(1),
                linestyle=DASHED,
                marker="o",
                label="held-out text",
            )
        logarithmic(axes, "x")
        axes.set_ylim(-0.03, 1.03)
        _finish(axes, "length n, in characters", "share that is new")

    return drawn(f"novelty{suffix}", "What share of n-grams is not in the training text", draw)


def _finish(axes: Any, x: str, y: str) -> None:
    """Name the axes, and the series where there are several."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="best")


def _has(model: Collected, *names: str) -> bool:
    return model.history is not None and any(name in model.history.curves for name in names)
