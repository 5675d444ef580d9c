"""SentencePiece models made elsewhere: everything is compared with SentencePiece itself."""

import base64
import io
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError
from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.imported import SentencePieceTokenizer
from lmgen.tokenizers.registry import tokenizer_from_json, train_tokenizer
from lmgen.tokenizers.sentencepiece_model import (
    BYTE,
    Piece,
    Settings,
    model_of,
    read_pieces,
    read_settings,
)
from lmgen.tokenizers.streams import TokenLines, text_of_tokens
from tests.tokenizers.sentencepiece_models import KINDS, TEXT, model

HARD = ["\0", "\x01", "\r", "\t", " ", "  ", "\n", "\u3000", "\u2028", "\x85", "▁", "▅", "\ufeff", "👩‍👩‍👧"]
HARD += [
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<0x0A>",
    "{name}",
    "the",
    " cat",
    "cats",
    "ﬁ",
    "½",
    "é",
    "日本",
    "ﷺ",
]
HARD += ["e\u0301", "\ufffd", "\U0010ffff", " ⁇ ", "Ⓐ", "the mat"]
TEXTS = st.lists(st.sampled_from(HARD)).map("".join) | st.text()
LINES = TEXTS.map(lambda text: text.replace("\n", " "))

every_kind = pytest.mark.parametrize("kind", KINDS)
unhurried = settings(deadline=None, max_examples=60)


@cache
def imported(kind: str) -> SentencePieceTokenizer:
    return SentencePieceTokenizer(model(kind))


@cache
def original(kind: str) -> Any:
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=model(kind))


@every_kind
@given(text=TEXTS)
@unhurried
def test_each_line_is_split_as_by_sentencepiece(kind: str, text: str) -> None:
    tokenizer, rival = imported(kind), original(kind)

    expected = []
    for number, line in enumerate(text.split("\n")):
        expected += [tokenizer.line_end] * bool(number) + rival.encode(line)

    assert tokenizer.encode(text).tolist() == expected


@every_kind
@given(data=st.data())
@unhurried
def test_ids_are_decoded_as_by_sentencepiece(kind: str, data: st.DataObject) -> None:
    tokenizer, rival = imported(kind), original(kind)
    ids = data.draw(st.lists(st.integers(0, rival.get_piece_size() - 1)))
    ids = [token for token in ids if token != tokenizer.line_end]

    assert tokenizer.decode(ids) == rival.decode(ids)


@every_kind
@given(line=LINES)
@unhurried
def test_a_line_comes_back_as_from_sentencepiece(kind: str, line: str) -> None:
    tokenizer, rival = imported(kind), original(kind)

    assert tokenizer.decode(tokenizer.encode(f"{line}\n{line}")) == "\n".join(
        [rival.decode(rival.encode(line))] * 2
    )


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("defaults", "</s>"),
        ("as-t5", "</s>"),
        ("bytes", "</s>"),
        ("symbols", "[END]"),
        ("line-end", "\n"),
        ("line-end-folded", "\n"),
        ("as-llama", "<0x0A>"),
    ],
)
def test_a_line_ends_in_what_the_model_has_for_it(kind: str, piece: str) -> None:
    tokenizer, rival = imported(kind), original(kind)

    assert tokenizer.line_end == tokenizer.start == rival.piece_to_id(piece)
    assert tokenizer.vocabulary_size == rival.get_piece_size()
    assert tokenizer.piece(tokenizer.line_end) == "\n"
    assert tokenizer.line_end not in tokenizer.special_ids


@pytest.mark.parametrize("kind", ["as-llama", "line-end"])
def test_a_line_with_its_end_is_split_as_by_sentencepiece(kind: str) -> None:
    assert imported(kind).encode("the cat\n").tolist() == original(kind).encode("the cat\n")


