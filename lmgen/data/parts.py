"""
Write a part of a corpus, `train`, `valid` or `test`: its token ids, and its text if it is held out.

All of it is one stream: a chunk of the text is copied, encoded, counted and written before the next is read.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from lmgen.arrays import IdArray
from lmgen.data.answers import AnswerSizes
from lmgen.data.labels import LabelledBlock, LabelSet
from lmgen.data.prepared import Part
from lmgen.data.run_folder import RECORDS_SUFFIX
from lmgen.data.token_file import id_type, write_tokens
from lmgen.data.unfinished import Unfinished
from lmgen.errors import CorpusError
from lmgen.files import replacing
from lmgen.text.counts import TextCounter, TextCounts
from lmgen.text.sources import Text
from lmgen.text.units import JsonLines
from lmgen.tokenizers.base import EncodedBlock, Tokenizer


def write_part(text: Text, name: str, tokenizer: Tokenizer, begun: Unfinished) -> tuple[Part, list[str]]:
    """
    Write the token ids of one part, from where an earlier preparation was interrupted if there was one.

    Returns:
        Its size, and notes.

    Raises:
        CorpusError: it is empty, or has no answers.
        WriteError: it cannot be written.
    """
    if name in begun.parts:
        return Part(**begun.parts[name]), []
    encoded = begun.encoded(name, tokenizer)
    position = encoded.counter.counts.characters
    sizes = AnswerSizes(tokenizer)

    def counted(blocks: Iterable[EncodedBlock]) -> Generator[IdArray]:
        for block in blocks:
            sizes.add(block)
            if len(block.ids):
                yield block.ids

    ids_path, text_path = begun.run.files_of(name, tokenizer.unit)
    chunks = text.part(position).chunks() if position else text.chunks()
    with (
        _copied_to(chunks, text_path) as passed,
        closing(counted(tokenizer.encode_blocks(passed, encoded))) as blocks,
    ):
        tokens = write_tokens(ids_path, blocks, tokenizer.vocabulary_size, begun.file_of(name, encoded))
    note = sizes.note(name) if tokens else None
    part = _part(name, tokens, encoded.unknown, tokenizer.closed(encoded.counter.counts), sizes.counts)
    begun.finished(name, part.to_json())
    return part, [note] if note else []


def write_labelled_part(
    text: Text, name: str, tokenizer: Tokenizer, labels: LabelSet, begun: Unfinished
) -> tuple[Part, list[str]]:
    """
    Write the token ids of one part and what is to be predicted; its text, if it is held out, has the labels.

    Returns:
        Its size, without labels, and notes.

    Raises:
        CorpusError: it is empty, spells the token that ends texts, or has no label of the training text.
        WriteError: it cannot be written.
    """
    counter = TextCounter()
    unknown = unknown_labels = 0
    targets: list[IdArray] = []

    def counted(blocks: Iterable[LabelledBlock]) -> Iterator[IdArray]:
        nonlocal unknown, unknown_labels
        for block in blocks:
            counter.add(block.text)
            unknown += int(tokenizer.unknown_among(block.text, block.ids).sum())
            unknown_labels += block.unknown_labels
            targets.append(block.targets.astype(id_type(len(labels.names) + 1)))
            yield block.ids

    ids_path, text_path = begun.run.files_of(name, tokenizer.unit)
    with _copied_to(text.chunks(), text_path) as passed:
        tokens = write_tokens(ids_path, counted(labels.encode(passed, tokenizer)), tokenizer.vocabulary_size)
    write_tokens(begun.run.labels_of(name), targets, len(labels.names) + 1)
    part = _part(name, tokens, unknown, counter.counts)
    if not unknown_labels:
        return part, []
    if not any(block.any() for block in targets):
        raise CorpusError(
            f"none of the {unknown_labels:,} labels of the {name} text is one of the training text's, so "
            "nothing of it can be scored; is it the right text?"
        )
    note = (
        f"{unknown_labels:,} labels of the {name} text are none of the training text's; they are left out of "
        "its loss"
    )
    return part, [note]


def _part(
    name: str,
    tokens: int,
    unknown: int,
    counts: TextCounts,
    answers: Mapping[str, int] = MappingProxyType({}),
) -> Part:
    """The size of a part, with that of its answers; raises CorpusError if it is empty."""
    if tokens == 0:
        raise CorpusError(
            f"the {name} part of the corpus is empty; take more text, or other fractions for --valid and "
            "--test"
        )
    return Part.of(tokens, unknown, counts, answers)


@contextmanager
def _copied_to(chunks: Iterable[str], path: Path | None) -> Iterator[Iterable[str]]:
    """Pass chunks through; if there is a path, also write each one to that file."""
    if path is None:
        yield chunks
        return
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        if path.suffix == RECORDS_SUFFIX:
            lines = JsonLines()
            yield (chunk for chunk in chunks if file.write(lines.written(chunk)) or True)
            file.write(lines.finish())
        else:
            yield (chunk for chunk in chunks if file.write(chunk) or True)
