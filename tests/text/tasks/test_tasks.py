"""What the instances of each task are, and which parameters are refused."""

import hashlib
from dataclasses import fields
from math import atan2, cos, pi, sin
from random import Random
from typing import Any

import pytest

from lmgen.errors import ConfigError, CorpusError
from lmgen.settings import explanation, kind
from lmgen.text.tasks import TASKS
from lmgen.text.tasks.arithmetic import Adding, Addition
from lmgen.text.tasks.counting import AnBnCn
from lmgen.text.tasks.languages import Grammar, Markov
from lmgen.text.tasks.reber import ContinualReber
from lmgen.text.tasks.sequences import Copy, SequenceShift
from lmgen.text.tasks.sine import BINS, Sine
from lmgen.text.tasks.task import span
from lmgen.text.tasks.temporal_order import TemporalOrder

SHA256 = {
    "addition": "7c250ac5af9eabe7",
    "copy": "13b72098e0eabaed",
    "sequence-shift": "6fb5b55c12f20d20",
    "sine": "c4efb99fa358dd3c",
    "anbn": "df576fee95368e6f",
    "anbncn": "13ceabf003780ee8",
    "reber": "8184ccfe20d7483c",
    "embedded-reber": "1fa6396e4746e174",
    "continual-reber": "1aa8a30c5361157d",
    "temporal-order": "d85d495a898f2b58",
    "adding": "a42637766165638b",
    "markov": "9845321288fde67b",
    "grammar": "2e905c32435b7ee5",
}
"""Of the first 50 lines with seed 7: whoever names a seed has named the text, for all versions to come."""

each_task = pytest.mark.parametrize("name", TASKS)


@each_task
def test_a_seed_names_the_same_text_everywhere(name: str) -> None:
    text = "".join(TASKS[name]().text(50, seed=7).chunks())

    assert hashlib.sha256(text.encode()).hexdigest()[:16] == SHA256[name]


@each_task
def test_an_instance_is_a_line_and_more_of_them_go_on(name: str) -> None:
    task = TASKS[name]()
    lines = list(task.lines(30, seed=3))

    assert "".join(task.text(30, seed=3).chunks()) == "".join(f"{line}\n" for line in lines)
    assert list(task.lines(10, seed=3)) == lines[:10]
    assert list(task.lines(30, seed=4)) != lines
    assert not any(set("\n\r\t\0") & set(line) for line in lines)
    assert all(line.isprintable() and line == line.strip() for line in lines)


@each_task
def test_a_mark_stands_in_every_instance(name: str) -> None:
    task = TASKS[name]()

    assert (task.mark is None) == (task.best.nats_per_answer is None)
    assert all((task.mark or "") in line for line in task.lines(100))


@each_task
def test_parameters_are_described(name: str) -> None:
    for parameter in TASKS[name].parameters():
        assert parameter.meaning.endswith(".")
        assert parameter.range
    assert TASKS[name].source
    assert TASKS[name].description


def test_a_parameter_has_one_type_in_all_tasks_and_no_name_that_the_command_has() -> None:
    types: dict[str, set[Any]] = {}
    for task in TASKS.values():
        for field in fields(task):
            types.setdefault(field.name, set()).add((kind(task, field.name), explanation(field).metavar))

    assert all(len(each) == 1 for each in types.values())
    assert not set(types) & {"name", "out", "count", "characters", "seed", "test", "test_count", "overwrite"}


@pytest.mark.parametrize("reverse", [False, True])
def test_sums_are_right(reverse: bool) -> None:
    task = Addition(digits=4, reverse=reverse)
    for line in task.lines(500):
        question, answer = line.split("=")
        first, second = question.split("+")
        assert (answer[::-1] if reverse else answer) == str(int(first) + int(second))
        assert {first, second} == {str(int(first)), str(int(second))}
        assert max(len(first), len(second)) <= 4


