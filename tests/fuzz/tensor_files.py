"""Damage to .safetensors files that a library would not write: each part is changed, and all put together."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.mutations import ANY_BYTES, Mutate, Mutation, changed_json

DTYPES = {
    **{"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"},
    **{"U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?"},
}
OTHER_DTYPES = ["BF16", "F8_E4M3", "F8_E5M2", "F4", "C64", "F32 ", "", "O"]

FLOATS = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e30, 1e6, -1e6, 1e-45, 0.0, -0.0, 1.0, 300.0]


@dataclass(frozen=True)
class Tensor:
    """A tensor as a file has it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def array(self) -> np.ndarray:
        return np.frombuffer(self.data, DTYPES[self.dtype]).reshape(self.shape).copy()

    def with_array(self, array: np.ndarray) -> "Tensor":
        names = {np.dtype(code): name for name, code in DTYPES.items()}
        return replace(self, dtype=names[array.dtype], shape=array.shape, data=array.tobytes())


@dataclass(frozen=True)
class Parts:
    """What a file is made of."""

    metadata: str
    """The text of lmgen's own JSON."""
    tensors: tuple[Tensor, ...]


def parts_of(data: bytes) -> Parts:
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__")["lmgen"]
    tensors = [
        Tensor(name, entry["dtype"], tuple(entry["shape"]), data[8 + size :][slice(*entry["data_offsets"])])
        for name, entry in header.items()
    ]
    return Parts(metadata, tuple(tensors))


def header_of(parts: Parts) -> str:
    """The header's JSON; of tensors of one name both are there."""
    entries = [f'"__metadata__": {json.dumps({"lmgen": parts.metadata})}']
    begin = 0
    for tensor in parts.tensors:
        end = begin + len(tensor.data)
        entry = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
        entries.append(f"{json.dumps(tensor.name)}: {json.dumps(entry)}")
        begin = end
    return "{" + ", ".join(entries) + "}"


def file_of(header: str, parts: Parts) -> bytes:
    encoded = header.encode("utf-8", "surrogatepass")
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + b"".join(tensor.data for tensor in parts.tensors)


def change_metadata(data: bytes, random: Random) -> Mutation:
    """Change a value of the tokenizer, the configuration or the rest."""
    parts = parts_of(data)
    text, what = changed_json(json.loads(parts.metadata), random)
    changed = replace(parts, metadata=text)
    return file_of(header_of(changed), changed), what


def change_header(data: bytes, random: Random) -> Mutation:
    """Change a type, a shape, an offset."""
    parts = parts_of(data)
    text, what = changed_json(json.loads(header_of(parts)), random)
    return file_of(text, parts), f"header: {what}"


def change_tensor(data: bytes, random: Random) -> Mutation:
    """Change one tensor; the file as such is in order."""
    parts = parts_of(data)
    place = random.randrange(len(parts.tensors))
    tensor = parts.tensors[place]
    changed, what = random.choice(_TENSOR_CHANGES)(tensor, random)
    tensors = (*parts.tensors[:place], *changed, *parts.tensors[place + 1 :])
    changed_parts = replace(parts, tensors=tensors)
    return file_of(header_of(changed_parts), changed_parts), f"{tensor.name}: {what}"


def change_values(tensor: Tensor, random: Random) -> tuple[Sequence[Tensor], str]:
    array = tensor.array
    values: list[Any] = []
    for _ in range(random.choice([1, 1, 3])):
        if not array.size:
            break
        place = random.randrange(array.size)
        if array.dtype.kind == "f":
            value: Any = random.choice(FLOATS)
        else:
            value = np.array(random.getrandbits(64), np.uint64).astype(array.dtype)
        with np.errstate(over="ignore"):
            array.reshape(-1)[place] = value
        values.append((place, value))
    return [tensor.with_array(array)], f"values {values}"


def change_all_values(tensor: Tensor, random: Random) -> tuple[Sequence[Tensor], str]:
    array = tensor.array
    if array.dtype.kind == "f":
        value: Any = random.choice(FLOATS)
        with np.errstate(over="ignore"):
            array[...] = value
    else:
        value = random.choice([0, 1, int(np.iinfo(array.dtype).max)])
        array[...] = value
    return [tensor.with_array(array)], f"all values {value}"


def shuffle_values(tensor: Tensor, random: Random) -> tuple[Sequence[Tensor], str]:
    array = tensor.array.reshape(-1)
    np.random.default_rng(random.getrandbits(32)).shuffle(array)
    return [tensor.with_array(array.reshape(tensor.shape))], "values in another order"


def change_type(tensor: Tensor, random: Random) -> tuple[Sequence[Tensor], str]:
    if random.random() < 0.3:
        name = random.choice([*DTYPES, *OTHER_DTYPES])
        return [replace(tensor, dtype=name)], f"called {name}"
    name = random.choice(list(DTYPES))
    with np.errstate(all="ignore"):
        return [tensor.with_array(tensor.array.astype(DTYPES[name]))], f"as {name}"


def change_shape(tensor: Tensor, random: Random) -> tuple[Sequence[Tensor], str]:
    array = tensor.array
    changes: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda a: a.T.copy(),
        lambda a: a[None],
        lambda a: a.reshape(-1),
        lambda a: np.atleast_1d(a)[:-1],
        lambda a: np.atleast_1d(a)[:0],
        lambda a: np.concatenate([np.atleast_1d(a)] * 2),
        lambda a: a.reshape(1, -1),
        lambda a: a.reshape(-1)[0].reshape(()) if a.size else a,
    ]
    changed = random.choice(changes)(array)
    return [tensor.with_array(np.ascontiguousarray(changed).reshape(changed.shape))], f"shape {changed.shape}"


def change_number(tensor: Tensor, random: Random) -> tuple[Sequence[Tensor], str]:
    """Take it out, put it in twice, call it something else."""
    name = random.choice(
        ["", "x", "layers.999999999.bias", "embedding", "order.1.log_probs", tensor.name + ".scale"]
    )
    match random.choice(["out", "twice", "renamed", "another"]):
        case "out":
            return [], "taken out"
        case "twice":
            return [tensor, tensor], "twice"
        case "renamed":
            return [replace(tensor, name=name)], f"called {name!r}"
        case _:
            return [tensor, replace(tensor, name=name)], f"again as {name!r}"


_TENSOR_CHANGES = (
    *(change_values, change_values, change_all_values, shuffle_values),
    *(change_type, change_shape, change_number),
)

TENSOR_FILE: Sequence[Mutate] = (
    *ANY_BYTES,
    *[change_metadata] * 6,
    *[change_header] * 3,
    *[change_tensor] * 6,
)


def exchanged(data: bytes, other: bytes) -> bytes:
    """The header of one model with the tensors of another."""
    parts = Parts(parts_of(data).metadata, parts_of(other).tensors)
    return file_of(header_of(parts), parts)
