"""
Line charts and scatter plots as SVG, without a dependency.

Colours of text and axes follow the reader's light or dark theme (`prefers-color-scheme`); those of the series
can be told apart on both, also by the colour-blind (Okabe and Ito 2008), and lines differ in their dashes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from math import ceil, floor, isfinite, log10
from pathlib import Path

from lmgen.files import behind_links, write_text
from lmgen.inspection.labels import SIZE, Label, placed

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 78, 24, 44, 56
"""The size of a picture, and what is left free around its plot area; on the right the legend is added."""

LETTER, SAMPLE = 7.2, 46
"""Widths in the legend: of a letter, and of the piece of line beside a label with the space around it."""

COLOURS = ("#1f83c9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7f7f7f")
DASHES = ("", "7 3", "2 3", "9 3 2 3")

MOST_TICKS = 8

RADIUS = 3.5
"""Of a point."""

NAMED_RADIUS = 2.5
"""Of a point with its name beside it."""

STYLE = f"""
svg {{ color: #24292f }}
.back {{ fill: #ffffff }}
text {{ fill: currentColor; font-family: sans-serif; font-size: 13px }}
.title {{ font-size: 15px; font-weight: bold }}
.axis {{ stroke: currentColor; fill: none }}
.grid {{ stroke: currentColor; opacity: 0.15 }}
.line {{ fill: none; stroke-width: 2; stroke-linejoin: round }}
.point {{ opacity: 0.7 }}
.name {{ font-size: {SIZE}px }}
.lead {{ stroke: currentColor; opacity: 0.4; fill: none }}
@media (prefers-color-scheme: dark) {{
svg {{ color: #d7dde3 }}
.back {{ fill: #16191d }}
}}
"""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one set of points."""

    label: str
    """In the legend; empty where there is to be none."""
    xs: Sequence[float]
    ys: Sequence[float]
    names: Sequence[str] = ()
    """Of points drawn apart: what each is called, written beside it where there is room."""


_placed = lru_cache(maxsize=1)(placed)
"""The last chart's labels are kept: they are asked for twice, to draw them and to count those left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What one axis shows."""

    label: str
    log: bool = False
    """Whether the scale is logarithmic; values that are not above 0 are left out then."""
    limits: tuple[float, float] | None = None
    """The first and the last value; None: those of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of several series."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series] = field(default_factory=tuple)
    as_points: bool = False
    """Whether the points are drawn apart, not joined by lines."""

    def svg(self) -> str:
        """The chart as an SVG document."""
        x, y = self._scales()
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{_text(self.title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
            f'<text class="title" x="{LEFT}" y="24">{_text(self.title)}</text>',
            *self._axes(x, y),
        ]
        for number, each in enumerate(self.series):
            lines += self._drawn(number, each, x, y)
        lines += self._legend()
        for point, label in self._labels():
            lines += [] if label is None else _name(label, point)
        return "\n".join([*lines, "</svg>", ""])

    def save(self, path: str | Path) -> None:
        """
        Write it to a file, which is replaced if it exists.

        Raises:
            WriteError: it cannot be written.
        """
        write_text(behind_links(Path(path)), self.svg())

    @property
    def unnamed(self) -> int:
        """Points without room for their names."""
        return sum(label is None for _, label in self._labels())

    @property
    def _right(self) -> float:
        """Where the plot area ends and the legend begins."""
        widest = max((len(each.label) for each in self.series), default=0)
        return WIDTH - RIGHT - (min(SAMPLE + LETTER * widest, WIDTH / 3) if widest else 0)

    def _scales(self) -> tuple["_Scale", "_Scale"]:
        """Of both axes, over the points of all series."""
        shown = [p for each in self.series for p in zip(each.xs, each.ys, strict=True) if self._shows(*p)]
        x = _Scale(self.x, [across for across, _ in shown], LEFT, self._right)
        y = _Scale(self.y, [up for _, up in shown], HEIGHT - BOTTOM, TOP)
        return x, y

    def _labels(self) -> list[tuple[tuple[float, float], Label | None]]:
        """The place of each point that has a name, and its name's; None where there is no room."""
        x, y = self._scales()
        named = [
            (name, (x(across), y(up)))
            for each in self.series
            for name, across, up in zip(each.names, each.xs, each.ys, strict=False)
            if self._shows(across, up)
        ]
        points = [point for _, point in named]
        area = (LEFT, TOP, self._right, HEIGHT - BOTTOM)
        labels = _placed(tuple(name for name, _ in named), tuple(points), area, RADIUS)
        return list(zip(points, labels, strict=True))

    def _shows(self, x: float, y: float) -> bool:
        """Whether a point has a place."""
        return isfinite(x) and isfinite(y) and (x > 0 or not self.x.log) and (y > 0 or not self.y.log)

    def _axes(self, x: "_Scale", y: "_Scale") -> Iterator[str]:
        low, high = HEIGHT - BOTTOM, TOP
        for value in x.ticks:
            place = f"{x(value):.1f}"
            yield f'<path class="grid" d="M{place} {low}V{high}"/>'
            yield f'<text x="{place}" y="{low + 20}" text-anchor="middle">{_number(value)}</text>'
        for value in y.ticks:
            yield f'<path class="grid" d="M{LEFT} {y(value):.1f}H{self._right:.1f}"/>'
            yield f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        yield f'<path class="axis" d="M{LEFT} {high}V{low}H{self._right:.1f}"/>'
        middle = (LEFT + self._right) / 2
        yield f'<text x="{middle:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{_text(self.x.label)}</text>'
        middle = (low + high) / 2
        yield (
            f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">'
            f"{_text(self.y.label)}</text>"
        )

    def _drawn(self, number: int, series: Series, x: "_Scale", y: "_Scale") -> Iterator[str]:
        colour = COLOURS[number % len(COLOURS)]
        title = f"<title>{_text(series.label)}</title>"
        pieces: list[list[str]] = [[]]
        for point in zip(series.xs, series.ys, strict=True):
            if self._shows(*point):
                pieces[-1].append(f"{x(point[0]):.1f} {y(point[1]):.1f}")
            elif pieces[-1]:
                pieces.append([])  # a gap, where there is no number or a zero on a logarithmic scale
        if self.as_points:
            radius = NAMED_RADIUS if series.names else RADIUS
            yield f'<g class="point" fill="{colour}">{title}'
            for place in (place for piece in pieces for place in piece):
                across, down = place.split()
                yield f'<circle cx="{across}" cy="{down}" r="{radius}"/>'
            yield "</g>"
            return
        path = "".join("M" + "L".join(piece) for piece in pieces if piece)
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        yield f'<path class="line" stroke="{colour}"{dashes} d="{path}">{title}</path>'

    def _legend(self) -> Iterator[str]:
        left = self._right + 16
        for number, each in enumerate(self.series):
            if not each.label:
                continue
            colour = COLOURS[number % len(COLOURS)]
            y = TOP + 14 + 18 * number
            if self.as_points:
                yield f'<circle cx="{left + 12:.1f}" cy="{y - 4}" r="4" fill="{colour}"/>'
            else:
                dash = DASHES[number // len(COLOURS) % len(DASHES)]
                dashes = f' stroke-dasharray="{dash}"' if dash else ""
                yield f'<path class="line" stroke="{colour}"{dashes} d="M{left:.1f} {y - 4}h24"/>'
            yield f'<text x="{left + 30:.1f}" y="{y}">{_text(each.label)}</text>'


class _Scale:
    """Maps values of an axis to places in the picture."""

    def __init__(self, axis: Axis, values: Sequence[float], first: float, last: float) -> None:
        self._axis, self._first, self._last = axis, first, last
        self._low: float
        self._high: float
        low, high = axis.limits or (min(values, default=1), max(values, default=1))
        if axis.log:
            self._low, self._high = log10(low), log10(high)
            powers = range(ceil(self._low), floor(self._high) + 1)
            if len(powers) < 2:
                powers = range(floor(self._low), max(ceil(self._high), floor(self._low) + 1) + 1)
                self._low, self._high = powers[0], powers[-1]
            self.ticks = [10.0**power for power in powers[:: ceil(len(powers) / MOST_TICKS)]]
        else:
            step = _round_step((high - low) / MOST_TICKS or max(abs(high), 1) / MOST_TICKS)
            self._low, self._high = floor(low / step), max(ceil(high / step), floor(low / step) + 1)
            self.ticks = [step * number for number in range(self._low, self._high + 1)]
            self._low, self._high = self._low * step, self._high * step

    def __call__(self, value: float) -> float:
        """The place of a value."""
        at = log10(value) if self._axis.log else value
        return self._first + (self._last - self._first) * (at - self._low) / (self._high - self._low)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50 and so on that is not below `least`."""
    power = 10.0 ** floor(log10(least))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9)))


def _name(label: Label, point: tuple[float, float]) -> Iterator[str]:
    """A name, and a line from its point where it stands apart."""
    left, top, right, bottom = label.box
    if not label.is_beside:
        x, y = min(max(point[0], left), right), min(max(point[1], top), bottom)
        yield f'<path class="lead" d="M{point[0]:.1f} {point[1]:.1f}L{x:.1f} {y:.1f}"/>'
    yield f'<text class="name" x="{left:.1f}" y="{bottom - 4:.1f}">{_text(label.name)}</text>'


def _number(value: float) -> str:
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")


def _text(text: str) -> str:
    """A text that XML can hold."""
    return escape("".join(letter if letter.isprintable() else "�" for letter in text))
