"""The settings of tokenizers. The command line builds its flags from them, so this imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lmgen.settings import LARGEST_COUNT, Panel, check, setting

TOKENIZER_NAMES = ("char", "byte", "word", "bpe", "unigram")
"""The tokenizers that are trained, by name; registry.py has their classes."""

IMPORTED = "sentencepiece"
"""The name of the tokenizer that is read from a SentencePiece model made elsewhere, see imported.py."""

SUBWORD_VOCABULARY_SIZE = 4000
"""Default vocabulary size of bpe and unigram; it is smaller if the text has too few different pieces."""

LARGEST_VOCABULARY = 1_000_000_000
"""Upper limit of `vocab_size`, since SentencePiece stores it in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """How to split a text into tokens."""

    PANEL: ClassVar[Panel] = Panel.TEXT

    tokenizer: str = setting("char", "What a token is.", choices=(*TOKENIZER_NAMES, IMPORTED), daily=True)
    tokenizer_file: str | None = setting(
        None,
        "Split the text as this SentencePiece model does, made elsewhere (FILE.model); implies --tokenizer "
        f"{IMPORTED}.",
        metavar="FILE",
    )
    vocab_size: int | None = setting(
        None,
        "With char and word, keep at most N tokens, the most frequent ones; with bpe and unigram, choose N "
        "tokens.",
        by_default=f"all; with bpe and unigram at most {SUBWORD_VOCABULARY_SIZE}",
        minimum=2,
        maximum=LARGEST_VOCABULARY,
    )
    min_count: int = setting(
        1,
        "With char and word, tokens that occur less often in the training text are unknown.",
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    lowercase: bool = setting(False, "With char and word, convert all letters to lower case.")
    split_punctuation: bool = setting(False, "With word, punctuation marks are tokens of their own.")
    literal_marks: bool = setting(
        False, "With word, <s>, </s> and <eos> in the text are words, not boundaries of sentences."
    )

    def __post_init__(self) -> None:
        check(self)


def with_implied_tokenizer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names of the flags, with the tokenizer that a tokenizer_file implies."""
    implied = {"tokenizer": IMPORTED} if settings.get("tokenizer_file") is not None else {}
    return {**implied, **settings}
