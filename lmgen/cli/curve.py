"""Plot curves with characters."""

from collections.abc import Sequence
from math import log

WIDTH, HEIGHT = 60, 9
"""Size of the plot area, in characters."""

MARKS = "*+ox#@%&"
"""The characters of curves, in turn."""

Curve = tuple[Sequence[float], Sequence[float]]
"""x and y; y holds finite values, one for each x."""


def drawn(xs: Sequence[float], ys: Sequence[float], marked: float) -> list[str]:
    """
    Plot y over x as lines of text, with x on a logarithmic scale.

    Args:
        xs: positive values in ascending order.
        ys: finite values, one for each x.
        marked: x value to mark on the axis.
    """
    return _plotted([(xs, ys)], log_x=True, digits=2, marked=marked)


def drawn_together(
    curves: dict[str, Curve], *, log_x: bool = False, log_y: bool = False, height: int = 2 * HEIGHT
) -> list[str]:
    """
    Plot several curves by name in one frame, with a line for each that says how it is drawn.

    Args:
        curves: at least one; on a logarithmic scale, values that are not above 0 are left out.
        log_x: whether x is on a logarithmic scale.
        log_y: whether y is.
        height: lines of the plot area.
    """
    shown = {
        name: [(x, y) for x, y in zip(xs, ys, strict=True) if (x > 0 or not log_x) and (y > 0 or not log_y)]
        for name, (xs, ys) in curves.items()
    }
    some = {name: tuple(zip(*points, strict=True)) for name, points in shown.items() if points}
    lines = [
        f"{MARKS[number % len(MARKS)]:>10} {name}{'' if name in some else _why_absent(curves[name][1])}"
        for number, name in enumerate(curves)
    ]
    if not some:
        return lines
    given = [some.get(name, ((), ())) for name in curves]
    plot = _plotted(given, log_x=log_x, log_y=log_y, digits=4, height=height)  # type: ignore[arg-type]
    return [*plot, *lines]


def _why_absent(ys: Sequence[float]) -> str:
    """What is said beside a curve that has no point to draw."""
    return " (nothing above 0 on a logarithmic scale)" if any(y > 0 for y in ys) else " (0 everywhere)"


def _plotted(
    curves: Sequence[Curve],
    *,
    log_x: bool,
    log_y: bool = False,
    digits: int,
    height: int = HEIGHT,
    marked: float | None = None,
) -> list[str]:
    """The frame with its curves, and the first and last values beside it."""
    xs = [x for each, _ in curves for x in each]
    ys = [y for _, each in curves for y in each]
    left, right, lowest, highest = min(xs), max(xs), min(ys), max(ys)
    grid = [[" "] * WIDTH for _ in range(height)]
    for number, curve in reversed(list(enumerate(curves))):  # the first one is on top
        for x, y in zip(*curve, strict=True):
            row = round((height - 1) * _share(y, highest, lowest, log_y))
            column = round((WIDTH - 1) * _share(x, left, right, log_x))
            grid[row][column] = MARKS[number % len(MARKS)]
    labels = {0: f"{highest:.3g}", height - 1: f"{lowest:.3g}"}
    lines = [f"{labels.get(number, ''):>9} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    axis = ["-"] * WIDTH
    if marked is not None:
        axis[round((WIDTH - 1) * _share(marked, left, right, log_x))] = "^"
    first, last = f"{left:.{digits}g}", f"{right:.{digits}g}"
    return [*lines, " " * 10 + "+" + "".join(axis), " " * 11 + first + last.rjust(WIDTH - len(first))]


def _share(value: float, first: float, last: float, is_log: bool) -> float:
    """How far from the first to the last value another is: 0 to 1."""
    if first == last:
        return 0.0
    share = log(value / first) / log(last / first) if is_log else (value - first) / (last - first)
    return min(1.0, max(0.0, share))
