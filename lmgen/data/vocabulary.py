"""The vocabulary of a run: a new tokenizer, or one that there is, and what is to be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmgen.data.labels import LabelSet
from lmgen.text.sources import Text
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig

EXAMPLES = 8
"""Maximum number of tokens that a note lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What the texts of a run consist of: tokens, and labels if those are to be predicted."""

    tokenizer: Tokenizer
    labels: LabelSet | None = None
    notes: Sequence[str] = ()
    """On the training of the tokenizer, or on what an existing one lacks."""
    counted: Sequence[str] = ()
    """The parts whose unknown tokens need no note of their own."""


def given_vocabulary(
    given: Tokenizer, text: Text, config: TokenizerConfig, labels: LabelSet | None, *, extend: bool
) -> Vocabulary:
    """
    The vocabulary of an existing tokenizer.

    Args:
        given: the tokenizer.
        text: the training text.
        config: settings of the tokenizer.
        labels: those of the text.
        extend: add the tokens that it lacks, if they occur at least `config.min_count` times.

    Raises:
        ConfigError: it cannot be extended.
    """
    missing = given.missing(text.chunks)
    tokenizer = given
    if extend:
        tokenizer = given.extended([token for token, count in missing.items() if count >= config.min_count])
    return Vocabulary(
        tokenizer=tokenizer,
        labels=labels,
        notes=_notes_on_missing(given, tokenizer, missing),
        counted=("train",) if missing else (),
    )


def unknown_notes(vocabulary: Vocabulary, unknown_tokens: Mapping[str, int]) -> list[str]:
    """Notes on the unknown tokens of each part, by its name."""
    return [
        f"{count:,} tokens of the {name} text are unknown to the vocabulary"
        for name, count in unknown_tokens.items()
        if count and name not in vocabulary.counted
    ]


def _notes_on_missing(given: Tokenizer, used: Tokenizer, missing: Mapping[str, int]) -> list[str]:
    """Notes on tokens that were added to the vocabulary, and on those still unknown."""
    if not missing:
        return []
    new = used.vocabulary_size - given.vocabulary_size
    notes = []
    if new:
        first = given.vocabulary_size
        added = {used.piece(token): missing[used.piece(token)] for token in range(first, first + new)}
        notes.append(f"{new:,} new tokens have ids from {first:,} on: {_examples(added)}")
        missing = {token: count for token, count in missing.items() if token not in added}
    if missing:
        notes.append(
            f"{sum(missing.values()):,} tokens of the training text are unknown to the vocabulary, "
            f"{len(missing):,} different ones: {_examples(missing)}"
            + ("" if new else "; --extend-vocabulary gives them ids")
        )
    return notes


def _examples(counts: Mapping[str, int]) -> str:
    """List the most frequent tokens with their counts: `'é' 12, 'ü' 3, ...`."""
    frequent = sorted(counts, key=lambda token: -counts[token])
    shown = [f"{token[:60]!r} {counts[token]:,}" for token in frequent[:EXAMPLES]]
    return ", ".join(shown) + (", ..." if len(frequent) > EXAMPLES else "")
