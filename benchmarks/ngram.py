"""
How fast n-gram models are fitted, and how fast they score, beside plain Python dictionaries.

    python benchmarks/ngram.py [FOLDER]

FOLDER (../shared/data) holds wikitext-2.train.txt, wikitext-2.test.txt and tinyshakespeare.txt. The
dictionaries hold the same model, made one n-gram at a time as one would write it first; the two must find
the same perplexity. Each runs in a process of its own, so that its peak memory is its own too.
"""

import os
import platform
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import log
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lmgen.models.ngram.kneser_ney import FALLBACK_DISCOUNTS, discounts_of
from lmgen.models.ngram.model import NgramModel

DATA = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Task:
    """A text to fit a model to, and one to score."""

    name: str
    order: int
    vocabulary_size: int
    sentence_end: int | None
    train: npt.NDArray[np.unsignedinteger]
    test: npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Measurement:
    """What one way of doing a task took."""

    fit_seconds: float
    peak_megabytes: float
    tokens_per_second: float
    perplexity: float
    ngrams: int


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    if not (folder / "tinyshakespeare.txt").exists():
        sys.exit(f"{folder} lacks tinyshakespeare.txt; give the folder that holds the texts")
    print(machine())
    for task in (wikitext_words(folder), shakespeare_characters(folder)):
        print(f"\n{task.name}, order {task.order}: {len(task.train):,} tokens, {task.vocabulary_size:,} ids")
        print(f"{'':14}{'fit s':>10}{'peak MB':>10}{'tokens/s scored':>18}{'perplexity':>12}{'n-grams':>12}")
        ours, plain = (in_own_process(way, task) for way in (measure_lmgen, measure_dictionaries))
        for name, measured in (("lmgen", ours), ("dictionaries", plain)):
            print(
                f"{name:14}{measured.fit_seconds:10.2f}{measured.peak_megabytes:10.0f}"
                f"{measured.tokens_per_second:18,.0f}{measured.perplexity:12.4f}{measured.ngrams:12,}"
            )
        print(
            f"{'ratio':14}{plain.fit_seconds / ours.fit_seconds:9.1f}x"
            f"{plain.peak_megabytes / ours.peak_megabytes:9.1f}x"
            f"{ours.tokens_per_second / plain.tokens_per_second:17.1f}x"
        )


def machine() -> str:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores of {name}, Python {platform.python_version()}, numpy {np.__version__}"


def in_own_process(way: Callable[[Task], Measurement], task: Task) -> Measurement:
    """Measure in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(way, task).result()


def wikitext_words(folder: Path) -> Task:
    """Words between blanks, a sentence a line; 0 is an unknown word, 1 the sentence's end."""
    train = words((folder / "wikitext-2.train.txt").read_text(encoding="utf-8"))
    test = words((folder / "wikitext-2.test.txt").read_text(encoding="utf-8"))
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(["", "</s>", *train]))}
    ids = [np.array([vocabulary.get(word, 0) for word in text], np.uint16) for text in (train, test)]
    return Task("WikiText-2 words", 5, len(vocabulary), 1, *ids)


def words(text: str) -> list[str]:
    """The words of each line, and its end."""
    return [word for line in text.removesuffix("\n").split("\n") for word in [*line.split(), "</s>"]]


def shakespeare_characters(folder: Path) -> Task:
    """The first million characters, and the rest."""
    text = (folder / "tinyshakespeare.txt").read_text(encoding="utf-8")
    characters = sorted(set(text))
    ids = np.searchsorted(characters, list(text)).astype(np.uint8)
    return Task("tinyshakespeare characters", 8, len(characters), None, ids[:1_000_000], ids[1_000_000:])


def measure_lmgen(task: Task) -> Measurement:
    """Fit and score with lmgen."""
    start = time.perf_counter()
    model = NgramModel.fit(
        task.train,
        order=task.order,
        vocabulary_size=task.vocabulary_size,
        sentence_end=task.sentence_end,
    )
    fitted = time.perf_counter()
    log_probs, _ = model.score(model.start(1), task.test[:, None])
    scored = time.perf_counter()
    return Measurement(
        fit_seconds=fitted - start,
        peak_megabytes=peak_megabytes(),
        tokens_per_second=len(task.test) / (scored - fitted),
        perplexity=float(np.exp(-log_probs.mean(dtype=float))),
        ngrams=sum(model.counts),
    )


