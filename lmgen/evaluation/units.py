"""
A text cut into the units that are read afresh, encoded, and scored from the start of each.

What one unit is (text/units.py) is the caller's choice: a model of whole documents can score each line alone,
and a model over records each line as a record. A unit is closed by the model's own end, if it predicts one:

    model of        unit      what it reads
    documents       line      "the cat\\n"
    documents       record    "the cat\\nsat\\n"                    with one line end
    lines           line      "the cat" </s>
    lines           record    "the cat" </s> "sat" </s>
    records         line      "the cat" </s>
    records         record    "the cat\\nsat" </s>

Memory does not grow with the text, nor with a unit: a long unit comes in several parts.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, pairwise

import numpy as np

from lmgen.arrays import BoolArray, IdArray
from lmgen.data.answers import AnswerMarker, Answers
from lmgen.evaluation.scoring import WORTH_THREADS, measure_each, score_ids
from lmgen.evaluation.side_by_side import BLOCK_TOKENS, Measure, ScoredBlock, joined
from lmgen.models.base import LanguageModel, in_threads
from lmgen.processors import on_all_processors
from lmgen.text.chunks import line_blocks
from lmgen.text.units import UNIT_END, Unit
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.pieces import escape

FIRST_UNITS, MOST_UNITS = 64, 1024
"""Units scored together: 64 at first, then twice as many each time, up to 1,024."""

MOST_SPELLINGS = 1 << 16
"""Different unknown tokens that are counted; those that first occur later are left out of the list."""

LONGEST_SPELLING = 30
"""Characters of an unknown token that are shown."""

NAMED = 5
"""Unknown tokens that a note names."""

NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some whole units of a text; or a part of one unit, whose last part is empty and only ends it."""

    text: str
    """
    Its text, with `\\n` after each line and UNIT_END after each record.

    An end that only the model adds is a part with a text of its own, of one character.
    """
    ids: IdArray
    """Its N tokens."""
    unknown: BoolArray
    """Which of them are not in the vocabulary, (N,)."""
    position: int
    """Where it begins in the whole text, in characters."""
    unit_ends: IdArray
    """For each unit that ends here, its tokens and those of all units before it in this part, (U,)."""
    text_ends: IdArray
    """The same in characters, (U,)."""
    whole: bool
    """Whether all its units begin and end here."""
    offsets: IdArray | None = None
    """Where each token begins in `text`, (N,), if that was asked for."""
    marked: BoolArray | None = None
    """Which tokens to measure, (N,); None: all."""
    scored: "ScoredPart | None" = None
    """What of it is scored; None: all."""
    places: IdArray | None = None
    """Of the answers of a part: where each token begins in the whole text, (N,), if that was asked for."""
    numbers: IdArray | None = None
    """Of the answers of a part: the number of each token in the whole text, from 0, (N,)."""

    def answers(self) -> "Part":
        """What of it is scored, as a part without the rest; offsets and ends are those in its own text."""
        if self.scored is None:
            return self
        tokens, characters = self.scored.tokens, self.scored.characters
        tokens_before = np.append(0, np.cumsum(tokens))
        before = np.append(0, np.cumsum(characters))
        offsets = None if self.offsets is None else self.offsets[tokens]
        return Part(
            "".join(compress(self.text, characters.tolist())),
            self.ids[tokens],
            self.unknown[tokens],
            self.position,
            tokens_before[self.unit_ends],
            before[self.text_ends],
            self.whole,
            offsets=None if offsets is None else before[offsets],
            places=None if offsets is None else offsets + self.position,
            numbers=self.scored.first + np.flatnonzero(tokens),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPart:
    """What of a part is scored: its answers, where only they are."""

    tokens: BoolArray
    """Which tokens, (N,)."""
    characters: BoolArray
    """Which characters of its text."""
    first: int
    """The number of its first token in the whole text."""

    def between(self, tokens: slice, characters: slice) -> "ScoredPart":
        """What is scored of a smaller part."""
        return ScoredPart(self.tokens[tokens], self.characters[characters], self.first + (tokens.start or 0))


class UnknownTokens:
    """Counts the tokens of a text that are not in the vocabulary, and remembers how they are spelled."""

    def __init__(self) -> None:
        self.tokens = self.unknown = 0
        self._spellings: Counter[str] = Counter()

    def add(self, tokenizer: Tokenizer, text: str, part: Part) -> None:
        """Count those of a part; `text` is what the tokenizer read."""
        self.tokens += len(part.ids)
        if not part.unknown.any():
            return
        offsets = tokenizer.encode_with_offsets(text)[1] if part.offsets is None else part.offsets
        ends = np.append(offsets[1:], len(text))
        places = np.flatnonzero(part.unknown)
        self.unknown += len(places)
        spans = zip(offsets[places].tolist(), ends[places].tolist(), strict=True)
        counts = Counter(_spelling(text[begin:end]) for begin, end in spans)
        for spelling, count in counts.items():
            if spelling in self._spellings or len(self._spellings) < MOST_SPELLINGS:
                self._spellings[spelling] += count

    def note(self, name: str) -> str | None:
        """What to say about the unknown tokens of a text; None if there are none."""
        if not self.unknown:
            return None
        counts = f"{self.unknown:,} of {self.tokens:,} tokens"
        return f"{name}: {counts} are unknown to the vocabulary: {self.named()}"

    def named(self) -> str:
        """The most frequent ones with their counts: `?` (12), `zebra` (3), 41 others."""
        frequent = sorted(self._spellings.items(), key=lambda each: (-each[1], each[0]))
        named = [f"`{escape(spelling)}` ({count:,})" for spelling, count in frequent[:NAMED]]
        others = len(frequent) - len(named)
        if others:
            more = " or more" if len(frequent) == MOST_SPELLINGS else ""
            named.append(f"{others:,}{more} others" if others > 1 else f"`{escape(frequent[-1][0])}`")
        return ", ".join(named)


def _spelling(text: str) -> str:
    """What is shown of an unknown token; the white space after a word is not part of it."""
    text = text.rstrip() or text
    return text if len(text) <= LONGEST_SPELLING else text[:LONGEST_SPELLING] + "…"


class UnitReader:
    """Cuts a text into units and encodes them."""

    def __init__(
        self, tokenizer: Tokenizer, unit: Unit, unknown: UnknownTokens, *, offsets: bool = False
    ) -> None:
        """
        Args:
            tokenizer: encodes the units.
            unit: what is read afresh. Records are those of a stream with UNIT_END after each (text/units.py).
            unknown: counts the unknown tokens.
            offsets: find out where each token begins. Then no part of a unit has more than a few thousand
                tokens.
        """
        self._tokenizer = tokenizer
        self._unit = unit
        self._unknown = unknown
        self._offsets = offsets
        self._position = 0
        self._mark = UNIT_END if unit == "record" else "\n"
        answers = Answers.of(tokenizer)
        self._answers = None if answers is None else AnswerMarker(answers)
        self._tokens = 0

    def parts(self, chunks: Iterable[str]) -> Iterator[Part]:
        """
        Encode a text that comes in chunks cut anywhere.

        All units that a chunk completes are encoded together, so that units that arrive slowly can be scored
        as they arrive, and many side by side if they come fast.
        """
        if self._unit == "document":
            yield from self._pieces(chunks)
            return
        blocks = line_blocks(chunks)
        most = FIRST_UNITS
        for block in blocks:
            rest = block
            while rest:
                units, rest = _complete_units(rest, self._mark)
                while units:
                    yield self._whole(units[:most])
                    units, most = units[most:], min(2 * most, MOST_UNITS)
                if rest:
                    after: list[str] = []
                    yield from self._pieces(_up_to_end(rest, blocks, after, self._mark))
                    rest = "".join(after)

    def _whole(self, units: Sequence[str]) -> Part:
        """Some complete units as one part."""
        raw = "".join(units)
        text = self._as_read(raw)
        text_ends = np.cumsum([len(unit) for unit in units])
        if self._offsets:
            ids, offsets = self._tokenizer.encode_with_offsets(text)
            return self._part(raw, text, ids, offsets, np.searchsorted(offsets, text_ends), text_ends)
        if (end := self._end_id) is not None:
            ids = self._tokenizer.encode(text)
            unit_ends = np.flatnonzero(ids == end) + 1
            if len(unit_ends) == len(units):
                return self._part(raw, text, ids, None, unit_ends, text_ends)
        each = [self._tokenizer.encode(self._as_read(unit)) for unit in units]
        unit_ends = np.cumsum([len(ids) for ids in each])
        return self._part(raw, text, np.concatenate(each), None, unit_ends, text_ends)

    def _pieces(self, pieces: Iterable[str]) -> Iterator[Part]:
        """A unit that comes in pieces: a very long one, one without its end, or the whole document."""
        waiting = _Waiting()
        for block in self._tokenizer.encode_blocks(map(self._as_read, waiting.passing(pieces))):
            raw = self._added_end if block.closes else waiting.take(len(block.text))
            offsets: IdArray | None = None
            if block.closes:
                offsets = np.zeros(len(block.ids), np.int64)
            elif self._offsets:
                offsets = self._tokenizer.encode_with_offsets(block.text)[1]
            part = self._part(raw, block.text, block.ids, offsets, NOTHING, NOTHING)
            yield from [part] if offsets is None else _small_parts(part, offsets)
        nothing, end = np.zeros(0, np.bool_), np.zeros(1, np.int64)
        yield Part("", NOTHING, nothing, self._position, end, end, whole=False, offsets=NOTHING)

    def _part(
        self,
        raw: str,
        text: str,
        ids: IdArray,
        offsets: IdArray | None,
        unit_ends: IdArray,
        text_ends: IdArray,
    ) -> Part:
        unknown = np.zeros(len(ids), np.bool_)
        if text and self._tokenizer.unknown is not None and (ids == self._tokenizer.unknown).any():
            unknown = self._tokenizer.unknown_among(text, ids)
        position, self._position = self._position, self._position + len(raw)
        part = Part(
            raw,
            ids,
            unknown,
            position,
            unit_ends,
            text_ends,
            len(unit_ends) > 0,
            offsets,
            scored=self._scored(text, ids),
        )
        self._unknown.add(self._tokenizer, text, part)
        return part

    def _scored(self, text: str, ids: IdArray) -> ScoredPart | None:
        """What is scored of a part, whose text has whole units; without a text, of an end that is added."""
        if self._answers is None:
            return None
        first, self._tokens = self._tokens, self._tokens + len(ids)
        tokens = self._answers.among(ids)
        return ScoredPart(tokens, self._tokenizer.answer_characters(text) if text else tokens, first)

    def _as_read(self, text: str) -> str:
        return with_known_ends(text, self._unit, self._tokenizer)

    @property
    def _end_id(self) -> int | None:
        """The id that ends each complete unit and occurs nowhere else; None if there is none."""
        if self._unit == "line":
            return self._tokenizer.line_end if self._tokenizer.end is None else self._tokenizer.end
        return self._tokenizer.end if self._tokenizer.unit == self._unit else None

    @property
    def _added_end(self) -> str:
        """The character that stands for an end which the text lacks."""
        return UNIT_END if self._unit != "line" and self._tokenizer.unit == "record" else "\n"


def with_known_ends(text: str, unit: Unit, tokenizer: Tokenizer) -> str:
    r"""
    A text of units with the ends that a tokenizer knows.

    "a\nb\n" in lines is "a\ud800b\ud800" to a tokenizer of records, and the reverse to any other.
    """
    if tokenizer.unit == "record":
        return text.replace("\n", UNIT_END) if unit == "line" else text
    return text.replace(UNIT_END, "\n") if unit == "record" else text


def score_parts(
    model: LanguageModel,
    parts: Iterable[Part],
    *,
    exact: bool = False,
    at_once: bool = False,
    measure: Measure | None = None,
) -> Iterator[ScoredBlock]:
    """
    Score units, each from the start of a text.

    Args:
        model: any language model.
        parts: what `UnitReader` gives; whole units are scored many side by side.
        exact: read a long unit as one stream, and score it as it arrives (scoring.py).
        at_once: give the scores of each part before the next one is read, for a text that arrives slowly.
            Then all processors work on the units of one part, otherwise on several parts.
        measure: what to work out from all V probabilities of the tokens that are marked; of a unit that comes
            in parts, of all tokens.

    Yields:
        The scores of each part, in order.
    """

    def score(part: Part) -> ScoredBlock:
        spans = [slice(*span) for span in pairwise([0, *part.unit_ends.tolist()])]
        marked = None if part.marked is None else [part.marked[span] for span in spans]
        units = [part.ids[span] for span in spans]
        return joined(measure_each(model, units, exact=exact, measure=measure, marked=marked))

    together = in_threads(model) and not at_once
    source = iter(parts)
    other: list[Part] = []
    tokens = 0
    while True:
        whole = _whole_ones(source, other)
        for part in whole:
            yield score(part)
            tokens += len(part.ids)
            if together and tokens >= WORTH_THREADS:
                break
        yield from on_all_processors(score, whole)
        if not other:
            return
        one_unit = chain([other.pop()], source)
        yield from _score_one_unit(model, one_unit, exact=exact, at_once=at_once, measure=measure)


def _whole_ones(parts: Iterator[Part], other: list[Part]) -> Iterator[Part]:
    """The parts up to the first that is not of whole units, which goes to `other`."""
    for part in parts:
        if not part.whole:
            other.append(part)
            return
        yield part


def _score_one_unit(
    model: LanguageModel, parts: Iterator[Part], *, exact: bool, at_once: bool, measure: Measure | None
) -> Iterator[ScoredBlock]:
    """The scores of each part of one unit; nothing is read of what follows it."""
    sizes: deque[int] = deque()

    def blocks() -> Iterator[IdArray]:
        for part in parts:
            sizes.append(len(part.ids))
            if len(part.ids):
                yield part.ids
            if len(part.unit_ends):
                return

    scored = _Scored()
    for block in score_ids(model, blocks(), exact=exact, at_once=at_once, measure=measure):
        scored.add(block)
        while sizes and sizes[0] <= scored.tokens:
            yield scored.take(sizes.popleft())
    while sizes:
        yield scored.take(sizes.popleft())


class _Scored:
    """Blocks of scores, to be cut into others."""

    def __init__(self) -> None:
        self._blocks: deque[ScoredBlock] = deque()
        self.tokens = 0

    def add(self, block: ScoredBlock) -> None:
        self._blocks.append(block)
        self.tokens += len(block.ids)

    def take(self, count: int) -> ScoredBlock:
        """The scores of the next `count` tokens."""
        self.tokens -= count
        taken = []
        while count:
            block = self._blocks.popleft()
            if len(block.ids) > count:
                self._blocks.appendleft(block.part(count, len(block.ids)))
                block = block.part(0, count)
            taken.append(block)
            count -= len(block.ids)
        return joined(taken) if taken else ScoredBlock(NOTHING, np.zeros(0))


class _Waiting:
    """A text that is passed on, and held until it is taken."""

    def __init__(self) -> None:
        self._held = ""

    def passing(self, chunks: Iterable[str]) -> Iterator[str]:
        for chunk in chunks:
            self._held += chunk
            yield chunk

    def take(self, characters: int) -> str:
        taken, self._held = self._held[:characters], self._held[characters:]
        return taken


def _small_parts(part: Part, offsets: IdArray) -> Iterator[Part]:
    """
    A part with offsets in parts of about BLOCK_TOKENS tokens.

    The bytes of a character stay together; and a blank and the word after it, unless all tokens are words.
    """
    if not len(part.ids):
        yield part
    first = 0
    while first < len(part.ids):
        end = first + BLOCK_TOKENS
        while end < len(part.ids) and (
            offsets[end] == offsets[end - 1]
            or (end < first + 2 * BLOCK_TOKENS and part.text[offsets[end] - 1].isspace())
        ):
            end += 1
        begin = int(offsets[first]) if first else 0
        text = part.text[begin : int(offsets[end]) if end < len(part.ids) else None]
        yield replace(
            part,
            text=text,
            ids=part.ids[first:end],
            unknown=part.unknown[first:end],
            position=part.position + begin,
            offsets=offsets[first:end] - begin,
            scored=part.scored and part.scored.between(slice(first, end), slice(begin, begin + len(text))),
        )
        first = end


def _complete_units(block: str, mark: str) -> tuple[list[str], str]:
    r"""The units of a block with their ends, and its open last one: `"a\nb"` -> `["a\n"], "b"`."""
    *units, open_unit = block.split(mark)
    return [unit + mark for unit in units], open_unit


def _up_to_end(beginning: str, blocks: Iterator[str], after: list[str], mark: str) -> Iterator[str]:
    """A unit that has begun, to its end in one of the next blocks; what follows there goes to `after`."""
    yield beginning
    for block in blocks:
        text, end, rest = block.partition(mark)
        yield text + end
        if end:
            after.append(rest)
            return
