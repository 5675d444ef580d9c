"""Completions of models over units end by themselves, and begin afresh."""

from itertools import islice

import numpy as np
import pytest

from lmgen.generation.config import SamplingConfig
from lmgen.generation.next import continuations, next_tokens
from lmgen.generation.sampler import complete, stream
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

NAMES = ["Ada", "Anna", "Berta", "Gilda", "Tilda"]

KINDS = ["char", "byte", "bpe", "word"]


def trained(name: str, unit: str, records: list[str]) -> tuple[NgramModel, Tokenizer]:
    """A 6-gram model of many copies of the records."""
    text = "".join(record + ("\n" if unit == "line" else UNIT_END) for record in records * 30)
    config = TokenizerConfig(tokenizer=name, vocab_size=270 if name == "bpe" else None)
    tokenizer = train_tokenizer(lambda: iter([text]), config, ReadingConfig(unit=unit))
    ids = np.concatenate(list(tokenizer.encode_stream([text])))
    model = NgramModel.fit(
        ids, order=6, vocabulary_size=tokenizer.vocabulary_size, sentence_end=tokenizer.end
    )
    return model, tokenizer


@pytest.mark.parametrize("unit", ["line", "record"])
@pytest.mark.parametrize("name", KINDS)
def test_a_completion_ends_with_its_unit(name: str, unit: str) -> None:
    model, tokenizer = trained(name, unit, NAMES)
    config = SamplingConfig(top_k=2, seed=1)
    drawn = list(complete(model, tokenizer, [""], config, num=200))

    assert {completion.stopped_by for completion in drawn} == {"end"}
    assert sum(completion.text in NAMES for completion in drawn) > 120
    assert not any("\n" in completion.text for completion in drawn)
    for completion in drawn[:20]:
        ids = [*tokenizer.encode(completion.text), tokenizer.end]
        assert completion.tokens >= len(ids)
        if completion.tokens == len(ids):
            scores, _ = model.score(model.start(1), np.array(ids)[:, None])
            assert completion.nats == pytest.approx(-scores.sum(), abs=1e-5), (
                "the end counts, as it was drawn"
            )


@pytest.mark.parametrize("unit", ["line", "record"])
@pytest.mark.parametrize("name", KINDS)
def test_only_what_follows_the_last_end_is_completed(name: str, unit: str) -> None:
    model, tokenizer = trained(name, unit, NAMES)
    mark = "\n" if unit == "line" else UNIT_END
    greedy = SamplingConfig(temperature=0)
    alone, after = complete(model, tokenizer, ["Gil", f"Ada{mark}Gil"], greedy)

    assert (alone.text, after.text) == ("da", "da")
    assert after.nats == pytest.approx(alone.nats)


@pytest.mark.parametrize("unit", ["line", "record"])
@pytest.mark.parametrize("name", KINDS)
def test_continuations_begin_a_unit(name: str, unit: str) -> None:
    model, tokenizer = trained(name, unit, NAMES)
    mark = "\n" if unit == "line" else UNIT_END
    of = ["Gilda", f"Gilda{mark}", "Anna"]
    alone = continuations(model, tokenizer, "", of)
    after = continuations(model, tokenizer, f"Tilda{mark}Ada{mark}", of)
    scores, _ = model.score(model.start(1), tokenizer.encode(f"Gilda{mark}")[:, None])

    assert after == alone
    assert alone[1].probability == pytest.approx(np.exp(scores.sum()))


def test_a_record_has_lines() -> None:
    model, tokenizer = trained("char", "record", ["Soup:\nsalt\nsage", "Cake:\nflour\nfat"])
    greedy = SamplingConfig(temperature=0)
    [whole] = complete(model, tokenizer, ["So"], greedy)
    [line] = complete(model, tokenizer, ["So"], greedy, lines=True)

    assert (whole.text, whole.stopped_by) == ("up:\nsalt\nsage", "end")
    assert (line.text, line.stopped_by) == ("up:", "end")


@pytest.mark.parametrize(("unit", "between"), [("line", "\n"), ("record", "\n\n")])
def test_an_endless_text_goes_on_with_the_next_unit(unit: str, between: str) -> None:
    model, tokenizer = trained("char", unit, NAMES)
    text = "".join(islice(stream(model, tokenizer, "", SamplingConfig(length=0, seed=1)), 3000))
    names = text.split(between)[:-1]

    assert len(names) > 200
    assert sum(name in NAMES for name in names) > 0.8 * len(names)


def test_a_stop_text_and_the_length_end_it_sooner() -> None:
    model, tokenizer = trained("bpe", "line", NAMES)
    greedy = SamplingConfig(temperature=0)
    [stopped] = complete(model, tokenizer, ["T"], greedy, stop=["d"])
    [short] = complete(model, tokenizer, ["G"], SamplingConfig(temperature=0, length=1))

    assert (stopped.text, stopped.stopped_by) == ("il", "stop")
    assert short.stopped_by == "length"


@pytest.mark.parametrize("unit", ["line", "record"])
@pytest.mark.parametrize("name", KINDS)
def test_the_end_is_among_the_next_tokens(name: str, unit: str) -> None:
    model, tokenizer = trained(name, unit, NAMES)
    [first] = next_tokens(model, tokenizer, "Gilda", top=1)
    assert (first.token, first.token_id) == ("</s>", tokenizer.end)
