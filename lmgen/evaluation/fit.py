r"""
Whether a text is written as the text was that a model knows: its line ends, normal form, letters.

A misfit costs much and does not show: in a model of lines that end in "\n" every "\r" is unknown, and so is
every "é" that is "e" and a combining accent to a model that has seen the single character. So the beginning
of a text is also read as it would be with other line ends, in another normal form and so on. Where that
leaves clearly fewer tokens unknown, or clearly fewer bits to predict the text by, a note says so.

What is compared are sums over the same passages, so another number of characters or tokens does not matter.
A model scores passages only where unknown tokens do not tell, and few: those of a text with something to
change, and a probe of 1,000 characters where the tokenizer can spell what the text has none of, such as "\r".
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log

from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation.changes import Change, mends, other_ways
from lmgen.evaluation.scoring import score_each
from lmgen.evaluation.units import with_known_ends
from lmgen.models.base import LanguageModel
from lmgen.text.counts import byte_length
from lmgen.text.encodings import UTF_8
from lmgen.text.reading import read_text
from lmgen.text.units import UNIT_END, Unit
from lmgen.tokenizers.base import Tokenizer

SAMPLE = 20_000
"""The characters at the beginning of a text that are looked at."""

SCORED = 3_000
"""How many of them a model scores, where unknown tokens alone do not tell."""

PROBED = 1_000
"""How many of them a model scores to find out whether it expects what the text has none of, such as `\\r`."""

PASSAGE = 250
"""The least characters of a passage; passages are scored side by side."""

FOREIGN = 0.2
"""From this share of letters on that no token of a model contains, a text is called foreign to it."""

FEWEST_LETTERS = 50
"""In a shorter text letters that a model never saw are chance."""

LEAST_SAVING = 0.01
"""The least share of bits that a note gives in numbers."""

IDLE_BITS = 9
"""From so many bits per byte on a model knows less than nothing of a text: equally likely bytes take 8."""

_LINE = re.compile(rf"[^\r\n{UNIT_END}]*(?:\r\n|[\r\n{UNIT_END}]|$)")

Passages = Sequence[str]


@dataclass(frozen=True, slots=True)
class Misfit:
    """In what way a text does not fit a model, in words."""

    problem: str
    """As "4,000 of 4,800 words are unknown"; empty if only bits tell."""

    instead: str
    """As "in NFC 12 would be"; empty if nothing is known that helps."""

    counts_all: bool
    """Whether `problem` counts the unknown tokens of the whole text."""

    changes: tuple[Change, ...] = ()

    def remedy(self, *, in_training: bool = False) -> str:
        """`instead`, with the flags that do it: "in NFC 12 would be (--normalize nfc)"."""
        advice = [(in_training and change.in_training) or change.remedy for change in self.changes]
        flags = [each for each in advice if each.startswith("--")]
        words = [each for each in advice if not each.startswith("--")]
        shown = "; ".join([" ".join(flags), *words] if flags else words)
        return f"{self.instead} ({shown})" if shown else self.instead

    def note(self, name: str, *, in_training: bool = False) -> str:
        """The whole note on the text of that name."""
        remedy = self.remedy(in_training=in_training)
        if not self.problem:
            return f"{name} does not fit the model: {remedy}"
        return f"{name}: {'; '.join(filter(None, [self.problem, remedy]))}"

    def added_to(self, note: str) -> str:
        """A note that counts the unknown tokens of the whole text, with what is known about them."""
        return "; ".join(filter(None, [note, "" if self.counts_all else self.problem, self.remedy()]))


class FitCheck:
    """Watches a text on its way to be scored and looks at its beginning."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        unit: Unit,
        on_misfit: Callable[[], None] = lambda: None,
        *,
        encoding: str = UTF_8,
    ) -> None:
        """
        Args:
            model: scores passages, where unknown tokens alone do not tell.
            tokenizer: its own.
            unit: what is read afresh of the text.
            on_misfit: called once if the text does not fit, when enough of it has passed.
            encoding: the character encoding in which the text was read.
        """
        self.misfit: Misfit | None = None
        self._model, self._tokenizer, self._unit, self._on_misfit = model, tokenizer, unit, on_misfit
        self._encoding = encoding

    def passing(self, chunks: Iterable[str]) -> Iterator[str]:
        """Pass chunks through unchanged."""
        held: list[str] | None = []
        length = 0
        for chunk in chunks:
            if held is not None:
                held.append(chunk[: SAMPLE + 1 - length])
                length += len(held[-1])
                if length > SAMPLE:
                    self._look("".join(held))
                    held = None
            yield chunk
        if held:
            self._look("".join(held))

    def _look(self, beginning: str) -> None:
        known = with_known_ends(beginning, self._unit, self._tokenizer)
        self.misfit = misfit(self._model, self._tokenizer, known, self._encoding)
        if self.misfit:
            self._on_misfit()


