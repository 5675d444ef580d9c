r"""
Labelled texts: each line with a label, or each word with one.

    line       a text, a tab and its label: `a fine film\tpositive`
    word       words with their labels: `the/DET dog/NOUN barks/VERB`
    columns    a line a word, which is its first column and the label its last, and a blank line after each
               sentence, as in CoNLL's shared tasks; of CoNLL-U the second and the fourth column
    rows       words, a tab and as many labels: `the dog barks\tDET NOUN VERB`

Whatever a file has, it is read as a stream of lines: a text, a tab, and its label or those of its words.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from lmgen.errors import CorpusError
from lmgen.text.config import LabelFormat, LabelOf
from lmgen.text.sources import Text

LOOKED_AT = 1000
"""How many lines of a file tell how it is labelled."""

_CONLL_U = re.compile(r"\d+(?:[.-]\d+)?\t(?:[^\t]*\t){8}[^\t]*")
"""A line of CoNLL-U: the number of a word and nine more columns."""

_WORD_AND_LABEL = re.compile(r"\S+/[^\s/]+")


def labels_of(form: LabelFormat) -> LabelOf:
    """What has a label in a file of some format."""
    return "line" if form == "line" else "word"


def labelled(text: Text, form: LabelFormat | None, of: LabelOf | None = None) -> Text:
    r"""
    A labelled text as a stream of lines, `text\tlabel\n`, or `words\tlabels\n` where each word has one.

    Args:
        text: in one of the formats.
        form: which; None: it is told from its beginning.
        of: what has to have labels; None: either.

    Raises:
        CorpusError: the text is in none of the formats, or labels something else; while it is read, a line is
            not in the format.
    """
    chosen = form or found_format(text)
    if of not in (None, labels_of(chosen)):
        what = {"line": "each line has one", "word": "each word has one"}
        raise CorpusError(
            f"{text.name} has other labels than the training text: in it {what[labels_of(chosen)]}, there "
            f"{what['word' if of == 'word' else 'line']}; give a text labelled alike"
        )
    read = _READERS[chosen]
    return replace(
        text,
        chunks=lambda: (f"{line}\t{labels}\n" for line, labels in read(_numbered(text), text.name)),
        records=None,
    )


def looks_labelled(lines: Sequence[str], known: Collection[str]) -> bool:
    """
    Whether some lines plainly have labels, of which at least half are known ones.

    Args:
        lines: from the beginning of a text, without their ends.
        known: the labels of a model.
    """
    text = Text("", lambda: (f"{line}\n" for line in lines[:LOOKED_AT]))
    try:
        form = found_format(text)
        found = [labels for _, labels in _READERS[form](_numbered(text), "")]
    except CorpusError:
        return False
    every = [label for labels in found for label in ([labels] if form == "line" else labels.split())]
    return 2 * sum(label in known for label in every) >= len(every) > 0


def instances(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Text and label, or words and labels, of each line of a stream that `labelled` gave in any chunks."""
    for line in lines_of(lines):
        text, _, labels = line.rpartition("\t")
        yield text, labels


def unlabelled(chunks: Iterable[str]) -> Iterator[str]:
    """The texts alone of a stream that `labelled` gave, a line each."""
    return (f"{text}\n" for text, _ in instances(chunks))


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    r"""The lines of a text that comes in chunks, without their ends, `\n` or `\r\n`."""
    return chain.from_iterable(line_groups(chunks))


def line_groups(chunks: Iterable[str]) -> Iterator[list[str]]:
    """The lines that each chunk of a text completes, as `lines_of`, and last one without its end, if any."""
    rest: list[str] = []
    for chunk in chunks:
        first, *lines = chunk.split("\n")
        rest.append(first)
        if lines:
            yield [line.removesuffix("\r") for line in ("".join(rest), *lines[:-1])]
            rest = lines[-1:]
    if last := "".join(rest):
        yield [last.removesuffix("\r")]


