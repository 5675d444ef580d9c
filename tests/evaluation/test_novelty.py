"""What of a text is new, in texts small enough to count by hand."""

import numpy as np
import pytest

from lmgen.errors import CorpusError
from lmgen.evaluation.matching import LONGEST
from lmgen.evaluation.novelty import Novelty, novelty
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

TRAINING = "the cat sat\non the mat\nthe dog sat\n"


def tokenizer_of(kind: str, unit: str = "document", text: str = TRAINING) -> Tokenizer:
    return train_tokenizer(lambda: [text], TokenizerConfig(tokenizer=kind), ReadingConfig(unit=unit))


def measured(
    kind: str, *samples: str, unit: str = "document", text: str = TRAINING, held_out: str = "", top: int = 10
) -> Novelty:
    tokenizer = tokenizer_of(kind, unit, text)
    return novelty(
        samples,
        tokenizer.encode(text),
        tokenizer,
        model="lstm",
        held_out=tokenizer.encode(held_out) if held_out else None,
        top=top,
    )


def shares(found: Novelty, of: str) -> list[tuple[int, int, int]]:
    return [(each.n, each.ngrams, each.new) for each in found.ngrams if each.of == of]


def test_ngrams_of_words_and_of_characters_are_counted() -> None:
    found = measured("word", "the cat sat on the mat")

    assert shares(found, "tokens") == [(1, 6, 0), (2, 5, 1), (3, 4, 2), (4, 3, 3)]
    assert shares(found, "characters")[-1] == (12, 11, 11)
    assert (found.samples, found.tokens, found.characters, found.whole) == (1, 6, 22, None)


def test_passages_are_the_longest_first_with_their_places_and_do_not_overlap() -> None:
    found = measured("char", "a dog sat", "the cat sat\non the dog")

    assert [(each.text, each.sample, each.offset, each.occurrences) for each in found.passages] == [
        ("the cat sat\non the", 2, 0, 1),
        ("dog sat", 1, 2, 1),
    ]
    assert [(each.training_line, each.training_offset) for each in found.passages] == [(1, 0), (3, 27)]
    for each in found.passages:
        assert TRAINING[each.training_offset :].startswith(each.text)
        assert TRAINING[: each.training_offset].count("\n") + 1 == each.training_line
    assert measured("char", "a dog sat", top=0).passages == ()


def test_no_passage_is_part_of_another_or_only_white_space() -> None:
    found = measured("char", "the cat", "the cat sat", "  ", "cat sat")

    assert [each.text for each in found.passages] == ["the cat sat"]


def test_an_unknown_token_matches_nothing_even_where_the_training_text_has_some() -> None:
    text = "the cat sat\n" * 3 + "a rare word\n"
    tokenizer = train_tokenizer(lambda: [text], TokenizerConfig(tokenizer="word", min_count=2))
    found = novelty(["sat the cat odd"], tokenizer.encode(text), tokenizer, model="lstm")

    assert shares(found, "tokens") == [(1, 4, 1), (2, 3, 2), (3, 2, 2)]
    assert [each.text for each in found.passages] == ["the cat", "sat"]


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
@pytest.mark.parametrize("unit", ["line", "record"])
def test_whole_lines_and_records_are_counted(kind: str, unit: str) -> None:
    text = TRAINING if unit == "line" else TRAINING.replace("\n", "\ud800")
    found = measured(kind, "the cat sat", "the cat", "cat sat", "the dog sat", unit=unit, text=text)

    assert found.whole == 2
    assert found.passages[0].training_offset == 0
    assert {each.text for each in found.passages} == {"the cat sat", "the dog sat"}


def test_held_out_text_of_the_same_length_is_beside_it() -> None:
    found = measured("char", "the cat sat", held_out="one mat one mat one mat")
    by_length = {each.n: each for each in found.ngrams if each.of == "characters"}

    assert (by_length[1].share, by_length[1].held_out_share) == (0, 0)
    assert by_length[3].share == 0
    assert by_length[3].held_out_share == pytest.approx(5 / 9)
    assert max(by_length) == 10


def test_characters_of_a_byte_model_are_those_of_its_text() -> None:
    text = "žába\nkůň\n"
    found = measured("byte", "kůň žába", text=text)

    assert (found.tokens, found.characters) == (12, 8)
    assert [each.text for each in found.passages] == ["žába", "kůň"]
    assert found.passages[1].training_line == 2


def test_a_text_that_is_copied_whole_has_few_long_passages() -> None:
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh \n"), 200_000))
    found = measured("char", text, text=text)

    assert sorted(each.offset // LONGEST for each in found.passages[:3]) == [0, 1, 2]
    assert sum(each.characters for each in found.passages) > 199_000
    assert {each.new for each in found.ngrams} == {0}


def test_nothing_to_look_for_is_an_error() -> None:
    with pytest.raises(CorpusError, match="there is not a single token to look for"):
        measured("char", "", "")


def test_shares_are_those_of_a_search_for_every_ngram() -> None:
    random = np.random.default_rng(0)
    text, sample = ("".join(random.choice(list("ab \n"), size)) for size in (300, 80))
    found = measured("char", sample, text=text)

    for n, ngrams, new in shares(found, "characters"):
        assert ngrams == len(sample) - n + 1
        assert new == sum(sample[i : i + n] not in text for i in range(ngrams))
