"""Word vectors made elsewhere: where they get to, how many there are, and that frozen ones stay."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.arrays import Float32Array
from lmgen.data.prepared import Prepared, load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError
from lmgen.models.model_file import load_model, load_tensors
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.runs import run
from lmgen.runs.config_file import configured, read_run_config
from lmgen.runs.events import Event, Interrupted, Started
from lmgen.runs.trials import estimate_cost
from lmgen.training.config import OPTIMIZER_NAMES
from tests.runs.test_run import TINY, metrics, stop_after, text, without_times

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture

SMALL: dict[str, Any] = {
    **{name: value for name, value in TINY.items() if name != "embedding_size"},
    "tokenizer": "word",
    "window_length": 3,
}

SIZE = 6
RANDOM = np.random.default_rng(3)
VECTORS = {
    word: RANDOM.normal(0, 0.3, SIZE).astype(np.float32) for word in ["ein", "zwei", "drei", "fern", "Ein"]
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Vectors of three words of the text, and of two that are not in it."""
    return written(tmp_path / "vectors.txt", VECTORS)


def written(path: Path, vectors: dict[str, Float32Array]) -> Path:
    lines = (f"{word} {' '.join(map(str, vector))}\n" for word, vector in vectors.items())
    path.write_text("".join(lines), encoding="utf-8")
    return path


def events(corpus: Path, folder: Path, **settings: Any) -> list[Event]:
    config = configured({**SMALL, "corpus": [str(corpus)], **settings}, "the test")
    return list(run.train(config, folder))


def notes(events: list[Event]) -> list[str]:
    [prepared] = [event for event in events if isinstance(event, Prepared)]
    return [note for note in prepared.notes if "vectors" in note]


def first_weights(folder: Path, corpus: Path, **settings: Any) -> dict[str, Float32Array]:
    """The weights before the first update."""
    config = configured({**SMALL, "corpus": [str(corpus)], **settings}, "the test")
    begun = run.train(config, folder)
    next(event for event in begun if isinstance(event, Started))
    begun.close()
    _, saved = load_tensors(RunFolder(folder).last)
    return {
        name.removeprefix("parameters."): array.astype(np.float32)
        for name, array in saved.items()
        if name.startswith("parameters.")
    }


def weights(folder: Path) -> dict[str, Float32Array]:
    """The weights of the best model."""
    network = load_model(RunFolder(folder).model).model.as_network()
    assert network is not None
    return dict(network.parameters)


def rows(folder: Path, weights: dict[str, Float32Array]) -> dict[str, Float32Array]:
    """The embedding by words."""
    tokenizer = load_prepared(RunFolder(folder)).tokenizer
    return {tokenizer.piece(token): row for token, row in enumerate(weights["embedding"])}


def test_the_embedding_starts_with_the_vectors(text: Path, file: Path, tmp_path: Path) -> None:
    """The other words with random ones of the same size, `<unk>` with zeros, all else as without."""
    first = first_weights(tmp_path / "run", text, embeddings=str(file))
    found = rows(tmp_path / "run", first)

    for word in ("ein", "zwei", "drei"):
        assert np.array_equal(found[word], VECTORS[word])
    assert not found["<unk>"].any()
    config = NetworkConfig(hidden_size=12, embedding_size=SIZE)
    usual = initial_parameters(config, len(found), 0, 0)
    assert all(np.array_equal(first[name], usual[name]) for name in usual if name != "embedding")
    scale = np.sqrt(np.mean(np.square([VECTORS[word] for word in ("ein", "zwei", "drei")])))
    drawn = usual["embedding"][1:]
    for word in ("vier", "fünf", "</s>"):
        row = usual["embedding"][list(found).index(word)]
        assert np.allclose(found[word], row * scale / np.sqrt(np.mean(np.square(drawn))), rtol=1e-5)


def test_special_tokens_have_the_vectors_of_their_spellings(text: Path, tmp_path: Path) -> None:
    vectors = {word: VECTORS["ein"] + place for place, word in enumerate(["<unk>", "</s>", "ein"])}
    first = first_weights(tmp_path / "run", text, embeddings=str(written(tmp_path / "v", vectors)))
    found = rows(tmp_path / "run", first)

    assert all(np.array_equal(found[word], vectors[word]) for word in vectors)


