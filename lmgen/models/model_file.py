"""
A model is one .safetensors file: arrays, and JSON in its header. It cannot run code and needs no other file.

The header has one entry, `lmgen`, a JSON object with the keys

    format_version
    kind            what sort of model it is, one of MODELS
    config          what the model needs to know beside its arrays
    tokenizer
    training        a summary for people; nothing depends on it
    weights         how matrices are stored, only where that is not float32 (network/compression.py)

It is a single entry because the library writes several in random order, and the same training has to give the
same bytes.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from lmgen.arrays import Tensors
from lmgen.errors import LmgenError, ModelError
from lmgen.files import replacing
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.network.compression import compress, expand
from lmgen.models.network.labels import LabelNetwork
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.models.ngram.tensors import LARGE_BYTES
from lmgen.models.tensor_file import map_tensors, write_tensors
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.registry import tokenizer_from_json

FORMAT = "lmgen"
FORMAT_VERSION = 5
"""
The newest that is read. A file says the oldest that can read it, so that an older lmgen asks for an upgrade
instead of calling the file damaged: 5 for n-gram embeddings, 4 for units, answers in them, texts that are
read in some way, tokenizers made elsewhere, convolutions, attention and networks without recurrent layers,
3 for mixtures, dense layers and one-hot input, 2 for compressed weights, else 1.
"""

M = TypeVar("M", covariant=True)
R = TypeVar("R", LanguageModel, LabelNetwork)

LABELS = LabelNetwork.kind
"""The kind of a network that labels texts, which is no language model."""

DEEPEST_SUMMARY = 8
"""The deepest nesting of objects and lists in a file's summary of the training."""


@dataclass(frozen=True, slots=True)
class SavedModel(Generic[M]):
    """A model with what goes with it in its file."""

    model: M
    tokenizer: Tokenizer
    training: Mapping[str, Any] = field(default_factory=dict)
    """A summary of the training: corpus, steps, losses. For people; nothing depends on it."""
    weights: str = "float32"
    """How the file stores matrices, one of compression.WEIGHTS; the model's own are float32."""


class Storable(Protocol):
    """What a model file can hold, as `LanguageModel` explains it (base.py)."""

    @property
    def kind(self) -> str:
        """The `kind` in the header: one of MODELS, or LABELS."""

    @property
    def format_version(self) -> int:
        """The oldest version of the file format that can hold it."""

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """The configuration, as JSON values, and the arrays."""

    def describe(self) -> dict[str, Any]:
        """Settings, sizes and parameter counts, as JSON values."""


def save_model(
    path: Path,
    model: Storable,
    tokenizer: Tokenizer,
    training: Mapping[str, Any] | None = None,
    weights: str = "float32",
) -> None:
    """
    Write a model file, whole or not at all.

    Args:
        path: the file.
        model: of one of the kinds in MODELS, or a LabelNetwork.
        tokenizer: the one that the model was trained with.
        training: a summary of it.
        weights: how matrices are stored, one of compression.WEIGHTS.

    Raises:
        ConfigError: `weights` is something else.
        ModelError: a weight is too large for float16.
        WriteError: the file cannot be written.
    """
    config, parameters = model.to_tensors()
    tensors = compress(parameters, weights)
    header: dict[str, Any] = {
        "kind": model.kind,
        "config": config,
        "tokenizer": tokenizer.to_json(),
        "training": dict(training or {}),
    }
    version = max(model.format_version, tokenizer.format_version)
    if weights != "float32":
        version = max(version, 2)
        header["weights"] = weights
    header["format_version"] = version
    save_tensors(path, tensors, header)


def described(saved: SavedModel[Storable], path: Path, *, is_saved: bool = True) -> dict[str, Any]:
    """
    What a model is, as JSON values: what `lmgen info --json` prints.

    Args:
        saved: the model with what goes with it.
        path: its file, or what stands for one.
        is_saved: whether there is such a file.
    """
    return {
        "model": str(path),
        "bytes": path.stat().st_size if is_saved else None,
        "tokenizer": saved.tokenizer.name,
        "reading": saved.tokenizer.reading.to_json(),
        "weights": saved.weights,
        **saved.model.describe(),
        "training": dict(saved.training),
    }


def load_model(path: Path) -> SavedModel[LanguageModel]:
    """
    Read the file of a language model.

    Raises:
        ModelError: it is not a model file, is damaged, is of a newer lmgen, or its model labels texts.
    """
    header, tensors = load_tensors(path)
    kind = header.get("kind")
    if kind == LABELS:
        raise ModelError(
            f"{path} labels texts: it predicts labels, having seen the whole text, and no next token; "
            "`lmgen label` asks it"
        )
    if isinstance(kind, str) and kind not in MODELS:
        known = ", ".join([*MODELS, LABELS])
        raise ModelError(f"{path} holds a model of kind {kind!r}; known here are {known}: upgrade lmgen")
    return _read(path, header, tensors, MODELS.get(str(kind)))


