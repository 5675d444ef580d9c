"""What holds for every tokenizer."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import IMPORTED, TOKENIZER_NAMES, TokenizerConfig
from lmgen.tokenizers.registry import TOKENIZERS, tokenizer_from_json, train_tokenizer

ALL = [*TOKENIZER_NAMES, "word-split"]
EXACT = ["byte", "bpe", "unigram"]

HARD = [
    "\u2581",
    "▅",
    "\0",
    "\x01",
    "\r\n",
    "\t",
    "  ",
    "\n",
    "\n\n",
    "\x85",
    "\u2028",
    "\ufeff",
    "\u200d",
    "👩‍👩‍👧",
]
HARD += [
    "<s>",
    "</s>",
    "<unk>",
    "<0x0A>",
    "<pad>",
    "the",
    " cat",
    "日本",
    "e\u0301",
    "\ufffd",
    "\ufffe",
    "\U0010ffff",
]
TEXTS = st.text() | st.lists(st.sampled_from(HARD)).map("".join)

JSON_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.none())
)

every_tokenizer = pytest.mark.parametrize("name", ALL)
unhurried = settings(deadline=None, max_examples=50)


@pytest.mark.parametrize("name", EXACT)
@given(text=TEXTS)
@unhurried
def test_decode_inverts_encode_on_any_text(name: str, tokenizers: dict[str, Tokenizer], text: str) -> None:
    tokenizer = tokenizers[name]

    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.unknown is None


@every_tokenizer
@given(text=TEXTS)
@unhurried
def test_ids_are_in_the_vocabulary_and_offsets_in_the_text(
    name: str, tokenizers: dict[str, Tokenizer], text: str
) -> None:
    tokenizer = tokenizers[name]

    ids, offsets = tokenizer.encode_with_offsets(text)

    assert ids.dtype == np.int64
    assert ids.tolist() == tokenizer.encode(text).tolist()
    assert len(ids) == len(offsets)
    assert ((ids >= 0) & (ids < tokenizer.vocabulary_size)).all()
    assert (np.diff(offsets) >= 0).all()
    assert ((offsets >= 0) & (offsets < max(len(text), 1))).all()


@pytest.mark.parametrize("name", ["char", "byte", "bpe", "unigram"])
@given(text=TEXTS)
@unhurried
def test_each_piece_stands_at_its_offset(name: str, tokenizers: dict[str, Tokenizer], text: str) -> None:
    tokenizer = tokenizers[name]

    for token, offset in zip(*map(np.ndarray.tolist, tokenizer.encode_with_offsets(text)), strict=True):
        piece = tokenizer.piece(token)
        if token != tokenizer.unknown and not any("\udc80" <= character <= "\udcff" for character in piece):
            assert text[offset : offset + len(piece)] == piece


@every_tokenizer
@given(before=TEXTS, after=TEXTS)
@unhurried
def test_a_text_can_be_encoded_line_by_line(
    name: str, tokenizers: dict[str, Tokenizer], before: str, after: str
) -> None:
    encode = tokenizers[name].encode
    before += "\n"

    assert encode(before + after).tolist() == [*encode(before).tolist(), *encode(after).tolist()]


@every_tokenizer
@given(chunks=st.lists(TEXTS))
@unhurried
def test_a_stream_cut_anywhere_gives_the_ids_of_the_whole(
    name: str, tokenizers: dict[str, Tokenizer], chunks: list[str]
) -> None:
    tokenizer, text = tokenizers[name], "".join(chunks)
    if tokenizer.reads_lines and text and not text.endswith("\n"):
        text += "\n"

    streamed = [token for ids in tokenizer.encode_stream(chunks) for token in ids.tolist()]
    located = []
    for block in tokenizer.encode_blocks(chunks):
        offsets = [0] if block.closes else tokenizer.encode_with_offsets(block.text)[1].tolist()
        located += [block.position + offset for offset in offsets]

    ids, places = tokenizer.encode_with_offsets(text)
    assert streamed == tokenizer.encode(text).tolist() == ids.tolist()
    assert located == places.tolist()


@every_tokenizer
@given(data=st.data())
@unhurried
def test_decoding_in_parts_gives_the_same_text(
    name: str, tokenizers: dict[str, Tokenizer], data: st.DataObject
) -> None:
    tokenizer = tokenizers[name]
    parts = data.draw(st.lists(st.lists(st.integers(0, tokenizer.vocabulary_size - 1))))
    decoder = tokenizer.decoder()

    text = "".join(map(decoder.push, parts)) + decoder.finish()

    assert text == tokenizer.decode([token for part in parts for token in part])


@every_tokenizer
@pytest.mark.parametrize("wrong", [-1, 10**6, 10**30])
def test_an_id_outside_the_vocabulary_is_named(
    name: str, tokenizers: dict[str, Tokenizer], wrong: int
) -> None:
    with pytest.raises(CorpusError, match=f"token id {wrong} is not in the vocabulary; ids are 0 to"):
        tokenizers[name].decode([0, wrong])


@every_tokenizer
def test_a_decoder_takes_arrays_ranges_and_generators(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer, ids = tokenizers[name], [0, 1, 2, 3]

    assert (
        tokenizer.decode(np.array(ids, np.uint8)) == tokenizer.decode(range(4)) == tokenizer.decode(iter(ids))
    )


@every_tokenizer
@given(text=TEXTS)
@unhurried
def test_special_tokens_cannot_be_spelled(name: str, tokenizers: dict[str, Tokenizer], text: str) -> None:
    tokenizer = tokenizers[name]
    names = "".join(tokenizer.piece(token) for token in tokenizer.special_ids)

    spelled = tokenizer.encode(f"{names} {names}")

    assert not set(spelled.tolist()) & (tokenizer.special_ids - {tokenizer.unknown})


@every_tokenizer
def test_escaped_pieces_stand_in_one_column_each(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers[name]

    for token in range(tokenizer.vocabulary_size):
        escaped = tokenizer.escaped_piece(token)
        assert escaped.split() == [escaped]


@pytest.mark.parametrize("name", ["char", "word", "word-split"])
@given(old=TEXTS, new=TEXTS)
@unhurried
def test_an_extended_vocabulary_knows_both_texts_and_moves_no_id(
    name: str, tokenizers: dict[str, Tokenizer], old: str, new: str
) -> None:
    tokenizer = tokenizers[name]
    new = new.encode("utf-8", "ignore").decode() + "\n"

    extended = tokenizer.extended(list(tokenizer.missing(lambda: [new])))

    assert not extended.unknown_among(new, extended.encode(new)).any()
    before, after = tokenizer.encode(old), extended.encode(old)
    known = before != tokenizer.unknown
    assert (after[known] == before[known]).all()
    assert tokenizer_from_json(extended.to_json()).encode(new).tolist() == extended.encode(new).tolist()


@pytest.mark.parametrize("name", EXACT)
def test_a_vocabulary_that_lacks_nothing_is_not_extended(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    assert tokenizers[name].missing(lambda: ["日本語"]) == {}
    with pytest.raises(ConfigError, match=f"a {name} vocabulary cannot be extended, and need not be"):
        tokenizers[name].extended(["日"])


@every_tokenizer
def test_a_saved_tokenizer_is_the_same(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers[name]
    text = "The cat's  <unk>\n\tnaïve 日本\n"

    loaded = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))

    assert type(loaded) is type(tokenizer)
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    assert (loaded.unknown, loaded.line_end, loaded.start) == (
        tokenizer.unknown,
        tokenizer.line_end,
        tokenizer.start,
    )
    assert loaded.encode(text).tolist() == tokenizer.encode(text).tolist()


@every_tokenizer
@given(data=st.data())
@unhurried
def test_a_saved_tokenizer_with_something_wrong_is_refused_or_works(
    name: str, tokenizers: dict[str, Tokenizer], data: st.DataObject
) -> None:
    saved = tokenizers[name].to_json()
    key = data.draw(st.sampled_from(sorted(saved)))
    saved[key] = data.draw(JSON_VALUES)

    try:
        tokenizer_from_json(saved).encode("The cat")
    except ModelError as error:
        assert "the saved tokenizer is damaged" in str(error)  # noqa: PT017 - either is right


@every_tokenizer
def test_a_saved_tokenizer_with_a_missing_key_is_refused(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    saved = tokenizers[name].to_json()

    for key in saved.keys() - {"literal_marks"}:  # the first versions saved none
        with pytest.raises(ModelError, match=f"'{key}' is missing"):
            tokenizer_from_json({k: v for k, v in saved.items() if k != key})


@pytest.mark.parametrize("saved", [None, [], "char", {}, {"tokenizer": 3}, {"tokenizer": "morse"}])
def test_what_is_no_tokenizer_is_refused(saved: object) -> None:
    with pytest.raises(ModelError, match="the saved tokenizer is damaged"):
        tokenizer_from_json(saved)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("byte", {"lowercase": True}, "--lowercase is for --tokenizer char or word, not byte; leave it out"),
        (
            "byte",
            {"vocab_size": 9},
            "--vocab-size is for --tokenizer char or word or bpe or unigram, not byte",
        ),
        ("char", {"split_punctuation": True}, "--split-punctuation is for --tokenizer word, not char"),
        ("bpe", {"min_count": 2}, "--min-count is for --tokenizer char or word, not bpe"),
        ("unigram", {"lowercase": True}, "--lowercase is for --tokenizer char or word, not unigram"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(name: str, setting: dict[str, int], message: str) -> None:
    config = TokenizerConfig(tokenizer=name, **setting)  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=message):
        train_tokenizer(lambda: ["some text"], config)


def test_all_settings_that_mean_nothing_are_named_at_once() -> None:
    config = TokenizerConfig(tokenizer="byte", min_count=2, lowercase=True)

    with pytest.raises(ConfigError, match=r"--min-count .*; --lowercase "):
        train_tokenizer(lambda: ["some text"], config)


def test_every_name_has_its_tokenizer() -> None:
    assert tuple(TOKENIZERS) == (*TOKENIZER_NAMES, IMPORTED)
    assert [tokenizer.name for tokenizer in TOKENIZERS.values()] == list(TOKENIZERS)
