"""Curves drawn with characters."""

from lmgen.cli.curve import drawn_together


def test_a_curve_without_a_point_says_why() -> None:
    shown = drawn_together({"zero": ([1, 2], [0, 0]), "one": ([1, 2], [3, 4])}, log_y=True)
    first = drawn_together({"lstm": ([0], [2.94])}, log_x=True)

    assert [line.strip() for line in shown[-2:]] == ["* zero (0 everywhere)", "+ one"]
    assert [line.strip() for line in first] == ["* lstm (nothing above 0 on a logarithmic scale)"]
