from itertools import count

from lmgen.text.tasks.held_out import held_out


def test_held_out_instances_are_distinct_and_not_among_the_training_ones() -> None:
    drawn = (str(number % 50) for number in count())
    training = [str(number) for number in range(0, 50, 2)]

    assert held_out(drawn, lambda: training, 10).lines == [str(number) for number in range(1, 20, 2)]


def test_fewer_come_where_there_are_no_more() -> None:
    drawn = (str(number % 7) for number in count())

    assert held_out(drawn, lambda: ["0", "1", "0"], 10).lines == ["2", "3", "4", "5", "6"]
    assert held_out(drawn, lambda: map(str, range(7)), 10).lines == []


def test_rare_instances_are_found_in_later_rounds() -> None:
    drawn = (str(number if number % 100 == 0 else number % 100) for number in count(1))

    assert held_out(drawn, lambda: map(str, range(100)), 5).lines == ["100", "200", "300", "400", "500"]