def misfit(
    model: LanguageModel | None, tokenizer: Tokenizer, beginning: str, encoding: str = UTF_8
) -> Misfit | None:
    """
    In what way a text does not fit a model; None if it fits, or if nothing can be said.

    Args:
        model: None: only unknown tokens are counted.
        tokenizer: the model's own.
        beginning: of the text, with the ends of units that the tokenizer knows; more than `SAMPLE` characters
            say that the text goes on after those.
        encoding: the character encoding in which it was read.
    """
    return _compared(model, tokenizer, beginning, encoding, lambda comparison: comparison.misfit())


def mended(model: LanguageModel, tokenizer: Tokenizer, prompt: str) -> Misfit | None:
    """As `misfit`, for a text that is too short to tell more than what is amiss in it."""
    return _compared(model, tokenizer, prompt, UTF_8, lambda comparison: comparison.mended())


def _compared(
    model: LanguageModel | None,
    tokenizer: Tokenizer,
    beginning: str,
    encoding: str,
    look: Callable[["_Comparison"], Misfit | None],
) -> Misfit | None:
    """What is found by looking at the beginning of a text as the tokenizer reads it."""
    sample = read_text(beginning[:SAMPLE], tokenizer.reading)
    try:
        goes_on = len(beginning) > SAMPLE
        return look(_Comparison(model, tokenizer, passages(sample), encoding, goes_on=goes_on))
    except (NumericalError, CorpusError):  # whoever scores the whole text reports it, with its place
        return None


def beginning_of(chunks: Iterable[str]) -> str:
    """As much of a text as `misfit` wants to see."""
    lengths = [0]
    held = []
    for chunk in takewhile(lambda _: lengths[0] <= SAMPLE, chunks):
        held.append(chunk)
        lengths[0] += len(chunk)
    return "".join(held)[: SAMPLE + 1]


def passages(sample: str) -> list[str]:
    r"""
    A text cut into whole lines of at least `PASSAGE` characters together; a long line after white space.

    Lines end in any line end, so that the passages stay the same when line ends are changed.
    """
    cut: list[str] = []
    for line in _LINE.findall(sample):
        pieces = _pieces(line)
        if cut and len(cut[-1]) < PASSAGE and pieces:
            cut[-1] += pieces.pop(0)
        cut += pieces
    return cut


def _pieces(line: str) -> list[str]:
    """A line in pieces, each cut after white space, if there is any, and before no combining character."""
    pieces = []
    begin = 0
    while begin < len(line):
        end = begin + PASSAGE
        while end < len(line) and not line[end - 1].isspace() and end < begin + 2 * PASSAGE:
            end += 1
        while end < len(line) and unicodedata.combining(line[end]):
            end += 1
        pieces.append(line[begin:end])
        begin = end
    return pieces


