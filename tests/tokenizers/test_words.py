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
    | st.sampled_from([" <unk> ", "<s> ", " </s>", " <eos> ", "<unk>"])
).map("".join)
TEXTS = st.text() | WORDS_AND_BLANKS


def trained(text: str, **settings: object) -> WordTokenizer:
    config = TokenizerConfig(tokenizer="word", **settings)  # type: ignore[arg-type]
    return WordTokenizer.train(lambda: [text], config)


def with_single_blanks(text: str) -> str:
    """Words with one blank between them, without sentence marks."""

    def kept(line: str) -> str:
        words = [word for word in line.split() if word not in ("<s>", "</s>")]
        while words[-1:] == ["<eos>"]:
            words.pop()
        return " ".join(words)

    return "\n".join(map(kept, text.split("\n")))


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


@pytest.mark.parametrize("settings", [{}, {"split_punctuation": True}, {"lowercase": True}])
def test_unk_in_a_text_is_the_unknown_token_and_does_not_count_as_unknown(
    settings: dict[str, object],
) -> None:
    tokenizer = trained("<unk> the <unk> cat\n", **settings)
    text = "<unk> the dog\nthe <unk> cow\n"

    ids, offsets = tokenizer.encode_with_offsets(text)

    assert tokenizer.words == ["cat", "the"]
    assert ids.tolist() == tokenizer.encode(text).tolist() == [0, 3, 0, 1, 3, 0, 0, 1]
    assert tokenizer.unknown_among(text, ids).tolist() == [
        False,
        False,
        True,
        False,
        False,
        False,
        True,
        False,
    ]
    assert offsets.tolist() == [0, 6, 10, 13, 14, 18, 24, 27]
    assert tokenizer.missing(lambda: [text]) == {"cow": 1, "dog": 1}
    assert tokenizer.decode(ids) == "<unk> the <unk>\nthe <unk> <unk>\n"


def test_unk_in_capitals_is_unk_in_lower_case_alone() -> None:
    text = "<UNK> the\n"

    assert trained(text).words == ["<UNK>", "the"]
    lower = trained(text, lowercase=True)
    assert lower.words == ["the"]
    assert not lower.unknown_among(text, lower.encode(text)).any()


def test_unk_within_a_word_is_part_of_the_word() -> None:
    tokenizer = trained("the", split_punctuation=True)
    text = "a<unk> <unk>. <unk>\n"
    ids = tokenizer.encode(text)

    assert tokenizer.unknown_among(text, ids).tolist() == [True] * 8 + [False, False]


@pytest.mark.parametrize("split_punctuation", [False, True])
@pytest.mark.parametrize(
    "marked",
    [
        "<s> the cat </s>\n<s> sat </s>\n",
        "<s> the cat\n<s> sat\n",
        "the cat </s>\nsat </s>\n",
        "the cat <eos>\nsat <eos>\n",
        "  <s>\tthe cat <eos> </s> \r\nsat <eos> <eos>\n",
        "the <s> cat\n</s> sat\n",
    ],
)
def test_sentence_marks_around_lines_are_the_boundaries_of_lines(
    marked: str, split_punctuation: bool
) -> None:
    plain = trained("the cat\nsat\n", split_punctuation=split_punctuation)
    tokenizer = trained(marked, split_punctuation=split_punctuation)

    assert tokenizer.to_json() == plain.to_json()
    assert tokenizer.encode(marked).tolist() == plain.encode("the cat\nsat\n").tolist()
    ids, offsets = tokenizer.encode_with_offsets(marked)
    assert ids.tolist() == tokenizer.encode(marked).tolist()
    assert [marked[offset] for offset in offsets] == ["t", "c", "\n", "s", "\n"]
    assert tokenizer.missing(lambda: [marked]) == {}
    closed, opened = ([*tokenizer.encode_stream([text])] for text in (marked, marked.removesuffix("\n")))
    assert [token for ids in closed for token in ids] == [token for ids in opened for token in ids]


