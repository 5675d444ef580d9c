"""All processors sample the completions of one."""

import signal
import threading
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from lmgen.generation import sampler
from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.evaluation.test_scoring_in_threads import network, ngrams

TOKENIZER = CharacterTokenizer("\nabcdefgh")
V = TOKENIZER.vocabulary_size
PROMPTS = ["", "a", "abc\nd", "hgfedcba"] * 40
CONFIG = SamplingConfig(length=12, seed=3, top_k=5, repetition_penalty=1.1)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "WORTH_THREADS", 1)


@pytest.mark.parametrize(
    "model", [network(V), ngrams(V), MixtureModel([network(V), ngrams(V)], [0.5, 0.5])], ids=str
)
@pytest.mark.parametrize(
    ("prompts", "num"), [(PROMPTS, 1), (PROMPTS[:5], 30), (["abc"], 200), (["abc", "b"], 100)]
)
def test_completions_are_the_same_on_any_number_of_processors(
    model: LanguageModel, prompts: list[str], num: int
) -> None:
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            found += [
                list(complete(model, TOKENIZER, given, CONFIG, num=num, stop=["hh"], first=7))
                for given in (prompts, iter(prompts))
            ]

    assert [each.prompt for each in found[0]] == [prompt for prompt in prompts for _ in range(num)]
    assert all(others == found[0] for others in found[1:])


def test_prompts_of_an_iterator_are_taken_as_they_are_needed() -> None:
    taken = 0

    def prompts() -> Iterator[str]:
        nonlocal taken
        for prompt in PROMPTS:
            taken += 1
            yield prompt

    with threadpool_limits(2, user_api="blas"):
        completions = complete(network(V), TOKENIZER, prompts(), CONFIG)
        next(completions)

        assert taken == sampler.STREAMS


def test_ctrl_c_ends_sampling_in_all_threads() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    config = SamplingConfig(length=100_000_000, seed=1)
    completions = complete(network(V), TOKENIZER, ["a"], config, num=1000)
    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with threadpool_limits(2, user_api="blas"), pytest.raises(KeyboardInterrupt):
            next(completions)
    finally:
        signal.signal(signal.SIGALRM, handler)

    assert threading.active_count() == before
