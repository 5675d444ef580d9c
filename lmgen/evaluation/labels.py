"""
How well labels are predicted: accuracy, and for each label precision, recall and F1.

    precision   of the times that a label was predicted, the share that was right
    recall      of the times that a label was right, the share that was predicted
    F1          their harmonic mean, 2 p r / (p + r)
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmgen.data.labels import encoded_text, last_tokens
from lmgen.models.network.labels import LabelNetwork
from lmgen.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class Label:
    """The likeliest label of a text, or of one of its words."""

    text: str
    """The text, or the word."""
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How well one label is predicted."""

    count: int
    """How often it is the right one."""
    precision: float | None
    """None for a label that is never predicted."""
    recall: float | None
    """None for a label that is never right."""
    f1: float
    predicted_as: dict[str, int]
    """What was predicted where it is right, and how often, the most frequent first."""


@dataclass(frozen=True, slots=True)
class LabelScores:
    """How well the labels of some texts are predicted; the fields are those of `lmgen label --json`."""

    instances: int
    """Texts, or words, with a label."""
    accuracy: float
    majority_accuracy: float
    """That of always predicting the label which is the most frequent in the training text."""
    labels: dict[str, LabelScore]
    """The labels that are right or predicted anywhere, those of the model in its order, then others."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def predicted_labels(model: LabelNetwork, tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[Label]]:
    """
    The likeliest label of each text, a list of one; of a model of words those of its words.

    Args:
        model: the network.
        tokenizer: its tokenizer.
        texts: lines as they are read (text/reading.py), without line ends.

    Raises:
        CorpusError: a text spells the mark that ends texts.
    """
    if model.of == "word":
        texts = [" ".join(text.split()) for text in texts]
    encoded = [encoded_text(text, tokenizer) for text in texts]
    found = []
    scores = model.log_probabilities([ids for ids, _ in encoded])
    for text, (_, offsets), each in zip(texts, encoded, scores, strict=True):
        parts = text.split() if model.of == "word" else [text]
        chosen = each[last_tokens(text, offsets) if model.of == "word" else [-1]]
        best = chosen.argmax(axis=1)
        shares = np.exp(chosen.max(axis=1, initial=-np.inf)).tolist()
        found.append(
            [Label(*one) for one in zip(parts, (model.labels[n] for n in best), shares, strict=True)]
        )
    return found


def label_scores(pairs: Iterable[tuple[str, str]], labels: Sequence[str]) -> LabelScores:
    """
    Compare what is right with what was predicted.

    Args:
        pairs: for each instance the right label and the predicted one.
        labels: those of the model, the most frequent of its training text first.
    """
    confusion = Counter(pairs)
    right, predicted = Counter[str](), Counter[str]()
    for (wanted, given), count in confusion.items():
        right[wanted] += count
        predicted[given] += count
    total = right.total()
    seen = [*labels, *sorted(right.keys() - set(labels))]
    return LabelScores(
        instances=total,
        accuracy=sum(confusion[label, label] for label in seen) / max(total, 1),
        majority_accuracy=right[labels[0]] / max(total, 1),
        labels={
            label: _score(label, confusion, right[label], predicted[label])
            for label in seen
            if right[label] or predicted[label]
        },
    )


def _score(label: str, confusion: Counter[tuple[str, str]], right: int, predicted: int) -> LabelScore:
    hits = confusion[label, label]
    row = Counter({given: count for (wanted, given), count in confusion.items() if wanted == label})
    return LabelScore(
        count=right,
        precision=hits / predicted if predicted else None,
        recall=hits / right if right else None,
        f1=2 * hits / (right + predicted),
        predicted_as=dict(row.most_common()),
    )