def measure_dictionaries(task: Task) -> Measurement:
    """Fit and score with dictionaries of tuples."""
    start = time.perf_counter()
    model = DictionaryModel(task.train.tolist(), task.order, task.vocabulary_size, task.sentence_end)
    fitted = time.perf_counter()
    nats = model.nats(task.test.tolist())
    scored = time.perf_counter()
    return Measurement(
        fit_seconds=fitted - start,
        peak_megabytes=peak_megabytes(),
        tokens_per_second=len(task.test) / (scored - fitted),
        perplexity=float(np.exp(nats / len(task.test))),
        ngrams=sum(map(len, model.probabilities)),
    )


def peak_megabytes() -> float:
    """The most memory that this process has held; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


Ngram = tuple[int, ...]


class DictionaryModel:
    """Interpolated modified Kneser-Ney, n-gram by n-gram."""

    def __init__(self, ids: list[int], order: int, vocabulary_size: int, sentence_end: int | None) -> None:
        self.order = order
        self.vocabulary_size = vocabulary_size
        self.sentence_end = sentence_end
        counts = self._counts(ids)
        self.probabilities: list[dict[Ngram, float]] = []
        self.weights: dict[Ngram, float] = {}
        for n in range(order):
            self._estimate(self._adjusted(counts, n))

    def nats(self, ids: list[int]) -> float:
        """The negative log-probability of a text."""
        return -sum(log(self._probability(ngram)) for ngram in self._longest_ngrams(ids))

    def _longest_ngrams(self, ids: list[int]) -> Iterator[Ngram]:
        """Each token with what stands before it, up to the order; `<s>` has the id V."""
        context: Ngram = (self.vocabulary_size,)[: self.order - 1]
        for token in ids:
            yield (*context, token)
            longer = (self.vocabulary_size,) if token == self.sentence_end else (*context, token)
            context = longer[max(0, len(longer) - self.order + 1) :]

    def _counts(self, ids: list[int]) -> list[dict[Ngram, int]]:
        counts: list[dict[Ngram, int]] = [defaultdict(int) for _ in range(self.order)]
        for ngram in self._longest_ngrams(ids):
            for first in range(len(ngram)):
                counts[len(ngram) - first - 1][ngram[first:]] += 1
        return counts

    def _adjusted(self, counts: Sequence[dict[Ngram, int]], n: int) -> dict[Ngram, int]:
        """The number of distinct tokens before each n-gram; its occurrences, where it begins with `<s>`."""
        if n + 1 == self.order:
            return counts[n]
        adjusted: dict[Ngram, int] = defaultdict(int)
        for longer in counts[n + 1]:
            adjusted[longer[1:]] += 1
        started = {ngram: count for ngram, count in counts[n].items() if ngram[0] == self.vocabulary_size}
        return adjusted | started

    def _estimate(self, counts: dict[Ngram, int]) -> None:
        discounts = (0.0, *(discounts_of(np.array(list(counts.values()))) or FALLBACK_DISCOUNTS))
        totals: dict[Ngram, int] = defaultdict(int)
        taken_off: dict[Ngram, float] = defaultdict(float)
        for ngram, count in counts.items():
            totals[ngram[:-1]] += count
            taken_off[ngram[:-1]] += discounts[min(count, 3)]
        for context, total in totals.items():
            self.weights[context] = taken_off[context] / total
        self.probabilities.append(
            {
                ngram: (count - discounts[min(count, 3)]) / totals[ngram[:-1]]
                + self.weights[ngram[:-1]] * self._probability(ngram[1:])
                for ngram, count in counts.items()
            }
        )

    def _probability(self, ngram: Ngram) -> float:
        weight = 1.0
        while ngram:
            probability = self.probabilities[len(ngram) - 1].get(ngram)
            if probability is not None:
                return weight * probability
            weight *= self.weights.get(ngram[:-1], 1.0)
            ngram = ngram[1:]
        return weight / self.vocabulary_size


if __name__ == "__main__":
    main()