def test_marks_are_noted_when_a_tokenizer_is_trained_and_only_then() -> None:
    tokenizer = trained("<s> a </s>\n<s> b\nc\n")

    assert tokenizer.notes == (
        "2 lines have sentence marks (<s> and </s> around them, or <eos> at the end), which are read as the "
        "boundaries that every line has; --literal-marks reads them as words",
    )
    assert trained("a\n").notes == WordTokenizer.from_json(tokenizer.to_json()).notes == ()


def test_marks_are_words_if_that_is_asked_for() -> None:
    text = "<s> a </s>\n<unk> <eos>\n"
    tokenizer = trained(text, literal_marks=True)

    assert tokenizer.words == ["</s>", "<eos>", "<s>", "a"]
    assert tokenizer.encode(text).tolist() == [4, 5, 2, 1, 0, 3, 1]
    assert tokenizer.notes == ()
    assert WordTokenizer.from_json(tokenizer.to_json()).to_json() == tokenizer.to_json()
    assert [tokenizer.escaped_piece(token) for token in range(4)] == ["<unk>", "</s>", r"\</s>", "<eos>"]


def test_eos_within_a_line_is_a_word() -> None:
    tokenizer = trained("a <eos> b <eos>\n")

    assert tokenizer.words == ["<eos>", "a", "b"]
    assert tokenizer.encode("a <eos> b <eos>\n").tolist() == [3, 2, 4, 1]


@pytest.mark.parametrize("split_punctuation", [False, True])
def test_a_tokenizer_of_the_first_versions_takes_every_spelling_for_a_word(split_punctuation: bool) -> None:
    words = [*("<\t", "unk", "\t>", "</\t", "s")] if split_punctuation else ["<s>", "<unk>", "</s>"]
    saved = {"tokenizer": "word", "words": words, "lowercase": False, "split_punctuation": split_punctuation}
    tokenizer = WordTokenizer.from_json(saved)
    text = "<unk> <s>\n"

    assert tokenizer.to_json() == saved
    assert tokenizer.encode(text).tolist() == ([2, 3, 4, 2, 6, 4, 1] if split_punctuation else [3, 2, 1])
    assert tokenizer.unknown_among("<unk> x", tokenizer.encode("x")).tolist() == [True]


def test_words_may_be_separated_as_kenlm_separates_them() -> None:
    saved = {
        "tokenizer": "word",
        "words": ["a\u3000b", "c\x85", "\xa0", "d\x1ce"],
        "lowercase": False,
        "split_punctuation": False,
        "literal_marks": False,
        "white_space": "ascii",
        "reserved": ["<UNK>", "<S>", "</S>"],
    }
    tokenizer = WordTokenizer.from_json(saved)
    text = "<S> a\u3000b\tc\x85\x00\xa0\x0bd\x1ce\u2028 <UNK> </S>\r\n"

    assert tokenizer.to_json() == saved
    assert tokenizer.encode(text).tolist() == [2, 3, 4, 0, 0, 1]
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids.tolist() == [2, 3, 4, 0, 0, 1]
    assert offsets.tolist() == [4, 8, 11, 13, 18, 29]
    assert tokenizer.unknown_among(text, ids).tolist() == [False, False, False, True, False, False]
    assert tokenizer.missing(lambda: [text]) == {"d\x1ce\u2028": 1}


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
    assert not tokenizer.unknown_among(text, ids).any()
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
        ("a <unk>s", ["a", "<\t", "unk", "\t>\t", "s"]),
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
        {"literal_marks": 1},
        {"literal_marks": False, "words": ["<unk>"]},
        {"literal_marks": False, "words": ["</s>"]},
        {"literal_marks": False, "reserved": ["<UNK>", "<S>"]},
        {"literal_marks": False, "reserved": ["<UNK>", "<S>", 3]},
        {"white_space": "tabs"},
        {"white_space": "ascii", "words": ["a\tb"]},
    ],
)
def test_a_damaged_vocabulary_is_refused(changed: dict[str, object]) -> None:
    saved = {"tokenizer": "word", "words": ["a"], "lowercase": False, "split_punctuation": False} | changed

    with pytest.raises(ModelError, match="the saved tokenizer is damaged"):
        WordTokenizer.from_json(saved)