@pytest.mark.parametrize("kind", ["no-end", "bytes-no-end"])
def test_a_model_without_an_end_gets_an_id_for_it(kind: str) -> None:
    tokenizer, rival = imported(kind), original(kind)

    assert tokenizer.line_end == rival.get_piece_size() == tokenizer.vocabulary_size - 1
    assert tokenizer.decode(tokenizer.encode("the cat\nthe dog\n")) == "the cat\nthe dog\n"


@every_kind
def test_what_is_unknown_to_sentencepiece_is_unknown(kind: str) -> None:
    tokenizer, rival = imported(kind), original(kind)
    text = "the <unk> ☂☃ cat"

    ids = tokenizer.encode(text)

    if "bytes" in kind or kind == "as-llama":
        assert tokenizer.unknown is None
        assert rival.unk_id() in tokenizer.special_ids
    else:
        assert tokenizer.unknown == rival.unk_id()
        assert tokenizer.unknown_among(text, ids).tolist() == [token == rival.unk_id() for token in ids]
        assert tokenizer.piece(rival.unk_id()) == "<unk>"


@every_kind
@given(text=TEXTS)
@unhurried
def test_positions_are_those_of_sentencepiece(kind: str, text: str) -> None:
    tokenizer = imported(kind)

    ids, offsets = tokenizer.encode_with_offsets(text)

    assert ids.tolist() == tokenizer.encode(text).tolist()
    assert (np.diff(offsets) >= 0).all()
    ends = [position for position, character in enumerate(text) if character == "\n"]
    assert offsets[ids == tokenizer.line_end].tolist() == ends
    assert not set(offsets[ids != tokenizer.line_end].tolist()) & set(ends)
    assert not len(offsets) or 0 <= offsets.min() <= offsets.max() < len(text)


def test_a_piece_stands_at_its_position() -> None:
    tokenizer = imported("identity")
    text = "日本 the cat sat\nthe 日本 mat"

    for token, offset in zip(*map(np.ndarray.tolist, tokenizer.encode_with_offsets(text)), strict=True):
        piece = tokenizer.piece(token)
        assert text[offset:].startswith((piece, piece.strip())), (piece, offset)


@every_kind
@given(chunks=st.lists(TEXTS))
@unhurried
def test_a_stream_cut_anywhere_gives_the_ids_of_the_whole(kind: str, chunks: list[str]) -> None:
    tokenizer, text = imported(kind), "".join(chunks)

    streamed = [token for ids in tokenizer.encode_stream(chunks) for token in ids.tolist()]

    assert streamed == tokenizer.encode(text).tolist()


@every_kind
@given(data=st.data())
@unhurried
def test_decoding_in_parts_gives_the_same_text(kind: str, data: st.DataObject) -> None:
    tokenizer = imported(kind)
    parts = data.draw(st.lists(st.lists(st.integers(0, tokenizer.vocabulary_size - 1))))
    decoder = tokenizer.decoder()

    text = "".join(map(decoder.push, parts)) + decoder.finish()

    assert text == tokenizer.decode([token for part in parts for token in part])


@every_kind
def test_tokens_are_written_differently_and_read_again(kind: str) -> None:
    tokenizer = imported(kind)
    text = TEXT + "zzz\n"

    written = "".join(TokenLines(tokenizer, pieces=True).write([text]))

    names = [tokenizer.escaped_piece(token) for token in range(tokenizer.vocabulary_size)]
    assert all(name.split() == [name] for name in names)
    bytes_ = {token for token, piece in enumerate(read_pieces(model(kind))) if piece.kind == BYTE}
    others = [name for token, name in enumerate(names) if token not in bytes_ - tokenizer.special_ids]
    assert len(set(others)) == len(others)
    assert "".join(text_of_tokens(tokenizer, [written], pieces=True)) == tokenizer.decode(
        tokenizer.encode(text)
    )


