"""Several processes sample the completions of one."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from lmgen.arrays import IdArray
from lmgen.forks import in_forks
from lmgen.generation import sampler
from lmgen.generation.completion import Completion
from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.evaluation.test_scoring_in_threads import network, ngrams
from tests.fakes import BigramModel, random_bigram_model

TOKENIZER = CharacterTokenizer("\nabcdefgh")
V = TOKENIZER.vocabulary_size
RUN = Path(__file__).parents[1] / "files" / "runs" / "lstm-char" / "half"
PROMPTS = ["", "a", "abc\nd", "hgfedcba"] * 40
CONFIG = SamplingConfig(length=12, seed=3, top_k=5, repetition_penalty=1.1)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux alone")


@pytest.fixture(autouse=True)
def with_threads_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy this process even if other tests have left threads in it, which do nothing."""
    monkeypatch.setattr(sampler, "can_fork", lambda: True)


def other_network(**settings: Any) -> RecurrentModel:
    config = NetworkConfig(embedding_size=8, hidden_size=24, **settings)
    return RecurrentModel(config, V, 0, initial_parameters(config, V, unknown=None, seed=2))


MODELS: list[LanguageModel] = [
    network(V),
    network(V, unit_end=3),
    other_network(cell="gru", layers=1, attention=4),
    other_network(cell="rnn", layers=1, dense_layers=1, dense_size=10, output="adaptive", cutoffs="4"),
    ngrams(V),
    MixtureModel([network(V), ngrams(V)], [0.5, 0.5]),
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes for few tokens."""
    monkeypatch.setattr(sampler, "FEWEST_TOKENS", 1)


def on_processors(count: int, *arguments: Any, **named: Any) -> list[Completion]:
    with threadpool_limits(count, user_api="blas"):
        return list(complete(*arguments, **named))


@dataclass
class WhoModel(BigramModel):
    """Says in which processes it is asked."""

    in_threads: bool = True
    reads_in_order = False
    told: int = -1

    def advance(self, state: IdArray, ids: IdArray) -> IdArray:
        os.write(self.told, f"{os.getpid()} ".encode())
        return super().advance(state, ids)

    follow = advance


def processes_of(prompts: Sequence[str] | Iterator[str], num: int, **settings: Any) -> int:
    """How many other processes sample some completions."""
    reading, writing = os.pipe()
    model = WhoModel(random_bigram_model(V).table, told=writing, **settings)
    try:
        on_processors(3, model, TOKENIZER, prompts, SamplingConfig(length=5, seed=1), num=num)
        return len({*os.read(reading, 1 << 16).split()} - {str(os.getpid()).encode()})
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize(
    ("prompts", "num"), [(PROMPTS, 1), (PROMPTS[:5], 30), (["abc"], 40), (["abc", "b"], 100)]
)
def test_completions_are_the_same_in_any_number_of_processes(
    model: LanguageModel, prompts: list[str], num: int
) -> None:
    one, *others = (
        on_processors(count, model, TOKENIZER, prompts, CONFIG, num=num, stop=["hh"], first=7)
        for count in (1, 2, 3)
    )

    assert [each.prompt for each in one] == [prompt for prompt in prompts for _ in range(num)]
    assert all(each == one for each in others)


def test_two_completions_of_two_processes_are_not_rounded_as_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "FEWEST_STREAMS", 1)
    config = replace(CONFIG, length=200)
    for prompts, num in ((["a", "b"], 1), (["a"], 2)):
        one, two = (on_processors(count, network(V), TOKENIZER, prompts, config, num=num) for count in (1, 2))
        assert one == two


def test_there_are_several_processes_only_where_they_can_share_much_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert processes_of(["a"], 64) == 3
    assert processes_of(["a"] * 64, 1) == 3
    assert processes_of(["a"], 20) == 2
    assert processes_of(["a"], 16) == 0
    assert processes_of(iter(["a"] * 64), 1) == 3  # a group
    assert processes_of(["a"], 64, in_threads=False) == 0
    monkeypatch.setattr(WhoModel, "reads_in_order", True)
    assert processes_of(["a"], 64) == 0
    monkeypatch.setattr(WhoModel, "reads_in_order", False)
    monkeypatch.setattr(sampler, "FEWEST_TOKENS", 321)
    assert processes_of(["a"], 64) == 0


def test_prompts_of_an_iterator_are_taken_as_they_are_needed() -> None:
    taken = 0

    def prompts() -> Iterator[str]:
        nonlocal taken
        for prompt in PROMPTS:
            taken += 1
            yield prompt

    with threadpool_limits(2, user_api="blas"):
        next(complete(network(V), TOKENIZER, prompts(), CONFIG))

        assert taken == sampler.STREAMS


def test_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = []

    def noting(work: Any, items: Any, count: int) -> Any:
        shared.append(count)
        return in_forks(work, items, count)

    monkeypatch.setattr(sampler, "in_forks", noting)
    opened = TextModel.load(RUN)
    found = []
    for count in (1, 2):
        with threadpool_limits(count, user_api="blas"):
            texts = opened.sample("a", num=70, length=9, seed=1)
            completions = list(opened.complete(["a", "b"] * 20, length=9, seed=1))
        found.append((texts, completions))

    assert found[0] == found[1]
    assert shared == [2, 2]