def test_the_output_starts_with_them_where_weights_are_tied(text: Path, file: Path, tmp_path: Path) -> None:
    """Through a projection, as their size is another than that of the last layer."""
    first = first_weights(tmp_path / "run", text, embeddings=str(file), tied=True)
    config = read_run_config(RunFolder(tmp_path / "run").config).network

    assert config.tied
    assert config.embedding_width == SIZE
    assert np.array_equal(rows(tmp_path / "run", first)["drei"], VECTORS["drei"])
    assert [name for name, array in first.items() if array.ndim == 2 and len(array) == 7] == ["embedding"]


def test_coverage_is_counted(text: Path, file: Path, tmp_path: Path) -> None:
    [note] = notes(events(text, tmp_path / "run", embeddings=str(file)))
    train = text.read_text(encoding="utf-8").split("\n")[:90]
    counts = Counter(" ".join(train).split())
    share = sum(counts[word] for word in ("ein", "zwei", "drei")) / sum(counts.values())
    lacking = sorted(["vier", "fünf"], key=lambda word: -counts[word])

    assert note == (
        f"{file}: 3 of 5 words have vectors: 60.0% of the vocabulary, {share:.1%} of the training text; "
        "without one: " + ", ".join(f"'{word}' {counts[word]:,}" for word in lacking)
    )


def test_a_file_with_all_words_lacks_none(text: Path, tmp_path: Path) -> None:
    words = dict.fromkeys(("ein", "zwei", "drei", "vier", "fünf"), VECTORS["ein"])
    [note] = notes(events(text, tmp_path / "run", embeddings=str(written(tmp_path / "v", words))))

    assert note.endswith("5 of 5 words have vectors: 100.0% of the vocabulary, 100.0% of the training text")


def test_a_word_may_have_the_vector_of_another_spelling(tmp_path: Path) -> None:
    """Of its lower case; and in lower-cased text of the first word of the file that it may stand for."""
    corpus = tmp_path / "text.txt"
    corpus.write_text("The man of Rome AND the man\n" * 100)
    vectors = {word: VECTORS["ein"] + place for place, word in enumerate(["the", "rome", "Man", "MAN", "Of"])}
    file = written(tmp_path / "v", vectors)

    *_, note = notes(events(corpus, tmp_path / "cased", embeddings=str(file), freeze_embeddings=True))
    found = rows(tmp_path / "cased", weights(tmp_path / "cased"))
    assert np.array_equal(found["The"], vectors["the"])
    assert np.array_equal(found["Rome"], vectors["rome"])
    assert not any(np.array_equal(found["man"], vector) for vector in vectors.values())
    assert "3 of 6 words have vectors (2 by another case): 50.0% of the vocabulary, 42.9% of" in note

    settings: dict[str, Any] = {"embeddings": str(file), "freeze_embeddings": True, "lowercase": True}
    *_, note = notes(events(corpus, tmp_path / "folded", **settings))
    found = rows(tmp_path / "folded", weights(tmp_path / "folded"))
    assert np.array_equal(found["the"], vectors["the"])
    assert np.array_equal(found["man"], vectors["Man"])
    assert np.array_equal(found["of"], vectors["Of"])
    assert "4 of 5 words have vectors (2 by another case): 80.0% of the vocabulary, 85.7% of" in note


def test_punctuation_marks_have_one_vector_wherever_they_touch(tmp_path: Path) -> None:
    corpus = tmp_path / "text.txt"
    corpus.write_text("yes, no ,no , (yes)\n" * 100)
    file = written(tmp_path / "v", {",": VECTORS["ein"]})
    settings: dict[str, Any] = {"embeddings": str(file), "freeze_embeddings": True}
    events(corpus, tmp_path / "run", split_punctuation=True, **settings)
    found = rows(tmp_path / "run", weights(tmp_path / "run"))

    assert len([word for word in found if word.strip("\t") == ","]) == 3
    assert all(
        np.array_equal(row, VECTORS["ein"]) == (word.strip("\t") == ",") for word, row in found.items()
    )


FROZEN: list[dict[str, Any]] = [
    *({"optimizer": optimizer, "weight_decay": 0.1} for optimizer in OPTIMIZER_NAMES),
    *({"cell": cell} for cell in ("gru", "rnn", "lstm-layernorm", "lstm-1997")),
    {"tied": True},
    {"tied": True, "objective": "sampled", "samples": 3, "optimizer": "adamw-adagrad"},
    {"output": "adaptive", "cutoffs": "3", "optimizer": "adamw-adagrad"},
    {"ema": 0.9},
    {"dropout_embedding": 0.3, "clip_value": 0.1, "precision": "float64"},
]


