"""
The tokenizers by name. A new one is a file, a line here and its name in config.py.
"""

from dataclasses import fields
from typing import Any

from lmgen.errors import ConfigError
from lmgen.tokenizers.base import Chunks, Tokenizer, damaged, saved_value
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.subwords import BpeTokenizer, UnigramTokenizer
from lmgen.tokenizers.words import WordTokenizer

TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharacterTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
    "bpe": BpeTokenizer,
    "unigram": UnigramTokenizer,
}


def train_tokenizer(chunks: Chunks, config: TokenizerConfig) -> Tokenizer:
    """
    Make the tokenizer that the settings ask for, its vocabulary from a training text alone.

    Args:
        chunks: gives the text anew at each call; it is read in one to three passes.
        config: all settings of the tokenizer stage.

    Raises:
        ConfigError: a setting means nothing to this tokenizer.
        CorpusError: the text is empty, or too small for the vocabulary size asked for.
    """
    _refuse_unused(config)
    return TOKENIZERS[config.tokenizer].train(chunks, config)


def tokenizer_from_json(saved: dict[str, Any]) -> Tokenizer:
    """
    Rebuild a tokenizer from what its `to_json` gave.

    Raises:
        ModelError: something is missing, of another type, or does not hold together.
    """
    if not isinstance(saved, dict):
        raise damaged("it is not a JSON object")
    name = saved_value(saved, "tokenizer", str)
    if name not in TOKENIZERS:
        raise damaged(f"there is no tokenizer {name!r}, only {', '.join(TOKENIZERS)}")
    return TOKENIZERS[name].from_json(saved)


def _refuse_unused(config: TokenizerConfig) -> None:
    """Rather than ignore a setting, say which tokenizers it is for."""
    used = TOKENIZERS[config.tokenizer].settings | {"tokenizer"}
    problems = []
    for field in fields(config):
        if field.name not in used and getattr(config, field.name) != field.default:
            flag = "--" + field.name.replace("_", "-")
            names = [name for name, kind in TOKENIZERS.items() if field.name in kind.settings]
            problems.append(
                f"{flag} is for --tokenizer {' or '.join(names)}, not {config.tokenizer}; leave it out"
            )
    if problems:
        raise ConfigError("; ".join(problems))
