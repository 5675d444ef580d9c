"""Every token of a text under a model, against what the commands print of the same text."""

from pathlib import Path

import numpy as np
import pytest

import lmgen
from lmgen.errors import CorpusError, ModelError
from lmgen.report.packed import at_their_ranks, shown_tokens
from lmgen.report.scored import Predicted, predicted_by, read_tokens
from lmgen.report.subject import beginning_of, subjects_of
from lmgen.text.given import text_of
from lmgen.text_model import TextModel
from lmgen.tokenizers.bytes import ByteTokenizer
from tests.report import runs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "settings",
    [{}, {"tokenizer": "word"}, {"unit": "line"}, {"tokenizer": "byte"}],
    ids=lambda each: "-".join(each.values()) or "char",
)
def test_tokens_have_the_ranks_and_surprisals_that_perplexity_prints(settings: dict[str, str]) -> None:
    model = runs.model(**settings)
    given = "one Two “six.”\nfive <b>"
    [text] = model.texts(text_of(given, "given"))
    tokens, parts = read_tokens(beginning_of(text, model.tokenizer, 1000), model.tokenizer)
    found = predicted_by(model.model, parts)
    printed = list(model.perplexity(text_of(given, "given"), by="token"))

    assert found.ranks.tolist() == [each.rank for each in printed]
    assert found.nats / np.log(2) == pytest.approx([each.surprisal_bits for each in printed])
    assert (tokens.units + 1).tolist() == [each.unit for each in printed]
    assert tokens.offsets.tolist() == [each.offset for each in printed]
    assert tokens.text.rstrip("\n") == given


def test_guesses_are_the_tokens_that_next_prints() -> None:
    model = runs.model()
    [text] = model.texts(text_of("one Tw\n", "given"))
    tokens, parts = read_tokens(beginning_of(text, model.tokenizer, 100), model.tokenizer)
    found = predicted_by(model.model, parts)

    for at in (0, 3, 6):
        best = model.next(tokens.text[:at], top=5)
        assert [model.tokenizer.piece(token) for token in found.guesses[at]] == [b.token for b in best]
        assert found.chances[at] == pytest.approx([each.probability for each in best], rel=1e-4)
    where = found.ranks <= 5
    assert (found.guesses[where, found.ranks[where] - 1] == tokens.ids[where]).all()


def test_a_long_text_ends_with_a_line_and_a_short_one_is_whole() -> None:
    tokenizer = runs.model().tokenizer
    text = text_of("one\ntwo\nthree\n", "given")

    assert list(beginning_of(text, tokenizer, 10).text.chunks()) == ["one\ntwo\n"]
    assert not beginning_of(text, tokenizer, 13).is_whole
    assert beginning_of(text, tokenizer, 14).is_whole
    assert list(beginning_of(text_of("a" * 30 + "\n", "given"), tokenizer, 10).text.chunks()) == ["a" * 10]
    with pytest.raises(CorpusError, match="given is empty"):
        beginning_of(text_of("", "given"), tokenizer, 10)


def test_the_bytes_of_a_character_are_shown_as_one_token() -> None:
    tokenizer = ByteTokenizer()
    text = text_of("aé😀\n", "given")
    tokens, _ = read_tokens(beginning_of(text, tokenizer, 10), tokenizer)
    shown = shown_tokens(tokens)

    assert len(tokens.ids) == 8
    assert shown.lengths.tolist() == [1, 1, 2, 1]  # as JavaScript counts
    assert shown.summed(np.arange(8.0)).tolist() == [0, 1 + 2, 3 + 4 + 5 + 6, 7]
    assert [shown.place_of(token) for token in range(8)] == [0, 1, 1, 2, 2, 2, 2, 3]


def test_of_equally_likely_tokens_the_one_that_came_is_shown_at_its_rank() -> None:
    guesses = np.array([[4, 0, 1, 2]] * 4)
    chances = np.array([[0.4, 0.1, 0.1, 0.1]] * 4)
    ranks = np.array([1, 2, 2, 7])
    predicted = Predicted("ngram", np.zeros(4), ranks, guesses, chances)

    shown = at_their_ranks(predicted, np.array([4, 1, 3, 5]))

    assert shown.tolist() == [[4, 0, 1, 2], [4, 1, 0, 2], [4, 3, 1, 2], [4, 0, 1, 2]]
    assert guesses.tolist() == [[4, 0, 1, 2]] * 4


def test_runs_are_compared_on_one_text_alone(tmp_path: Path) -> None:
    one, other = runs.run(), runs.run(cell="gru")
    lmgen.train(runs.text(seed=1), out=tmp_path / "else", **runs.TINY)

    both = subjects_of([one, other], None, 1000, print)
    assert [each.name for each in both] == [str(one), str(other)]
    with pytest.raises(CorpusError, match="have held out different texts; name a TEXT to compare them on"):
        subjects_of([one, tmp_path / "else"], None, 1000, print)
    given = "one Two\n"
    assert len(subjects_of([one, tmp_path / "else"], text_of(given, "given"), 1000, print)) == 2
    with pytest.raises(CorpusError, match="is not in a run folder with a held-out text; name a text"):
        subjects_of([one / "ngram.safetensors"], None, 1000, print)


def test_a_model_that_labels_texts_is_refused(tmp_path: Path) -> None:
    lmgen.train_labels(
        "fine\tyes\nsad\tno\n" * 40, out=tmp_path / "labels", **{**runs.TINY, "baseline_order": None}
    )

    with pytest.raises(ModelError, match=r"labels labels texts, and a report is about language models"):
        subjects_of([tmp_path / "labels"], None, 1000, print)


def test_only_answers_are_scored_where_the_model_learned_answers(tmp_path: Path) -> None:
    sums = "".join(f"{a}+{b}={a + b}\n" for a in range(10) for b in range(10))
    model: TextModel = lmgen.train(sums, out=tmp_path / "run", unit="line", answers_after="=", **runs.TINY)
    tokens, _ = read_tokens(beginning_of(text_of("1+2=3\n", "given"), model.tokenizer, 99), model.tokenizer)

    assert tokens.scored.tolist() == [False, False, False, False, True, True]
