"""Places for the names of points in a picture, so that none covers another name or a point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

import numpy as np

SIZE = 12
"""Height of the letters, in pixels."""

WIDTH, BROAD = 0.6, 0.9
"""Widths of a letter, as shares of its height; m, w, capitals, signs and CJK characters are broad."""

DISTANCES = (6, 12, 20, 30, 42)
"""Between a point and its name; the nearest one where there is room is taken."""

DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""In which a name stands from its point: first right and left of it."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name with its place."""

    name: str
    box: Box
    is_beside: bool
    """Whether it stands so near its point that no line has to lead there."""


def placed(
    names: Sequence[str], points: Sequence[tuple[float, float]], area: Box, radius: float
) -> list[Label | None]:
    """
    A place for each name beside its point, the first ones first; None where all places are taken.

    Args:
        names: one for each point.
        points: their places in the picture.
        area: what names must not leave.
        radius: of a point, which names must not cover.
    """
    taken = np.empty((2 * len(names), 4))
    count = len(points)
    circles = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    taken[:count] = np.reshape(circles, (-1, 4))
    labels: list[Label | None] = []
    for name, point in zip(names, points, strict=True):
        near = taken[:count][_covered(_reach(name, point), taken[:count])]
        label = next((each for each in _candidates(name, point) if _is_free(each.box, near, area)), None)
        labels.append(label)
        if label is not None:
            taken[count] = label.box
            count += 1
    return labels


def _reach(name: str, point: tuple[float, float]) -> Box:
    """A box around all places that the name of a point may take."""
    width, height = SIZE * sum(map(_width, name)), SIZE + 2
    across, down = DISTANCES[-1] + width, DISTANCES[-1] + height
    return point[0] - across, point[1] - down, point[0] + across, point[1] + down


def _candidates(name: str, point: tuple[float, float]) -> Iterator[Label]:
    width = SIZE * sum(map(_width, name))
    height = SIZE + 2
    for distance in DISTANCES:
        for across, down in DIRECTIONS:
            far = distance if 0 in (across, down) else 0.7 * distance
            left = point[0] + across * far - width * (1 - across) / 2
            top = point[1] + down * far - height * (1 - down) / 2
            box = (left, top, left + width, top + height)
            yield Label(name, box, distance == DISTANCES[0])


def _width(letter: str) -> float:
    """Of a letter, as a share of its height."""
    is_narrow = letter.isalnum() and letter == letter.lower() and letter not in "mw"
    return WIDTH if is_narrow and east_asian_width(letter) not in "WF" else BROAD


def _is_free(box: Box, taken: np.ndarray, area: Box) -> bool:
    """Whether a box lies within the area and on none of the boxes that are taken, (N, 4)."""
    left, top, right, bottom = box
    if left < area[0] or top < area[1] or right > area[2] or bottom > area[3]:
        return False
    return not _covered(box, taken).any()


def _covered(box: Box, taken: np.ndarray) -> np.ndarray:
    """Which of some boxes, (N, 4), a box covers a part of, (N,)."""
    left, top, right, bottom = box
    return (taken[:, 0] < right) & (taken[:, 2] > left) & (taken[:, 1] < bottom) & (taken[:, 3] > top)
