"""Models that learn from a prompt, and from what they write only if asked to."""

import numpy as np
import pytest

from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.generation.still import writing
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.fakes import CountingModel, random_bigram_model

TOKENIZER = CharacterTokenizer("ab")
V = TOKENIZER.vocabulary_size


def test_a_model_that_learns_says_the_same_after_what_it_wrote() -> None:
    model = CountingModel(V)
    state = model.advance(model.start(1), TOKENIZER.encode("aab")[:, None])
    more = TOKENIZER.encode("bbbb")[:, None]

    scored, after = writing(model).score(state, more)

    assert (model.predict(after) == model.predict(state)).all()
    assert (scored == scored[0]).all()
    assert writing(model, learn_from_itself=True) is model


def test_other_models_go_on_as_they_are() -> None:
    model = random_bigram_model(V)

    assert writing(model) is model


@pytest.mark.parametrize("learn_from_itself", [False, True])
def test_prompts_and_completions_do_not_teach_one_another(learn_from_itself: bool) -> None:
    model = CountingModel(V)
    config = SamplingConfig(length=30, seed=1, learn_from_itself=learn_from_itself)

    both = list(complete(model, TOKENIZER, ["aaaa", "bbbb"], config, num=3))
    second = list(complete(model, TOKENIZER, ["bbbb"], config, num=3, first=3))

    assert [each.text for each in both[3:]] == [each.text for each in second]
    if learn_from_itself:
        assert model.most_streams <= 2


def test_what_is_written_counts_only_if_asked_for() -> None:
    """Greedily, the more frequent token of the prompt; then it is the surer, the more of it was written."""
    prompt = "aab"
    nats = {
        learning: next(
            complete(
                CountingModel(V),
                TOKENIZER,
                [prompt],
                SamplingConfig(length=20, temperature=0, learn_from_itself=learning),
            )
        ).nats
        for learning in (False, True)
    }

    assert nats[False] == pytest.approx(20 * np.log((3 + V) / 3))
    assert nats[True] < nats[False]
