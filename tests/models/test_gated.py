import numpy as np
import pytest

from lmgen.models.gated import LATELY, GatedMixture, lately_right
from lmgen.models.gates import LogarithmicGate
from lmgen.models.ngram.growing.contexts import Contexts
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.model import NgramModel
from lmgen.models.opinions import OneExpert

V = 6
IDS = np.random.default_rng(5).choice(V, 700, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])


@pytest.fixture(params=["linear", "logarithmic"])
def model(request: pytest.FixtureRequest) -> GatedMixture:
    fixed = NgramModel.fit(IDS[:200], order=2, vocabulary_size=V)
    counts = GrowingCounts(Contexts(4, None), V, IDS[:200])
    experts = counts.experts + 1
    gate = LogarithmicGate.over(counts.signals + experts, experts, V)
    return GatedMixture(
        [counts, OneExpert(fixed)], V, "mixture+adapt", None if request.param == "linear" else gate
    )


def test_probabilities_sum_to_one_and_agree_with_scores_however_a_text_is_cut(model: GatedMixture) -> None:
    scored, end = model.score(model.start(1), IDS[200:400, None])

    state = model.start(1)
    for place, token in enumerate(IDS[200:400].tolist()):
        predicted = model.predict(state)
        assert np.exp(predicted).sum() == pytest.approx(1, abs=1e-6)
        assert predicted[0, token] == pytest.approx(scored[place, 0], abs=1e-9)
        state = model.advance(state, np.array([[token]]))
    assert model.predict(state) == pytest.approx(model.predict(end), abs=1e-9)

    head, state = model.score(model.start(1), IDS[200:333, None])
    tail, _ = model.score(state, IDS[333:400, None])
    assert np.concatenate([head, tail]) == pytest.approx(scored, abs=1e-9)


def test_the_future_of_a_text_changes_no_score_before_it(model: GatedMixture) -> None:
    other = np.concatenate([IDS[200:500], IDS[600:700]])

    scored, _ = model.score(model.start(1), IDS[200:600, None])
    changed, _ = model.score(model.start(1), other[:, None])

    assert (scored[:300] == changed[:300]).all()
    assert (scored[301:] != changed[301:]).any()


def test_nothing_is_learned_from_context_only(model: GatedMixture) -> None:
    state = model.advance(model.start(1), IDS[200:300, None])

    after = model.follow(state, IDS[300:400, None])

    assert after.streams[0].gate is state.streams[0].gate
    assert after.streams[0].last == IDS[399]


def test_streams_are_told_apart(model: GatedMixture) -> None:
    state = model.advance(model.start(2), IDS[200:400].reshape(2, 100).T)

    second = model.select(state, [1])
    alone = model.advance(model.start(1), IDS[300:400, None])

    assert model.predict(second) == pytest.approx(model.predict(alone), abs=1e-9)


def test_how_well_experts_predicted_lately_is_a_moving_average() -> None:
    probabilities = np.array([[0.5, 0.1], [0.2, 0.2], [0.1, 0.9]])

    found = lately_right(probabilities, np.zeros(2))

    expected = np.zeros(2)
    for row, before in zip(probabilities, found, strict=False):
        assert before == pytest.approx(expected)
        expected = LATELY * expected + (1 - LATELY) * (np.log(row) - np.log(row).mean())
    assert found[-1] == pytest.approx(expected)
    assert (found[1:] == lately_right(probabilities[1:], found[1])[:]).all()


def test_another_text_begins_with_what_was_learned(model: GatedMixture) -> None:
    state = model.advance(model.start(1), IDS[200:400, None])

    again = model.restart(state)

    assert again.streams[0].gate is state.streams[0].gate
    fresh, knowing = (model.score(start, IDS[200:400, None])[0].mean() for start in (model.start(1), again))
    assert knowing > fresh + 0.2  # it has read this text before
