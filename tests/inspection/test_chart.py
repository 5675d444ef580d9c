"""Charts as SVG: well-formed, with what was given at the right places."""

import re
from math import inf, nan
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lmgen.inspection.chart import COLOURS, HEIGHT, WIDTH, Axis, Chart, Series

SVG = "{http://www.w3.org/2000/svg}"


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg())  # noqa: S314 - it is our own


def lines(root: ElementTree.Element) -> list[str]:
    """The paths of the series, without those of the legend."""
    return [path.get("d", "") for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]


def points(path: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, place.split())) for place in re.findall(r"[ML]([\d. ]+)", path)]


def chart(*series: Series, log_y: bool = False, as_points: bool = False) -> Chart:
    return Chart(
        title="<norms> & more",
        x=Axis(label="k"),
        y=Axis(label="y", log=log_y),
        series=series,
        as_points=as_points,
    )


def test_a_chart_names_its_series_and_escapes_what_xml_cannot_hold() -> None:
    root = parsed(chart(Series("h < c & \x1b", [0, 1], [1, 2]), Series("c", [0, 1], [2, 1])))
    texts = [text.text for text in root.iter(f"{SVG}text")]

    assert "<norms> & more" in texts
    assert {"k", "y", "h < c & �", "c"} <= set(texts)
    assert len(lines(root)) == 2


def test_larger_values_stand_higher_and_further_right() -> None:
    [path] = lines(parsed(chart(Series("a", [0, 5, 10], [0, 10, 5]))))
    (x0, y0), (x1, y1), (x2, y2) = points(path)

    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 > y2 > y1
    assert y0 - y2 == pytest.approx(y2 - y1, abs=0.2)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points(path))


def test_on_a_logarithmic_scale_powers_are_equally_far_apart() -> None:
    [path] = lines(parsed(chart(Series("a", [0, 1, 2], [1, 1e-10, 1e-20]), log_y=True)))
    heights = [y for _, y in points(path)]

    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)


@pytest.mark.parametrize("hole", [0.0, -1.0, nan, inf])
def test_a_line_has_a_gap_where_there_is_no_number(hole: float) -> None:
    [path] = lines(parsed(chart(Series("a", range(5), [1, 2, hole, 3, 4]), log_y=True)))

    assert path.count("M") == 2
    assert len(points(path)) == 4


@pytest.mark.parametrize("ys", [[], [5.0], [0.0, 0.0], [-3.0, -3.0], [1e-300, 1e300], [7, 7, 7]])
@pytest.mark.parametrize("log_y", [False, True])
def test_a_chart_of_anything_can_be_drawn(ys: list[float], log_y: bool) -> None:
    root = parsed(chart(Series("a", range(len(ys)), ys), log_y=log_y))

    assert 1 <= len([text for text in root.iter(f"{SVG}text") if text.get("text-anchor") == "end"]) < 12


def test_points_stand_alone_and_many_lines_differ_in_their_dashes(tmp_path: Path) -> None:
    scattered = parsed(chart(Series("a", [0.1, 0.2], [0.3, 0.4]), as_points=True))
    many = chart(*(Series(str(n), [0, 1], [n, n]) for n in range(len(COLOURS) + 1)))
    styles = {
        (path.get("stroke"), path.get("stroke-dasharray"))
        for path in parsed(many).iter(f"{SVG}path")
        if path.get("stroke")
    }

    assert len(list(scattered.iter(f"{SVG}circle"))) == 3  # one in the legend
    assert lines(scattered) == []
    assert len(styles) == len(COLOURS) + 1
    many.save(tmp_path / "many.svg")
    assert (tmp_path / "many.svg").read_text(encoding="utf-8") == many.svg()