def test_numbers_of_each_length_are_equally_likely() -> None:
    lengths = [len(line.split("+")[0]) for line in Addition(digits=4).lines(8000)]

    assert [lengths.count(length) / 8000 for length in range(1, 5)] == pytest.approx([0.25] * 4, abs=0.02)


def test_copies_are_copies() -> None:
    lines = list(Copy(length="3-5", letters=2).lines(200))
    backwards = list(Copy(length="4", reverse=True).lines(200))

    assert {len(line.split("=")[0]) for line in lines} == {3, 4, 5}
    assert all(word == again for word, again in (line.split("=") for line in lines))
    assert {len(line) for line in backwards} == {9}
    assert all(word == again[::-1] for word, again in (line.split("=") for line in backwards))


def test_rows_move_on_by_their_step() -> None:
    assert next(SequenceShift(numbers=7).instances(Random(0))) == "1 2 3 4 5 6 -> 2 3 4 5 6 7"
    seen = set()
    for line in SequenceShift(length="2-4", numbers=50, largest_step=5).lines(2000):
        question, answer = (list(map(int, part.split())) for part in line.split("->"))
        step = question[1] - question[0]
        assert [number + step for number in question] == answer
        assert answer[:-1] == question[1:]
        assert question[0] >= 1
        assert answer[-1] <= 50
        seen.add((len(question), step))
    assert seen == {(length, step) for length in (2, 3, 4) for step in range(1, 6)}


def test_letters_come_equally_often() -> None:
    lines = set(AnBnCn(n="2-4").lines(100))

    assert lines == {"aabbcc", "aaabbbccc", "aaaabbbbcccc"}


def test_two_marked_digits_are_added() -> None:
    answers = set()
    for line in Adding(length="6-7", values=4).lines(1000):
        row, answer = line.split("=")
        assert sum(int(row[place + 1]) for place, symbol in enumerate(row) if symbol == "*") == int(answer)
        assert set(row) <= set("*0123")
        answers.add(int(answer))
    assert answers == set(range(7))


def test_three_symbols_have_eight_classes() -> None:
    classes = {}
    for line in TemporalOrder(symbols=3, length="10").lines(500):
        row, answer = line.split("=")
        classes["".join(symbol for symbol in row if symbol in "XY")] = answer
    assert "".join(classes[order] for order in sorted(classes)) == "QRSUVABC"


def test_continual_strings_follow_one_another() -> None:
    [line] = ContinualReber(strings=20).lines(1)

    assert line.count("E") == 40


def test_a_chain_has_its_letters_and_lengths() -> None:
    lines = list(Markov(letters=5, length="7-8", order=3).lines(300))

    assert set("".join(lines)) == set("abcde")
    assert {len(line) for line in lines} == {7, 8}


def test_verbs_agree_with_nouns_behind_clauses() -> None:
    lines = list(Grammar(clauses=1.0).lines(200))

    assert all(line.count("that") == line.count("the ") for line in lines)
    assert "that" not in " ".join(Grammar(clauses=0).lines(200))


def test_a_wave_is_its_values_in_bins() -> None:
    task = Sine(bins=100, period=12.5, periods=3, phases=40)
    for line in task.lines(50):
        truth = task.truth(line, 60)
        assert len(line) == 38
        assert max(abs(a - b) for a, b in zip(task.values(line), truth, strict=False)) <= 0.01 + 1e-9
        assert truth[0] == pytest.approx(sin(2 * pi * round(40 * _phase(truth)) / 40), abs=1e-9)
        assert truth[25] == pytest.approx(truth[0], abs=1e-9)  # two periods


def _phase(truth: list[float]) -> float:
    """The phase of a wave of period 12.5, from its first value and the one a quarter period later."""
    turn = 2 * pi / 12.5
    cosine = (truth[1] - truth[0] * cos(turn)) / sin(turn)
    return atan2(truth[0], cosine) / (2 * pi) % 1


