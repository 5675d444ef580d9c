"""
How files get damaged: by chance, and on purpose. Each function returns the new bytes and says what it did.

Everything is drawn from the Random that is passed in, so the same seed always makes the same damage.
"""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Mutation = tuple[bytes, str]
Mutate = Callable[[bytes, Random], Mutation]

DEEP = [50, 950, 5_000, 100_000]

JSON_NASTIES = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-320", "-0.0", "0.5", "null", "true", "false"),
    *("-1", "0", "1", "2", "255", "65536", "1000000000", "4294967296", "9223372036854775808", "9" * 5_000),
    *('""', '"\\ud800"', '"\\u0000"', '"\\u001b[2J"', '"\\t"', '"a b"', '"x"', f'"{"y" * 100_000}"'),
    *("[]", "{}", "[[]]", '[""]', "[-1, 1e9]", '{"": {}}'),
    *("[" * depth + "]" * depth for depth in DEEP),
    *('{"a":' * depth + "1" + "}" * depth for depth in DEEP),
]
"""JSON texts that stand where something else should."""

NASTIES = [
    *(
        b"nan",
        b"inf",
        b"-inf",
        b"1e999",
        b"-1e38",
        b"3.5e38",
        b"0",
        b"-1",
        b"99999999999999999999",
        b"9" * 5_000,
    ),
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xef\xbb\xbf",
        b"\x1b[2J",
        b"<s>",
        b"</s>",
        b"<unk>",
    ),
    *(b"[" * depth for depth in DEEP),
    *(b'{"a":' * depth for depth in DEEP),
    *(b"../../x", b"/etc/passwd", b"\\end\\", b"\\data\\", b" " * 10_000, b"\n" * 1_000, b"a " * 10_000),
]
"""Bytes for any text file."""

SIZES = [0, 1, 7, 8, 255, 65_535, 2**31 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]

MARK = "@nasty@"
"""Stands in a JSON tree where a text is put in that no tree can hold."""


# Any bytes


def flip(data: bytes, random: Random) -> Mutation:
    """Turn some bits over."""
    damaged = bytearray(data)
    places = [random.randrange(len(data)) for _ in range(random.choice([1, 1, 2, 8]))]
    for place in places:
        damaged[place] ^= 1 << random.randrange(8)
    return bytes(damaged), f"bits flipped at {places}"


def truncate(data: bytes, random: Random) -> Mutation:
    end = random.randrange(len(data))
    return data[:end], f"cut off at {end}"


def splice(data: bytes, random: Random) -> Mutation:
    """Copy a stretch over, or in front of, another."""
    begin, place = random.randrange(len(data)), random.randrange(len(data))
    size = random.choice([1, 4, 16, 200])
    end = place + size if random.random() < 0.5 else place
    piece = data[begin : begin + size]
    return data[:place] + piece + data[end:], f"{len(piece)} bytes at {begin} copied to {place} up to {end}"


def delete(data: bytes, random: Random) -> Mutation:
    begin, size = random.randrange(len(data)), random.choice([1, 2, 8, 100])
    return data[:begin] + data[begin + size :], f"{size} bytes at {begin} taken out"


def overwrite(data: bytes, random: Random) -> Mutation:
    """Put a number of eight bytes somewhere, often where lengths stand."""
    place = random.choice([0, random.randrange(len(data))])
    number = random.choice([*SIZES, len(data), random.getrandbits(64)])
    return data[:place] + struct.pack("<Q", number) + data[place + 8 :], f"{number} written at {place}"


ANY_BYTES: Sequence[Mutate] = (flip, truncate, splice, delete, overwrite)


# Texts


def replace_word(data: bytes, random: Random) -> Mutation:
    """Put something nasty in place of a word."""
    words = data.split(b" ") if random.random() < 0.3 else data.replace(b"\t", b"\n").split()
    word = random.choice(words)
    place = data.find(word, random.randrange(len(data)))
    place = data.find(word) if place < 0 else place
    nasty = random.choice(NASTIES)
    return data[:place] + nasty + data[place + len(word) :], f"{word[:20]!r} at {place} is {nasty[:20]!r}"


def insert(data: bytes, random: Random) -> Mutation:
    place, nasty = random.randrange(len(data)), random.choice(NASTIES)
    return data[:place] + nasty + data[place:], f"{nasty[:20]!r} put in at {place}"


def shuffle_lines(data: bytes, random: Random) -> Mutation:
    """Leave a line out, say one twice, or change two."""
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.choice(["left out", "twice", "changed"]):
        case "left out":
            del lines[one]
            what = f"line {one} left out"
        case "twice":
            lines.insert(other, lines[one])
            what = f"line {one} again at {other}"
        case _:
            lines[one], lines[other] = lines[other], lines[one]
            what = f"lines {one} and {other} changed"
    return b"\n".join(lines), what


TEXT: Sequence[Mutate] = (*ANY_BYTES, replace_word, replace_word, insert, shuffle_lines, shuffle_lines)


# JSON


def change_json(data: bytes, random: Random) -> Mutation:
    """Change one value of a JSON text."""
    text, what = changed_json(json.loads(data), random)
    return text.encode(), what


def changed_json(tree: Any, random: Random) -> tuple[str, str]:
    """A JSON text made of a tree with one thing in it changed."""
    tree = json.loads(json.dumps(tree))
    holder, key, path = random.choice(list(_places({"": tree})))
    nasty = None
    match random.choice(["nasty", "nasty", "nasty", "nasty", "taken out", "twice", "another's"]):
        case "nasty":
            nasty = random.choice(JSON_NASTIES)
            holder[key] = MARK
            what = f"{path} is {nasty[:20]}"
        case "taken out" if path:
            del holder[key]
            what = f"{path} taken out"
        case "twice" if isinstance(holder, list):
            holder.append(holder[key])
            what = f"{path} twice"
        case _:
            _, _, other = random.choice(list(_places({"": tree})))
            holder[key] = json.loads(json.dumps(_at(tree, other)))
            what = f"{path} is {other}"
    text = json.dumps(tree) if nasty is None or path else f'"{MARK}"'
    return (text if nasty is None else text.replace(f'"{MARK}"', nasty)), what


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Every value of a JSON tree: what holds it, under which key, and the path to it; of long lists a few."""
    keys = (
        list(tree) if isinstance(tree, dict) else range(min(len(tree), 6)) if isinstance(tree, list) else []
    )
    for key in keys:
        below = (*path, key) if path or key != "" else path
        yield tree, key, below
        yield from _places(tree[key], below)


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


JSON: Sequence[Mutate] = (*TEXT, *[change_json] * 8)
