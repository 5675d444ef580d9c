"""Going on from another model: what it brings, how its vocabulary grows, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.arrays import FloatArray, IdArray
from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.model import RecurrentModel
from lmgen.runs import run
from lmgen.runs.config_file import configured, read_config, read_run_config
from lmgen.runs.events import Event, Finished
from lmgen.runs.finetuning import open_origin, parameters_from
from lmgen.training.config import TOKEN_LEARNING_RATE, default_learning_rate
from tests.runs.test_run import TINY, metrics, stop_after, text, trained, without_times

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture

BUDGET: dict[str, Any] = {
    name: TINY[name]
    for name in ("window_length", "batch_size", "baseline_order", "threads", "evaluations", "steps")
}


@pytest.fixture
def base(text: Path, tmp_path: Path) -> Path:
    trained(text, tmp_path / "base", steps=60, cell="gru")
    return tmp_path / "base"


@pytest.fixture
def new_text(tmp_path: Path) -> Path:
    """The same words and a new one, with new letters in it."""
    path = tmp_path / "new.txt"
    random = np.random.default_rng(1)
    words = random.choice(["eins", "zwei", "drei", "χάος"], 600)
    path.write_text("\n".join(" ".join(line) for line in words.reshape(-1, 6)), encoding="utf-8")
    return path


def tuned(text: Path, base: Path, folder: Path, **settings: Any) -> list[Event]:
    config = configured({**BUDGET, "corpus": [str(text)], "from": str(base), **settings}, "the test")
    return list(run.train(config, folder))


def test_training_goes_on_where_the_model_was_left(text: Path, base: Path, tmp_path: Path) -> None:
    """Its cell and sizes are the model's, and so is its first loss."""
    tuned(text, base, tmp_path / "new", steps=1, learning_rate=1e-9, evaluations=1)
    old, new = lmgen.load(base), lmgen.load(tmp_path / "new")

    assert new.model.name == "gru"
    valid = RunFolder(base).valid_text.read_text(encoding="utf-8")
    assert new.score(valid).nats == pytest.approx(old.score(valid).nats, rel=1e-5)
    settings = read_run_config(RunFolder(tmp_path / "new").config).to_settings()
    assert (settings["from"], settings["hidden_size"], settings["cell"]) == (str(base), 12, "gru")


def test_it_is_a_head_start(text: Path, base: Path, tmp_path: Path) -> None:
    *_, from_base = tuned(text, base, tmp_path / "tuned", steps=10)
    *_, from_nothing = trained(text, tmp_path / "new", steps=10, cell="gru")
    assert isinstance(from_base, Finished)
    assert isinstance(from_nothing, Finished)
    assert from_base.valid_nats_per_token is not None
    assert from_nothing.valid_nats_per_token is not None
    assert from_base.valid_nats_per_token < from_nothing.valid_nats_per_token - 0.3


def test_what_the_vocabulary_lacks_is_counted(new_text: Path, base: Path, tmp_path: Path) -> None:
    prepared = tuned(new_text, base, tmp_path / "new")[0]
    train = new_text.read_text(encoding="utf-8")[: int(0.9 * len(new_text.read_text(encoding="utf-8")))]
    count = sum(train.count(letter) for letter in "sχάος")

    assert isinstance(prepared, Prepared)
    assert prepared.valid is not None
    assert prepared.train.unknown_tokens == count
    [note, valid] = prepared.notes
    assert note.startswith(
        f"{count:,} tokens of the training text are unknown to the vocabulary, 5 different ones: "
    )
    assert f"'s' {train.count('s')}" in note
    assert note.endswith("; --extend-vocabulary gives them ids")
    assert valid == f"{prepared.valid.unknown_tokens} tokens of the valid text are unknown to the vocabulary"
    assert lmgen.load(tmp_path / "new").tokenizer.to_json() == lmgen.load(base).tokenizer.to_json()


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_new_tokens_get_new_ids_and_old_ones_keep_theirs(
    tokenizer: str, text: Path, new_text: Path, tmp_path: Path
) -> None:
    trained(text, tmp_path / "base", tokenizer=tokenizer)
    prepared, *_, finished = tuned(new_text, tmp_path / "base", tmp_path / "new", extend_vocabulary=True)
    old, new = (lmgen.load(tmp_path / name).tokenizer for name in ("base", "new"))

    assert isinstance(prepared, Prepared)
    assert prepared.train.unknown_tokens == 0
    assert new.vocabulary_size == old.vocabulary_size + (5 if tokenizer == "char" else 2)
    for token in range(old.vocabulary_size):
        assert new.piece(token) == old.piece(token)
    assert isinstance(finished, Finished)
    assert finished.baseline is not None, "it is fitted on the new text"
    assert finished.valid_bits_per_character is not None
    assert prepared.notes[0].startswith(
        f"{new.vocabulary_size - old.vocabulary_size} new tokens have ids from "
    )