@every_kind
def test_a_saved_tokenizer_is_the_same(kind: str) -> None:
    tokenizer = imported(kind)

    saved = json.loads(json.dumps(tokenizer.to_json()))
    loaded = tokenizer_from_json(saved)

    assert loaded.to_json() == saved
    assert (loaded.unknown, loaded.line_end, loaded.special_ids) == (
        tokenizer.unknown,
        tokenizer.line_end,
        tokenizer.special_ids,
    )
    assert loaded.encode(TEXT).tolist() == tokenizer.encode(TEXT).tolist()


def test_nothing_of_where_a_model_was_trained_is_saved(tmp_path: Path) -> None:
    from sentencepiece import SentencePieceTrainer

    corpus = tmp_path / "private-name.txt"
    corpus.write_text(TEXT * 20)
    prefix = tmp_path / "m"
    SentencePieceTrainer.train(input=corpus, model_prefix=prefix, vocab_size=50, minloglevel=3)
    data = (tmp_path / "m.model").read_bytes()
    assert b"private-name" in data

    saved = SentencePieceTokenizer(data).to_json()

    assert b"private-name" not in base64.b64decode(saved["model"])


def test_decoding_does_not_need_sentencepiece(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = imported("defaults")
    ids = tokenizer.encode("the cat\n")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)

    assert tokenizer_from_json(tokenizer.to_json()).decode(ids) == "the cat\n"


def test_the_rules_of_a_custom_normalisation_hold(tmp_path: Path) -> None:
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    rules = tmp_path / "rules.tsv"
    rules.write_text("63 61 74\t64 6F 67\n63 61\t\n")  # cat is dog, ca is nothing
    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines() * 20),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        normalization_rule_tsv=str(rules),
        minloglevel=3,
    )
    tokenizer = SentencePieceTokenizer(written.getvalue())

    assert tokenizer.decode(tokenizer.encode("the cat, the can")) == "the dog, the n"
    assert tokenizer.encode("the cat").tolist() == SentencePieceProcessor(
        model_proto=written.getvalue()
    ).encode("the cat")


class TestUnits:
    @every_kind
    def test_every_line_ends_in_the_end_token(self, kind: str, tmp_path: Path) -> None:
        tokenizer = read_in(kind, tmp_path, unit="line")
        inner = imported(kind)

        ids = np.concatenate(list(tokenizer.encode_stream(["the cat\nthe", " dog"])))

        assert tokenizer.end == inner.line_end == tokenizer.start
        assert ids.tolist() == inner.encode("the cat\nthe dog\n").tolist()
        assert tokenizer.piece(tokenizer.end) == "</s>"

    @every_kind
    def test_the_end_of_a_record_is_no_line_end(self, kind: str, tmp_path: Path) -> None:
        tokenizer = read_in(kind, tmp_path, unit="record")
        inner = imported(kind)

        ids = np.concatenate(list(tokenizer.encode_stream(["the cat\nthe dog" + UNIT_END + "the mat"])))

        assert tokenizer.end == inner.vocabulary_size
        assert ids.tolist() == [
            *inner.encode("the cat\nthe dog").tolist(),
            tokenizer.end,
            *inner.encode("the mat").tolist(),
            tokenizer.end,
        ]
        assert tokenizer.format_version == 4
        assert (
            tokenizer_from_json(tokenizer.to_json()).encode("the cat").tolist()
            == inner.encode("the cat").tolist()
        )


