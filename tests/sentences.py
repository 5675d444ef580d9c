"""A made-up text for tests: short English sentences, as many as asked for."""

from random import Random

VOWELS, CONSONANTS = "aeiou", "bdfgklmnprst"

NAMES = [a + b + c + d for a in CONSONANTS for b in VOWELS for c in CONSONANTS for d in VOWELS]
"""Pronounceable, from baba to tutu: something to enlarge a vocabulary with."""


def sentences(count: int, *, seed: int = 0, names: int = 0) -> str:
    """
    Sentences by a small grammar, one a line: "the old cat sat on a mat".

    Args:
        count: how many.
        seed: the same one gives the same text.
        names: how many names may take the place of an animal; the n-th is drawn with a weight of 1 / n.
    """
    random = Random(seed)
    called = NAMES[:: len(NAMES) // names][:names] if names else []
    weights = [1 / n for n in range(1, names + 1)]
    lines = []
    for _ in range(count):
        article = random.choice(["the", "a", "the old", "a small", "the quick"])
        someone = f"{article} {random.choice(['cat', 'dog', 'hen', 'fox', 'owl', 'mouse'])}"
        if names and random.random() < 0.7:
            someone = random.choices(called, weights)[0]
        verb = random.choice(["sat", "slept", "ran", "sang", "waited"])
        place = f"{random.choice(['on', 'under', 'near'])} {random.choice(['the', 'a'])}"
        lines.append(f"{someone} {verb} {place} {random.choice(['mat', 'tree', 'box', 'house', 'hill'])}\n")
    return "".join(lines)
