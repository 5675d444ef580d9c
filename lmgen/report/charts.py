"""The pictures of a report, of one model or of several in one picture."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from lmgen.evaluation.results import NATS_PER_BIT
from lmgen.inspection.gates import CLOSED, OPEN
from lmgen.report.collected import Collected
from lmgen.report.drawing import INK, MUTED, Picture, colour, drawn, logarithmic, plain, printable
from lmgen.report.history import History
from lmgen.report.losses import Means
from lmgen.report.vectors import Plane

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
        _means(models, "places", "by-place", _by_place(models), "place", log=False),
        _contexts(models),
        _means(
            models,
            "frequencies",
            "by-frequency",
            "By frequency of the token",
            "times in the training text",
            log=True,
        ),
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


def short_names(models: Sequence[Collected]) -> list[str]:
    """What models are called in legends and switches: the name of the folder, where that tells them apart."""
    short = [PurePath(model.name).name for model in models]
    return short if len(set(short)) == len(short) else [model.name for model in models]


def _prefixes(models: Sequence[Collected]) -> list[str]:
    """What is put before the names of series; nothing where there is one model."""
    return [f"{name} " for name in short_names(models)] if len(models) > 1 else [""]


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
                    curve.steps, curve.values, color=colour(number), marker="o", label=prefix.strip() or None
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


def _scores(models: Sequence[Collected]) -> Picture | None:
    by_character = all(score.bits_per_character is not None for model in models for score in model.scores)
    rows = [
        (
            f"{prefix}{score.model}",
            (score.bits_per_character if by_character else score.nats_per_token) or 0,
            number,
        )
        for number, (model, prefix) in enumerate(zip(models, _prefixes(models), strict=True))
        for score in model.scores
    ]
    if not rows:
        return None

    def draw(axes: Any) -> None:
        names = [name for name, *_ in rows]
        values = [value for _, value, _ in rows]
        own = models[0].predicted[0].model
        kinds = [number if len(models) > 1 else _kind(name, own) for name, _, number in rows]
        bars = axes.barh(range(len(rows)), values, color=[colour(kind) for kind in kinds], height=0.7)
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8.5)
        axes.set_xlim(0, max(values) * 1.16)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("bits a character" if by_character else "nats a token")

    height = min(max(1.1 + 0.24 * len(rows), 3.0), 9.0)
    return drawn(
        "scores",
        "How well each model predicts the text; shorter is better",
        draw,
        size=(4.6, height),
        fits=True,
    )


def _kind(name: str, own: str) -> int:
    """The colour of a bar: of the model itself, of n-gram models, of what is made of both."""
    return 0 if name == own else 1 if name.startswith("ngram") and "+" not in name else 2


def _by_place(models: Sequence[Collected]) -> str:
    return "By place in the unit" if all(model.in_units for model in models) else "By place in the line"


def _means(
    models: Sequence[Collected], of: str, name: str, title: str, what: str, *, log: bool
) -> Picture | None:
    """The loss of networks, and dashed of n-gram models, over something."""
    if not any(each.xs for model in models for each in getattr(model, of)):
        return None

    def draw(axes: Any) -> None:
        for label, number, dash, means in _series(models, of):
            axes.plot(
                means.xs, means.bits, color=number, linestyle=dash, marker="o" if log else "", label=label
            )
        if log:
            logarithmic(axes, "x")
        if what == "place":
            unit = all(model.in_units for model in models)
            _finish(
                axes,
                "tokens from the beginning" if unit else "characters from the beginning of the line",
                "bits a token",
            )
        else:
            _finish(axes, what, "bits a token")

    return drawn(name, title, draw)


def _series(models: Sequence[Collected], of: str) -> Iterator[tuple[str, str, Any, Means]]:
    """Label, colour, dashes and values of each model's and its n-gram model's curve."""
    for number, (model, prefix) in enumerate(zip(models, _prefixes(models), strict=True)):
        for place, means in enumerate(getattr(model, of)):
            own = number if len(models) > 1 else place
            yield f"{prefix}{means.model}", colour(own), DASHED if place else "-", means


def _contexts(models: Sequence[Collected]) -> Picture | None:
    if not any(model.contexts for model in models):
        return None

    def draw(axes: Any) -> None:
        for number, (model, prefix) in enumerate(zip(models, _prefixes(models), strict=True)):
            longest = max((each.context for each in model.contexts), default=0)
            for place, name in enumerate(dict.fromkeys(each.model for each in model.contexts)):
                points = [
                    (each.context, each.nats_per_token / NATS_PER_BIT)
                    for each in model.contexts
                    if each.model == name
                ]
                if place and points[-1][0] < longest:  # further back an n-gram model sees nothing
                    points.append((longest, points[-1][1]))
                own = number if len(models) > 1 else place
                axes.plot(
                    *zip(*points, strict=True),
                    color=colour(own),
                    linestyle=DASHED if place else "-",
                    marker="o",
                    label=f"{prefix}{name}",
                )
        axes.set_xscale("symlog", base=2, linthresh=1)
        ticks = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]
        axes.set_xticks([tick for tick in ticks if tick <= axes.get_xlim()[1]])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
        axes.minorticks_off()
        _finish(axes, "tokens of context", "bits a token")

    return drawn("by-context", "By how much context is given", draw)


def _calibration(models: Sequence[Collected]) -> Picture | None:
    if not any(model.calibrations for model in models):
        return None

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        for number, (model, prefix) in enumerate(zip(models, _prefixes(models), strict=True)):
            for place, each in enumerate(model.calibrations):
                axes.plot(
                    each.confidence,
                    each.accuracy,
                    color=colour(number if len(models) > 1 else place),
                    linestyle=DASHED if place else "-",
                    marker="o",
                    label=f"{prefix}{each.model}, ECE {each.error:.1%}",
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
    title = f"Vectors of the {len(plane.names)} most frequent tokens, by {plane.method}"
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
