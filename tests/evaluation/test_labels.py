"""Accuracy, precision, recall, F1 and confusion, counted by hand."""

import pytest

from lmgen.evaluation.labels import LabelScore, label_scores


def test_scores_of_labels_are_those_counted_by_hand() -> None:
    pairs = [("a", "a")] * 3 + [("a", "b")] + [("b", "a")] * 2 + [("b", "b")] + [("new", "a")]

    scores = label_scores(pairs, ["b", "a", "never"])

    assert (scores.instances, scores.accuracy, scores.majority_accuracy) == (8, 0.5, 3 / 8)
    assert list(scores.labels) == ["b", "a", "new"]
    assert scores.labels["a"] == LabelScore(4, 0.5, 0.75, 2 * 0.5 * 0.75 / 1.25, {"a": 3, "b": 1})
    assert scores.labels["new"] == LabelScore(1, None, 0.0, 0.0, {"a": 1})
    assert scores.to_json()["labels"]["b"]["recall"] == pytest.approx(1 / 3)


def test_nothing_to_score_is_no_error() -> None:
    assert label_scores([], ["a"]).to_json() == {
        "instances": 0,
        "accuracy": 0.0,
        "majority_accuracy": 0.0,
        "labels": {},
    }
