"""SentencePiece models as others train them, on a text of our own."""

import io
from functools import cache
from typing import Any

TEXT = """\
The cat sat on the mat; was it the cat's mat?
the dog sat on the log, and the cat sat on the dog
naïve cafés: ﬁne ½ of them,  and   ３４ of the others
日本語の文 and a тест of the rest
{name} is <s>not</s> <unk> at all
"""

KINDS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "bpe": {"model_type": "bpe", "vocab_size": 100},
    "word": {"model_type": "word", "vocab_size": 30},
    "char": {"model_type": "char"},
    "identity": {"normalization_rule_name": "identity"},
    "no-prefix": {"model_type": "bpe", "add_dummy_prefix": False},
    "all-blanks": {"remove_extra_whitespaces": False},
    "blanks-and-no-prefix": {"add_dummy_prefix": False, "remove_extra_whitespaces": False},
    "suffix": {"treat_whitespace_as_suffix": True},
    "suffix-word": {"model_type": "word", "treat_whitespace_as_suffix": True, "vocab_size": 30},
    "as-llama": {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "vocab_size": 350,
    },
    "bytes": {"byte_fallback": True, "vocab_size": 340},
    "bytes-no-end": {"byte_fallback": True, "vocab_size": 340, "eos_id": -1, "bos_id": -1},
    "no-end": {"eos_id": -1, "bos_id": -1},
    "as-t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "case-folded": {"normalization_rule_name": "nfkc_cf", "unk_surface": "?"},
    "symbols": {
        "control_symbols": ["<pad>", "<a b>"],
        "user_defined_symbols": ["{name}", "cat", " of ", "<0x41>"],
        "unk_piece": "[UNK]",
        "eos_piece": "[END]",
    },
    "line-end": {"user_defined_symbols": ["\n", "the"], "normalization_rule_name": "identity"},
    "line-end-folded": {"model_type": "bpe", "user_defined_symbols": ["\n"], "vocab_size": 90},
}
"""What SentencePiece's trainer is told, by a name."""


@cache
def model(kind: str) -> bytes:
    """The contents of the model file of one of KINDS."""
    from sentencepiece import SentencePieceTrainer

    written = io.BytesIO()
    settings = {"model_type": "unigram", "vocab_size": 80, **KINDS[kind]}
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines() * 20),
        model_writer=written,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=3,
        **settings,
    )
    return written.getvalue()
