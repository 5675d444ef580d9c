"""Names of points: none covers another or a point, and all are within the picture."""

import time
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.inspection.labels import Box, placed

AREA = (0, 0, 300, 200)
POINTS = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200), st.text(max_size=9)), max_size=25)


def covers(one: Box, other: Box) -> bool:
    return one[0] < other[2] and one[2] > other[0] and one[1] < other[3] and one[3] > other[1]


def test_names_of_thousands_of_points_are_placed_in_seconds() -> None:
    """As many as `lmgen vectors plot --top 3000`; each is compared with what is near it alone."""
    places = np.random.default_rng(0).uniform((0, 0), (3000, 2000), (3000, 2)).tolist()
    began = time.process_time()
    labels = placed(["a word"] * 3000, [(x, y) for x, y in places], (0, 0, 3000, 2000), 2.5)

    assert 0 < sum(label is None for label in labels) < 3000
    assert time.process_time() - began < 10


@settings(max_examples=50, deadline=None)
@given(POINTS)
def test_no_name_covers_another_or_a_point(given_points: list[tuple[float, float, str]]) -> None:
    points = [(x, y) for x, y, _ in given_points]
    labels = placed([name for _, _, name in given_points], points, AREA, 3)

    boxes = [label.box for label in labels if label is not None]
    circles = [(x - 3, y - 3, x + 3, y + 3) for x, y in points]
    assert len(labels) == len(points)
    assert not any(covers(*pair) for pair in combinations(boxes, 2))
    assert not any(covers(box, circle) for box in boxes for circle in circles)
    assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= 300 and box[3] <= 200 for box in boxes)


def test_a_name_stands_right_of_its_point_or_left_where_the_picture_ends() -> None:
    right, left = placed(["abc", "abc"], [(50, 50), (295, 150)], AREA, 3)

    assert right is not None
    assert left is not None
    assert right.is_beside
    assert right.box[0] > 50
    assert left.box[2] < 295


def test_where_all_places_are_taken_a_name_is_left_out() -> None:
    labels = placed(["word"] * 200, [(150, 100)] * 200, AREA, 3)

    assert labels[0] is not None
    assert labels[-1] is None
