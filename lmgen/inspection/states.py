"""
The states of a network's recurrent layers, and their gates, while it reads a text.

A series is a part of a layer's state or a gate: `layers.0.h`, `layers.0.c`, `layers.0.forget`. Gates have the
names that the cell's equations give them (`lmgen info --cells`); a vanilla network has none.

A text is read block by block, so memory does not grow with it.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from lmgen.arrays import Float32Array, FloatArray, in_short
from lmgen.errors import ConfigError, ModelError
from lmgen.files import behind_links, replacing
from lmgen.inspection.texts import Block
from lmgen.models.base import LanguageModel
from lmgen.models.network.model import Reading, RecurrentModel
from lmgen.models.network.recurrent import Recurrent
from lmgen.settings import shown

Pool = Literal["last", "mean"]
"""One vector for each text: the state after its last token, or the mean over its tokens."""

POOLS: tuple[Pool, ...] = ("last", "mean")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which numbers of which layers are wanted; None: all."""

    layers: Sequence[int] | None = None
    """Recurrent layers, from 0."""
    units: Sequence[int] | None = None
    """Units of each layer, from 0."""
    names: Sequence[str] | None = None
    """Parts of the state and gates, such as `h`, `c` and `forget`."""


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """Some tokens of a text, and what the network's numbers were at each of them."""

    block: Block
    """The tokens."""
    series: dict[str, Float32Array]
    """By name, such as `layers.0.h`, the chosen units after each token, (N, U)."""

    __repr__ = in_short


@dataclass(frozen=True, slots=True)
class TextVector:
    """One vector for a text."""

    unit: int
    """The number of the text, from 1."""
    tokens: int
    """How many tokens it has."""
    series: dict[str, Float32Array]
    """By name, such as `layers.0.h`, the chosen units, (U,)."""

    __repr__ = in_short


class StateReader:
    """Reads texts with a network, and keeps what was selected."""

    def __init__(self, model: LanguageModel, selection: Selection | None = None) -> None:
        """
        Check that the network has what is selected.

        Raises:
            ConfigError: it lacks a layer, a unit or a name.
            ModelError: the model is no network, or has no recurrent layers.
        """
        self._model = network_of(model)
        selection = selection or Selection()
        layers = [layer for layer in self._model.layers.hidden if isinstance(layer, Recurrent)]
        first, _ = self._model.read(np.array([[self._model.start_token]]), self._model.start(1))
        of_layers = [list(_series(reading)) for reading in first]
        problems = [
            *_beyond("layer", selection.layers, len(layers)),
            *_beyond("unit", selection.units, max(layer.outputs for layer in layers)),
            *_unnamed(selection.names, of_layers),
        ]
        if problems:
            raise ConfigError("; ".join(problems))
        self.units: dict[str, list[int]] = {}
        """The series by name, each with the numbers of its units."""
        for number, (layer, names) in enumerate(zip(layers, of_layers, strict=True)):
            if selection.layers is not None and number not in selection.layers:
                continue
            units = range(layer.outputs) if selection.units is None else selection.units
            chosen = [unit for unit in units if unit < layer.outputs]
            for name in names:
                if chosen and (selection.names is None or name in selection.names):
                    self.units[f"{layer.prefix}{name}"] = chosen
        self.gates = frozenset(f"{reading.layer}.{name}" for reading in first for name in reading.gates)
        """The names of the series that are gates."""
        self._all = selection.units is None

    def read(self, blocks: Iterable[Block]) -> Iterator[ReadBlock]:
        """What the selected numbers are at each token; each unit of a text is read from the start."""
        state = self._model.start(1)
        for block in blocks:
            if block.begins:
                state = self._model.start(1)
            readings, state = self._model.read(block.ids[:, None], state)
            found = {
                f"{reading.layer}.{name}": values[:, 0]
                for reading in readings
                for name, values in _series(reading).items()
            }
            yield ReadBlock(
                block,
                {
                    name: found[name] if self._all else found[name][:, units]
                    for name, units in self.units.items()
                },
            )

    def vectors(self, blocks: Iterable[Block], pool: Pool) -> Iterator[TextVector]:
        """One vector for each unit of a text."""
        if pool not in POOLS:
            raise ConfigError(f"pool is {shown(pool)}, but has to be one of {', '.join(POOLS)}")
        tokens, last, sums = 0, dict[str, Float32Array](), dict[str, FloatArray]()
        for read in self.read(blocks):
            block = read.block
            if block.begins:
                tokens, last, sums = 0, {}, {}
            tokens += len(block.ids)
            last = {name: values[-1] for name, values in read.series.items()}
            for name, values in read.series.items():
                sums[name] = sums.get(name, 0.0) + values.sum(axis=0, dtype=np.float64)
            if block.ends:
                mean = {name: (total / tokens).astype(np.float32) for name, total in sums.items()}
                yield TextVector(block.unit, tokens, last if pool == "last" else mean)