def test_new_words_that_are_rare_stay_unknown(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "base", tokenizer="word")
    new = tmp_path / "new.txt"
    new.write_text("fünf often often once\n" * 3 + "drei twice\n" * 100)
    prepared = tuned(new, tmp_path / "base", tmp_path / "new", extend_vocabulary=True, min_count=6)[0]

    assert isinstance(prepared, Prepared)
    assert lmgen.load(tmp_path / "new").tokenizer.to_json()["words"][-2:] == ["twice", "often"]
    assert prepared.train.unknown_tokens == 3


def predictions(model: LanguageModel, ids: IdArray) -> FloatArray:
    state = model.advance(model.start(1), ids[:, None])
    probabilities: FloatArray = np.exp(model.predict(state)[0].astype(np.float64))
    return probabilities


@pytest.mark.parametrize("tied", [False, True])
def test_new_tokens_take_no_more_than_their_share(tied: bool, text: Path, tmp_path: Path) -> None:
    """N new tokens beside V old ones get at most n / (V + n), the old ones keep their proportions."""
    trained(text, tmp_path / "base", tied=tied, embedding_size=12, steps=60)
    origin = open_origin(str(tmp_path / "base"))
    V, n = origin.model.vocabulary_size, 9
    grown = RecurrentModel(origin.network, V + n, origin.model.start_token, parameters_from(origin, V + n))
    for word in ("ein", "zwei d", "fünf\n"):
        ids = origin.tokenizer.encode(word)
        before, after = predictions(origin.model, ids), predictions(grown, ids)
        assert after[V:].sum() <= n / (V + n)
        np.testing.assert_allclose(after[:V] / after[:V].sum(), before, rtol=1e-4)


def test_new_tokens_join_the_last_cluster_of_an_adaptive_output(text: Path, tmp_path: Path) -> None:
    """There n new ones beside V old ones get at most n / (V + n); nothing else changes."""
    trained(text, tmp_path / "base", tokenizer="word", output="adaptive", cutoffs="2,4", steps=60)
    origin = open_origin(str(tmp_path / "base"))
    V, n = origin.model.vocabulary_size, 9
    grown = RecurrentModel(origin.network, V + n, origin.model.start_token, parameters_from(origin, V + n))
    for word in ("ein", "zwei drei", "fünf\n"):
        ids = origin.tokenizer.encode(word)
        before, after = predictions(origin.model, ids), predictions(grown, ids)
        np.testing.assert_allclose(after[:4], before[:4], rtol=1e-5)
        assert after[4:].sum() == pytest.approx(before[4:].sum(), rel=1e-5)
        assert after[V:].sum() <= before[4:].sum() * n / (V - 4 + n)
        np.testing.assert_allclose(after[4:V] / after[4:V].sum(), before[4:] / before[4:].sum(), rtol=1e-4)


def test_an_adaptive_output_is_trained_on_with_a_larger_vocabulary(
    text: Path, new_text: Path, tmp_path: Path
) -> None:
    trained(text, tmp_path / "base", tokenizer="word", output="adaptive")
    settings = {"extend_vocabulary": True, "optimizer": "adamw-adagrad"}
    *_, finished = tuned(new_text, tmp_path / "base", tmp_path / "new", **settings)
    base, new = (read_run_config(RunFolder(tmp_path / name).config).network for name in ("base", "new"))

    assert isinstance(finished, Finished)
    assert (new.output, new.cutoffs) == ("adaptive", base.cutoffs)
    old, grown = (lmgen.load(tmp_path / name).model for name in ("base", "new"))
    assert grown.vocabulary_size == old.vocabulary_size + 2


def test_a_resumed_run_is_the_uninterrupted_one(new_text: Path, base: Path, tmp_path: Path) -> None:
    settings = {"extend_vocabulary": True, "dropout": 0.2}
    tuned(new_text, base, tmp_path / "whole", **settings)
    config = configured({**BUDGET, "corpus": [str(new_text)], "from": str(base), **settings}, "the test")
    list(run.train(config, tmp_path / "cut", should_stop=stop_after(7)))
    (base / "model.safetensors").unlink()  # it is not needed any more
    list(run.resume(tmp_path / "cut"))

    assert RunFolder(tmp_path / "cut").model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
    assert without_times(metrics(tmp_path / "cut")) == without_times(metrics(tmp_path / "whole"))


def test_the_config_file_makes_the_same_run_again(new_text: Path, base: Path, tmp_path: Path) -> None:
    tuned(new_text, base, tmp_path / "a", extend_vocabulary=True, learning_rate="find")
    settings = read_config(RunFolder(tmp_path / "a").config)
    list(run.train(configured(settings, "config.toml"), tmp_path / "b"))

    assert RunFolder(tmp_path / "a").model.read_bytes() == RunFolder(tmp_path / "b").model.read_bytes()


