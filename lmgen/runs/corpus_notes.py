"""
What a user should know about a corpus before a model is trained on it: which flag fits it, and what is lost.

Only the beginning of the corpus is looked at.
"""

import re
from collections.abc import Iterator

from lmgen.data.run_folder import RunFolder
from lmgen.evaluation.fit import beginning_of, misfit
from lmgen.models.base import LanguageModel
from lmgen.runs.config import RunConfig
from lmgen.runs.finetuning import Origin
from lmgen.text.chunks import cut
from lmgen.text.corpora import Corpus
from lmgen.text.encodings import UTF_8
from lmgen.text.generated import GENERATED
from lmgen.text.guessing import iconv_name, misread_as
from lmgen.text.lists import list_in
from lmgen.text.reading import read_stream
from lmgen.text.sources import Text, open_text
from lmgen.text.tasks import TASKS
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer

BEGINNING = 1_000_000
"""How many characters of a corpus are looked at."""

LONG_WORDS = 15
"""From this mean length on, in characters, what stands between blanks is no word."""

LONG_WORDS_WITHOUT_BLANKS = 6
"""The same for scripts that put no blanks between words; their words have one to four characters."""

_LOST_BLANKS = re.compile(r"[^\S\n\r]{2,}|[^\S\n\r ]")
"""A run of blanks within a line, or one that is not the space: a tab, a no-break space."""

_WITHOUT_BLANKS = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese characters."""


def corpus_notes(config: RunConfig, corpus: Corpus) -> list[str]:
    """Notes on the corpus of a new model, which it can be read, as `config` says."""
    if config.origin is not None:
        return []
    if note := _encoding_note(corpus.train):
        return [note]
    if config.tokenizer.tokenizer == "word":
        return list(_word_notes(corpus.train, config))
    if config.reading.unit == "document" and "unit" not in config.asked:
        return list(_unit_notes(corpus, config))
    return []


def held_out_notes(run: RunFolder, tokenizer: Tokenizer, model: LanguageModel | None) -> list[str]:
    """
    In what way held-out texts do not fit a model of the training text, a note each.

    Args:
        run: its folder.
        tokenizer: the run's.
        model: any model of the training text; None: only unknown tokens are counted.
    """
    notes = []
    for name, file in (("validation", run.valid_text), ("test", run.test_text)):
        if file.exists():
            text = open_text(str(file), errors=tokenizer.reading_errors, once=True).in_units(tokenizer.unit)
            encoding = tokenizer.reading.encoding  # of the text that was held out; that of the run is UTF-8
            found = misfit(model, tokenizer, beginning_of(text.chunks()), encoding)
            if found:
                notes.append(found.note(f"the {name} text", in_training=True))
    return notes


def origin_note(origin: Origin, corpus: Corpus) -> list[str]:
    """What would make the training text fit the model that is trained further; one note, or none."""
    text = corpus.train.in_units(origin.tokenizer.unit)
    found = misfit(origin.model, origin.tokenizer, beginning_of(text.chunks()), text.encoding)
    return [found.note("the training text")] if found and found.changes else []


def _encoding_note(text: Text) -> str | None:
    """That a text is plainly in another encoding than the one it is read in."""
    if text.encoding == UTF_8:
        return None
    other = misread_as(beginning_of(text.chunks()), text.encoding)
    return other and (
        f"{text.name} looks like {iconv_name(other)}, not {iconv_name(text.encoding)} "
        f"(--encoding {other.replace('_', '-')})"
    )


def _unit_notes(corpus: Corpus, config: RunConfig) -> Iterator[str]:
    """That the corpus consists of records, or is plainly a list, and what flag makes use of that."""
    text, name = corpus.train, corpus.train.name
    advice = "makes each a text of its own (--unit document keeps them one text, without this note)"
    if text.records:
        records, goes_on = _beginning(Text(name, text.records), config)
        count = records.count(UNIT_END)
        if count > 1:
            yield (f"{name} has {'more than ' if goes_on else ''}{count:,} records; --unit record {advice}")
        return
    if corpus.name in TASKS and not TASKS[corpus.name].is_stream:
        yield f"{name} has an instance a line; --unit line {advice}"
    if corpus.name in GENERATED:
        return
    beginning, goes_on = _beginning(text, config)
    found = list_in(beginning[: beginning.rfind("\n") + 1] if goes_on else beginning)
    if found:
        yield (
            f"{name} looks like a list: {'it begins with ' if goes_on else ''}{found.lines:,} lines of "
            f"{found.characters:.0f} characters on average; --unit line {advice}"
        )


def _word_notes(text: Text, config: RunConfig) -> Iterator[str]:
    """What words, as white space parts them, do not keep, and a text in which they are none."""
    beginning, goes_on = _beginning(text, config)
    where = f" in the first {BEGINNING:,} characters" if goes_on else ""
    if lost := len(_LOST_BLANKS.findall(beginning)):
        runs = "1 tab or run of blanks is" if lost == 1 else f"{lost:,} tabs and runs of blanks are"
        yield f"{runs} read as one blank each{where}: a word model does not keep them"
    words = beginning.split()
    characters = sum(map(len, words))
    without_blanks = 2 * len(_WITHOUT_BLANKS.findall(beginning)) > characters
    mean = characters / len(words) if words else 0.0
    if mean >= (LONG_WORDS_WITHOUT_BLANKS if without_blanks else LONG_WORDS):
        yield (
            f"{text.name} has few blanks, and its words are {mean:.0f} characters long on average: "
            "--tokenizer char, bpe or unigram fits it better than word"
        )


def _beginning(text: Text, config: RunConfig) -> tuple[str, bool]:
    """The beginning of a text as it is read, and whether the text goes on after it."""
    beginning = "".join(cut(read_stream(text.chunks(), config.reading), 0, BEGINNING + 1))
    return beginning[:BEGINNING], len(beginning) > BEGINNING
