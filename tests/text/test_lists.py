"""Lists of many kinds are told from running text, verse and code of many kinds."""

import textwrap
from collections.abc import Callable
from random import Random

import pytest

from lmgen.text.lists import FEWEST_LINES, list_in

random = Random(3)
SYLLABLES = [c + v for c in "bdfgklmnprst" for v in "aeiou"]
WORDS = ["".join(random.choices(SYLLABLES, k=random.randint(1, 4))) for _ in range(2000)]


def word() -> str:
    return random.choice(WORDS)


def sentence() -> str:
    words = [word() + "," * (random.random() < 0.1) for _ in range(random.randint(4, 20))]
    return " ".join(words).rstrip(",").capitalize() + random.choice("...?!")


def paragraph(sentences: int = 6) -> str:
    return " ".join(sentence() for _ in range(sentences))


LISTS: dict[str, Callable[[], str]] = {
    "first names": lambda: word().capitalize(),
    "names, family first": lambda: f"{word().capitalize()}, {word().capitalize()}",
    "names with initials": lambda: f"{word().capitalize()} B. {word().capitalize()}",
    "repeated names": lambda: random.choice(WORDS[:20]),
    "molecules": lambda: "".join(
        random.choices(["C", "c1ccccc1", "(=O)", "N", "[C@H]"], k=random.randint(2, 15))
    ),
    "commands": lambda: (
        random.choice(["ls -la /", "cat f | sort |", "git commit -m 'x' --", "tar xzf "]) + word()
    ),
    "dates": lambda: f"{random.randint(1900, 2020)}-{random.randint(10, 12)}-{random.randint(10, 28)}",
    "passwords": lambda: "".join(random.choices("abcdefghij0123456789!?.", k=random.randint(6, 12))),
    "titles": lambda: " ".join(word().capitalize() for _ in range(random.randint(2, 7))),
    "addresses": lambda: (
        f"{random.randint(1, 99)} {word().capitalize()} Street, {word().capitalize()}, XY 12345"
    ),
    "sums": lambda: f"{random.randint(0, 999)}+{random.randint(0, 999)}={random.randint(0, 1998)}",
    "web addresses": lambda: f"https://{word()}.example/{word()}",
    "Chinese names": lambda: "".join(
        chr(random.randint(0x4E00, 0x9000)) for _ in range(random.randint(2, 3))
    ),
    "tab-separated pairs": lambda: f"{word()}\t{word()}",
    "hexadecimal keys": lambda: "".join(random.choices("0123456789abcdef", k=32)),
}

TEXTS: dict[str, Callable[[], str]] = {
    "paragraphs": lambda: "\n\n".join(textwrap.fill(paragraph(), 70) for _ in range(60)),
    "wrapped prose": lambda: textwrap.fill(paragraph(400), 70),
    "narrow wrapped prose": lambda: textwrap.fill(paragraph(400), 45),
    "wrapped prose without marks": lambda: textwrap.fill(" ".join(word() for _ in range(4000)), 60),
    "a paragraph a line": lambda: "\n".join(paragraph() for _ in range(100)),
    "a sentence a line": lambda: "\n".join(sentence() for _ in range(300)),
    "verse": lambda: "\n".join(
        " ".join(word() for _ in range(7)) + random.choice(",.;:") for _ in range(300)
    ),
    "stanzas": lambda: "\n\n".join(
        "\n".join(" ".join(word() for _ in range(6)) for _ in range(4)) for _ in range(80)
    ),
    "dialogue": lambda: "\n".join(f"{word().upper()}: {sentence()}" for _ in range(300)),
    "a play": lambda: "\n\n".join(f"{word().upper()}:\n{sentence()}\n{word()} {word()}" for _ in range(100)),
    "code": lambda: "\n".join(
        "    " * random.randint(0, 3) + f"{word()} = {word()}({word()})" for _ in range(300)
    ),
    "a sequence in rows": lambda: "\n".join("".join(random.choices("ACGT", k=60)) for _ in range(300)),
    "markup": lambda: "<html>\n" + "\n".join(f"  <p>{sentence()}</p>" for _ in range(300)),
    "headings": lambda: "\n\n".join(
        f"# {word()}\n\n{textwrap.fill(paragraph(), 78)}\n\n- {word()}" for _ in range(50)
    ),
    "Chinese prose": lambda: "\n".join(
        "".join(chr(random.randint(0x4E00, 0x9000)) for _ in range(40)) + "。" for _ in range(200)
    ),
    "one long line": lambda: " ".join(word() for _ in range(5000)),
    "nothing": lambda: "",
    "blank lines": lambda: "\n" * 500,
}


@pytest.mark.parametrize("line", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_are_lists(line: Callable[[], str], end: str) -> None:
    lines = [line() for _ in range(400)]
    found = list_in(end.join(lines) + end)

    assert found is not None
    assert found.lines == 400
    assert found.characters == pytest.approx(sum(map(len, lines)) / 400)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts_are_none(text: Callable[[], str]) -> None:
    assert list_in(text()) is None


def test_a_few_lines_are_no_list() -> None:
    assert list_in("anna\n" * (FEWEST_LINES - 1)) is None
    assert list_in("anna\n" * FEWEST_LINES) is not None
