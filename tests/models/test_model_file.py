"""A model is one file: what comes back, and what is refused."""

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lmgen.errors import LmgenError, ModelError
from lmgen.models.config import NetworkConfig
from lmgen.models.initialization import initial_parameters
from lmgen.models.model_file import load_model, load_tensors, save_model, save_tensors
from lmgen.models.ngram import NgramModel
from lmgen.models.recurrent import RecurrentModel
from lmgen.tokenizers.characters import CharacterTokenizer

TOKENIZER = CharacterTokenizer("\nabc")


def network(vocabulary_size: int = 5) -> RecurrentModel:
    config = NetworkConfig(cell="gru", hidden_size=4, embedding_size=3)
    return RecurrentModel(config, vocabulary_size, 1, initial_parameters(config, vocabulary_size, 0, seed=1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, network(), TOKENIZER, {"steps": 3})
    return path


def with_header(path: Path, **changes: Any) -> None:
    """Write the file again with another header."""
    header, tensors = load_tensors(path)
    save_file(tensors, path, metadata={"lmgen": json.dumps({**header, **changes})})


def test_a_network_comes_back_as_it_was(path: Path) -> None:
    saved = load_model(path)

    assert saved.tokenizer.to_json() == TOKENIZER.to_json()
    assert saved.training == {"steps": 3}
    np.testing.assert_array_equal(
        saved.model.predict(saved.model.start(2)), network().predict(network().start(2))
    )


def test_an_ngram_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = NgramModel.fit(np.array([1, 2, 3, 1, 2, 4, 2, 3]), order=3, vocabulary_size=5)
    save_model(tmp_path / "ngram.safetensors", model, TOKENIZER)
    again = load_model(tmp_path / "ngram.safetensors").model

    assert again.name == "ngram-3"
    np.testing.assert_array_equal(again.predict(again.start(1)), model.predict(model.start(1)))


def test_the_same_model_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again.safetensors", network(), TOKENIZER, {"steps": 3})

    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_file_that_is_cut_short_is_named(kept: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ModelError, match=r"model\.safetensors is not a whole model file"):
        load_model(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "has format version 2, this lmgen reads up to 1; upgrade lmgen"),
        ({"format_version": "1"}, "its format version is '1'"),
        ({"format_version": True}, "its format version is True"),
        ({"kind": "transformer"}, "holds a model of kind 'transformer'; known here are recurrent, ngram"),
        ({"kind": None}, "its header lacks kind"),
        ({"config": {}}, "is damaged: its configuration lacks vocabulary_size"),
        ({"tokenizer": {"tokenizer": "char"}}, "is damaged: "),
        ({"tokenizer": CharacterTokenizer("\nab").to_json()}, "the model has 5 token ids, its tokenizer 4"),
        ({"training": 3}, "its header lacks kind"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(changes: dict[str, Any], message: str, path: Path) -> None:
    with_header(path, **changes)

    with pytest.raises(ModelError, match=message):
        load_model(path)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(ModelError, match="not one that lmgen wrote"):
        load_model(path)
    save_file({"x": np.zeros(3)}, path, metadata={"lmgen": "{"})
    with pytest.raises(ModelError, match="its header cannot be read"):
        load_model(path)
    with pytest.raises(ModelError, match="there is no file"):
        load_model(tmp_path / "nothing.safetensors")


def test_scalars_keep_their_shape(tmp_path: Path) -> None:
    save_tensors(tmp_path / "x.safetensors", {"step": np.array(3.0)}, {})

    assert load_tensors(tmp_path / "x.safetensors")[1]["step"].shape == ()


def test_a_disk_that_is_full_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256, limits[1]))
    try:
        with pytest.raises(LmgenError, match=r"^cannot write .*model\.safetensors: .*File too large"):
            save_model(path, network(), TOKENIZER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
