"""Plot a curve with characters."""

from collections.abc import Sequence
from math import log

WIDTH, HEIGHT = 60, 9
"""Size of the plot area, in characters."""


def drawn(xs: Sequence[float], ys: Sequence[float], marked: float) -> list[str]:
    """
    Plot y over x as lines of text, with x on a logarithmic scale.

    Args:
        xs: positive values in ascending order.
        ys: finite values, one for each x.
        marked: x value to mark on the axis.
    """
    lowest, highest = min(ys), max(ys)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for x, y in zip(xs, ys, strict=True):
        row = round((HEIGHT - 1) * (highest - y) / max(highest - lowest, 1e-12))
        grid[row][_column(x, xs)] = "*"
    labels = {0: f"{highest:.3g}", HEIGHT - 1: f"{lowest:.3g}"}
    lines = [f"{labels.get(number, ''):>9} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    axis = ["-"] * WIDTH
    axis[_column(marked, xs)] = "^"
    left, right = f"{xs[0]:.2g}", f"{xs[-1]:.2g}"
    return [*lines, " " * 10 + "+" + "".join(axis), " " * 11 + left + right.rjust(WIDTH - len(left))]


def _column(x: float, xs: Sequence[float]) -> int:
    share = log(x / xs[0]) / max(log(xs[-1] / xs[0]), 1e-12)
    return round((WIDTH - 1) * min(1.0, max(0.0, share)))
