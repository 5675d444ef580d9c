"""
The tokenizers by name. To add one, write its file, add a line here, and add its name in config.py.
"""

from dataclasses import fields
from typing import Any

from lmgen.errors import ConfigError
from lmgen.settings import flag
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.base import Chunks, Tokenizer, TrainedTokenizer, damaged, saved_value
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.imported import SentencePieceTokenizer
from lmgen.tokenizers.reading import ReadingTokenizer, is_plain, training_chunks
from lmgen.tokenizers.subwords import BpeTokenizer, UnigramTokenizer
from lmgen.tokenizers.words import WordTokenizer

TOKENIZERS: dict[str, type[TrainedTokenizer]] = {
    "char": CharacterTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
    "bpe": BpeTokenizer,
    "unigram": UnigramTokenizer,
    "sentencepiece": SentencePieceTokenizer,
}
"""The class of each tokenizer, by the name that `--tokenizer` takes."""


def train_tokenizer(
    chunks: Chunks, config: TokenizerConfig, reading: ReadingConfig | None = None
) -> Tokenizer:
    """
    Train the tokenizer that the settings ask for, or read it from the file that they name.

    Args:
        chunks: the training text; it is read one to three times.
        config: the name of the tokenizer and its settings.
        reading: how texts are read before they are split; None: as they are, each file as one document.

    Raises:
        ConfigError: a setting does not apply to this tokenizer.
        CorpusError: the text is empty, or too small for the requested vocabulary size.
        ModelError: the file is missing or is not a SentencePiece model.
    """
    _refuse_unused(config)
    kind = TOKENIZERS[config.tokenizer]
    if reading is None or is_plain(reading):
        return kind.train(chunks, config)
    return ReadingTokenizer(kind.train(training_chunks(chunks, reading), config), reading)


def tokenizer_from_json(saved: dict[str, Any]) -> Tokenizer:
    """
    Rebuild a tokenizer from the result of its `to_json`.

    Raises:
        ModelError: a value is missing, of the wrong type, or inconsistent with the others.
    """
    if not isinstance(saved, dict):
        raise damaged("it is not a JSON object")
    name = saved_value(saved, "tokenizer", str)
    if name not in TOKENIZERS:
        raise damaged(f"there is no tokenizer {name!r}, only {', '.join(TOKENIZERS)}")
    tokenizer = TOKENIZERS[name].from_json(saved)
    if "reading" not in saved:
        return tokenizer
    return ReadingTokenizer.around(tokenizer, saved_value(saved, "reading", dict))


def _refuse_unused(config: TokenizerConfig) -> None:
    """Raise a ConfigError if a setting is changed that the tokenizer would ignore."""
    used = TOKENIZERS[config.tokenizer].settings | {"tokenizer"}
    problems = []
    for field in fields(config):
        if field.name not in used and getattr(config, field.name) != field.default:
            names = [name for name, kind in TOKENIZERS.items() if field.name in kind.settings]
            problems.append(
                f"{flag(field.name)} is for --tokenizer {' or '.join(names)}, not {config.tokenizer}; "
                "leave it out"
            )
    if problems:
        raise ConfigError("; ".join(problems))
