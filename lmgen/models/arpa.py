r"""
Models as ARPA files, the text that KenLM, SRILM and IRSTLM exchange.

Written is what lmplz would write: log10 of probabilities and backoffs, here with nine digits, so that reading
them back gives the same float32. Read is what any of them writes; arpa_text.py takes the file apart.

An ARPA word has no white space, and `<s>`, `</s>`, `<unk>` are not words:

- Words stand as they are; those spelled like the three have a backslash before them: `\<unk>`.
- Characters, bytes, sub-words and marks split from words are written as `lmgen tokenize --pieces` prints them
  (see tokenizers/pieces.py): `▁` is a blank, `\n` a line end. Where two tokens of a tokenizer are spelled
  alike, the less probable ends in `\1`.
- These tokenizers take a text for one sentence: it has `<s>`, but `</s>` is never predicted. It gets a log10
  probability of -99, since KenLM insists on it.

The tokenizer itself stands before `\data\` in lines that begin with `# lmgen`, which the others skip, so that
a model comes back with it. A file without such lines makes a word model, or one of characters if asked for.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lmgen.errors import ConfigError, ModelError
from lmgen.files import replacing
from lmgen.models.arpa_text import LOG10_OF_ZERO, MARK, MARK_CHARACTERS, ArpaText, Entries, parse_arpa
from lmgen.models.base import IdArray
from lmgen.models.ngram import NgramModel
from lmgen.models.ngram_table import NO_ROW, NgramTable, RowArray
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.pieces import SPECIAL_PIECES, escape, unescape
from lmgen.tokenizers.registry import tokenizer_from_json

BLOCK_ROWS = 1 << 14
"""How many n-grams are written at a time."""

LOG10_OF_ABSENT = -100.0
"""What `<unk>` and `</s>` get that a file does not list; for `<unk>` KenLM takes the same."""

FOREIGN_TOKENIZERS: dict[str, dict[str, Any]] = {
    "word": {"tokenizer": "word", "lowercase": False, "split_punctuation": False},
    "char": {"tokenizer": "char", "lowercase": False},
}
"""How a file that lmgen did not write can be read, and what its tokenizer is apart from the vocabulary."""

_VOCABULARY_KEYS = {"word": "words", "char": "characters"}
"""Tokenizers whose vocabulary the 1-grams list, and what it is called where they are saved."""

_NOT_A_TOKEN = -1


def write_arpa(path: Path, model: NgramModel, tokenizer: Tokenizer) -> tuple[int, ...]:
    """
    Write a model as an ARPA file, compressed if its name ends in `.gz`; whole or not at all.

    Highest orders without any n-gram are left out; no score depends on them.

    Returns:
        How many n-grams were written of order 1, 2, ...

    Raises:
        ConfigError: the name asks for another compression.
        ModelError: the model's sentences are not its tokenizer's, or two of its tokens cannot be told apart.
        LmgenError: the file cannot be written.
    """
    if path.suffix.lower() in (".bz2", ".xz", ".zst"):
        raise ConfigError(f"{path} would be compressed, but only .gz can be written; give another name")
    if model.sentence_end != (tokenizer.line_end if tokenizer.reads_lines else None):
        raise ModelError("the n-gram model ends its sentences otherwise than its tokenizer; fit it again")
    tables = _without_empty_orders(model.tables)
    spellings = [*_spellings(tokenizer, tables[0].log_probs), "<s>"]
    extra = [] if "</s>" in spellings else [_unreachable_end(len(tables) > 1)]
    counts = [len(table) for table in tables]
    counts[0] += len(extra)
    with replacing(path) as temporary, _opened(temporary, path.suffix) as file:
        file.write("".join(_mark(tokenizer)) + "\\data\\\n")
        file.writelines(f"ngram {n}={count}\n" for n, count in enumerate(counts, start=1))
        for n in range(1, len(tables) + 1):
            file.write(f"\n\\{n}-grams:\n")
            file.writelines(_blocks(tables[:n], spellings, has_backoffs=n < len(tables)))
            file.writelines(extra if n == 1 else [])
        file.write("\n\\end\\\n")
    return tuple(counts)


def read_arpa(path: Path, tokenizer: str | None = None) -> tuple[NgramModel, Tokenizer]:
    """
    Read an ARPA file of any order, from any toolkit; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.

    What files may lack or have too much of:

    - no `<unk>` (SRILM's closed vocabulary): unknown words get log10 P = -100, as in KenLM. A perplexity with
      such words in it is huge; the one without them is what SRILM prints. `<UNK>` is taken for `<unk>`.
    - no `</s>`: -100 as well. No `<s>`: a text begins without context.
    - an n-gram without its context, its first n - 1 words, which SRILM's pruning leaves behind: the context
      is added with the probability that backing off gives it. No score changes.
    - `<s>` within an n-gram, or at its end (IRSTLM): left out, since nothing can ask for it.
    - `-inf`: -99, as SRILM writes it. Of the highest order, backoffs mean nothing.

    Args:
        path: the file.
        tokenizer: how to take its words: "word", or "char" for a file whose words are single characters,
            written as they are or as `lmgen tokenize --pieces` prints them. None: with the tokenizer that
            lmgen wrote into the file, else "word".

    Returns:
        The model, with notes on what was added or left out; and its tokenizer.

    Raises:
        ConfigError: the tokenizer is neither.
        CorpusError: the file cannot be read.
        ModelError: it is no ARPA file, is cut short or damaged; the message says where.
    """
    if tokenizer is not None and tokenizer not in FOREIGN_TOKENIZERS:
        raise ConfigError(f"tokenizer is {tokenizer!r}, but an ARPA file is read by word or char")
    text = parse_arpa(path)
    try:
        made, ids = _tokenizer(text, tokenizer)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    notes: list[str] = []
    orders = [_in_ids_of_model(text.orders[0], ids, made, notes)]
    orders += [_reachable(entries, ids, made.vocabulary_size, notes) for entries in text.orders[1:]]
    model = NgramModel(
        vocabulary_size=made.vocabulary_size,
        sentence_end=made.line_end if made.reads_lines else None,
        tables=_tables(path, orders, made.vocabulary_size, notes),
        discounts=(),
        notes=tuple(notes),
    )
    return model, made


# Writing


def _without_empty_orders(tables: Sequence[NgramTable]) -> Sequence[NgramTable]:
    order = max(n for n, table in enumerate(tables, start=1) if len(table))
    return tables[:order]


def _spellings(tokenizer: Tokenizer, log_probs: npt.NDArray[np.float32]) -> list[str]:
    """How each token is written; of two that are spelled alike the more probable one keeps the spelling."""
    spellings = [_spelling(tokenizer, token) for token in range(tokenizer.vocabulary_size)]
    shared = {spelling for spelling, count in Counter(spellings).items() if count > 1}
    seen = set()
    for token in np.argsort(-log_probs[:-1], kind="stable").tolist() if shared else ():
        if spellings[token] in seen:
            spellings[token] += r"\1"
        elif spellings[token] in shared:
            seen.add(spellings[token])
    if len(set(spellings)) < len(spellings):
        raise ModelError("two tokens of the model are spelled alike, which no ARPA file can tell apart")
    return spellings


def _spelling(tokenizer: Tokenizer, token: int) -> str:
    if token in tokenizer.special_ids or not _has_plain_words(tokenizer.to_json_summary()):
        return tokenizer.escaped_piece(token)
    return ""


