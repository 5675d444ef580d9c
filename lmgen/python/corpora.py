"""List, read, download and make corpora."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lmgen.calls import in_python_words
from lmgen.data import made_corpora, named_corpora
from lmgen.data.made_corpora import MadeCorpus, TaskDescription
from lmgen.data.named_corpora import corpus_text
from lmgen.text.corpora import Listing, listed_corpora


def list_corpora() -> list[Listing]:
    """List all named corpora, each with its location, length, split and licence."""
    return listed_corpora()


def read_corpus(
    name: str | Path,
    *,
    split: Literal["train", "valid", "test"] | None = None,
    field: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[str]:
    """
    Read the text of a corpus in chunks: `"".join(lmgen.read_corpus("unicode-names"))`.

    Args:
        name: corpus name, file or folder.
        split: read only this part, split as `train` does by default; None: the whole corpus.
        field: the field that holds the text in CSV, TSV, JSON and JSON Lines.
        encoding: the character encoding of a file or folder.

    Raises:
        ConfigError: there is no such encoding.
        CorpusError: there is no such corpus, or it has no such split.
    """
    return corpus_text(str(name), split, field=field, encoding=encoding)


def get_corpus(name: str) -> list[Path]:
    """
    Find or download the files of a corpus; returns their paths, none for a built-in corpus.

    Raises:
        CorpusError: there is no such corpus, a file cannot be downloaded, or a checksum does not match.
    """
    return named_corpora.get_corpus(name)


def make_corpus(
    name: str,
    out: str | Path,
    *,
    characters: int | None = None,
    count: int | None = None,
    seed: int = 0,
    test: str | Path | None = None,
    test_count: int | None = None,
    overwrite: bool = False,
    **parameters: Any,
) -> MadeCorpus:
    """
    Write a task, an instance a line, or a synthetic text to a file; the result has the best possible score.

    `lmgen.make_corpus("addition", "add.txt", digits=3, reverse=True, test="test.txt")`

    Args:
        name: name of the corpus, `addition` or `synthetic-markov` for one.
        out: path of the file.
        characters: length of a synthetic text (default: 1,000,000).
        count: instances of a task; its default differs from task to task.
        seed: the same one gives the same text.
        test: a second file, for instances of the task that are distinct and not in the first.
        test_count: how many; None: a tenth of `count`, or as many as there are.
        overwrite: replace existing files.
        parameters: those of the task (`describe_task`).

    Raises:
        ConfigError: a parameter is unknown or invalid, or does not go with the corpus.
        CorpusError: the corpus is not one that can be made, or there are too few instances for `test`.
        ModelError: a file exists.
        WriteError: a file cannot be written.
    """
    with in_python_words():
        return made_corpora.make_corpus(
            name,
            out,
            characters=characters,
            count=count,
            seed=seed,
            test=test,
            test_count=test_count,
            overwrite=overwrite,
            **parameters,
        )


def describe_task(name: str) -> TaskDescription:
    """
    Describe a task: its parameters, the mark between question and answer, its source and its best score.

    Raises:
        CorpusError: there is no such task.
    """
    return made_corpora.describe_task(name)
