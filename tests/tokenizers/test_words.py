import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError, ModelError
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.words import WordTokenizer

WORDS_AND_BLANKS = st.lists(
    st.sampled_from(
        ["the", "cat", " ", "\n", "  ", "\t", "don't", "U.S.", "(", "--", ",", '"', "İΣ", "\r\n", "\x85"]
    )
).map("".join)
TEXTS = st.text() | WORDS_AND_BLANKS


def trained(text: str, **settings: object) -> WordTokenizer:
    config = TokenizerConfig(tokenizer="word", **settings)  # type: ignore[arg-type]
    return WordTokenizer.train(lambda: [text], config)


def with_single_blanks(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def test_words_have_ids_by_descending_count_then_spelling() -> None:
    tokenizer = trained("b a c a\nb a d\n")

    assert [tokenizer.piece(token) for token in range(6)] == ["<unk>", "</s>", "a", "b", "c", "d"]
    assert tokenizer.encode("a d\n\nx b").tolist() == [2, 5, 1, 1, 0, 3]
    assert tokenizer.decode([2, 5, 1, 1, 0, 3]) == "a d\n\n<unk> b"


def test_the_vocabulary_size_includes_the_special_tokens() -> None:
    assert trained("a a b b c", vocab_size=4).words == ["a", "b"]


def test_rare_words_become_unknown() -> None:
    assert trained("a a b b c", min_count=2).words == ["a", "b"]


def test_lowercase_reads_and_counts_words_of_any_case_as_one() -> None:
    tokenizer = trained("The the THE Cat", lowercase=True)

    assert tokenizer.words == ["the", "cat"]
    assert tokenizer.encode("CAT tHE").tolist() == [3, 2]


def test_new_words_get_ids_after_the_old_ones() -> None:
    old = trained("b a c a\nb a d\n")
    missing = old.missing(lambda: ["e f a\n", "f A"])
    tokenizer = old.extended(list(missing))

    assert missing == {"f": 2, "A": 1, "e": 1}
    assert tokenizer.words == ["a", "b", "c", "d", "f", "A", "e"]
    assert WordTokenizer.from_json(tokenizer.to_json()).encode("d e f\n").tolist() == [5, 8, 6, 1]


def test_what_is_missing_is_read_as_the_vocabulary_was() -> None:
    old = trained("the cat", lowercase=True, split_punctuation=True)

    assert old.missing(lambda: ["The dog!"]) == {"\t!": 1, "dog": 1}


@pytest.mark.parametrize("split_punctuation", [False, True])
def test_special_tokens_cannot_be_spelled(split_punctuation: bool) -> None:
    text = "<unk> </s> <unk> word\n"
    tokenizer = trained(text, split_punctuation=split_punctuation)

    assert (tokenizer.encode(text)[:-1] > 1).all()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_words_spelled_like_special_tokens_are_told_apart_when_shown() -> None:
    tokenizer = trained("<unk> </s>")

    assert [tokenizer.escaped_piece(token) for token in range(4)] == ["<unk>", "</s>", r"\</s>", r"\<unk>"]


@given(TEXTS, st.booleans())
def test_a_text_comes_back_with_single_blanks(text: str, split_punctuation: bool) -> None:
    tokenizer = trained(text + " x", split_punctuation=split_punctuation)

    decoded = tokenizer.decode(tokenizer.encode(text))

    assert decoded == with_single_blanks(text)
    assert tokenizer.encode(decoded).tolist() == tokenizer.encode(text).tolist()


@given(TEXTS, st.booleans(), st.booleans())
def test_offsets_point_at_the_words(text: str, lowercase: bool, split_punctuation: bool) -> None:
    tokenizer = trained(text + " x", lowercase=lowercase, split_punctuation=split_punctuation)

    ids, offsets = tokenizer.encode_with_offsets(text)

    assert ids.tolist() == tokenizer.encode(text).tolist()
    assert tokenizer.unknown not in ids
    for token, offset in zip(ids.tolist(), offsets.tolist(), strict=True):
        piece = "\n" if token == tokenizer.line_end else tokenizer.piece(token).strip("\t")
        after = text[offset:]
        assert any(after[:length].lower() == piece.lower() for length in range(1, len(piece) + 1))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Yes!", ["Yes", "\t!"]),
        ("(don't!)", ["(\t", "don't", "\t!", "\t)"]),
        ("in the U.S. now", ["in", "the", "U.S", "\t.", "now"]),
        ("$3.14, 1,000 12:30", ["$\t", "3.14", "\t,", "1,000", "12:30"]),
        ("a,b: x", ["a", "\t,\t", "b", "\t:", "x"]),
        ("state-of-the-art -- or--not...", ["state-of-the-art", "--", "or", "\t--\t", "not", "\t..."]),
        ("What?!", ["What", "\t?", "\t!"]),
        ("snake_case_", ["snake_case_"]),
        ("<unk>", ["<\t", "unk", "\t>"]),
        ("日本。語", ["日本", "\t。\t", "語"]),
        ("हिन्दी।", ["हिन्दी", "\t।"]),
        ("'tis dogs'", ["'\t", "tis", "dogs", "\t'"]),
        (", ,,", [",", ",,"]),
    ],
)
def test_splitting_punctuation(text: str, pieces: list[str]) -> None:
    tokenizer = trained(text, split_punctuation=True)

    assert [tokenizer.piece(token) for token in tokenizer.encode(text)] == pieces
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_long_word_is_split_like_a_short_one() -> None:
    text = "ab," * 100
    tokenizer = trained(text, split_punctuation=True)

    assert tokenizer.words == ["ab", "\t,\t", "\t,"]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_no_punctuation_is_beyond_the_first_two_planes() -> None:
    assert not any(unicodedata.category(chr(code))[0] in "PS" for code in range(0x20000, 0x110000))


def test_white_space_is_the_same_to_split_and_to_regular_expressions() -> None:
    """Words and their offsets are found in two ways."""
    everything = "x".join(map(chr, range(0x110000)))

    assert re.findall(r"\S+", everything) == everything.split()


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(CorpusError, match="the training text has no words"):
        trained(text)


def test_a_count_that_no_word_reaches_is_refused() -> None:
    with pytest.raises(CorpusError, match="no word occurs 3 times; lower --min-count"):
        trained("a a", min_count=3)


@pytest.mark.parametrize(
    "changed",
    [
        {"words": ["a", "a"]},
        {"words": ["a b"]},
        {"words": [""]},
        {"words": ["\t,"]},
        {"words": ["a", 3]},
        {"words": "a"},
        {"words": None},
        {"lowercase": 1},
        {"split_punctuation": "yes"},
        {"words": ["\t,", ",\t,"], "split_punctuation": True},
    ],
)
def test_a_damaged_vocabulary_is_refused(changed: dict[str, object]) -> None:
    saved = {"tokenizer": "word", "words": ["a"], "lowercase": False, "split_punctuation": False} | changed

    with pytest.raises(ModelError, match="the saved tokenizer is damaged"):
        WordTokenizer.from_json(saved)
