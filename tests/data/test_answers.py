"""Which tokens of questions with answers are scored, and that training learns nothing of the others."""

import numpy as np
import pytest

from lmgen.data.answers import AnswerMarker, Answers
from lmgen.data.unit_batches import UnitBatches

END, START, MARK = 9, 9, 8
ANSWERS = Answers(MARK, END)

TEXT = np.array([1, 2, MARK, 3, END, 4, 5, END, MARK, END, 1, MARK, 2, MARK, 3, END])
SCORED = [0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1]


def test_tokens_after_the_first_mark_of_a_unit_are_scored_and_its_end() -> None:
    assert ANSWERS.among(TEXT).tolist() == [bool(each) for each in SCORED]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_text_in_blocks_gives_the_same(size: int) -> None:
    marker = AnswerMarker(ANSWERS)
    found = [marker.among(TEXT[first : first + size]) for first in range(0, len(TEXT), size)]

    assert np.array_equal(np.concatenate(found), ANSWERS.among(TEXT))
    assert (marker.units, marker.with_answer) == (4, 3)


def batches(ids: np.ndarray, answers: Answers | None, *, streams: int = 4, length: int = 4) -> UnitBatches:
    return UnitBatches(
        ids=ids,
        unit_end=END,
        start_token=START,
        streams=streams,
        length=length,
        carried=True,
        answers=answers,
    )


@pytest.mark.parametrize("length", [2, 4, 8])
def test_weights_are_one_on_answers_and_zero_elsewhere(length: int) -> None:
    """Every token is read as without answers; each scored one has weight 1 exactly once."""
    with_answers, plain = batches(TEXT, ANSWERS, length=length), batches(TEXT, None, length=length)
    scored = []
    for some, all_of_them in zip(with_answers.epoch(0), plain.epoch(0), strict=True):
        assert np.array_equal(some.inputs, all_of_them.inputs)
        assert np.array_equal(some.targets, all_of_them.targets)
        assert np.array_equal(some.begins, all_of_them.begins)  # type: ignore[arg-type]
        weights = np.ones(some.targets.shape) if some.weights is None else some.weights
        scored += some.targets[weights == 1].tolist()
        assert set(np.unique(weights)) <= {0, 1}
    assert sorted(scored) == sorted(TEXT[np.array(SCORED) == 1].tolist())


def test_a_full_batch_of_usual_units_has_the_whole_learning_rate() -> None:
    ids = np.tile([1, 2, MARK, 3, END], 40)
    source = batches(ids, ANSWERS, streams=10, length=5)

    assert [source.learning_rate_share(batch) for batch in source.epoch(0)] == [1.0] * 4


def test_a_unit_without_an_answer_has_no_weight() -> None:
    source = batches(np.array([1, 2, END, 1, 2, END]), ANSWERS)
    with np.errstate(all="ignore"):
        assert [batch.scored for batch in source.epoch(0)] == [0]