def found_format(text: Text) -> LabelFormat:
    """
    How a text is labelled, by its beginning.

    Raises:
        CorpusError: it is in none of the formats.
    """
    numbered = list(islice(_numbered(text), LOOKED_AT))
    while numbered and not numbered[-1][1].strip():
        numbered.pop()
    lines = [line for _, line in numbered if line.strip()]
    has_gaps = len(lines) < len(numbered)
    columns = {len(line.split()) for line in lines}
    if any(_CONLL_U.fullmatch(line) for line in lines):
        return "columns"
    if lines and all("\t" in line for line in lines):
        texts, labels = zip(*(_parted(line) for line in lines), strict=True)
        words = [len(each.split()) for each in texts]
        if all(line.count("\t") == len(line.split()) - 1 for line in lines) and (
            has_gaps or max(columns) > 2
        ):
            return "columns"
        alike = words == [len(each.split()) for each in labels]
        return "rows" if alike and max(words) > 1 else "line"
    if lines and all(_WORD_AND_LABEL.fullmatch(word) for word in lines[0].split()):
        return "word"
    if has_gaps and min(columns) >= 2 and len(columns) == 1:
        return "columns"
    place = next((number for number, line in numbered if line.strip() and "\t" not in line), 1)
    raise CorpusError(
        f"{text.name}, line {place}: no labels are found; give lines of a text, a tab and a label, or words "
        "as word/LABEL, or a word and its label a line (--labels-as says which it is)"
    )


def _numbered(text: Text) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers."""
    return enumerate(lines_of(text.chunks()), start=1)


def _parted(line: str) -> tuple[str, str]:
    text, _, label = line.rpartition("\t")
    return text.strip(), label.strip()


Lines = Iterable[tuple[int, str]]


def _lines(lines: Lines, name: str) -> Iterator[tuple[str, str]]:
    for number, line in lines:
        if not line.strip():
            continue
        text, label = _parted(line)
        if "\t" not in line:
            raise _wrong(name, number, "has no tab", "put one between the text and its label")
        if not (text and label):
            lacking = "label" if text else "text"
            raise _wrong(name, number, f"has no {lacking}", f"put a {lacking} on either side of its last tab")
        yield text, label


def _rows(lines: Lines, name: str) -> Iterator[tuple[str, str]]:
    for number, line in lines:
        for text, label in _lines([(number, line)], name):
            words, labels = text.split(), label.split()
            if len(words) != len(labels):
                raise _wrong(
                    name,
                    number,
                    f"has {len(words)} words and {len(labels)} labels",
                    "give each word one label, in the same order, after the tab",
                )
            yield " ".join(words), " ".join(labels)


def _words(lines: Lines, name: str) -> Iterator[tuple[str, str]]:
    for number, line in lines:
        words = line.split()
        for word in words:
            if not _WORD_AND_LABEL.fullmatch(word):
                raise _wrong(
                    name,
                    number,
                    f"has {word[:60]!r}",
                    "write each word with a slash and its label: word/LABEL",
                )
        if words:
            parts = [word.rpartition("/") for word in words]
            yield " ".join(part[0] for part in parts), " ".join(part[2] for part in parts)


def _columns(lines: Lines, name: str) -> Iterator[tuple[str, str]]:
    words: list[str] = []
    labels: list[str] = []
    width = 0
    for number, line in chain(lines, [(0, "")]):
        if not line.strip():
            if words:
                yield " ".join(words), " ".join(labels)
            words, labels = [], []
            continue
        universal = _CONLL_U.fullmatch(line)
        if line.startswith("#") and universal is None and len(line.split()) != width:
            continue  # a comment
        columns = line.split("\t") if "\t" in line else line.split()
        if universal:
            if not columns[0].isdecimal():  # a word in two parts, or one that is not written
                continue
            columns = ["_".join(columns[1].split()), columns[3]]
        columns = [column.strip() for column in columns]
        width = width or len(columns)
        if len(columns) != width or width < 2:
            raise _wrong(
                name,
                number,
                f"has {len(columns)} columns, the lines before {width}",
                "give each word the same columns, the label last, and put a blank line after a sentence",
            )
        if not columns[0] or not columns[-1] or len((columns[0] + columns[-1]).split()) > 1:
            raise _wrong(name, number, "lacks a word or its label", "give both, without blanks in them")
        words.append(columns[0])
        labels.append(columns[-1])


def _wrong(name: str, number: int, what: str, advice: str) -> CorpusError:
    return CorpusError(f"{name}, line {number:,}: it {what}; {advice}")


_READERS: dict[LabelFormat, Callable[[Lines, str], Iterator[tuple[str, str]]]] = {
    "line": _lines,
    "word": _words,
    "columns": _columns,
    "rows": _rows,
}
