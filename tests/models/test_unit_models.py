"""A network over units begins each anew, in numpy and in torch, however a text is cut into blocks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lmgen.arrays import IdArray
from lmgen.evaluation.scoring import score_each, score_ids
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.training.network import Network, TorchLanguageModel

V, END = 7, 1
CONFIG = NetworkConfig(hidden_size=6, embedding_size=4, layers=2)
PARAMETERS = initial_parameters(CONFIG, V, None, seed=3)
UNITS = [np.array([*unit, END]) for unit in ([2, 3, 4], [], [5], [2, 2, 6, 3, 4, 5, 6], [3])]


def in_numpy() -> LanguageModel:
    return RecurrentModel(CONFIG, V, END, PARAMETERS, END)


def in_torch() -> LanguageModel:
    return TorchLanguageModel(Network(CONFIG, V, PARAMETERS), END, END)


both = pytest.mark.parametrize("make", [in_numpy, in_torch])


def scored(model: LanguageModel, ids: IdArray) -> np.ndarray:
    return np.concatenate([block.nats for block in score_ids(model, ids)])


@both
def test_a_stream_of_units_scores_as_each_alone(make: Callable[[], LanguageModel]) -> None:
    model = make()

    together = scored(model, np.concatenate(UNITS))

    alone = np.concatenate([scored(model, unit) for unit in UNITS])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    np.testing.assert_allclose(np.concatenate(score_each(model, UNITS)), alone, rtol=1e-5)


@both
def test_streams_side_by_side_end_their_units_where_they_like(make: Callable[[], LanguageModel]) -> None:
    model = make()
    columns = np.random.default_rng(1).integers(0, V, (12, 20))

    together, state = model.score(model.start(20), columns)

    for stream in (0, 3, 19):
        alone, after = model.score(model.start(1), columns[:, [stream]])
        np.testing.assert_allclose(together[:, stream], alone[:, 0], rtol=1e-4)
        np.testing.assert_allclose(model.predict(state)[stream], model.predict(after)[0], rtol=1e-4)


@both
def test_after_an_end_the_state_is_that_of_the_start(make: Callable[[], LanguageModel]) -> None:
    model = make()
    begun = model.predict(model.start(1))

    ended = model.advance(model.start(1), np.array([[3], [4], [END]]))

    np.testing.assert_allclose(model.predict(ended), begun, rtol=1e-6)


def test_step_by_step_is_the_same_as_at_once() -> None:
    model = in_numpy()
    ids = np.concatenate(UNITS)
    state, steps = model.start(1), []
    for token in ids:
        steps.append(-model.predict(state)[0, token])
        state = model.advance(state, np.array([[token]]))

    np.testing.assert_allclose(scored(model, ids), steps, rtol=1e-5)


def test_states_that_are_read_out_begin_anew_too() -> None:
    model = RecurrentModel(CONFIG, V, END, PARAMETERS, END)
    whole, _ = model.read(np.array([[3], [END], [5]]), model.start(1))
    unit, _ = model.read(np.array([[5]]), model.start(1))

    np.testing.assert_allclose(whole[0].states["h"][2], unit[0].states["h"][0], rtol=1e-5)


def test_a_file_keeps_the_end(tmp_path: Path) -> None:
    reading = ReadingConfig(unit="line")
    tokenizer = train_tokenizer(lambda: iter(["abcd\ne\n"]), TokenizerConfig(), reading)
    assert tokenizer.vocabulary_size == V
    model = RecurrentModel(CONFIG, V, tokenizer.start, PARAMETERS, tokenizer.end)

    save_model(tmp_path / "m.safetensors", model, tokenizer)
    loaded = load_model(tmp_path / "m.safetensors")

    assert loaded.tokenizer.end == tokenizer.end
    assert isinstance(loaded.model, RecurrentModel)
    assert loaded.model.unit_end == tokenizer.end
    assert loaded.model.format_version == 4


@both
@pytest.mark.parametrize("lengths", [(1, 12), (1, 2), (300, 3000)])
def test_whole_texts_are_read_side_by_side(
    make: Callable[[], LanguageModel], lengths: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, random = make(), np.random.default_rng(4)
    monkeypatch.setattr("lmgen.evaluation.scoring.STREAM_LENGTH", 128)  # a text of three segments
    units: list[IdArray] = []
    while sum(map(len, units)) < 20_000:
        units.append(np.append(random.integers(2, V, random.integers(*lengths)), END))
    ids, reads = np.concatenate(units), list[IdArray]()

    def counting(state: object, block: IdArray) -> tuple[np.ndarray, object]:
        reads.append(block)
        return score(state, block)

    score = model.score
    with monkeypatch.context() as patched:
        patched.setattr(model, "score", counting)
        blocks = list(score_ids(model, ids))

    exact = np.concatenate([block.nats for block in score_ids(model, ids, exact=True)])
    np.testing.assert_allclose(np.concatenate([block.nats for block in blocks]), exact, rtol=1e-4)
    np.testing.assert_array_equal(np.concatenate([block.ids for block in blocks]), ids)
    assert [len(block.ids) for block in blocks] == [256, 64 * 128 - 256, 64 * 128, len(ids) - 128 * 128]
    side_by_side = [block for block in reads[1:] if block.shape[1] > 1]
    assert side_by_side
    assert all((block == END).sum(axis=0).max() <= 1 for block in side_by_side)  # none goes on past an end
