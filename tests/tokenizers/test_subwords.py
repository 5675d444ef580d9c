import base64
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError
from lmgen.tokenizers import subwords
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import tokenizer_from_json, train_tokenizer
from lmgen.tokenizers.subwords import FIRST_PIECE, SubwordTokenizer, UnigramTokenizer

NAMES = ["bpe", "unigram"]
BLANK_ONLY = [" "]


def trained(name: str, text: str, vocab_size: int | None = None) -> Tokenizer:
    return train_tokenizer(lambda: [text], TokenizerConfig(tokenizer=name, vocab_size=vocab_size))


def pieces(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.piece(token) for token in range(FIRST_PIECE, tokenizer.vocabulary_size)]


def test_byte_pair_encoding_joins_what_the_textbook_joins() -> None:
    """The example of Wikipedia's "Byte-pair encoding": Z = aa, Y = ab, X = ZY."""
    tokenizer = trained("bpe", "aaabdaaabac", FIRST_PIECE + 3 + len(" abcd"))

    assert pieces(tokenizer)[:3] == ["aa", "ab", "aaab"]
    assert [tokenizer.piece(token) for token in tokenizer.encode("aaabdaaabac")] == [
        "aaab",
        "d",
        "aaab",
        "a",
        "c",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_one_less_than_those_of_sentencepiece(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    from sentencepiece import SentencePieceProcessor

    rival = SentencePieceProcessor(model_proto=base64.b64decode(tokenizers[name].to_json()["model"]))

    for text in ["The cat  sat on\nthe mat.\n\n", "\t3.14 naïve <unk> <0x0A> </s>\r\n", "日本 👩‍👩‍👧"]:
        assert (tokenizers[name].encode(text) + 1).tolist() == rival.encode(text)


@pytest.mark.parametrize("name", NAMES)
def test_runs_of_blanks_have_pieces(name: str) -> None:
    tokenizer = trained(name, "        return x\n    if y\n" * 20)

    assert tokenizer.piece(int(tokenizer.encode("        return")[0])).startswith("    ")


@pytest.mark.parametrize("name", NAMES)
def test_line_ends_and_bytes_have_the_first_ids(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers[name]

    assert tokenizer.line_end == tokenizer.start == 0
    assert tokenizer.piece(0) == "\n"
    assert tokenizer.encode("\n\0▁").tolist() == [0, 1, 1 + 0xE2, 1 + 0x96, 1 + 0x81]
    assert tokenizer.decode(range(1, 129)) == bytes(range(128)).decode()


@pytest.mark.parametrize("name", NAMES)
def test_bytes_that_are_no_text_are_written_as_text_all_the_same(
    name: str, tokenizers: dict[str, Tokenizer]
) -> None:
    """A model may put byte pieces together that are not UTF-8; what comes out can be read again."""
    written = tokenizers[name].decode([1 + 0xE2, 1 + 0x96, 1 + ord("a"), 1 + 0xFF])

    assert written == "\ufffda\ufffd"


@pytest.mark.parametrize("name", NAMES)
def test_training_is_deterministic_and_silent(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    text = "".join(random.Random(1).choices("abcdefgh   \n", k=20_000))

    first, second = trained(name, text, 400), trained(name, text, 400)
    second.encode(text)

    assert first.to_json() == second.to_json()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_long_line_is_learned_from_and_encoded(name: str) -> None:
    text = "the cat sat " * 30_000
    tokenizer = trained(name, text)

    assert {"t", "h", "e"} <= set(pieces(tokenizer))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert np.concatenate(list(tokenizer.encode_stream([text]))).tolist() == tokenizer.encode(text).tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", ["a", "\n", " ", "\0▁▅", "the cat sat on the mat\n", "<0x41><unk>" * 99, "x" * 9999]
)
def test_a_small_text_gives_as_many_pieces_as_it_has(name: str, text: str) -> None:
    tokenizer = trained(name, text)

    assert FIRST_PIECE + 1 <= tokenizer.vocabulary_size < 300
    assert tokenizer.decode(tokenizer.encode(text + "other")) == text + "other"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", ["a", "\n", "the cat sat on the mat\n", "aaabdaaabac", "ab ba\n" * 5, "日本語の文\n" * 3]
)
def test_a_size_that_the_text_does_not_support_is_refused_with_the_largest_one(name: str, text: str) -> None:
    with pytest.raises(
        CorpusError, match=f"for a {name} vocabulary of 3000; ask for --vocab-size"
    ) as refused:
        trained(name, text, 3000)

    largest = int(str(refused.value).split()[-3])
    assert trained(name, text, largest).vocabulary_size == largest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("vocab_size", [258, 259, 264, 300])
def test_many_characters_in_a_small_vocabulary_are_left_to_their_bytes(name: str, vocab_size: int) -> None:
    text = "".join(map(chr, range(0x4E00, 0x5000))) * 2 + "aaaa"
    tokenizer = trained(name, text, vocab_size)

    assert tokenizer.vocabulary_size == vocab_size
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert pieces(tokenizer) == BLANK_ONLY or "a" in pieces(tokenizer)


def test_the_rarest_characters_get_no_pieces() -> None:
    tokenizer = trained("bpe", "ab " * 5000 + "é")

    assert "é" not in pieces(tokenizer)
    assert tokenizer.decode(tokenizer.encode("é")) == "é"


def test_a_vocabulary_without_room_for_all_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="--vocab-size is 257, but bpe needs at least 258"):
        trained("bpe", "text", 257)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_text_is_refused(name: str) -> None:
    with pytest.raises(CorpusError, match="the training text is empty"):
        trained(name, "")


def test_of_a_very_long_text_evenly_spread_passages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subwords, "TRAINING_CHARACTERS", 4096)
    text = "first part\n" * 5000 + "other half\n" * 5000

    assert {" part", " half"} <= set(pieces(trained("bpe", text)))


