"""The settings of the tokenizer stage. Imports nothing heavy: the command line reads its flags here."""

from dataclasses import dataclass

from lmgen.settings import LARGEST_COUNT, check, setting

TOKENIZER_NAMES = ("char", "byte", "word", "bpe", "unigram")

SUBWORD_VOCABULARY_SIZE = 4000
"""Tokens that bpe and unigram choose if not told otherwise; fewer where the text does not support so many."""

LARGEST_VOCABULARY = 1_000_000_000
"""SentencePiece counts in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """How a text becomes tokens."""

    tokenizer: str = setting("char", "what a token is", choices=TOKENIZER_NAMES)
    vocab_size: int | None = setting(
        None,
        "char, word: keep at most so many tokens, the most frequent ones; "
        f"bpe, unigram: choose so many ({SUBWORD_VOCABULARY_SIZE} or fewer if not given)",
        minimum=2,
        maximum=LARGEST_VOCABULARY,
    )
    min_count: int = setting(
        1, "char, word: rarer ones in the training text become unknown", minimum=1, maximum=LARGEST_COUNT
    )
    lowercase: bool = setting(False, "char, word: read all letters as lower case")
    split_punctuation: bool = setting(False, "word: punctuation marks are tokens of their own")

    def __post_init__(self) -> None:
        check(self)
