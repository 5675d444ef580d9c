"""States and gates token by token, vectors of texts, and how often gates are open, in small networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.inspection.gates import summaries
from lmgen.inspection.states import in_file, save_arrays, vectors_in_file
from lmgen.inspection.texts import BLOCK
from lmgen.models.model_file import save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model

LETTERS = CharacterTokenizer("\nab")
V = LETTERS.vocabulary_size


@pytest.fixture
def one_hot(tmp_path: Path) -> TextModel:
    """A network whose h is 1 at the token's own unit and 0 elsewhere."""
    return lmgen.load(save_bigram_model(tmp_path / "tiny.safetensors", LETTERS, np.zeros((V, V))))


def lstm(tmp_path: Path, **biases: float) -> TextModel:
    """An LSTM of two layers whose gates depend on nothing but their biases; of layer 1 they are 0."""
    config = NetworkConfig(layers=2, hidden_size=3, embedding_size=2)
    parameters = {name: np.zeros_like(each) for name, each in initial_parameters(config, V, None, 0).items()}
    for number, gate in enumerate(("input", "forget", "candidate", "output")):
        parameters["layers.0.bias"][3 * number : 3 * number + 3] = biases.get(gate, 0.0)
    file = tmp_path / "lstm.safetensors"
    save_model(file, RecurrentModel(config, V, LETTERS.start, parameters), LETTERS)
    return lmgen.load(file)


def joined(model: TextModel, text: str, **asked: Any) -> dict[str, np.ndarray]:
    found = list(model.states(text, **asked))
    return {name: np.concatenate([each.series[name] for each in found]) for name in found[0].series}


def test_the_state_of_a_network_of_one_hot_units_is_the_text(one_hot: TextModel) -> None:
    text = "ab\nba\n"
    found = joined(one_hot, text)

    assert found.keys() == {"layers.0.h"}
    assert (found["layers.0.h"] == np.eye(V)[one_hot.tokenize(text)]).all()


