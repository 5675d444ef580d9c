import sys
import unicodedata

import pytest

from lmgen.text.built_in import BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_corpora_can_be_read_again(name: str) -> None:
    text = BUILT_IN[name].open()

    assert text is not None
    assert text.counts() == text.counts()
    assert text.counts().characters > 400_000


@pytest.mark.skipif(sys.version_info[:3] != (3, 11, 7), reason="the manual differs by Python version")
def test_the_manual_of_python_3_11_7_has_its_length() -> None:
    text = BUILT_IN["python-docs"].open()

    assert text is not None
    assert text.counts().characters == 465_126


def test_unicode_names_are_names_a_line_each() -> None:
    text = BUILT_IN["unicode-names"].open()
    assert text is not None
    names = "".join(text.chunks()).splitlines()

    assert names[:2] == ["SPACE", "EXCLAMATION MARK"]
    assert len(set(names)) == len(names) > 30_000
    assert all(unicodedata.lookup(name) for name in names[::100])
    assert not any(name.startswith(("CJK UNIFIED IDEOGRAPH-", "HANGUL SYLLABLE ")) for name in names)


def test_a_python_without_the_manual_has_no_such_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)

    assert BUILT_IN["python-docs"].open() is None