@pytest.mark.parametrize("failure", [CorpusError("corpus.txt is gone"), KeyboardInterrupt()])
def test_a_failure_to_read_the_text_comes_out_as_it_is(failure: BaseException) -> None:
    passes = iter(["counting", "training"])

    def chunks() -> list[str]:
        if next(passes) == "training":
            raise failure
        return ["some text\n" * 50]

    with pytest.raises(type(failure)) as raised:
        train_tokenizer(chunks, TokenizerConfig(tokenizer="bpe"))

    assert raised.value is failure


@pytest.mark.parametrize("name", NAMES)
def test_decoding_does_not_need_sentencepiece(
    name: str, tokenizers: dict[str, Tokenizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tokenizers[name].encode("the cat\n")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)

    loaded = tokenizer_from_json(tokenizers[name].to_json())

    assert loaded.decode(ids) == "the cat\n"


@pytest.mark.parametrize(
    "model", ["", "not base64", "AAAA", "CgA=", base64.b64encode(b"\x0a\xff\xff\xff\x7f").decode(), 3]
)
def test_a_damaged_model_is_refused(model: object) -> None:
    with pytest.raises(ModelError, match="the saved tokenizer is damaged"):
        UnigramTokenizer.from_json({"tokenizer": "unigram", "model": model})


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
@settings(deadline=None, max_examples=100)
def test_a_damaged_byte_never_crashes(
    name: str, tokenizers: dict[str, Tokenizer], data: st.DataObject
) -> None:
    model = bytearray(base64.b64decode(tokenizers[name].to_json()["model"]))
    model[data.draw(st.integers(0, len(model) - 1))] = data.draw(st.integers(0, 255))
    del model[data.draw(st.integers(0, len(model)) | st.just(len(model))) :]
    saved = {"tokenizer": name, "model": base64.b64encode(model).decode("ascii")}

    try:
        loaded = tokenizer_from_json(saved)
        assert isinstance(loaded, SubwordTokenizer)
        ids, _ = loaded.encode_with_offsets("The cat sat\n on\0 the mät")
        assert 0 <= ids.min() <= ids.max() < loaded.vocabulary_size
    except LmgenError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either is right
