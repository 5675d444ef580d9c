"""Completions that share batches are what each would be alone, bit for bit, whoever comes and goes."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from lmgen.errors import NumericalError
from lmgen.evaluation.scoring import score_ids
from lmgen.generation.config import SamplingConfig
from lmgen.generation.next import next_tokens
from lmgen.generation.prompts import Prompt
from lmgen.generation.sampler import complete
from lmgen.models.base import LanguageModel
from lmgen.serving.engine import BusyError, Engine
from lmgen.serving.jobs import Job, ScoredToken, Update
from lmgen.tokenizers.base import Tokenizer
from tests.fakes import BigramModel, random_bigram_model
from tests.generation.piece_tokenizer import PieceTokenizer
from tests.serving.models import model, tokenizer

KINDS = [
    ("lstm", "char"),
    ("attention", "line"),
    ("convolution", "byte"),
    ("ngram", "word"),
    ("mixture", "bpe"),
    ("lstm", "bpe"),
    ("mixture", "word"),
]

PROMPTS = [
    "",
    "worker 3 fin",
    "worker 1 finished job ",
    "after",
    "w",
    "seconds, “9",
    "worker 2 finished job 4 " * 20,
]

FILTERS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"temperature": 0.7, "top_p": 0.9},
    {"top_k": 5, "repetition_penalty": 1.2},
    {"min_p": 0.05, "temperature": 1.5},
]


@dataclass
class Heard:
    """What was delivered of a job."""

    texts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int | None, list[ScoredToken]] = field(default_factory=dict)
    stopped_by: dict[int, str] = field(default_factory=dict)
    pieces: int = 0
    error: Exception | None = None

    def hear(self, update: Update) -> None:
        self.pieces += 1
        self.error = self.error or update.error
        self.tokens.setdefault(update.number, []).extend(update.tokens)
        if update.number is not None:
            self.texts[update.number] = self.texts.get(update.number, "") + update.text
            if update.stopped_by:
                self.stopped_by[update.number] = update.stopped_by


def job(
    of: Tokenizer, prompt: str, *, filters: dict[str, Any] | None = None, **others: Any
) -> tuple[Job, Heard]:
    heard = Heard()
    ids, offsets = of.encode_with_offsets(prompt)
    made = Job(
        prompt=Prompt(prompt, of.edge(prompt)),
        ids=ids,
        offsets=offsets.tolist(),
        config=SamplingConfig(**(filters or {})),
        on_update=heard.hear,
        **{"length": 12, "seed": 5, **others},
    )
    return made, heard


def engine(a_model: LanguageModel, of: Tokenizer, **limits: int) -> Engine:
    def deliver(updates: Sequence[Update]) -> None:
        for update in updates:
            update.job.on_update(update)

    return Engine(a_model, of, deliver, **limits)


def finish(running: Engine) -> None:
    for _ in range(10_000):
        if not running.load:
            return
        running.round()
    raise AssertionError("it does not end")


def requests(of: Tokenizer, count: int = 30) -> list[tuple[Job, Heard]]:
    random = np.random.default_rng(1)
    return [
        job(
            of,
            PROMPTS[number % len(PROMPTS)],
            filters=FILTERS[number % len(FILTERS)],
            seed=number,
            length=int(random.integers(1, 25)),
            num=int(random.choice([1, 1, 1, 3])),
            stop=() if number % 4 else ("job", "e"),
            streams=bool(number % 2),
            likeliest=3 if number % 3 == 0 else None,
            scores_prompt=number % 6 == 0,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("kind", "tokens"), KINDS)
def test_who_comes_and_goes_beside_a_completion_changes_nothing(kind: str, tokens: str) -> None:
    a_model, of = model(kind, tokens), tokenizer(tokens)
    random = np.random.default_rng(7)
    together = requests(of)
    shared = engine(a_model, of, streams=20)
    for number, (each, _) in enumerate(together):
        shared.submit([each])
        for _ in range(random.integers(0, 4)):
            shared.round()
        if number % 7 == 3:
            gone, _ = job(of, "worker", length=10_000)
            shared.submit([gone])
            shared.round()
            shared.cancel([gone])
    finish(shared)

    for (_, heard), (alone, expected) in zip(together, requests(of), strict=True):
        lonely = engine(a_model, of)
        lonely.submit([alone])
        finish(lonely)
        assert (heard.texts, heard.stopped_by, heard.tokens) == (
            expected.texts,
            expected.stopped_by,
            expected.tokens,
        )


@pytest.mark.parametrize(("kind", "tokens"), KINDS)
def test_completions_are_those_of_the_command(kind: str, tokens: str) -> None:
    """Of several completions: a single one that is never batched is rounded differently."""
    a_model, of = model(kind, tokens), tokenizer(tokens)
    shared = engine(a_model, of)
    asked = [
        job(of, prompt, filters=filters, num=2, stop=("4",), likeliest=0)
        for prompt in PROMPTS
        for filters in FILTERS
    ]
    for each, _ in asked:
        shared.submit([each])
    finish(shared)

    for each, heard in asked:
        config = replace(each.config, length=12, seed=5)
        expected = list(complete(a_model, of, [each.prompt.text], config, num=2, stop=["4"]))
        assert [heard.texts[0], heard.texts[1]] == [one.text for one in expected]
        assert [heard.stopped_by[0], heard.stopped_by[1]] == [one.stopped_by for one in expected]
        for number, one in enumerate(expected):
            nats = -sum(token.log_probability for token in heard.tokens[number])
            assert len(heard.tokens[number]) == one.tokens
            assert nats == pytest.approx(one.nats, abs=1e-5)


@pytest.mark.parametrize(("kind", "tokens"), KINDS)
def test_prompts_are_scored_as_texts_are(kind: str, tokens: str) -> None:
    a_model, of = model(kind, tokens), tokenizer(tokens)
    prompt = "worker 1 finished job 1 after\nworker 2 x fin"
    scored, heard = job(of, prompt, length=0, likeliest=4, scores_prompt=True)
    shared = engine(a_model, of)
    shared.submit([scored])
    finish(shared)

    nats = np.concatenate([block.nats for block in score_ids(a_model, scored.ids, exact=True)])
    tokens_of = heard.tokens[None]
    assert [-each.log_probability for each in tokens_of] == pytest.approx(nats.tolist(), rel=1e-4, abs=1e-6)
    assert [each.token for each in tokens_of] == [of.piece(token) for token in scored.ids.tolist()]
    assert [each.offset for each in tokens_of] == scored.offsets
    for each in tokens_of:
        values = [value for _, value in each.likeliest]
        assert values == sorted(values, reverse=True)
        assert max(values) >= each.log_probability
    assert (heard.texts, heard.stopped_by) == ({0: ""}, {0: "length"})


@pytest.mark.parametrize("tokens", ["bpe", "word", "char"])
def test_what_is_listed_after_a_prompt_is_what_may_come_next(tokens: str) -> None:
    a_model, of = model("lstm", tokens), tokenizer(tokens)
    for prompt in ("worker 3 fin", "worker 3 ", "after", ""):
        scored, heard = job(
            of, prompt, length=1, likeliest=5, scores_prompt=True, filters={"temperature": 0.0}
        )
        shared = engine(a_model, of)
        shared.submit([scored])
        finish(shared)
        [drawn] = heard.tokens[0]
        expected = next_tokens(a_model, of, prompt, top=5)

        assert [token for token, _ in drawn.likeliest] == [each.token for each in expected]
        assert np.exp([value for _, value in drawn.likeliest]) == pytest.approx(
            [each.probability for each in expected], rel=1e-4
        )


def test_offsets_say_where_the_tokens_of_a_completion_begin() -> None:
    for tokens in ("char", "byte", "word", "bpe"):
        of = tokenizer(tokens)
        scored, heard = job(of, "worker 3 fin", length=40, likeliest=0, stop=("zzz",))
        shared = engine(model("ngram", tokens), of)
        shared.submit([scored])
        finish(shared)
        offsets = [each.offset for each in heard.tokens[0]]
        text = heard.texts[0]

        assert offsets[0] == 0
        assert offsets == sorted(offsets)
        assert offsets[-1] <= len(text)
        for each, begin, end in zip(heard.tokens[0], offsets, [*offsets[1:], len(text)], strict=True):
            if begin > 0 and each.token.isascii() and each.token.strip() not in ("", "</s>"):
                assert text[begin:end].strip() == each.token.strip()


def test_text_comes_in_pieces_only_to_those_who_want_it() -> None:
    of = tokenizer("char")
    shared = engine(model("lstm", "char"), of)
    whole, pieces = job(of, "worker", length=20), job(of, "worker", length=20, streams=True)
    shared.submit([whole[0], pieces[0]])
    finish(shared)

    assert whole[1].texts == pieces[1].texts
    assert whole[1].pieces == 1
    assert pieces[1].pieces > 10


def test_who_leaves_makes_room_at_once() -> None:
    of = tokenizer("char")
    shared = engine(model("lstm", "char"), of, streams=1, waiting=1)
    endless, waiting, late = (job(of, "worker", length=10**6)[0] for _ in range(3))
    shared.submit([endless])
    shared.round()
    shared.submit([waiting])
    with pytest.raises(BusyError, match="2 completions are under way or waiting, and at most 2 may be"):
        shared.submit([late])
    shared.cancel([waiting])
    shared.round()
    shared.submit([late])
    shared.cancel([endless, late])
    shared.round()

    assert shared.load == 0


def test_a_damaged_probability_ends_the_completion_that_needs_it_alone() -> None:
    table = random_bigram_model(4).table.copy()
    table[3] = -np.inf
    of = PieceTokenizer("\n", "a", "b", "c", line_end=0)
    shared = engine(BigramModel(table), of)
    (good, fine), (bad, failed) = job(of, "a", length=1), job(of, "c", length=1)
    shared.submit([bad, good])
    finish(shared)

    assert isinstance(failed.error, NumericalError)
    assert fine.error is None
    assert len(fine.texts[0]) == 1


def test_after_a_bug_the_engine_goes_on() -> None:
    class Broken(BigramModel):
        broken = True

        def predict(self, state: Any) -> Any:
            if self.broken:
                raise ZeroDivisionError
            return super().predict(state)

    of = PieceTokenizer("\n", "a", "b", "c", line_end=0)
    a_model = Broken(random_bigram_model(4).table)
    shared = engine(a_model, of)
    first, failed = job(of, "a")
    shared.submit([first])
    finish(shared)
    a_model.broken = False
    second, fine = job(of, "a")
    shared.submit([second])
    finish(shared)

    assert isinstance(failed.error, ZeroDivisionError)
    assert len(fine.texts[0]) == 12


@pytest.mark.parametrize("part", ["predict", "advance", "select", "join"])
@pytest.mark.parametrize("call", range(6))
def test_wherever_a_bug_is_every_client_hears_of_an_end(part: str, call: int) -> None:
    of = PieceTokenizer("\n", "a", "b", "c", line_end=0)
    a_model = BigramModel(random_bigram_model(4).table)
    working = getattr(a_model, part)
    calls = 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call + 1:
            raise MemoryError
        return working(*arguments)

    setattr(a_model, part, failing)
    shared = engine(a_model, of)
    asked = [
        job(of, "a", length=1),
        job(of, "abc" * 40, num=2, length=3),
        job(of, "ab", scores_prompt=True, likeliest=2, length=0),
    ]
    shared.submit([each for each, _ in asked])
    finish(shared)
    setattr(a_model, part, working)
    after, fine = job(of, "a")
    shared.submit([after])
    finish(shared)

    assert any(heard.error for _, heard in asked) == (calls > call)
    for each, heard in asked:
        assert (heard.error is not None) != (len(heard.stopped_by) == each.num)
    assert len(fine.texts[0]) == 12


def test_its_thread_waits_for_work_and_ends_when_it_is_closed() -> None:
    of = tokenizer("char")
    shared = engine(model("lstm", "char"), of)
    thread = threading.Thread(target=shared.run)
    thread.start()
    done = threading.Event()
    asked, heard = job(of, "worker")
    hear = asked.on_update

    def hear_and_tell(update: Update) -> None:
        hear(update)
        if update.stopped_by:
            done.set()

    asked.on_update = hear_and_tell
    shared.submit([asked])
    assert done.wait(30)
    shared.close()
    thread.join(30)

    assert not thread.is_alive()
    assert len(heard.texts[0]) == 12