def network_of(model: LanguageModel) -> RecurrentModel:
    """
    The network that a model is, which has recurrent layers.

    Raises:
        ModelError: it is no network, or has none.
    """
    network = model.as_network()
    if network is None:
        raise ModelError(
            f"{model.name} is not a network: it has no states, gates or gradients to look at; name a run or "
            "model file of `lmgen train`"
        )
    if not network.config.layers:
        raise ModelError(
            f"the network {network} has no recurrent layers, and so no states, gates or gradients to look "
            "at: train one with --layers 1, or see with `lmgen inspect memory` how much context this one uses"
        )
    return network


def save_arrays(path: Path, series: Iterable[Mapping[str, Any]]) -> None:
    """
    Write arrays that come piece by piece as one .npz file, which `numpy.load` opens.

    Args:
        path: the file, which is replaced if it exists.
        series: pieces by name, each (N, ...), which are put one after another along the first axis.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(behind_links(path)) as out, ExitStack() as stack:
        pieces: dict[str, _Growing] = {}
        for piece in series:
            for name, values in piece.items():
                if name not in pieces:
                    pieces[name] = _Growing(stack.enter_context(tempfile.TemporaryFile(dir=path.parent)))
                pieces[name].append(values)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, growing in pieces.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    growing.write(file)


class _Growing:
    """An array in a temporary file, which grows along its first axis."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._length = 0
        self._rest: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.float32)

    def append(self, values: Any) -> None:
        self._length += len(values)
        self._rest, self._dtype = values.shape[1:], values.dtype
        self._file.write(np.ascontiguousarray(values).tobytes())

    def write(self, file: IO[bytes]) -> None:
        """Write it in numpy's .npy format."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._length, *self._rest),
        }
        np.lib.format.write_array_header_1_0(file, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)


def in_file(read: Iterable[ReadBlock]) -> Iterator[Mapping[str, Any]]:
    """What `save_arrays` gets of a text: `tokens` and `text`, the number of the text of each, and series."""
    for each in read:
        ids = each.block.ids.astype(np.int64)
        yield {"tokens": ids, "text": np.full(len(ids), each.block.unit), **each.series}


def vectors_in_file(vectors: Iterable[TextVector]) -> Iterator[Mapping[str, Any]]:
    """The same of vectors: `text`, the number of each, and series."""
    for each in vectors:
        yield {
            "text": np.array([each.unit]),
            **{name: values[None] for name, values in each.series.items()},
        }


def _series(reading: Reading) -> dict[str, Float32Array]:
    """The parts of the state and the gates by name."""
    return {**reading.states, **reading.gates}


def _beyond(what: str, numbers: Sequence[int] | None, count: int) -> Iterator[str]:
    """What is wrong with numbers of layers or units."""
    for number in numbers or ():
        if not 0 <= number < count:
            yield f"there is no {what} {number}; {what}s go from 0 to {count - 1}"
            return


def _unnamed(names: Sequence[str] | None, of_layers: Sequence[Sequence[str]]) -> Iterator[str]:
    """What is wrong with names of states and gates."""
    known = list(dict.fromkeys(name for layer in of_layers for name in layer))
    for name in names or ():
        if name not in known:
            yield f"there is no state or gate {shown(name)}; known are {', '.join(known)}"
            return


def rows(
    reader: StateReader, read: Iterable[ReadBlock], spelled: Callable[[int], str]
) -> Iterator[tuple[int, str, str, str, int, float]]:
    """For each token, series and unit: index of the token, the token, layer, name, unit and value."""
    places = {name: name.rpartition(".") for name in reader.units}
    for each in read:
        for row, token in enumerate(each.block.ids.tolist()):
            index, piece = each.block.first + row, spelled(token)
            for name, values in each.series.items():
                layer, _, part = places[name]
                for unit, value in zip(reader.units[name], values[row].tolist(), strict=True):
                    yield index, piece, layer, part, unit, value
