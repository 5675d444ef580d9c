"""A model is one file: what comes back, and what is refused."""

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lmgen.errors import LmgenError, ModelError
from lmgen.models.model_file import load_model, load_tensors, save_model, save_tensors
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
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


def with_tensors(path: Path, changes: dict[str, Any]) -> None:
    """Write the file again with other tensors; None takes one away."""
    header, tensors = load_tensors(path)
    kept = {name: array for name, array in {**tensors, **changes}.items() if array is not None}
    save_file(kept, path, metadata={"lmgen": json.dumps(header)})


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
        ({"format_version": 6}, "has format version 6, this lmgen reads up to 5; upgrade lmgen"),
        ({"format_version": "1"}, "its format version is '1'"),
        ({"format_version": True}, "its format version is True"),
        ({"kind": "transformer"}, "holds a model of kind 'transformer'; known here are recurrent, ngram"),
        ({"kind": None}, "its header lacks kind"),
        ({"config": {}}, "is damaged: its configuration lacks vocabulary_size"),
        ({"tokenizer": {"tokenizer": "char"}}, "is damaged: "),
        ({"tokenizer": CharacterTokenizer("\nab").to_json()}, "the model has 5 token ids, its tokenizer 4"),
        ({"training": 3}, "its header lacks kind"),
        ({"weights": "int4"}, "its weights are 'int4'; known here are float32, float16, int8"),
        ({"weights": ["int8"]}, r"its weights are \['int8'\]; known here are"),
        ({"weights": "float16"}, "its tensor embedding is float32, but has to be float16"),
        ({"weights": "int8"}, "its tensor embedding is float32, but has to be int8"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(changes: dict[str, Any], message: str, path: Path) -> None:
    with_header(path, **changes)

    with pytest.raises(ModelError, match=message):
        load_model(path)


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_compressed_weights_come_back_as_float32(weights: str, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_model(path, network(), TOKENIZER, {"steps": 3}, weights)
    saved = load_model(path)

    assert (saved.weights, saved.training) == (weights, {"steps": 3})
    assert isinstance(saved.model, RecurrentModel)
    for name, array in network().parameters.items():
        assert saved.model.parameters[name].dtype == np.float32
        np.testing.assert_allclose(saved.model.parameters[name], array, atol=0.01)


def test_only_compressed_files_ask_for_a_new_lmgen(path: Path, tmp_path: Path) -> None:
    """Files with float32 weights are as they were before weights could be compressed."""
    small = tmp_path / "small.safetensors"
    save_model(small, network(), TOKENIZER, weights="int8")
    before, after = load_tensors(path)[0], load_tensors(small)[0]

    assert (before["format_version"], "weights" in before) == (1, False)
    assert (after["format_version"], after["weights"]) == (2, "int8")
    assert load_model(path).weights == "float32"


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_compressed_weights_give_the_same_bytes_each_time(weights: str, tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{number}.safetensors" for number in range(3))
    save_model(first, network(), TOKENIZER, weights=weights)
    save_model(second, network(), TOKENIZER, weights=weights)
    again = load_model(first).model
    assert isinstance(again, RecurrentModel)
    save_model(third, again, TOKENIZER, weights=weights)

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() == third.read_bytes(), "compressing twice loses nothing more"


@pytest.mark.parametrize(("weights", "smaller"), [("float16", 2), ("int8", 4)])
def test_files_of_a_small_network_are_nearly_that_much_smaller(
    weights: str, smaller: int, tmp_path: Path
) -> None:
    config = NetworkConfig(hidden_size=128)
    model = RecurrentModel(config, 65, 0, initial_parameters(config, 65, None, seed=1))
    tokenizer = CharacterTokenizer("".join(map(chr, range(48, 48 + 64))))
    save_model(tmp_path / "float32.safetensors", model, tokenizer)
    save_model(tmp_path / "small.safetensors", model, tokenizer, weights=weights)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("float32", "small")]

    assert 0.9 * smaller < sizes[0] / sizes[1] < smaller


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding.scale": None}, r"its tensor embedding\.scale is missing"),
        ({"embedding.scale": np.ones((5, 1), np.float32)}, "its tensor embedding.scale is missing"),
        (
            {"embedding.scale": np.ones(5)},
            r"embedding\.scale is float64 \(5,\), but has to be float32 \(5,\)",
        ),
        (
            {"embedding.scale": np.ones(4, np.float32)},
            r"scale is float32 \(4,\), but has to be float32 \(5,\)",
        ),
        ({"embedding.scale": np.zeros(5, np.float32)}, "not finite numbers above zero"),
        ({"embedding.scale": np.full(5, -1, np.float32)}, "not finite numbers above zero"),
        ({"embedding.scale": np.full(5, np.nan, np.float32)}, "not finite numbers above zero"),
        ({"embedding.scale": np.full(5, np.inf, np.float32)}, "not finite numbers above zero"),
        ({"embedding.scale": np.full(5, 3e38, np.float32)}, "embedding holds values that are not finite"),
        ({"embedding": None}, "embedding"),
        ({"embedding": np.ones((5, 3), np.float32)}, "embedding is float32, but has to be int8"),
        ({"embedding": np.ones((5, 3), np.uint8)}, "embedding is uint8, but has to be int8"),
        (
            {"embedding": np.ones((5, 2), np.int8)},
            r"embedding is float32 \(5, 2\), but has to be float32 \(5, 3\)",
        ),
        ({"embedding": np.ones((5, 3, 1), np.int8)}, "embedding"),
        ({"output.bias": np.ones(5, np.int8)}, r"output.bias is int8 \(5,\), but has to be float32"),
        ({"output.bias.scale": np.ones(5, np.float32)}, "output.bias.scale belong to no layer"),
        (
            {"other": np.ones((2, 2), np.int8), "other.scale": np.ones(2, np.float32)},
            "other belong to no layer",
        ),
    ],
)
def test_int8_tensors_that_do_not_fit_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "small.safetensors"
    save_model(path, network(), TOKENIZER, weights="int8")
    with_tensors(path, changes)

    with pytest.raises(ModelError, match=rf"small\.safetensors is damaged: .*{message}"):
        load_model(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": np.full((5, 3), np.inf, np.float16)}, "embedding holds values that are not finite"),
        ({"embedding": np.ones((5, 3), np.float32)}, "embedding is float32, but has to be float16"),
        ({"output.bias": np.ones(5, np.float16)}, r"output.bias is float16 \(5,\), but has to be float32"),
        ({"embedding.scale": np.ones(5, np.float32)}, "embedding.scale belong to no layer"),
    ],
)
def test_float16_tensors_that_do_not_fit_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "small.safetensors"
    save_model(path, network(), TOKENIZER, weights="float16")
    with_tensors(path, changes)

    with pytest.raises(ModelError, match=rf"small\.safetensors is damaged: .*{message}"):
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
