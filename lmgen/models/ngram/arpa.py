r"""
n-gram models as ARPA files, the text format that KenLM, SRILM and IRSTLM exchange.

Files are written as lmplz does: log10 of probabilities and backoffs, here with nine digits, so that reading
them back gives the same float32. Files of all three toolkits are read; arpa_text.py parses them.

An ARPA word has no white space, and `<s>`, `</s>`, `<unk>` are not words:

- Words are written as they are; a word that is spelled like one of the three gets a backslash: `\<unk>`.
- Characters, bytes, sub-words and marks split from words are written as `lmgen tokenize --pieces` prints them
  (tokenizers/pieces.py): `▁` is a blank, `\n` a line end. If two tokens of a tokenizer are spelled alike, the
  less probable one ends in `\1`.
- Where lines or records are texts of their own, `</s>` is the token that ends each. A document that is not
  split into words is one sentence: it has `<s>`, but `</s>` is never predicted. It gets a log10 probability
  of -99, since KenLM requires it.

The tokenizer is kept before `\data\` in lines that begin with `# lmgen`, which other programs skip. What the
words of a file without such lines are, arpa_words.py finds out.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lmgen.arrays import Float32Array, IdArray, Int64Array
from lmgen.errors import ConfigError, ModelError
from lmgen.files import behind_links, refuse_packed, replacing
from lmgen.models.ngram.arpa_text import LOG10_OF_ZERO, MARK, MARK_CHARACTERS, Entries, parse_arpa
from lmgen.models.ngram.arpa_words import NOT_A_TOKEN, VOCABULARY_KEYS, WAYS, spellings, vocabulary_of
from lmgen.models.ngram.model import NgramModel
from lmgen.models.ngram.packed_table import AnyTable
from lmgen.models.ngram.table import NO_ROW, NgramTable, RowArray
from lmgen.tokenizers.base import Tokenizer

BLOCK_ROWS = 1 << 14
"""n-grams that are written at a time."""

LOG10_OF_ABSENT = -100.0
"""log10 probability of `<unk>` and `</s>` if a file lacks them; KenLM uses the same for `<unk>`."""

CONTEXTS_ADDED = 10_000
"""Contexts that are added to any file that lacks some; beyond this, at most twice its number of n-grams."""

_END_NEVER_PREDICTED = f"{LOG10_OF_ZERO:g}\t</s>\n"


def write_arpa(path: Path, model: NgramModel, tokenizer: Tokenizer) -> tuple[int, ...]:
    """
    Write a model as an ARPA file, compressed if its name ends in `.gz`; whole or not at all.

    The highest orders are left out if they have no n-grams; no score depends on them.

    Returns:
        Number of n-grams that were written of order 1, 2, ...

    Raises:
        ConfigError: the name asks for another compression.
        ModelError: the model ends sentences at another token than its tokenizer, or two of its tokens would
            be spelled alike.
        WriteError: the file cannot be written.
    """
    refuse_packed(path, ".gz")
    if model.sentence_end != tokenizer.sentence_end:
        raise ModelError("the n-gram model ends its sentences otherwise than its tokenizer; fit it again")
    tables = _without_empty_orders(model.tables)
    spelled = [*spellings(tokenizer, tables[0].log_probs), "<s>"]
    extra = [] if "</s>" in spelled else [_END_NEVER_PREDICTED]
    counts = [len(table) for table in tables]
    counts[0] += len(extra)
    with replacing(behind_links(path)) as temporary, _opened(temporary, path.suffix) as file:
        file.write("".join(_mark(tokenizer)) + "\\data\\\n")
        file.writelines(f"ngram {n}={count}\n" for n, count in enumerate(counts, start=1))
        for n in range(1, len(tables) + 1):
            file.write(f"\n\\{n}-grams:\n")
            file.writelines(_blocks(tables[:n], spelled, has_backoffs=n < len(tables)))
            file.writelines(extra if n == 1 else [])
        file.write("\n\\end\\\n")
    return tuple(counts)


def read_arpa(
    path: Path, tokenizer: str | None = None, blank: str | None = None
) -> tuple[NgramModel, Tokenizer]:
    """
    Read an ARPA file of any order, from any toolkit; `.gz`, `.bz2`, `.xz` and `.zst` are decompressed.

    Irregular files are read as follows:

    - No `<unk>` (SRILM's closed vocabulary): unknown words get log10 P = -100, as in KenLM. Perplexity with
      unknown words is then huge; SRILM prints the one without them.
    - `<UNK>`, `<S>` and `</S>` are read as `<unk>`, `<s>` and `</s>`, each where the file lacks the latter.
    - No `</s>`: -100 as well. No `<s>`: a text begins without context.
    - An n-gram whose context (its first n - 1 words) is missing, as after SRILM's pruning: the context is
      added with its backed-off probability. No score changes.
    - `<s>` within an n-gram, or at its end (IRSTLM): the n-gram is left out, since no text contains it.
    - `-inf` is read as -99, which SRILM writes. Backoffs of the highest order are ignored.

    Args:
        path: the file.
        tokenizer: how to read its words: "word", or "char" for a file whose words are single characters,
            written as they are or as `lmgen tokenize --pieces` prints them. None: by the tokenizer that lmgen
            wrote into the file, else as characters where all words are such and one of them is clearly the
            blank, else as words.
        blank: the word that is the blank of a file of characters, such as `|`; None: the one that is clear.

    Returns:
        The model, with notes on what was added, left out or guessed; and its tokenizer.

    Raises:
        ConfigError: the tokenizer is neither, or the file has no such blank.
        CorpusError: the file cannot be read.
        ModelError: it is no ARPA file, is cut short or damaged; the message says where.
    """
    if tokenizer is not None and tokenizer not in WAYS:
        raise ConfigError(f"--tokenizer is {tokenizer!r}, but an ARPA file is read by word or char")
    if blank is not None and tokenizer == "word":
        raise ConfigError("--blank is for models of characters; leave it or --tokenizer word out")
    text = parse_arpa(path)
    try:
        vocabulary = vocabulary_of(text, tokenizer, blank)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    made, ids = vocabulary.tokenizer, vocabulary.ids
    notes = list(vocabulary.notes)
    size = made.vocabulary_size
    orders = [_unigrams(text.orders[0], ids, made, notes)]
    orders += [_reachable(entries, ids, size, notes) for entries in text.orders[1:]]
    model = NgramModel(
        vocabulary_size=size,
        sentence_end=made.sentence_end,
        tables=_tables(path, orders, size, notes),
        discounts=(),
        notes=tuple(notes),
    )
    return model, made


# Writing


def _without_empty_orders(tables: Sequence[AnyTable]) -> Sequence[AnyTable]:
    return tables[: max(n for n, table in enumerate(tables, start=1) if len(table))]


def _mark(tokenizer: Tokenizer) -> Iterator[str]:
    """The lines with the tokenizer, without its vocabulary if the 1-grams list it."""
    saved = tokenizer.to_json()
    saved.pop(VOCABULARY_KEYS.get(tokenizer.name, ""), None)
    text = json.dumps(saved, separators=(",", ":"))
    for first in range(0, len(text), MARK_CHARACTERS):
        yield f"{MARK}{text[first : first + MARK_CHARACTERS]}\n"


@contextmanager
def _opened(path: Path, suffix: str) -> Iterator[TextIO]:
    """A UTF-8 file to write, compressed for `.gz`; the same text always gives the same bytes."""
    with ExitStack() as stack:
        file: Any = stack.enter_context(path.open("wb"))
        if suffix.lower() == ".gz":
            file = stack.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0))
        yield stack.enter_context(TextIOWrapper(file, encoding="utf-8", newline=""))


def _blocks(tables: Sequence[AnyTable], spelled: list[str], *, has_backoffs: bool) -> Iterator[str]:
    """The lines of the last table's n-grams, many at a time."""
    table = tables[-1]
    template = "%.9g\t" + " ".join(["%s"] * len(tables)) + ("\t%.9g\n" if has_backoffs else "\n")
    for first in range(0, len(table), BLOCK_ROWS):
        rows = np.arange(first, min(first + BLOCK_ROWS, len(table)))
        columns: list[Iterable[Any]] = [_log10(table.log_prob(rows))]
        columns += [map(spelled.__getitem__, ids) for ids in _tokens(tables, rows)]
        if has_backoffs:
            columns.append(_log10(table.backoff(rows)))
        yield "".join(map(template.__mod__, zip(*columns, strict=True)))


def _tokens(tables: Sequence[AnyTable], rows: RowArray) -> list[list[int]]:
    """Columns of tokens of the n-grams in rows of the last table: all first tokens, all second tokens, ..."""
    columns = []
    for table in reversed(tables[1:]):
        rows, last = table.split(rows)
        columns.append(last.tolist())
    return [rows.tolist(), *reversed(columns)]


def _log10(natural: Float32Array) -> list[float]:
    """log10 in double precision, for nine digits to give the same float32 again; 0 instead of -0."""
    return (natural / np.log(10) + 0.0).tolist()  # type: ignore[no-any-return]


# Reading


def _unigrams(entries: Entries, ids: Int64Array, tokenizer: Tokenizer, notes: list[str]) -> Entries:
    """The 1-grams: a row for each token, and one for `<s>`, of which only the backoff is used."""
    size = tokenizer.vocabulary_size
    lacking = np.setdiff1d(np.arange(size), ids)
    notes.extend(
        f"the file has no {tokenizer.escaped_piece(token)}, which gets a log10 probability of "
        f"{LOG10_OF_ABSENT:g}"
        for token in lacking.tolist()
    )
    if size not in ids:
        notes.append("the file has no <s>: a text begins without context")
    kept = ids != NOT_A_TOKEN
    log_probs = np.full(size + 1, LOG10_OF_ABSENT * np.log(10), np.float32)
    log_probs[ids[kept]] = entries.log_probs[kept]
    log_probs[size] = 0
    backoffs = np.zeros(size + 1, np.float32)
    backoffs[ids[kept]] = entries.backoffs[kept]
    rows = np.arange(size + 1)
    return Entries(rows[:, None], log_probs, backoffs, rows)


def _reachable(entries: Entries, ids: Int64Array, size: int, notes: list[str]) -> Entries:
    """The n-grams that a text can contain: those of tokens, with `<s>` only as the first."""
    tokens = ids[entries.ids]
    kept = (tokens != NOT_A_TOKEN).all(axis=1) & (tokens[:, 1:] < size).all(axis=1)
    if kept.all():
        return replace(entries, ids=tokens)
    notes.append(
        f"{np.count_nonzero(~kept):,} {tokens.shape[1]}-grams that no text asks for (<s> not in front, or "
        "</s> in a text without sentences) are left out"
    )
    return Entries(tokens[kept], entries.log_probs[kept], entries.backoffs[kept], entries.lines[kept])


def _tables(path: Path, orders: list[Entries], size: int, notes: list[str]) -> tuple[NgramTable, ...]:
    """The tables of all orders, from 1 up; if contexts are missing, adds them and starts again."""
    tables: list[NgramTable] = []
    while len(tables) < len(orders):
        entries = _with_probabilities(tables, orders[len(tables)])
        contexts = _rows(tables, entries.ids[:, :-1])
        if (contexts == NO_ROW).any():
            added = _add_contexts(path, orders)
            notes.append(
                f"{added:,} contexts that the file lacks are added, with what backing off gives them"
            )
            tables = []
        else:
            tables.append(_table(path, entries, contexts, size, is_highest=len(tables) == len(orders) - 1))
    return tuple(tables)


def _rows(tables: Sequence[NgramTable], ids: IdArray) -> RowArray:
    """Rows of n-grams in the last table, whose order they have; without tables, 0 for the empty context."""
    if not tables:
        return np.zeros(len(ids), np.int64)
    rows: RowArray = ids[:, 0].astype(np.int64)
    for table, column in zip(tables[1:], ids.T[1:], strict=True):
        rows = table.find(rows, column)
    return rows


def _table(path: Path, entries: Entries, contexts: RowArray, size: int, *, is_highest: bool) -> NgramTable:
    """The table of one order, given the rows of all contexts."""
    keys = contexts * size + entries.ids[:, -1]
    by_key = np.argsort(keys, kind="stable")
    keys = keys[by_key]
    double = np.flatnonzero(keys[1:] == keys[:-1])
    if len(double):
        first, second = entries.lines[by_key[double[0] : double[0] + 2]]
        n = entries.ids.shape[1]
        raise ModelError(f"{path}, line {second}: the {n}-gram of line {first} is there a second time")
    none = np.empty(0, np.float32)
    return NgramTable(
        size,
        keys,
        entries.log_probs[by_key],
        none if is_highest else np.append(entries.backoffs[by_key], np.float32(0)),
    )


def _add_contexts(path: Path, orders: list[Entries]) -> int:
    """Add to each order the missing contexts of the order above, with NaN probabilities; return how many."""
    added = 0
    most = CONTEXTS_ADDED + 2 * sum(map(len, orders))
    for n in range(len(orders) - 1, 0, -1):
        below = orders[n - 1]
        contexts = np.unique(orders[n].ids[:, :-1], axis=0)
        _, row, counts = np.unique(
            np.concatenate([below.ids, contexts]), axis=0, return_inverse=True, return_counts=True
        )
        lacking = contexts[counts[row.reshape(-1)[len(below) :]] == 1]
        added += len(lacking)
        if added > most:
            raise ModelError(f"{path} lacks the contexts of most of its n-grams; get it again")
        orders[n - 1] = Entries(
            np.concatenate([below.ids, lacking]),
            np.append(below.log_probs, np.full(len(lacking), np.nan, np.float32)),
            np.append(below.backoffs, np.zeros(len(lacking), np.float32)),
            np.append(below.lines, np.zeros(len(lacking), np.int64)),
        )
    return added


def _with_probabilities(below: Sequence[NgramTable], entries: Entries) -> Entries:
    """The entries, with backed-off probabilities for those that were added."""
    new = np.isnan(entries.log_probs)
    if not new.any():
        return entries
    log_probs = entries.log_probs.copy()
    log_probs[new] = _backed_off(below, entries.ids[new])
    return replace(entries, log_probs=log_probs)


def _backed_off(tables: Sequence[NgramTable], ids: IdArray) -> Float32Array:
    """Backed-off log-probability of the last token of n-grams, one order above the highest table."""
    log_probs: Float32Array = tables[0].log_probs[ids[:, -1]]
    for n, table in enumerate(tables, start=1):
        if n > 1:
            rows = _rows(tables[:n], ids[:, -n:])
            found = rows != NO_ROW
            log_probs[found] = table.log_probs[rows[found]]
        log_probs += table.backoffs[_rows(tables[:n], ids[:, -n - 1 : -1])]
    return log_probs
