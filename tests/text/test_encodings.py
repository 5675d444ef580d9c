"""Encodings: text is decoded exactly, and what is no text is recognised."""

import gzip
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError
from lmgen.text.encodings import NotTextError, decoded, known_encoding

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
sizes = st.integers(1, 9)

ENGLISH = "A line of plain words that says nothing of its encoding.\n" * 60

SENTENCES = {
    "cp1252": ["It’s “fine” – so far.\n", "naïve\n", "Für fünf Mädchen, je 5 €.\n"],
    "iso8859-1": ["Il a été là où l'âme rêve à côté du château.\n", "mañana será otro día\n"],
    "cp1250": ["Zítra přijde žlutý kůň a bude dlouho řehtat.\n", "Dziś są ładne łąki.\n"],
    "iso8859-2": ["Vaše přání, šéfe, je nám rozkazem.\n"],
    "cp1251": ["Старый моряк стоит у двери.\n", "Утро\n"],
    "koi8-r": ["Старый моряк стоит у двери.\n", "Утро\n"],
    "cp1253": ["Ο γέρος ναύτης στέκεται στην πόρτα.\n"],
    "cp1254": ["Yaşlı denizci kapının önünde, değil mi?\n"],
    "cp1255": ["המלח הזקן עומד ליד הדלת.\n"],
    "cp1256": ["البحار العجوز يقف عند الباب.\n"],
    "cp866": ["Старый моряк стоит у двери.\n"],
    "iso8859-5": ["Старый моряк стоит у двери.\n"],
    "mac-cyrillic": ["Старый моряк стоит у двери, и Яков, и Юля.\n"],
    "iso8859-6": ["البحار العجوز يقف عند الباب.\n"],
    "mac-roman": [
        "Über den Wolken muß es schön sein. Alle Ängste, sagt man.\n",
        "Été à l'église, où êtes-vous ?\n",
    ],
    "cp850": ["Le café était fermé. Élise est allée à l'église.\n"],
    "gb18030": ["老水手站在门口，等待天亮。\n", "早上好\n"],
    "big5": ["老水手站在門口，等待天亮。\n"],
    "cp932": ["年老いた船乗りがドアのそばに立っている。\n"],
    "euc_jp": ["年老いた船乗りがドアのそばに立っている。\n"],
    "cp949": ["늙은 선원이 문 앞에 서 있다.\n"],
}


def advice(content: bytes, encoding: str = "utf-8") -> str:
    """What the error for a text says to do."""
    with pytest.raises(NotTextError) as raised:
        list(decoded([content], "text", encoding=encoding))
    return str(raised.value).partition("; ")[2]


class TestDecoded:
    @given(st.binary(), sizes)
    def test_any_bytes_pass_as_surrogate_escapes_however_they_are_cut(
        self, content: bytes, size: int
    ) -> None:
        blocks = [content[i : i + size] for i in range(0, len(content), size)]

        assert "".join(decoded(blocks, "x", "surrogateescape")) == content.decode("utf-8", "surrogateescape")

    @given(texts, sizes)
    def test_utf8_does_not_depend_on_where_it_is_cut(self, text: str, size: int) -> None:
        content = text.encode()
        blocks = [content[i : i + size] for i in range(0, len(content), size)]

        assert "".join(decoded(blocks, "x")) == text

    @given(texts, sizes, st.integers(0, 50), st.integers(0, 50))
    def test_a_fragment_leaves_out_the_characters_that_were_cut_in_two(
        self, text: str, size: int, start: int, length: int
    ) -> None:
        content = text.encode()[start : start + length]
        blocks = [content[i : i + size] for i in range(0, len(content), size)]

        assert "".join(decoded(blocks, "x", fragment=True)) == content.decode("utf-8", "ignore")

    @pytest.mark.parametrize("size", [1, 2, 100])
    @pytest.mark.parametrize(
        ("content", "offset"), [(b"caf\xe9 noir", 3), (b"\xc3\xa9 \xe2\x82", 3), (b"\x80", 0)]
    )
    def test_the_byte_that_is_no_text_is_named(self, content: bytes, offset: int, size: int) -> None:
        blocks = [content[i : i + size] for i in range(0, len(content), size)]
        message = rf"^latin\.txt is not UTF-8 text \(byte 0x{content[offset]:02x} at offset {offset}\); "

        before: list[str] = []
        with pytest.raises(CorpusError, match=message):
            before.extend(decoded(blocks, "latin.txt"))
        assert "".join(before) == content[:offset].decode(), (
            "the text before it comes out, wherever blocks are cut"
        )