def read_in(kind: str, folder: Path, **reading: str) -> Tokenizer:
    """The tokenizer as the command line makes it, from a file."""
    file = folder / f"{kind}.model"
    file.write_bytes(model(kind))
    config = TokenizerConfig(tokenizer="sentencepiece", tokenizer_file=str(file))
    return train_tokenizer(lambda: [TEXT], config, ReadingConfig(**reading))


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "data", "what"),
        [
            ("empty.model", b"", "it is empty"),
            ("text.txt", b"The cat sat on the mat.\n" * 100, "it is a text"),
            ("umlauts.txt", "Ärger über Öl\n".encode() * 100, "it is a text"),
            ("tokenizer.json", b'{"version": "1.0", "model": {}}', "it is JSON, such as a tokenizer.json"),
            ("m.vocab", b"<unk>\t0\n<s>\t0\n\xe2\x96\x81the\t-3.2\n", "it is a list of pieces"),
            ("lfs.model", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
            ("zip.model", b"PK\x03\x04\x00\x00" * 30, "unknown wire type|truncated|a number"),
        ],
    )
    def test_another_file_is_refused_in_a_line_that_says_what_it_is(
        self, name: str, data: bytes, what: str, tmp_path: Path
    ) -> None:
        file = tmp_path / name
        file.write_bytes(data)

        with pytest.raises(
            ModelError, match=f"{name} is not a SentencePiece model .*{what}.*give the FILE.model"
        ) as error:
            train_tokenizer(lambda: ["a"], config(file))

        assert "\n" not in str(error.value)

    def test_a_cut_file_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "cut.model"
        file.write_bytes(model("bpe")[:-1000])

        with pytest.raises(
            ModelError, match=r"cut\.model is not a SentencePiece model \(a field is truncated"
        ):
            train_tokenizer(lambda: ["a"], config(file))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"cannot read the tokenizer file .*gone\.model: No such file"):
            train_tokenizer(lambda: ["a"], config(tmp_path / "gone.model"))

    def test_an_empty_text_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "m.model"
        file.write_bytes(model("bpe"))

        with pytest.raises(CorpusError, match="the training text is empty"):
            train_tokenizer(lambda: [], config(file))

    @pytest.mark.parametrize(
        ("settings_", "message"),
        [
            ({"vocab_size": 100}, "--vocab-size is for --tokenizer .*, not sentencepiece; leave it out"),
            ({"lowercase": True}, "--lowercase is for --tokenizer char or word, not sentencepiece"),
            (
                {"tokenizer": "char"},
                "--tokenizer-file is for --tokenizer sentencepiece, not char; leave it out",
            ),
            (
                {"tokenizer_file": None},
                "--tokenizer sentencepiece needs the model: --tokenizer-file FILE.model",
            ),
        ],
    )
    def test_settings_that_contradict_the_file_are_refused(
        self, settings_: dict[str, Any], message: str
    ) -> None:
        asked = {"tokenizer": "sentencepiece", "tokenizer_file": "m.model", **settings_}

        with pytest.raises(ConfigError, match=message):
            train_tokenizer(lambda: ["a"], TokenizerConfig(**asked))

    def test_the_vocabulary_cannot_be_extended(self) -> None:
        with pytest.raises(ConfigError, match="a SentencePiece model cannot be extended"):
            imported("bpe").extended(["zzz"])


def config(file: Path) -> TokenizerConfig:
    return TokenizerConfig(tokenizer="sentencepiece", tokenizer_file=str(file))


