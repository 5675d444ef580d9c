"""All processors give the scores of one, to the last bit."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lmgen.arrays import FloatArray
from lmgen.errors import NumericalError
from lmgen.evaluation import scoring, units
from lmgen.evaluation.perplexity import score_rows, score_text, score_texts
from lmgen.evaluation.scoring import measure_each, score_ids
from lmgen.evaluation.side_by_side import ScoredBlock, rank
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.fakes import BigramModel

V = 12
RANDOM = np.random.default_rng(7)
TEXTS = [RANDOM.integers(0, V, size) for size in RANDOM.integers(1, 60, 60).tolist()] + [
    RANDOM.integers(0, V, 400)
]
TOKENIZER = CharacterTokenizer("\nabcdefgh")
LINES = "".join(
    "".join(RANDOM.choice(list("abcdefgh"), size)) + "\n" for size in RANDOM.integers(0, 40, 120).tolist()
)


def network(vocabulary_size: int = V, unit_end: int | None = None) -> RecurrentModel:
    config = NetworkConfig(cell="lstm", layers=2, hidden_size=24, embedding_size=8)
    parameters = initial_parameters(config, vocabulary_size, unknown=None, seed=2)
    return RecurrentModel(config, vocabulary_size, 0, parameters, unit_end)


def ngrams(vocabulary_size: int = V) -> NgramModel:
    ids = RANDOM.integers(0, vocabulary_size, 5000)
    return NgramModel.fit(ids, order=4, vocabulary_size=vocabulary_size)


MODELS: list[LanguageModel] = [
    network(),
    network(unit_end=3),
    ngrams(),
    MixtureModel([network(), ngrams()], [0.3, 0.7]),
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few tokens that short texts have many segments, and much to do."""
    for name, value in {
        "STREAMS": 8,
        "STREAM_LENGTH": 32,
        "SHORTEST_STREAM": 8,
        "WARM_UP": 16,
        "WORTH_THREADS": 1,
    }.items():
        monkeypatch.setattr(scoring, name, value)
    monkeypatch.setattr(units, "WORTH_THREADS", 500)


def on_each_number_of_threads() -> Iterator[int]:
    for count in (1, 2, 3):
        with threadpool_limits(count, user_api="blas"):
            yield count


def same_numbers(one: FloatArray | None, other: FloatArray | None) -> bool:
    """Whether both are the same, NaN by NaN, or missing."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)


def same(blocks: list[ScoredBlock], others: list[ScoredBlock]) -> bool:
    """Whether all arrays are the same, bit for bit."""
    return len(blocks) == len(others) and all(
        np.array_equal(block.ids, other.ids)
        and np.array_equal(block.nats, other.nats)
        and same_numbers(block.measured, other.measured)
        for block, other in zip(blocks, others, strict=True)
    )


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("measured", [False, True])
def test_texts_have_the_same_scores_on_any_number_of_processors(model: LanguageModel, measured: bool) -> None:
    marked = [ids % 2 == 0 for ids in TEXTS] if measured else None
    found = [
        measure_each(model, TEXTS, measure=rank if measured else None, marked=marked)
        for _ in on_each_number_of_threads()
    ]

    assert [block.ids.tolist() for block in found[0]] == [ids.tolist() for ids in TEXTS]
    assert all(same(found[0], others) for others in found[1:])


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_long_text_has_the_same_scores_on_any_number_of_processors(
    model: LanguageModel, at_once: bool
) -> None:
    ids = np.concatenate(TEXTS)
    pieces = np.array_split(ids, 40)
    found = [
        list(score_ids(model, iter(pieces), at_once=at_once, measure=rank))
        for _ in on_each_number_of_threads()
    ]

    np.testing.assert_array_equal(np.concatenate([block.ids for block in found[0]]), ids)
    assert all(same(found[0], others) for others in found[1:])


@pytest.mark.parametrize("by", ["line", "word", "token"])
@pytest.mark.parametrize("at_once", [False, True])
def test_rows_are_the_same_on_any_number_of_processors(by: str, at_once: bool) -> None:
    size = TOKENIZER.vocabulary_size
    models = [network(size), ngrams(size)]
    chunks = [LINES[first : first + 500] for first in range(0, len(LINES), 500)]
    chunks.append("abcd" * 150 + "\nab")  # a line that is longer than a chunk, and one without its end
    found = [
        list(score_rows(models, TOKENIZER, iter(chunks), "text", by=by, at_once=at_once))  # type: ignore[arg-type]
        for _ in on_each_number_of_threads()
    ]

    assert len(found[0]) >= 2 * 122
    assert found[0] == found[1] == found[2]


def test_whole_texts_are_the_same_on_any_number_of_processors() -> None:
    model = network(TOKENIZER.vocabulary_size)
    texts = [line for line in LINES.splitlines() if line]
    found = [
        (
            score_text(model, TOKENIZER, iter([LINES]), "text"),
            list(score_texts(model, TOKENIZER, texts, "texts")),
        )
        for _ in on_each_number_of_threads()
    ]

    assert found[0] == found[1] == found[2]


@dataclass
class Broken(BigramModel):
    """Knows nothing of what follows the last token of its vocabulary, and may be used by several threads."""

    in_threads = True


def test_a_score_that_is_no_number_is_the_same_error_on_any_number_of_processors() -> None:
    size = TOKENIZER.vocabulary_size
    table: FloatArray = np.full((size, size), -np.log(size))
    h, a = TOKENIZER.encode("ha").tolist()
    table[h, a] = np.nan
    lines = LINES.replace("ha", "hb").splitlines(keepends=True)
    lines[60] = "ccha\n"
    lines[90] = "hahaha\n"
    found, scored = set(), set()
    for _ in on_each_number_of_threads():
        rows = score_rows([Broken(table)], TOKENIZER, iter(["".join(lines)]), "text", by="line")
        before: list[object] = []
        with pytest.raises(NumericalError) as error:
            before.extend(rows)
        found.add(str(error.value))
        scored.add(len(before))

    assert len(found) == 1
    assert len(scored) == 1
    [message] = found
    assert message.startswith("text, after line ")


def test_nothing_more_is_read_before_scores_are_given_if_a_text_arrives_slowly() -> None:
    model = network(TOKENIZER.vocabulary_size)
    read = 0

    def arriving() -> Iterator[str]:
        nonlocal read
        while read < 19:
            read += 1
            yield "abc\n" * 30

    with threadpool_limits(2, user_api="blas"):
        rows = score_rows([model], TOKENIZER, arriving(), "text", by="line", at_once=True)
        for number in range(30 * 19):
            next(rows)
            assert read == number // 30 + 1
