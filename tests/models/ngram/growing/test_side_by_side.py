"""Counts that streams share, against those that keep each apart."""

import numpy as np
import pytest

from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.growing.side_by_side import SharedCounts

V = 5
IDS = np.random.default_rng(3).choice(V, 200, p=[0.4, 0.3, 0.15, 0.1, 0.05])
LETTERS = WordRule(np.array([0, 1, 2, 3, 4], np.uint64), np.array([True, False, False, False, False]))


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("words", [None, LETTERS])
def test_one_stream_is_counted_as_alone(order: int, words: WordRule | None) -> None:
    contexts = Contexts(order, None, words)
    alone, shared = GrowingCounts(contexts, V), SharedCounts(contexts, V, 1)

    state = alone.start(1)
    for token in IDS:
        expected, found = alone.opinions(state), shared.opinions()
        assert (found.probabilities == expected.probabilities).all()
        assert (found.signals == expected.signals).all()
        state = alone.advance(state, np.array([[token]]))
        shared.read(np.array([token]))


def test_every_stream_sees_what_the_others_read() -> None:
    contexts = Contexts(2, None, LETTERS)
    shared = SharedCounts(contexts, V, 2)
    for token in (1, 2, 1, 2, 1):
        shared.read(np.array([token, 3]))
    shared.read(np.array([0, 1]))

    probabilities = shared.opinions().probabilities[1, :, -1]

    assert probabilities.sum() == pytest.approx(1)
    assert probabilities.argmax() == 2