def test_the_wave_that_begins_with_a_few_characters_is_the_middle_one_of_those() -> None:
    task = Sine(bins=4, period=20, phases=200)
    [line] = task.lines(1, seed=5)
    whole, few = task.truth(line, 80), task.truth(line[:3], 80)

    assert max(abs(a - b) for a, b in zip(task.values(line), whole, strict=True)) <= 0.25 + 1e-9
    assert max(abs(a - b) for a, b in zip(task.values(line[:3]), few[:3], strict=True)) <= 0.25 + 1e-9
    with pytest.raises(CorpusError, match="no sine wave of these parameters begins with '030303'"):
        task.truth("030303", 10)
    with pytest.raises(CorpusError, match="'x' is none of the 4 values of the sine wave"):
        task.values("0x")


def test_bins_are_characters_in_the_order_of_their_values() -> None:
    assert list(BINS) == sorted(set(BINS))
    assert BINS.isalnum()
    assert BINS.isprintable()
    assert Sine(bins=len(BINS)).values(BINS) == sorted(Sine(bins=len(BINS)).values(BINS))


def test_the_test_file_has_parameters_of_its_own() -> None:
    assert Copy(length="1-3", test_length="9", letters=3).for_test().length == "9"
    assert Copy(length="1-3", letters=3).for_test() == Copy(length="1-3", letters=3)
    assert Addition(test_digits=5).for_test().digits == 5
    assert Sine(test_periods=9).for_test().length == 225


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("addition", {"digits": 0}, "digits is 0, but has to be at least 1"),
        ("addition", {"digits": 2.5}, "digits is 2.5, but has to be of type int"),
        ("addition", {"test_digits": 99}, "test_digits is 99, but has to be at most 50"),
        ("copy", {"length": 0}, "length is '0', but has to be at least 1"),
        ("copy", {"length": "5-3"}, "length is '5-3', but has to be a whole number, or two with the smaller"),
        ("copy", {"length": "a"}, "length is 'a', but has to be a whole number, or two"),
        ("copy", {"length": "1-"}, "length is '1-', but has to be a whole number, or two"),
        ("copy", {"length": range(3, 3)}, "length is range.3, 3., but has to be of type str"),
        ("copy", {"length": None}, "length is missing"),
        ("copy", {"test_length": "1-100001"}, "test_length is '1-100001', but has to be at most 100000"),
        ("copy", {"letters": 27}, "letters is 27, but has to be at most 26"),
        ("anbn", {"n": "0-4"}, "n is '0-4', but has to be at least 1"),
        ("sine", {"bins": 1}, "bins is 1, but has to be at least 2"),
        ("sine", {"period": float("nan")}, "period is nan, but has to be at least 2"),
        ("sequence-shift", {"numbers": 6}, "numbers is 6, but has to be at least 7 for rows of 6 numbers"),
        ("temporal-order", {"length": "9"}, "length is '9', but has to be at least 10"),
        ("temporal-order", {"symbols": 4}, "symbols is 4, but has to be at most 3"),
        ("markov", {"letters": 3}, "letters is 3, but has to be at least 4"),
        ("grammar", {"clauses": 1.5}, "clauses is 1.5, but has to be at most 1"),
    ],
)
def test_bad_parameters_are_refused(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        TASKS[name](**parameters)

    assert str(caught.value.at_the_shell).startswith("--")
    assert "\n" not in str(caught.value)


def test_a_span_may_be_a_number_or_a_range_of_python() -> None:
    given: list[tuple[Any, str]] = [(3, "3"), (range(3, 6), "3-5"), ("3-5", "3-5")]

    assert all(Copy(length=value) == Copy(length=text) for value, text in given)


def test_spans() -> None:
    assert span("3") == range(3, 4)
    assert span("3-5") == range(3, 6)
    assert not span("5-3")
    assert not any(map(span, ("", "-", "-3", "3-", "3-4-5", " 3", "\u0663", "9" * 5000)))
