"""A small ARPA file by hand, and what the tests of reading and writing such files share."""

from pathlib import Path
from typing import Any

import numpy as np

from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.base import Tokenizer

SMALL = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>\t0
0\t<s>\t-0.5
-0.75\t</s>\t0
-0.5\ta\t-0.25
-1\tb\t-0.125

\\2-grams:
-0.25\t<s> a\t-0.0625
-0.5\ta b\t-0.03125
-0.375\ta a\t0
-0.125\tb </s>\t0

\\3-grams:
-0.0625\t<s> a b
-0.1875\ta a b

\\end\\
"""


def written(folder: Path, text: str | bytes, name: str = "model.arpa") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def log10(model: NgramModel, tokenizer: Tokenizer, text: str) -> list[float]:
    """log10 of the probability of each token of a text."""
    ids = tokenizer.encode(text)
    scores, _ = model.score(model.start(1), ids[:, None])
    return (scores[:, 0].astype(float) / np.log(10)).tolist()  # type: ignore[no-any-return]


def assert_same(model: NgramModel, again: NgramModel) -> None:
    assert again.order == model.order
    assert again.sentence_end == model.sentence_end
    for ours, theirs in zip(model.tables, again.tables, strict=True):
        rows = np.arange(len(ours))
        assert np.array_equal(ours.split(rows), theirs.split(rows))
        assert np.array_equal(ours.log_probs, theirs.log_probs)
        assert np.array_equal(ours.backoffs, theirs.backoffs)


def fitted(tokenizer: Tokenizer, text: str, order: int, **settings: Any) -> NgramModel:
    return NgramModel.fit(
        tokenizer.encode(text),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
        **settings,
    )


def log10_by_definition(path: Path, words: list[str]) -> float:
    """
    log10 of the probability of a sentence, `</s>` included, by what an ARPA file says.

    Args:
        path: the file.
        words: the sentence without its marks; words that the file lacks are `<unk>`.
    """
    log_probs: dict[tuple[str, ...], float] = {}
    backoffs: dict[tuple[str, ...], float] = {}
    for line in path.read_bytes().decode().split("\n"):
        if "\t" in line and not line.startswith("#"):
            log_prob, ngram, *backoff = line.split("\t")
            log_probs[tuple(ngram.split(" "))] = float(log_prob)
            backoffs[tuple(ngram.split(" "))] = float(backoff[0]) if backoff else 0.0

    def conditional(context: tuple[str, ...], word: str) -> float:
        if (*context, word) in log_probs:
            return log_probs[*context, word]
        return backoffs.get(context, 0.0) + conditional(context[1:], word)

    order = max(map(len, log_probs))
    history: tuple[str, ...] = ("<s>",)
    total = 0.0
    for word in [*(word if (word,) in log_probs else "<unk>" for word in words), "</s>"]:
        total += conditional(history[max(len(history) - order + 1, 0) :], word)
        history += (word,)
    return total