class _Comparison:
    """The beginning of a text as it is, beside other readings of it."""

    def __init__(
        self,
        model: LanguageModel | None,
        tokenizer: Tokenizer,
        text: Passages,
        encoding: str,
        *,
        goes_on: bool,
    ) -> None:
        self._model, self._tokenizer, self._text = model, tokenizer, text
        self._encoding, self._goes_on = encoding, goes_on
        self._tokens, self._unknown = self._count(text)
        self._scored: dict[tuple[str, ...], float] = {}

    def misfit(self) -> Misfit | None:
        """The changes that make the text fit, else what is foreign in it."""
        if found := self.mended():
            return found
        changes, text = self._best_of(other_ways("".join(self._text), self._tokenizer))
        return self._described(changes, text, PROBED) if changes else self._foreign()

    def mended(self) -> Misfit | None:
        """The changes that mend what is amiss in the text itself."""
        changes, text = list[Change](), self._text
        for change in mends("".join(self._text), self._tokenizer, self._encoding):
            other = [change.apply(passage) for passage in text]
            if self._helps(change, text, other, SCORED):
                if change.said == "in NFKC" and changes and changes[-1].said == "in NFC":
                    changes.pop()  # NFKC does what NFC does, and more
                changes.append(change)
                text = other
        return self._described(changes, text, SCORED) if changes else None

    def _best_of(self, changes: Iterable[Change]) -> tuple[list[Change], Passages]:
        """The first of some changes that helps."""
        others = [(change, [change.apply(passage) for passage in self._text]) for change in changes]
        changed = [other for change, other in others if other != self._text and self._by_bits(change)]
        if changed:
            number = _covering(self._text, PROBED)
            self._score([text[:number] for text in (self._text, *changed)])
        for change, other in others:
            if self._helps(change, self._text, other, PROBED):
                return [change], other
        return [], self._text

    def _helps(self, change: Change, text: Passages, other: Passages, characters: int) -> bool:
        """Whether a text is clearly easier for the model after a change."""
        if text == other:
            return False
        (_, unknown), (_, left) = self._count(text), self._count(other)
        known = unknown - left
        if known > 0 and left <= unknown / 2 and known >= change.unknown * self._tokens:
            return True
        if known < 0 or not self._by_bits(change):
            return False
        number = _covering(text, characters)
        before, after = self._score([text[:number], other[:number]])
        if not before:
            return False
        if change.dearest_line_end:
            added = self._length(other[:number]) - self._length(text[:number])
            return after - before < change.dearest_line_end * added
        return after < before * (1 - change.saving)

    def _by_bits(self, change: Change) -> bool:
        """Whether bits tell where unknown tokens do not; those alone count for a change of many letters."""
        return self._model is not None and not (change.unknown and self._tokenizer.unknown is not None)

    def _count(self, text: Passages) -> tuple[int, int]:
        """The tokens of a text, without the ends of lines and units, and how many of them are unknown."""
        tokens = unknown = 0
        ends = {self._tokenizer.line_end, self._tokenizer.end} - {None}
        for passage in text:
            ids = self._tokenizer.encode(passage)
            unknown += int(self._tokenizer.unknown_among(passage, ids).sum())
            tokens += len(ids) - sum(int((ids == end).sum()) for end in ends)
        return tokens, unknown

    def _length(self, text: Passages) -> int:
        """The tokens of a text, with the ends of lines."""
        return sum(len(self._tokenizer.encode(passage)) for passage in text)

    def _score(self, texts: Sequence[Passages]) -> list[float]:
        """What each of some texts costs the model in nats, all passages read afresh and side by side."""
        assert self._model is not None
        new = [text for text in texts if tuple(text) not in self._scored]
        encoded = [[ids for ids in map(self._tokenizer.encode, text) if len(ids)] for text in new]
        nats = iter(score_each(self._model, [ids for of_text in encoded for ids in of_text]))
        for text, of_text in zip(new, encoded, strict=True):
            self._scored[tuple(text)] = sum(float(next(nats).sum()) for _ in of_text)
        return [self._scored[tuple(text)] for text in texts]

    def _described(self, changes: Sequence[Change], text: Passages, characters: int) -> Misfit:
        said = " and ".join(change.said for change in changes)
        left = self._count(text)[1]
        if left < self._unknown:
            problem = f"{self._unknown:,} of {self._counted()} are unknown"
            instead = f"{said} {f'{left:,}' if left else 'none'} would be"
            return Misfit(problem, instead, not self._goes_on, tuple(changes))
        number = _covering(self._text, characters)
        before, after = self._score([self._text[:number], text[:number]])
        saved = min(1 - after / before, 0.99)
        if saved >= LEAST_SAVING:
            instead = f"{said} it would take {saved:.0%} fewer bits"
        else:
            instead = f"{said} its lines would be those that the model knows"
        return Misfit("", instead, counts_all=False, changes=tuple(changes))

    def _counted(self) -> str:
        kind = {"word": "words", "char": "characters"}.get(self._tokenizer.name, "tokens")
        return f"{'the first ' if self._goes_on else ''}{self._tokens:,} {kind}"

    def _unheard_of(self) -> Misfit | None:
        """A text whose bytes the model predicts worse than if all were equally likely."""
        text = self._text[: _covering(self._text, PROBED)]
        if self._model is None:
            return None
        bits = self._score([text])[0] / log(2) / sum(map(byte_length, text))
        problem = f"it takes {bits:.1f} bits per byte, where a model that knows nothing takes 8"
        return Misfit(problem, "", counts_all=False) if bits > IDLE_BITS else None

    def _foreign(self) -> Misfit | None:
        """A text in letters that are in no token, if many are."""
        knows_all = self._tokenizer.unknown is not None and self._unknown < FOREIGN / 2 * self._tokens
        letters = Counter(c for passage in self._text for c in passage if c.isalpha())
        if letters.total() < FEWEST_LETTERS:
            return None
        if self._tokenizer.name == "byte":
            return self._unheard_of()
        if knows_all:
            return None
        pieces = map(self._tokenizer.piece, range(self._tokenizer.vocabulary_size))
        known = set[str]().union(*pieces)
        foreign = Counter({c: n for c, n in letters.items() if not known & {c, c.lower()}})
        share = foreign.total() / letters.total()
        if share < FOREIGN:
            return None
        scripts = Counter[str]()
        for c, n in foreign.items():
            scripts[unicodedata.name(c, "unnamed").split()[0].capitalize()] += n
        shown = ", ".join(repr(c) for c, _ in foreign.most_common(5))
        problem = (
            f"{share:.0%} of its letters are such that the model never saw, most of them "
            f"{scripts.most_common(1)[0][0]}: {shown}"
        )
        return Misfit(problem, "", counts_all=False)


def _covering(text: Passages, characters: int) -> int:
    """How many passages it takes to have that many characters; all of a short text."""
    length = 0
    for number, passage in enumerate(text, 1):
        length += len(passage)
        if length >= characters:
            return number
    return len(text)
