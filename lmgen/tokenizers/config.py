"""The settings of tokenizers. The command line builds its flags from them, so this imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmgen.settings import LARGEST_COUNT, check, setting

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

    tokenizer: str = setting("char", "what a token is", choices=(*TOKENIZER_NAMES, IMPORTED))
    tokenizer_file: str | None = setting(
        None,
        "split the text as this SentencePiece model does, made elsewhere (FILE.model); implies --tokenizer "
        f"{IMPORTED}",
    )
    vocab_size: int | None = setting(
        None,
        "char, word: keep at most N tokens, the most frequent ones; "
        f"bpe, unigram: choose N tokens (at most {SUBWORD_VOCABULARY_SIZE} if not given)",
        minimum=2,
        maximum=LARGEST_VOCABULARY,
    )
    min_count: int = setting(
        1,
        "char, word: tokens that occur less often in the training text are unknown",
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    lowercase: bool = setting(False, "char, word: convert all letters to lower case")
    split_punctuation: bool = setting(False, "word: punctuation marks are tokens of their own")
    literal_marks: bool = setting(
        False, "word: <s>, </s> and <eos> in the text are words, not boundaries of sentences"
    )

    def __post_init__(self) -> None:
        check(self)


def with_implied_tokenizer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names of the flags, with the tokenizer that a tokenizer_file implies."""
    implied = {"tokenizer": IMPORTED} if settings.get("tokenizer_file") is not None else {}
    return {**implied, **settings}