@pytest.mark.parametrize("settings", FROZEN, ids=str)
def test_frozen_vectors_stay_bit_for_bit(
    settings: dict[str, Any], text: Path, file: Path, tmp_path: Path
) -> None:
    """All of them, found or random; everything else learns."""
    before = first_weights(tmp_path / "before", text, **settings, embeddings=str(file))
    events(text, tmp_path / "after", **settings, embeddings=str(file), freeze_embeddings=True)
    after = weights(tmp_path / "after")

    assert np.array_equal(after["embedding"], before["embedding"])
    assert all(not np.array_equal(after[name], before[name]) for name in before if name != "embedding")
    _, saved = load_tensors(RunFolder(tmp_path / "after").last)
    moments = [array for name, array in saved.items() if name.startswith("optimizer.") and array.ndim]
    assert all(array.shape != before["embedding"].shape for array in moments)


def test_vectors_are_trained_on_unless_frozen(text: Path, file: Path, tmp_path: Path) -> None:
    events(text, tmp_path / "run", embeddings=str(file))
    found = rows(tmp_path / "run", weights(tmp_path / "run"))

    assert all(not np.array_equal(found[word], VECTORS[word]) for word in ("ein", "zwei", "drei"))


def test_a_model_that_is_trained_further_may_keep_its_embedding(text: Path, tmp_path: Path) -> None:
    events(text, tmp_path / "base")
    settings = {name: SMALL[name] for name in ("window_length", "batch_size", "threads", "steps")}
    config = configured(
        {**settings, "corpus": [str(text)], "from": str(tmp_path / "base"), "freeze_embeddings": True}, "test"
    )
    list(run.train(config, tmp_path / "tuned"))
    old, new = weights(tmp_path / "base"), weights(tmp_path / "tuned")

    assert np.array_equal(old["embedding"], new["embedding"])
    assert not np.array_equal(old["layers.0.weight_input"], new["layers.0.weight_input"])


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "adamw-adagrad"])
def test_a_run_goes_on_without_the_file(
    frozen: bool, optimizer: str, text: Path, file: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "embeddings": str(file),
        "freeze_embeddings": frozen,
        "optimizer": optimizer,
        "ema": 0.9,
    }
    events(text, tmp_path / "whole", **settings)
    config = configured({**SMALL, "corpus": [str(text)], **settings}, "the test")
    *_, last = run.train(config, tmp_path / "parts", should_stop=stop_after(9))
    assert isinstance(last, Interrupted)
    file.unlink()
    list(run.resume(tmp_path / "parts"))

    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert without_times(metrics(tmp_path / "whole")) == without_times(metrics(tmp_path / "parts"))
    kept = read_run_config(RunFolder(tmp_path / "parts").config)
    assert kept.training.embeddings == str(file)
    assert kept.network.embedding_size == SIZE


def test_a_run_that_was_killed_before_its_first_update_needs_no_file(
    text: Path, file: Path, tmp_path: Path
) -> None:
    """The vectors are in its folder as long as no checkpoint has them, and not afterwards."""
    events(text, tmp_path / "whole", embeddings=str(file))
    config = configured({**SMALL, "corpus": [str(text)], "embeddings": str(file)}, "the test")
    begun = run.train(config, tmp_path / "run")
    next(begun)  # prepared
    begun.close()
    folder = RunFolder(tmp_path / "run")
    assert folder.vectors.exists()
    file.unlink()
    list(run.resume(tmp_path / "run"))

    assert not folder.vectors.exists()
    assert not RunFolder(tmp_path / "whole").vectors.exists()
    assert np.array_equal(weights(tmp_path / "run")["embedding"], weights(tmp_path / "whole")["embedding"])


@pytest.mark.parametrize("there", [True, False])
def test_a_lost_copy_is_made_again(there: bool, text: Path, file: Path, tmp_path: Path) -> None:
    config = configured({**SMALL, "corpus": [str(text)], "embeddings": str(file)}, "the test")
    begun = run.train(config, tmp_path / "run")
    next(begun)
    begun.close()
    RunFolder(tmp_path / "run").vectors.unlink()
    if there:
        list(run.resume(tmp_path / "run"))
        assert RunFolder(tmp_path / "run").model.exists()
    else:
        file.unlink()
        with pytest.raises(CorpusError, match=r"cannot read .*vectors\.txt"):
            list(run.resume(tmp_path / "run"))


