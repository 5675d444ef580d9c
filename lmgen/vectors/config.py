"""Settings for training word vectors. Imports nothing heavy: the command line reads it."""

from dataclasses import dataclass
from typing import ClassVar

from lmgen.settings import LARGEST_COUNT, Panel, check, setting

METHODS = ("skip-gram", "cbow")
"""What predicts what: a word each word around it, or all words around it together the word."""

LONGEST_SENTENCE = 10_000
"""Words that gensim reads of a sentence; a longer one is cut, and no pair goes across the cut."""

LARGEST_VECTOR = 100_000
MOST_NEGATIVES = 1_000
FASTEST = 10.0
"""Beyond these, training takes days or gives no numbers; gensim fails where one does not fit a C int."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorConfig:
    """How word vectors are trained."""

    PANEL: ClassVar[Panel] = Panel.OPTIMISATION

    method: str = setting(
        "skip-gram",
        "With skip-gram a word predicts each word around it, with cbow all of them together predict it.",
        choices=METHODS,
        daily=True,
    )
    embedding_size: int = setting(
        100, "Numbers of a word's vector.", minimum=1, maximum=LARGEST_VECTOR, daily=True
    )
    window: int = setting(
        5,
        "How many words on either side are predicted at most; each time a number up to this one is drawn.",
        minimum=1,
        maximum=LONGEST_SENTENCE,
        daily=True,
    )
    epochs: int = setting(
        20, "Passes over the text; a long text needs fewer.", minimum=1, maximum=LARGEST_COUNT, daily=True
    )
    min_count: int = setting(
        5,
        "Words that occur less often are read as <unk>, as by `lmgen train --min-count`.",
        minimum=1,
        maximum=LARGEST_COUNT,
        daily=True,
    )
    lowercase: bool = setting(False, "Convert all letters to lower case.", daily=True)
    split_punctuation: bool = setting(False, "Punctuation marks are words of their own.", daily=True)
    negatives: int = setting(
        5, "K, how many words drawn at random each pair is told from.", minimum=1, maximum=MOST_NEGATIVES
    )
    subsample: float = setting(
        0.001,
        "Frequent words are left out at random, the more often the further their share of the text is above "
        "this one; 0 keeps all.",
        minimum=0,
        maximum=1,
    )
    learning_rate: float = setting(
        0.025, "Of the first update; it falls to 0.0001.", above=0, maximum=FASTEST
    )
    seed: int = setting(0, "Seed of the first vectors and of what is drawn.", minimum=0, maximum=2**32 - 1)

    def __post_init__(self) -> None:
        check(self)
