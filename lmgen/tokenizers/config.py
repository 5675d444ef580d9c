"""The settings of tokenizers. The command line builds its flags from them, so this imports nothing heavy."""

from dataclasses import dataclass

from lmgen.settings import LARGEST_COUNT, check, setting

TOKENIZER_NAMES = ("char", "byte", "word", "bpe", "unigram")
"""The tokenizers by name; registry.py has their classes."""

SUBWORD_VOCABULARY_SIZE = 4000
"""Default vocabulary size of bpe and unigram; it is smaller if the text has too few different pieces."""

LARGEST_VOCABULARY = 1_000_000_000
"""Upper limit of `vocab_size`, since SentencePiece stores it in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """How to split a text into tokens."""

    tokenizer: str = setting("char", "what a token is", choices=TOKENIZER_NAMES)
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