class TestDamage:
    @pytest.mark.parametrize(
        ("added", "changed", "message"),
        [
            ([Piece("", 1)], {}, "a piece is empty"),
            ([Piece("a\0b", 1)], {}, "contains NUL"),
            ([Piece("a" * 8000, 1)], {}, "too long"),
            ([Piece("zz", 1, float("nan"))], {}, "NaN"),
            ([Piece("zz", 1, -3e38)], {}, "out of range"),
            ([Piece("zz", 7)], {}, "an unknown type"),
            ([Piece("zz", 2)], {}, "more than one"),
            ([Piece("zz", 1), Piece("zz", 4)], {}, "occurs twice"),
            ([Piece("<0x41>", 6)], {}, "its bytes are not"),
            ([], {"byte_fallback": True}, "its bytes are not"),
            ([Piece("z" * length, 4) for length in range(1, 100)], {}, "begin alike"),
            ([], {"model_type": 5}, "its model type is 5"),
            ([], {"charsmap": b"\0\4\0\0"}, "the size of its normalisation rules"),
            ([], {"charsmap": b"\0\4\0\0" + b"\xff" * 1024 + b"a\0"}, "lead nowhere"),
            ([], {"charsmap": b"x" * (1 << 23)}, "too large"),
        ],
    )
    def test_what_sentencepiece_could_not_take_never_reaches_it(
        self, added: list[Piece], changed: dict[str, Any], message: str
    ) -> None:
        pieces = [*read_pieces(model("bpe")), *added]
        damaged = model_of(pieces, read_settings(model("bpe"))._replace(**changed))

        with pytest.raises(ModelError, match=f"the saved tokenizer is damaged: .*{message}"):
            SentencePieceTokenizer(damaged)

    @pytest.mark.parametrize("kind", ["defaults", "as-llama"])
    @given(data=st.data())
    @settings(deadline=None, max_examples=150)
    def test_damaged_bytes_never_crash(self, kind: str, data: st.DataObject) -> None:
        changed = bytearray(model(kind))
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        del changed[data.draw(st.integers(0, len(changed)) | st.just(len(changed))) :]

        used_or_refused(bytes(changed))

    @given(data=st.data())
    @settings(deadline=None, max_examples=150)
    def test_damaged_rules_never_crash(self, data: st.DataObject) -> None:
        """Most damage of a trie that is hit at random is in units that nothing leads to."""
        before = read_settings(model("defaults"))
        charsmap = bytearray(before.charsmap)
        units = 4 + 4 * data.draw(st.integers(0, 255))
        charsmap[units : units + 4] = data.draw(st.binary(min_size=4, max_size=4))

        used_or_refused(model_of(read_pieces(model("defaults")), before._replace(charsmap=bytes(charsmap))))

    def test_settings_are_those_that_sentencepiece_has(self) -> None:
        assert read_settings(model_of([], Settings())) == Settings()
        assert read_settings(b"") == Settings()


def used_or_refused(damaged: bytes) -> None:
    try:
        tokenizer = SentencePieceTokenizer(damaged)
        ids, _ = tokenizer.encode_with_offsets(TEXT + "ﬁ ½ \t\x01 é\u3000")
        assert 0 <= ids.min() <= ids.max() < tokenizer.vocabulary_size
        tokenizer.decode(range(tokenizer.vocabulary_size))
    except LmgenError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either is right


class TestUnfinishedTexts:
    """Their tokens are those that every longer text begins with, up to where their rest begins."""

    @every_kind
    @unhurried
    @given(before=TEXTS, after=TEXTS)
    def test_no_longer_text_moves_the_tokens_before_the_rest(
        self, kind: str, before: str, after: str
    ) -> None:
        tokenizer = imported(kind)
        certain = tokenizer.edge(before).ids.tolist()
        assert tokenizer.encode(f"{before}{after}x")[: len(certain)].tolist() == certain

    @pytest.mark.parametrize(("text", "rest"), [("the cat ", " "), ("the c", " c"), ("the dog\nthe c", " c")])
    @pytest.mark.parametrize("kind", ["defaults", "word", "as-llama", "bytes", "no-prefix"])
    def test_the_rest_begins_with_the_blank_of_the_last_word(self, kind: str, text: str, rest: str) -> None:
        edge = imported(kind).edge(text)
        assert edge.rest is not None
        assert edge.rest.spelling.decode() == rest

    def test_a_blank_may_belong_to_the_word_before_it(self) -> None:
        edge = imported("suffix").edge("the cat ")
        assert edge.rest is not None
        assert edge.rest.spelling.decode().endswith("t ")

    def test_a_line_without_text_has_no_rest(self) -> None:
        for text in ("", "the cat\n"):
            edge = imported("defaults").edge(text)
            assert edge.rest is None
            assert edge.ids.tolist() == imported("defaults").encode(text).tolist()

    def test_a_long_rest_is_cut_at_a_token(self) -> None:
        edge = imported("defaults").edge("c" + "at" * 300)
        assert edge.rest is not None
        assert len(edge.rest.spelling) <= 64
