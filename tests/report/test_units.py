"""What units follow: features of a text, and units made by hand that follow one of them."""

import numpy as np
import pytest

from lmgen.inspection.gates import gate_shares
from lmgen.inspection.states import StateReader
from lmgen.inspection.texts import Block
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.model import RecurrentModel
from lmgen.report import units
from lmgen.report.scored import Tokens
from lmgen.report.units import features, inside
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer

TEXT = 'He said: "so (it 12) is".\n  x\n'


def tokens_of(text: str, tokenizer: CharacterTokenizer) -> Tokens:
    count = len(text)
    ids = tokenizer.encode(text).astype(np.int64)
    return Tokens(text, ids, np.arange(count), np.zeros(count, int), np.ones(count, bool))


def test_features_are_read_off_the_text() -> None:
    found = {name: values.astype(int).tolist() for name, values in features('A"b(c\n\nd1"').items()}

    assert found == {
        "position in the line": [0, 1, 2, 3, 4, 5, 0, 0, 1, 2],
        "inside quotes": [0, 1, 1, 1, 1, 1, 0, 0, 0, 1],
        "inside brackets": [0, 0, 0, 1, 1, 1, 0, 0, 0, 0],
        "capital letters": [1] + [0] * 9,
        "length of the word": [1, 0, 1, 0, 1, 0, 0, 1, 2, 0],
        "blanks between words": [0, 0, 0, 0, 0, 1, 1, 0, 0, 0],
        "digits": [0] * 8 + [1, 0],
        "indentation": [0] * 10,
    }
    assert features(" \tx y")["indentation"].tolist() == [1, 2, 2, 2, 2]


def test_units_are_listed_with_what_they_follow() -> None:
    tokenizer = CharacterTokenizer("".join(sorted(set(TEXT))))
    V = tokenizer.vocabulary_size
    weights = np.zeros((3, V), np.float32)
    weights[0, tokenizer.encode("H")] = 3
    weights[1, tokenizer.encode("12")] = -3
    parameters = {
        "layers.0.weight_input": weights,
        "layers.0.weight_recurrent": np.zeros((3, 3), np.float32),
        "layers.0.bias": np.zeros(3, np.float32),
        "output.weight": np.zeros((V, 3), np.float32),
        "output.bias": np.zeros(V, np.float32),
    }
    config = NetworkConfig(cell="rnn", layers=1, hidden_size=3, embedding_size=0)
    model = RecurrentModel(config, V, tokenizer.start, parameters)

    found = inside(model, tokens_of(TEXT, tokenizer))

    assert (found.part, found.looked_at, found.gates) == ("h", 3, [])
    first = {each.unit: each for each in found.units}
    assert {0, 1} == first.keys()  # the third is constant
    assert [first[unit].follows for unit in (0, 1)] == ["capital letters", "digits"]
    assert [first[unit].correlation for unit in (0, 1)] == pytest.approx([1, -1])
    assert first[1].activations.tolist() == [-1.0 if letter in "12" else 0.0 for letter in TEXT]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("repeats", [1, 9, 40])
def test_reading_side_by_side_gives_what_reading_in_order_gives(
    cell: str, repeats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to what is further back than the warm-up; here that is nothing, as one token is all that counts."""
    monkeypatch.setattr(units, "STREAMS", 3)
    monkeypatch.setattr(units, "WARM_UP", 64)
    text = TEXT * repeats
    model = TextModel.untrained(text, cell=cell, hidden_size=6, layers=2, init_scale=0.1)
    assert isinstance(model.tokenizer, CharacterTokenizer)
    tokens = tokens_of(text, model.tokenizer)
    found = inside(model.model, tokens)
    [read] = StateReader(model.model).read([Block(tokens.ids, 0, 1, True, True)])
    shares = gate_shares(StateReader(model.model), [Block(tokens.ids, 0, 1, True, True)])

    assert found.looked_at == 12
    assert found.units
    for each in found.units:
        part = "c" if cell == "lstm" else "h"
        values = read.series[f"layers.{each.layer}.{part}"][:, each.unit].astype(np.float64)
        values = np.tanh(values) if cell == "lstm" else values
        expected = np.corrcoef(values, features(text)[each.follows])[0, 1]
        assert each.correlation == pytest.approx(expected, abs=1e-4)
        kept = values[: units.SHOWN]
        assert each.activations == pytest.approx(kept / np.abs(kept).max(), abs=1e-4)
    assert [(each.gate, each.unit) for each in found.gates] == [(each.gate, each.unit) for each in shares]
    assert [each.mean for each in found.gates] == pytest.approx([each.mean for each in shares], abs=1e-5)