class TestOtherEncodings:
    @given(texts, sizes, st.sampled_from(["utf-16", "utf-16-be", "utf-32-le", "gb18030", "utf-8-sig"]))
    def test_a_text_does_not_depend_on_where_it_is_cut(self, text: str, size: int, encoding: str) -> None:
        content = text.encode(encoding)
        blocks = [content[i : i + size] for i in range(0, len(content), size)]

        assert "".join(decoded(blocks, "x", encoding=encoding)) == content.decode(encoding)

    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_the_text_before_an_invalid_byte_comes_out(self, size: int) -> None:
        content = "日本".encode("euc_jp") + b"\xff\xff"
        before: list[str] = []

        with pytest.raises(CorpusError, match=r"x is not EUC_JP text \(byte 0xff at offset 4\); "):
            before.extend(decoded([content[i : i + size] for i in range(0, 6, size)], "x", encoding="euc_jp"))
        assert "".join(before) == "日本"

    def test_what_is_utf8_after_all_is_recognised(self) -> None:
        assert advice("Für fünf 日本\n".encode(), "euc_jp") == "it is UTF-8: give --encoding utf-8"

    def test_utf16_needs_its_byte_order(self) -> None:
        assert (
            advice("one\n".encode("utf-16-be"), "utf-16")
            .partition("give ")[2]
            .startswith("--encoding utf-16-be, or")
        )

    def test_half_a_character_never_gets_in(self) -> None:
        """It would stand for the end of a record."""
        with pytest.raises(NotTextError, match="has a lone surrogate in it"):
            list(decoded([b"a+2AA-b"], "x", encoding="utf-7"))

    @pytest.mark.parametrize("name", ["utf8", "U8", "UTF-8", "utf_8"])
    def test_utf8_has_one_name(self, name: str) -> None:
        assert known_encoding(name) == "utf-8"

    @pytest.mark.parametrize(
        ("name", "guess"),
        [
            ("cp1253x", "did you mean cp1253"),
            ("latin-one", "did you mean latin"),
            ("base64", "use one such as utf-8 or cp1252"),
            ("rot13", "use one such as utf-8 or cp1252|did you mean"),
            ("", "use one such as utf-8 or cp1252"),
            ("a\0b", "use one such as utf-8 or cp1252"),
            ("x" * 5000, "use one such as utf-8 or cp1252"),
        ],
    )
    def test_an_unknown_encoding_is_an_error_with_a_suggestion(self, name: str, guess: str) -> None:
        with pytest.raises(ConfigError, match=f"^there is no character encoding .*; ({guess})") as raised:
            known_encoding(name)
        assert len(str(raised.value)) < 200


class TestAdvice:
    @pytest.mark.parametrize(
        ("encoding", "sentence"),
        [(encoding, sentence) for encoding, sentences in SENTENCES.items() for sentence in sentences],
    )
    @pytest.mark.parametrize("shape", ["alone", "often", "among English"])
    def test_the_encoding_it_names_gives_the_text(self, encoding: str, sentence: str, shape: str) -> None:
        shapes = {"alone": sentence, "often": sentence * 50, "among English": ENGLISH + sentence + ENGLISH}
        text = shapes[shape]
        content = text.encode(encoding)

        said = advice(content)

        assert said.startswith("it looks like ")
        named = said.partition("--encoding ")[2].partition(",")[0]
        assert content.decode(named) == text
        assert f"convert it with iconv -f {named.upper()} -t UTF-8" in said.replace("MACINTOSH", "MAC-ROMAN")

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
    @pytest.mark.parametrize(
        "text", ["The old sailor.\n", "Для всех нас\n", "a", "Für fünf\n", "老水手站在门口，等待天亮。\n"]
    )
    def test_wide_encodings_without_a_mark_are_recognised(self, encoding: str, text: str) -> None:
        said = advice(text.encode(encoding))

        assert f"give --encoding {encoding}, or convert it with iconv -f " in said
        assert "without a byte order mark" in said

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (gzip.compress(b"text", mtime=0), "it looks like gzip: pipe it through zcat"),
            (b"PK\x03\x04\xff", "it looks like a zip archive"),
            (b"\x89PNG\r\n\x1a\n\xff", "it looks like an image"),
            (b"\x7fELF\xff", "it looks like a program"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it looks like a file of an old Word or Excel"),
            (
                b"the\0cat and the dog and some more words",
                r"it has NULs in it: remove them \(tr -d '.0'\), or .*--tokenizer byte",
            ),
            (
                bytes(range(256)),
                r"it looks like a binary file; a model of bytes \(lmgen train --tokenizer byte\) takes any",
            ),
            (
                random.Random(1).randbytes(5000),
                r"it looks like a binary file; a model of bytes \(lmgen train --tokenizer byte\) takes any",
            ),
            (
                "fünf Mädchen größer als früher ".encode() + b"\xff!",
                "the rest of it is UTF-8: remove what is not with iconv -c",
            ),
        ],
    )
    def test_what_is_no_text_is_recognised(self, content: bytes, said: str) -> None:
        assert re.match(said, advice(content))

    def test_a_text_may_begin_like_another_format(self) -> None:
        assert "CP1252" in advice("MZ heißt Motorrad- und Zweiradwerk".encode("cp1252"))

    @given(st.binary(max_size=300))
    def test_there_is_advice_for_any_bytes(self, content: bytes) -> None:
        try:
            expected = content.decode()
        except UnicodeDecodeError:
            expected = "\0"
        if "\0" in expected:
            assert advice(content)
        else:
            assert "".join(decoded([content], "x")) == expected

    def test_the_guess_does_not_wait_for_more(self) -> None:
        arriving = iter([b"caf\xe9 noir\n", b"more\n"])

        with pytest.raises(NotTextError):
            list(decoded(arriving, "x"))
        assert next(arriving) == b"more\n"