def test_the_default_learning_rate_is_half_of_the_usual_one(text: Path, base: Path, tmp_path: Path) -> None:
    tuned(text, base, tmp_path / "new", steps=1)

    rate = read_run_config(RunFolder(tmp_path / "new").config).training.learning_rate
    assert rate == default_learning_rate("adamw", 12) / 2


def test_so_is_that_of_embedding_and_output(text: Path, base: Path, tmp_path: Path) -> None:
    tuned(text, base, tmp_path / "new", steps=1, optimizer="adamw-adagrad")

    settings = read_run_config(RunFolder(tmp_path / "new").config).to_settings()
    assert settings["learning_rate"] == default_learning_rate("adamw-adagrad", 12) / 2
    assert settings["token_learning_rate"] == TOKEN_LEARNING_RATE / 2


def test_a_file_of_its_own_will_do(text: Path, base: Path, tmp_path: Path) -> None:
    model = tmp_path / "passed-on.safetensors"
    model.write_bytes(RunFolder(base).model.read_bytes())

    assert lmgen.train(text, out=tmp_path / "new", from_model=model, **BUDGET).model.name == "gru"


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_weights_in_fewer_bytes_are_trained_on_in_float32(
    weights: str, text: Path, base: Path, tmp_path: Path
) -> None:
    saved = load_model(RunFolder(base).model)
    assert isinstance(saved.model, RecurrentModel)
    small = tmp_path / "small.safetensors"
    save_model(small, saved.model, saved.tokenizer, weights=weights)
    tuned(text, small, tmp_path / "new", steps=1, learning_rate=1e-9, evaluations=1)
    valid = RunFolder(base).valid_text.read_text(encoding="utf-8")

    assert lmgen.load(tmp_path / "new").score(valid).nats == pytest.approx(
        lmgen.load(small).score(valid).nats
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 13}, r"--hidden-size is 13, but .*base/model.safetensors has 12: leave it out"),
        ({"cell": "lstm"}, "--cell is 'lstm', but .* has 'gru'"),
        ({"tied": True, "embedding_size": 12}, "--embedding-size is 12, but .* has 8; --tied is True, but"),
        ({"tokenizer": "word"}, "--tokenizer is 'word', but .* has 'char'"),
        ({"lowercase": True}, "--lowercase is True, but .* has False"),
        ({"vocab_size": 9}, "--vocab-size is for a new vocabulary"),
        ({"min_count": 2}, "--min-count is for a new vocabulary, or for --extend-vocabulary"),
        ({"from": 3}, "from is 3, but has to name a model"),
        ({"extend_vocabulary": "yes"}, "extend_vocabulary is 'yes', but has to be of type bool"),
    ],
)
def test_a_setting_that_contradicts_the_model_is_refused(
    settings: dict[str, Any], message: str, text: Path, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        tuned(text, base, tmp_path / "new", **settings)
    assert not (tmp_path / "new").exists()


def test_a_setting_that_agrees_with_the_model_or_acts_in_training_alone_is_taken(
    text: Path, base: Path, tmp_path: Path
) -> None:
    settings = {"hidden_size": 12, "cell": "gru", "tokenizer": "char", "embedding_size": 8, "dropout": 0.5}
    tuned(text, base, tmp_path / "new", **settings)

    assert read_config(RunFolder(tmp_path / "new").config)["dropout"] == 0.5


def test_what_cannot_be_gone_on_from_is_named(text: Path, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ngram.safetensors \(ngram-\d\) is no network that training can"):
        tuned(text, base / "ngram.safetensors", tmp_path / "new")
    with pytest.raises(ModelError, match=r"there is no model .*nothing"):
        tuned(text, tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(ConfigError, match="--extend-vocabulary is for runs that start --from a model"):
        trained(text, tmp_path / "new", extend_vocabulary=True)
    assert not (tmp_path / "new").exists()


def test_a_run_never_replaces_the_model_that_it_starts_from(text: Path, base: Path) -> None:
    before = RunFolder(base).model.read_bytes()
    config = configured({**BUDGET, "corpus": [str(text)], "from": str(base)}, "the test")

    with pytest.raises(ConfigError, match=r"base holds the model that --from names; give another --out"):
        list(run.train(config, base, overwrite=True))
    assert RunFolder(base).model.read_bytes() == before


@pytest.mark.parametrize("tokenizer", ["byte", "unigram"])
def test_a_vocabulary_that_lacks_nothing_is_not_extended(
    tokenizer: str, text: Path, new_text: Path, tmp_path: Path
) -> None:
    trained(
        text, tmp_path / "base", tokenizer=tokenizer, **({} if tokenizer == "byte" else {"vocab_size": 270})
    )

    prepared = tuned(new_text, tmp_path / "base", tmp_path / "new")[0]
    assert isinstance(prepared, Prepared)
    assert prepared.notes == ()
    with pytest.raises(ConfigError, match=f"a {tokenizer} vocabulary cannot be extended, and need not be"):
        tuned(new_text, tmp_path / "base", tmp_path / "no", extend_vocabulary=True)
    assert not (tmp_path / "no").exists()