def test_a_damaged_copy_is_refused(text: Path, file: Path, tmp_path: Path) -> None:
    config = configured({**SMALL, "corpus": [str(text)], "embeddings": str(file)}, "the test")
    begun = run.train(config, tmp_path / "run")
    next(begun)
    begun.close()
    events(text, tmp_path / "other")
    RunFolder(tmp_path / "other").model.rename(RunFolder(tmp_path / "run").vectors)
    with pytest.raises(ModelError, match=r"vectors\.safetensors does not fit this run"):
        list(run.resume(tmp_path / "run"))


REFUSED: list[tuple[dict[str, Any], type[LmgenError], str]] = [
    ({"tokenizer": "char"}, ConfigError, "embeddings are vectors of words, not of char tokens: take --token"),
    ({"tokenizer": "bpe"}, ConfigError, "not of bpe tokens"),
    ({"embedding_size": 0}, ConfigError, "--embedding-size 0 has no embedding that could start with"),
    ({"embedding_size": 7}, ConfigError, "--embedding-size is 7, but the vectors in .* have 6 numbers"),
    ({"embeddings": "missing.txt"}, CorpusError, "cannot read missing.txt: No such file"),
    ({"tied": True, "output": "adaptive"}, ConfigError, "tied is for the output softmax"),
]


@pytest.mark.parametrize(("settings", "error", "message"), REFUSED, ids=str)
def test_contradictions_are_refused_and_leave_nothing(
    settings: dict[str, Any],
    error: type[LmgenError],
    message: str,
    text: Path,
    file: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        events(text, tmp_path / "run", **{"embeddings": str(file), **settings})
    assert not (tmp_path / "run").exists()


def test_vectors_of_other_words_are_refused(text: Path, tmp_path: Path) -> None:
    """`</s>` alone is not enough."""
    file = written(tmp_path / "v", {"one": VECTORS["ein"], "two": VECTORS["ein"], "</s>": VECTORS["ein"]})
    with pytest.raises(CorpusError, match="has a vector for no word of the training text"):
        events(text, tmp_path / "run", embeddings=str(file))
    assert not (tmp_path / "run").exists()


def test_freezing_needs_vectors(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--freeze-embeddings keeps vectors that were trained before"):
        events(text, tmp_path / "run", freeze_embeddings=True)


def test_a_model_that_is_trained_further_has_its_own(text: Path, file: Path, tmp_path: Path) -> None:
    events(text, tmp_path / "base")
    with pytest.raises(ConfigError, match="embeddings are for new weights, and --from has its own"):
        configured(
            {"corpus": [str(text)], "from": str(tmp_path / "base"), "embeddings": str(file)}, "the test"
        )


def test_an_embedding_size_that_agrees_is_fine_and_a_preset_gives_way(
    text: Path, file: Path, tmp_path: Path
) -> None:
    events(text, tmp_path / "run", embeddings=str(file), embedding_size=SIZE)
    assert weights(tmp_path / "run")["embedding"].shape[1] == SIZE

    config = configured(
        {**SMALL, "corpus": [str(text)], "preset": "quick", "cutoffs": "3", "embeddings": str(file)}, "test"
    )
    assert config.network.embedding_size == 256
    list(run.train(config, tmp_path / "preset"))
    assert weights(tmp_path / "preset")["embedding"].shape[1] == SIZE


def test_trials_start_with_the_vectors_too(text: Path, file: Path) -> None:
    notes: list[str] = []
    config = configured({**SMALL, "corpus": [str(text)], "embeddings": str(file)}, "the test")
    cost = estimate_cost(config, notes.append)

    assert cost.parameters == 7 * SIZE + 4 * 12 * (SIZE + 12 + 1) + 7 * 12 + 7
    assert any("3 of 5 words have vectors" in note for note in notes)


def test_from_python(text: Path, file: Path, tmp_path: Path) -> None:
    lmgen.train(
        text, out=tmp_path / "run", embeddings=file, freeze_embeddings=True, learning_rate="find", **SMALL
    )
    assert np.array_equal(rows(tmp_path / "run", weights(tmp_path / "run"))["ein"], VECTORS["ein"])
    with pytest.raises(ConfigError, match="take tokenizer word, or leave embeddings out"):
        lmgen.train(text, out=tmp_path / "char", embeddings=file, tokenizer="char")
