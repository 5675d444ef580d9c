"""How fast a network learns, in one thread and in several."""

import pytest
import torch

from lmgen.training import speed
from lmgen.training.speed import TIMED_UPDATES, speeds_by_threads
from tests.training.test_loop import trainer


class Clock:
    """A clock by which an update takes as long as is said for its number of threads."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.turns: list[int] = []

    def __call__(self) -> float:
        self.turns.append(torch.get_num_threads())
        self.now += self.seconds[self.turns[-1]]
        return self.now


def measured(
    seconds: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[int, float], list[int]]:
    """Speeds, in updates of 64 tokens, and the number of threads of each update that was timed."""
    clock = Clock(seconds)
    monkeypatch.setattr(speed, "perf_counter", clock)
    speeds = speeds_by_threads(trainer(streams=4, epochs=99.0), (1, 2), 1.0)
    return {count: tokens / 64 for count, tokens in speeds.items()}, clock.turns[::2]


def test_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    speeds, turns = measured({1: 0.02, 2: 0.01}, monkeypatch)

    assert speeds == pytest.approx({1: 50, 2: 100}, rel=0.2)  # the last window of an epoch is shorter
    assert turns == [1, 2] * TIMED_UPDATES
    assert torch.get_num_threads() == before


def test_threads_that_wait_for_each_other_get_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an update may take seconds, and one is enough to know."""
    speeds, turns = measured({1: 0.05, 2: 3.0}, monkeypatch)

    assert speeds == pytest.approx({1: 20, 2: 1 / 3}, rel=0.2)
    assert turns == [1, 2] + [1] * (TIMED_UPDATES - 1)


def test_a_network_that_fails_has_no_speed() -> None:
    failing = trainer(streams=4, epochs=99.0)
    with torch.no_grad():
        for weights in failing.state.network.parameters():
            weights.fill_(float("nan"))
    failing.state.good = failing.state.copy()  # what it would be rolled back to

    assert speeds_by_threads(failing, (1, 2), 1.0) == {}