@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_long_text_comes_in_blocks_that_go_on_from_each_other(length: int) -> None:
    text = "ab\n" * (length // 3) + "ab\n"[: length % 3] + "\n"
    model = TextModel.untrained(text, cell="gru", hidden_size=4)
    blocks = list(model.states(text))
    ids = np.concatenate([each.block.ids for each in blocks])
    ((whole,), _) = model.model.read(ids[:, None], model.model.start(1))  # type: ignore[attr-defined]

    assert max(len(each.block.ids) for each in blocks) <= BLOCK
    assert [each.block.begins for each in blocks] == [True] + [False] * (len(blocks) - 1)
    assert [each.block.ends for each in blocks] == [False] * (len(blocks) - 1) + [True]
    assert [each.block.first for each in blocks] == list(range(0, len(ids), BLOCK))[: len(blocks)]
    found = joined(model, text)
    assert found.keys() == {"layers.0.h", "layers.0.reset", "layers.0.update", "layers.0.candidate"}
    assert (found["layers.0.h"] == whole.states["h"][:, 0]).all()
    assert (found["layers.0.update"] == whole.gates["update"][:, 0]).all()


def test_layers_units_and_names_are_chosen(tmp_path: Path) -> None:
    model = lstm(tmp_path, input=-1.0, forget=2.0)

    found = joined(model, "ab\n", layers=[0], units=[2, 0], names=["c", "forget"])

    assert {name: values.shape for name, values in found.items()} == {
        "layers.0.c": (3, 2),
        "layers.0.forget": (3, 2),
    }
    assert found["layers.0.forget"] == pytest.approx(1 / (1 + np.exp(-2.0)), rel=1e-6)
    every = joined(model, "ab\n")
    assert [*every] == [
        f"layers.{layer}.{name}"
        for layer in (0, 1)
        for name in ("h", "c", "forget", "input", "candidate", "output")
    ]


def test_vectors_are_the_last_state_or_the_mean_of_each_text(one_hot: TextModel) -> None:
    text = "ab\nb\n\n"  # in lines: a b end, b end, end
    end, a, b = one_hot.tokenize("\nab")
    last = list(one_hot.state_vectors(text, unit="line"))
    mean = list(one_hot.state_vectors(text, unit="line", pool="mean"))

    assert [(each.unit, each.tokens) for each in last] == [(1, 3), (2, 2), (3, 1)]
    assert [each.series["layers.0.h"].argmax() for each in last] == [end] * 3
    assert mean[0].series["layers.0.h"][[end, a, b]] == pytest.approx([1 / 3] * 3)
    assert mean[1].series["layers.0.h"][[end, a, b]] == pytest.approx([1 / 2, 0, 1 / 2])
    [whole] = one_hot.state_vectors(text, pool="mean")
    assert whole.tokens == 6
    assert whole.series["layers.0.h"][[end, a, b]] == pytest.approx([3 / 6, 1 / 6, 2 / 6])


def test_each_unit_is_read_from_the_start() -> None:
    model = TextModel.untrained("ab\n", cell="rnn", hidden_size=3)

    lines = joined(model, "ab\nab\nab\n", unit="line")["layers.0.h"]
    document = joined(model, "ab\nab\nab\n")["layers.0.h"]

    assert (lines[:3] == lines[3:6]).all()
    assert (lines[3:6] == lines[6:]).all()
    assert not np.allclose(document[3:6], document[:3])
    assert (document[:3] == lines[:3]).all()


def test_arrays_are_saved_piece_by_piece(one_hot: TextModel, tmp_path: Path) -> None:
    text = "ab\n" * 400
    save_arrays(tmp_path / "states.npz", in_file(one_hot.states(text)))
    save_arrays(tmp_path / "lines.npz", vectors_in_file(one_hot.state_vectors(text, unit="line")))

    with np.load(tmp_path / "states.npz") as saved:
        assert saved["tokens"].tolist() == one_hot.tokenize(text)
        assert saved["text"].tolist() == [1] * 1200
        assert saved["layers.0.h"].dtype == np.float32
        assert (saved["layers.0.h"] == joined(one_hot, text)["layers.0.h"]).all()
    with np.load(tmp_path / "lines.npz") as saved:
        assert saved["text"].tolist() == list(range(1, 401))
        assert saved["layers.0.h"].shape == (400, V)
    assert sorted(path.name for path in tmp_path.glob("*npz*")) == ["lines.npz", "states.npz"]


def test_gates_are_counted(tmp_path: Path) -> None:
    model = lstm(tmp_path, input=-10.0, forget=10.0, output=2.0)
    shares = model.gates("ab\nab\n")

    by_gate = {(each.layer, each.gate): each for each in summaries(shares)}
    assert len(shares) == 2 * 3 * 3
    forget, written, output = (by_gate["layers.0", name] for name in ("forget", "input", "output"))
    assert (forget.open, forget.closed, forget.always_open, forget.always_closed) == (1, 0, 3, 0)
    assert (written.open, written.closed, written.always_open, written.always_closed) == (0, 1, 0, 3)
    assert (output.open, output.closed) == (0, 0)  # 0.88 is not nearly open
    assert output.mean == pytest.approx(0.8807971, rel=1e-6)
    assert by_gate["layers.1", "forget"].mean == 0.5
    assert [each.unit for each in model.gates("ab\n", layers=[1], names=["input"], units=[2, 1])] == [2, 1]


def test_a_gate_that_follows_the_text_is_open_as_often_as_its_token_occurs(tmp_path: Path) -> None:
    model = lstm(tmp_path)
    network: Any = model.model
    network.parameters["embedding"][model.tokenize("a")[0]] = [1, 0]
    network.parameters["layers.0.weight_input"][3, 0] = 20  # the first unit's forget gate

    [unit, *_] = model.gates("abbb\n" * 5, names=["forget"], layers=[0])

    assert (unit.open, unit.closed) == (0.2, 0)
    assert unit.mean == pytest.approx(0.2 * 1 + 0.8 * 0.5)


def test_what_a_network_lacks_is_named(one_hot: TextModel, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no layer 1; layers go from 0 to 0; .*no state or gate 'c'; known are h"
    ):
        one_hot.states("ab\n", layers=[1], names=["c"])
    with pytest.raises(ConfigError, match=f"no unit {V}; units go from 0 to {V - 1}"):
        one_hot.states("ab\n", units=[V])
    with pytest.raises(ModelError, match="there are no gates among these states; vanilla networks have none"):
        one_hot.gates("ab\n")
    with pytest.raises(ConfigError, match="pool is 'first', but has to be one of last, mean"):
        list(one_hot.state_vectors("ab\n", pool="first"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unit is 'page', but has to be one of document, line, record"):
        list(one_hot.states("ab\n", unit="page"))  # type: ignore[arg-type]
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match="empty"):
        list(one_hot.states(tmp_path / "empty.txt"))
    ngram = lmgen.fit_ngram("ab\n" * 50, out=tmp_path / "ngram.safetensors")
    with pytest.raises(ModelError, match="ngram-5 is not a network"):
        ngram.states("ab\n")


def test_unknown_tokens_are_noted(one_hot: TextModel) -> None:
    notes: list[str] = []

    list(one_hot.states("abc\n", on_note=notes.append))

    assert notes == ["text: 1 of 4 tokens are unknown to the vocabulary: `c` (1)"]