def load_labels(path: Path) -> SavedModel[LabelNetwork]:
    """
    Read the file of a network that labels texts.

    Raises:
        ModelError: as `load_model`; or it is a language model.
    """
    header, tensors = load_tensors(path)
    kind = str(header.get("kind"))
    if kind in MODELS:
        raise ModelError(
            f"{path} is a language model ({kind}) and has no labels; `lmgen train FILE --labels` makes "
            "a model that has"
        )
    return _read(path, header, tensors, LabelNetwork.from_tensors if kind == LABELS else None)


def has_labels(path: Path) -> bool:
    """
    Whether a model file holds a network that labels texts.

    Raises:
        ModelError: it is not a model file, is damaged, or was written by a newer lmgen.
    """
    return read_header(path)[0].get("kind") == LABELS


def _read(
    path: Path,
    header: Mapping[str, Any],
    tensors: Tensors,
    make: Callable[[Mapping[str, Any], Tensors], R] | None,
) -> SavedModel[R]:
    """
    Make the model of a file.

    Args:
        path: the file, for messages.
        header: its header.
        tensors: its arrays.
        make: makes the model of configuration and arrays; None: the header names no kind that there is.

    Raises:
        ModelError: the file is damaged.
    """
    match header:
        case {"config": dict(config), "tokenizer": dict(tokens), "training": dict(training)} if make:
            pass
        case _:
            raise ModelError(f"{path} is not a model, or damaged: its header lacks kind, config or tokenizer")
    try:
        tokenizer = tokenizer_from_json(tokens)
        weights = header.get("weights", "float32")
        model = make(config, expand(tensors, weights))
        _check_summary(training)
    except (LmgenError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: {error}; copy it anew or train again") from error
    if model.vocabulary_size != tokenizer.vocabulary_size:
        raise ModelError(
            f"{path} is damaged: the model has {model.vocabulary_size} token ids, its tokenizer "
            f"{tokenizer.vocabulary_size}"
        )
    return SavedModel(model, tokenizer, training, weights)


def _mixture(config: Mapping[str, Any], tensors: Tensors) -> LanguageModel:
    return MixtureModel.from_tensors(config, tensors, _member)


def _member(kind: str, config: Mapping[str, Any], tensors: Tensors) -> LanguageModel:
    """
    One of the models of a mixture.

    Raises:
        ModelError: its kind is unknown, or it is damaged.
    """
    if kind not in MODELS:
        raise ModelError(f"it mixes a model of kind {kind!r}; known here are {', '.join(MODELS)}")
    return MODELS[kind](config, tensors)


MODELS: dict[str, Callable[[Mapping[str, Any], Tensors], LanguageModel]] = {
    "recurrent": RecurrentModel.from_tensors,
    "ngram": NgramModel.from_tensors,
    "mixture": _mixture,
}
"""How a model of each kind is made of its configuration and its arrays."""


def _check_summary(values: object, levels: int = DEEPEST_SUMMARY) -> None:
    """Refuse a summary that could not be written as JSON again: too deep, or with an infinite number."""
    if levels < 0 or (isinstance(values, float) and not isfinite(values)):
        raise ModelError("its summary of the training is nested too deep, or holds an infinite number")
    if isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            _check_summary(value, levels - 1)


def save_tensors(path: Path, tensors: Tensors, header: Mapping[str, Any]) -> None:
    """
    Write arrays and a JSON header as one .safetensors file, whole or not at all.

    The format version is 1 unless the header gives another one.

    Raises:
        WriteError: the file cannot be written.
    """
    metadata = {FORMAT: json.dumps({"format_version": 1, **header})}
    with replacing(path) as temporary:
        write_tensors(temporary, tensors, metadata)


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """
    Read only the header of a model file, and the shapes of its arrays by name.

    Raises:
        ModelError: as `load_tensors`.
    """
    with _opened(path) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return _parsed_header(path, file.metadata() or {}), shapes


def load_tensors(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """
    Read the header and the arrays of a file that `save_tensors` wrote; a large n-gram model is mapped.

    Raises:
        ModelError: it is missing, cut short, of another program, or of a newer format.
    """
    with _opened(path) as file:
        header = _parsed_header(path, file.metadata() or {})
        if header.get("kind") == NgramModel.kind and path.stat().st_size >= LARGE_BYTES:
            return header, map_tensors(path)
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file of the safetensors format, its errors as ModelError."""
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}") from error
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a whole model file ({error}); copy it anew or train again"
        ) from error


def _parsed_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if FORMAT not in metadata:
        raise ModelError(f"{path} is a .safetensors file, but not one that lmgen wrote")
    try:
        header = json.loads(metadata[FORMAT])
        version = header["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: its header cannot be read ({error})") from error
    if type(version) is not int or version < 1:
        raise ModelError(f"{path} is damaged: its format version is {version!r}")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{path} has format version {version}, this lmgen reads up to {FORMAT_VERSION}; upgrade lmgen"
        )
    return dict(header)
