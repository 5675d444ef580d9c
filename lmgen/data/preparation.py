"""
Prepare a corpus for training: split it, build the vocabulary, encode it into token files.

Each step streams over the text, which is never in memory as a whole.

    corpus          its files, so that none changes meanwhile               source_files.py
       │
    texts           train │ valid │ test                                    splitting.py
       │
    vocabulary      of the training text alone: a tokenizer, labels         vocabulary.py
       │
    parts           data/train.npy, valid.npy: token ids; valid.txt and     parts.py
       │            test.txt keep the held-out text, if any
    prepared        sizes and checksums, in data/prepared.json              prepared.py

Where texts have labels, data/train.labels.npy and valid.labels.npy are beside them, and held-out texts keep
their labels, each after a tab. A preparation goes on with what an interrupted one of the same files has left,
and takes over what another run has of them (unfinished.py).
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from lmgen.data.config import HeldOutConfig
from lmgen.data.labels import LabelSet
from lmgen.data.parts import write_labelled_part, write_part
from lmgen.data.prepared import (
    PARTS,
    VERIFIED_BY_BLOCK,
    Part,
    Prepared,
    checksums_of_large,
    files_of_parts,
    load_prepared,
    save_prepared,
)
from lmgen.data.run_folder import RunFolder
from lmgen.data.source_files import SourceFiles
from lmgen.data.splitting import split_corpus
from lmgen.data.unfinished import Unfinished
from lmgen.data.vocabulary import Vocabulary, given_vocabulary, unknown_notes
from lmgen.errors import CorpusError, LmgenError
from lmgen.files import block_checksums
from lmgen.text import progress
from lmgen.text.config import LabelFormat, ReadingConfig
from lmgen.text.corpora import Corpus
from lmgen.text.labels import found_format, labelled, labels_of, unlabelled
from lmgen.text.sources import Text
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.parallel import in_processes
from lmgen.tokenizers.registry import TOKENIZERS, train_tokenizer

VERSION = 1
"""To be increased when a text is split into other tokens than before: earlier ones are not used then."""


def prepare(
    corpus: Corpus,
    held_out: HeldOutConfig,
    config: TokenizerConfig,
    run: RunFolder,
    *,
    reading: ReadingConfig | None = None,
    given: Tokenizer | None = None,
    extend: bool = False,
    labels: LabelFormat | Literal["any"] | None = None,
    needed_tokens: int = 1,
    scored_tokens: int | None = None,
    check_vocabulary: Callable[[int], object] = lambda _: None,
    processes: int | None = None,
    going_on: bool = False,
    others: Iterable[RunFolder] = (),
) -> Prepared:
    """
    Split and encode a corpus into a run's data folder.

    `prepared.json` is written last, so that its presence means the folder is complete. A long text is encoded
    in several processes, to the same ids.

    Args:
        corpus: text to train on, with its own validation and test text if it has them.
        held_out: settings for the validation and test text.
        config: settings of the tokenizer.
        run: run folder without data files.
        reading: how texts are read; None: as documents, as they are.
        given: existing tokenizer of the kind named in `config`; None: train one.
        extend: add the tokens that `given` lacks, if they occur at least `config.min_count` times.
        labels: how the texts are labelled, `any`: as their beginning tells; None: they have no labels.
        needed_tokens: minimum length of the training text, in tokens.
        scored_tokens: number of leading validation tokens to score in evaluations; None: all.
        check_vocabulary: called with V; raises an error if no network can be built for it.
        processes: how many encode a long text; None: one for each processor.
        going_on: go on with what an interrupted preparation of the same files has left in the folder, and
            leave something to go on with (unfinished.py).
        others: runs whose token files are taken over (as hard links) if they come from the same large files,
            unchanged since, by the same settings.

    Raises:
        ConfigError: the given vocabulary cannot be extended.
        CorpusError: a part of the corpus is empty or too short, or cannot be read, or a file changes
            meanwhile.
        WriteError: the folder cannot be written to.
    """
    source = SourceFiles.of(corpus, held_out, config)
    answers = reading is not None and reading.answers_after is not None
    comes_from = None
    if going_on and given is None and labels is None and not answers:
        comes_from = _comes_from(source, corpus, held_out, config, reading)
    begun = Unfinished.begun(run, comes_from)
    taken = _taken_over(begun, others) if source.size >= VERIFIED_BY_BLOCK else None
    with in_processes(processes), source.unchanged():
        read = label_of = None
        if labels is not None:
            form = None if labels == "any" else labels
            label_of = labels_of(form or found_format(corpus.train))
            read = partial(labelled, form=form, of=label_of)
        texts: Mapping[str, Text] = {}
        if taken is None:
            kind = TOKENIZERS[config.tokenizer]
            with progress.reading("measuring the text", source.paths):
                texts = split_corpus(
                    corpus,
                    held_out,
                    reading,
                    at_line_ends=kind.reads_lines,
                    errors=kind.reading_errors,
                    labelled=read,
                )
        with progress.reading("choosing tokens", source.paths):
            label_set = None
            if label_of is not None:
                label_set = LabelSet.of_text(texts["train"].chunks(), label_of, corpus.name)
            if given is None:
                vocabulary = _new_vocabulary(texts, config, reading, label_set, begun)
            else:
                vocabulary = given_vocabulary(given, texts["train"], config, label_set, extend=extend)
        check_vocabulary(vocabulary.tokenizer.vocabulary_size)
        if taken is None:
            parts, notes = _write_parts(texts, vocabulary, begun, source)
        else:
            parts, notes = {name: Part(**sizes) for name, sizes in begun.parts.items()}, []
    notes += unknown_notes(vocabulary, {name: part.unknown_tokens for name, part in parts.items()})
    _check_length(parts["train"].tokens, needed_tokens)
    with_labels = vocabulary.labels is not None
    files = files_of_parts(run, parts, vocabulary.tokenizer.unit, with_labels=with_labels)
    prepared = Prepared.of(
        parts,
        corpus=corpus.name,
        tokenizer=vocabulary.tokenizer,
        notes=(*corpus.notes, *vocabulary.notes, *notes),
        labels=vocabulary.labels,
        block_checksums=checksums_of_large(files) if taken is None else taken,
    )
    with_scored = prepared.with_scored(run, scored_tokens)
    if nothing_scored := with_scored.nothing_scored(run, scored_tokens):
        raise CorpusError(f"{nothing_scored}; give more --evaluation-tokens, or --valid another text")
    save_prepared(run, prepared, parts, comes_from and {**comes_from, "notes": begun.notes})
    return with_scored


def _comes_from(
    source: SourceFiles,
    corpus: Corpus,
    held_out: HeldOutConfig,
    config: TokenizerConfig,
    reading: ReadingConfig | None,
) -> dict[str, Any] | None:
    """All that token files depend on, as JSON values; None if that is not files alone."""
    if source.paths is None:
        return None
    return {
        "version": [VERSION, unicodedata.unidata_version],
        "files": source.stamps,
        "split": dict(corpus.split),
        "held_out": asdict(held_out),
        "tokenizer": asdict(config),
        "reading": asdict(reading or ReadingConfig()),
    }


def _taken_over(begun: Unfinished, others: Iterable[RunFolder]) -> Mapping[str, Sequence[int]] | None:
    """
    Take the token files of a run that come from the same files by the same settings, if there is one.

    Returns:
        The checksums of the blocks of large files (`Prepared.block_checksums`); None if there is no such run.
    """
    if begun.parts or begun.under_way:
        return None  # this goes on
    for other in others:
        try:
            saved = json.loads(other.prepared.read_text(encoding="utf-8"))
            notes = [str(note) for note in saved["comes_from"].pop("notes")]
            if not begun.is_of(saved["comes_from"]):
                continue
            prepared = load_prepared(other)
            if not _all_match(other, prepared):
                continue
            begun.take_over(files_of_parts(other, saved["parts"], prepared.tokenizer.unit, with_labels=False))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, LmgenError):
            continue  # such files are as good as none
        begun.tokenizer, begun.notes, begun.parts = saved["tokenizer"], notes, saved["parts"]
        return prepared.block_checksums
    return None


def _all_match(run: RunFolder, prepared: Prepared) -> bool:
    """Whether all blocks of a run's large files are as they were."""
    expected = prepared.block_checksums.items()
    return all(block_checksums(run.data / name) == checksums for name, checksums in expected)


