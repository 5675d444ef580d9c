"""Labelled texts that need no download."""

from collections import Counter

import pytest

from lmgen.text.built_in import BUILT_IN
from lmgen.text.chunks import cut
from lmgen.text.config import LabelFormat
from lmgen.text.label_corpora import negation
from lmgen.text.labels import found_format, instances, labelled
from lmgen.text.sources import Text


@pytest.mark.parametrize(
    ("name", "form", "labels"),
    [
        ("negation", "line", {"positive", "negative"}),
        ("unicode-categories", "line", {"Lo", "Ll", "Lu", "So", "Sm", "Mn", "Nd"}),
        ("python-tokens", "word", {"KEYWORD", "NAME", "CALL", "NUMBER", "STRING", "OP"}),
    ],
)
def test_each_is_labelled_in_a_format_that_is_found(name: str, form: LabelFormat, labels: set[str]) -> None:
    whole = BUILT_IN[name].open()
    assert whole is not None
    text = Text(name, lambda: cut(whole.chunks(), 0, 100_000))
    assert found_format(text) == form
    found: Counter[str] = Counter()
    for words, given in instances(labelled(whole, None).chunks()):
        found.update([given] if form == "line" else given.split())
        assert form == "line" or len(words.split()) == len(given.split())
    assert labels <= set(found)


def test_either_label_of_negation_has_the_same_words_as_often() -> None:
    words: dict[str, Counter[str]] = {"positive": Counter(), "negative": Counter()}
    for sentence, label in instances(negation(20_000)):
        assert sentence.split().count("not") == 1
        words[label].update(sentence.split())

    for word, count in words["positive"].items():
        assert words["negative"][word] == pytest.approx(count, rel=0.2), word
    assert [*negation(5)] == [*negation(9)][:5]
    assert [*negation(5, seed=1)] != [*negation(5)]
