"""The longest match at each place, compared with a search that tries every place."""

import numpy as np
import pytest

from lmgen.arrays import IdArray
from lmgen.evaluation import matching
from lmgen.evaluation.matching import Fingerprints, match_lengths, occurrences


def by_search(text: IdArray, sample: IdArray) -> list[int]:
    """The same, trying every place of the text; a negative symbol matches nothing."""

    def common(place: int, at: int) -> int:
        count = 0
        while (
            place + count < len(sample)
            and at + count < len(text)
            and sample[place + count] == text[at + count]
            and sample[place + count] >= 0
        ):
            count += 1
        return count

    return [max((common(i, j) for j in range(len(text))), default=0) for i in range(len(sample))]


@pytest.mark.parametrize("block", [5, matching.BLOCK])
@pytest.mark.parametrize("seed", range(40))
def test_lengths_are_those_of_a_search_in_random_and_in_repeating_texts(seed: int, block: int) -> None:
    random = np.random.default_rng(seed)
    V = int(random.integers(1, 5))
    text = random.integers(0, V, random.integers(0, 50))
    if seed % 3 == 0:
        text = np.tile(text[:3], 15)
    samples = [random.integers(-1, V + 1, random.integers(0, 25)) for _ in range(seed % 4)]
    samples += [np.concatenate([sample, text[3 : 3 + seed]]) for sample in samples]

    found = match_lengths(text, samples, block=block)

    assert [each.tolist() for each in found] == [by_search(text, sample) for sample in samples]


def test_a_large_alphabet_takes_fewer_symbols_at_a_time() -> None:
    text = np.arange(70_000, dtype=np.uint32)
    [found] = match_lengths(text, [np.concatenate([text[69_000:], text[5:8], [80_000]])])

    assert found.tolist() == [*range(1000, 0, -1), 3, 2, 1, 0]


def test_long_matches_in_a_text_that_repeats_itself_are_found_at_once() -> None:
    text = np.tile(np.array([5, 6, 7], np.uint8), 30_000)
    sample = np.concatenate([text[1:20_001], [9], text[:7]])
    [found] = match_lengths(text, [sample], block=40_000)

    assert found.tolist() == [*range(20_000, 0, -1), 0, *range(7, 0, -1)]
    assert list(occurrences(text, sample[:20_000], block=40_000)) == list(range(1, 70_001, 3))
    assert list(occurrences(text, sample, block=40_000)) == []


@pytest.mark.parametrize("seed", range(5))
def test_fingerprints_tell_passages_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    text = np.tile(random.integers(0, 70_000, 50), 4)
    text[120:] += random.integers(0, 2, 80)
    first, second = random.integers(0, 150, (2, 300))
    prints = Fingerprints(text)

    for size in (1, 7, 50):
        expected = [
            bool((text[i : i + size] == text[j : j + size]).all()) for i, j in zip(first, second, strict=True)
        ]
        assert prints.same(first, second, size).tolist() == expected
    assert np.minimum(prints.common(first, second, 1000), 1000).tolist() == [
        by_common(text, int(i), int(j)) for i, j in zip(first, second, strict=True)
    ]


def by_common(text: IdArray, i: int, j: int) -> int:
    count = 0
    while max(i, j) + count < len(text) and text[i + count] == text[j + count]:
        count += 1
    return count


def test_symbols_of_a_sample_may_be_too_large_for_the_type_of_the_text() -> None:
    [found] = match_lengths(np.array([1, 2, 3], np.uint8), [np.array([1, 2, 65533, 3, 256 + 1])])

    assert found.tolist() == [2, 1, 0, 1, 0]


def test_matches_are_counted_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LONGEST", 4)
    text = np.arange(20)
    [found] = match_lengths(text, [text[5:12]], block=6)

    assert found.tolist() == [4, 4, 4, 4, 3, 2, 1]


def test_occurrences_overlap_and_may_lie_across_blocks() -> None:
    text = np.array([0, 1, 0, 1, 0, 2, 1, 0, 1])

    for block in (2, 3, 100):
        assert list(occurrences(text, np.array([0, 1]), block=block)) == [0, 2, 7]
        assert list(occurrences(text, np.array([0, 1, 0]), block=block)) == [0, 2]
        assert list(occurrences(text, np.array([3]), block=block)) == []
        assert list(occurrences(text[:2], np.array([0, 1, 0]), block=block)) == []