def _new_vocabulary(
    texts: Mapping[str, Text],
    config: TokenizerConfig,
    reading: ReadingConfig | None,
    labels: LabelSet | None,
    begun: Unfinished,
) -> Vocabulary:
    """That of a tokenizer trained on the training text, now or before the preparation was interrupted."""

    def learnt() -> Iterator[str]:
        chunks = texts["train"].chunks()
        return chunks if labels is None else unlabelled(chunks)

    tokenizer = begun.tokenizer_or(lambda: train_tokenizer(learnt, config, reading))
    is_of_text = labels is None and config.tokenizer_file is None
    return Vocabulary(
        tokenizer=tokenizer, labels=labels, notes=begun.notes, counted=PARTS if is_of_text else ()
    )


def _write_parts(
    texts: Mapping[str, Text], vocabulary: Vocabulary, begun: Unfinished, source: SourceFiles
) -> tuple[dict[str, Part], list[str]]:
    """Write the token files of all parts; their sizes by name, and notes."""
    tokenizer, labels = vocabulary.tokenizer, vocabulary.labels
    parts, notes = {}, []
    for name, text in texts.items():
        with progress.reading(f"tokenizing the {name} text", source.paths):
            if labels is None:
                parts[name], said = write_part(text, name, tokenizer, begun)
            else:
                parts[name], said = write_labelled_part(text, name, tokenizer, labels, begun)
            notes += said
    return parts, notes


def _check_length(tokens: int, needed: int) -> None:
    """Raise CorpusError if the training text is shorter than one window."""
    if tokens < needed:
        raise CorpusError(
            f"the training text has {tokens} tokens, but one window needs at least {needed}: take more text, "
            "or a smaller --batch-size or --window-length"
        )
