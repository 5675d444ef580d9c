"""From a corpus to token files: whole or not at all, and in memory that does not grow."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lmgen.data.config import HeldOutConfig
from lmgen.data.preparation import prepare
from lmgen.data.prepared import load_prepared
from lmgen.data.run_folder import RunFolder, find_model, newest_model
from lmgen.data.token_file import open_tokens, read_tokens
from lmgen.errors import CorpusError, ModelError
from lmgen.text.config import ReadingConfig
from lmgen.text.corpora import Corpus
from lmgen.text.sources import Text
from lmgen.tokenizers.config import TOKENIZER_NAMES, TokenizerConfig
from tests.data.test_unfinished import flip, small_blocks

SENTENCE = "the cat sat on the mat, and Zoë ran.\n"


def corpus(text: str) -> Corpus:
    return Corpus(name="cats", train=Text("cats", lambda: iter([text])))


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
def test_the_ids_are_those_of_the_text(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    text = SENTENCE * 100
    prepared = prepare(corpus(text), HeldOutConfig(test="0.1"), TokenizerConfig(tokenizer=name), run)
    size = prepared.tokenizer.vocabulary_size
    ids = [read_tokens(run.files_of(part)[0], size) for part in ("train", "valid", "test")]

    decoded = "".join(prepared.tokenizer.decode(part.tolist()) for part in ids)
    assert decoded == text
    assert [len(part) for part in ids] == [
        part.tokens for part in (prepared.train, prepared.valid, prepared.test) if part
    ]
    assert run.valid_text.read_text(encoding="utf-8") == prepared.tokenizer.decode(ids[1].tolist())


def test_the_vocabulary_comes_from_the_training_text_alone(tmp_path: Path) -> None:
    prepared = prepare(
        corpus("ab" * 45 + "cccccccccc"), HeldOutConfig(), TokenizerConfig(), RunFolder(tmp_path / "run")
    )

    assert prepared.tokenizer.vocabulary_size == 3
    assert prepared.valid is not None
    assert prepared.valid.unknown_tokens == prepared.valid.tokens == 10


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
@pytest.mark.parametrize("limit", [1, 40, 77])
def test_what_is_scored_is_as_long_as_its_tokens(name: str, limit: int, tmp_path: Path) -> None:
    """The first tokens of a text whose characters a token change half-way."""
    run = RunFolder(tmp_path / "run")
    text = SENTENCE * 200 + "a cat, a mat. " * 40 + "Zoë Zoë Zoë\n" * 40
    held_out = HeldOutConfig(valid="0.13")
    prepared = prepare(corpus(text), held_out, TokenizerConfig(tokenizer=name), run, scored_tokens=limit)
    whole = run.valid_text.read_text(encoding="utf-8")
    ids = read_tokens(run.valid_tokens, prepared.tokenizer.vocabulary_size)
    assert prepared.valid is not None
    assert prepared.scored is not None
    beginning = whole[: prepared.scored.characters]

    assert prepared.scored.tokens == limit
    again = prepared.tokenizer.encode(beginning)
    assert limit - len(again) in (0, 1), "a byte may be half a character"
    assert np.array_equal(again, ids[: len(again)])
    assert prepared.scored.bytes == len(beginning.encode())
    assert load_prepared(run, limit).scored == prepared.scored
    assert load_prepared(run).scored == load_prepared(run, prepared.valid.tokens).scored == prepared.valid


def test_unknown_tokens_count_where_they_are_scored(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    text = "ab" * 45 + "abab" + "cc"
    prepared = prepare(corpus(text), HeldOutConfig(valid="0.06"), TokenizerConfig(), run, scored_tokens=3)

    assert prepared.valid is not None
    assert prepared.scored is not None
    assert (prepared.valid.unknown_tokens, prepared.scored.unknown_tokens) == (2, 0)
    assert prepared.valid.bits_per_character(1.0) is None
    assert prepared.scored.bits_per_character(1.0) == pytest.approx(1 / np.log(2))


def test_what_was_prepared_is_read_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    prepared = prepare(corpus(SENTENCE * 20), HeldOutConfig(), TokenizerConfig(tokenizer="word"), run)
    again = load_prepared(run)

    assert again.tokenizer.to_json() == prepared.tokenizer.to_json()
    assert (again.train, again.valid, again.test) == (prepared.train, prepared.valid, prepared.test)
    run.prepared.write_text('{"corpus": ')
    with pytest.raises(ModelError, match=r"cannot read .*prepared\.json"):
        load_prepared(run)


def test_of_large_files_only_the_ends_are_verified_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmgen.data.prepared.VERIFIED_BY_BLOCK", 1 << 20)
    run = RunFolder(tmp_path / "run")
    prepared = prepare(corpus(SENTENCE * 100_000), HeldOutConfig(), TokenizerConfig(), run)
    again = load_prepared(run)
    size = prepared.tokenizer.vocabulary_size

    assert list(again.block_checksums) == ["train.npy"]
    assert again.block_checksums == prepared.block_checksums
    for place, is_noticed in ((1000, True), (1 << 21, False), (run.train_tokens.stat().st_size - 9, True)):
        content = bytearray(run.train_tokens.read_bytes())
        content[place] ^= 1
        run.train_tokens.write_bytes(content)
        if is_noticed:
            with pytest.raises(ModelError, match=r"train\.npy is not what was prepared"):
                load_prepared(run)
        else:
            ids = open_tokens(run.train_tokens, size, load_prepared(run).block_checksums["train.npy"])
            with pytest.raises(ModelError, match=r"train\.npy is not what was prepared"):
                ids[(1 << 21) - 128 : 1 << 21]
        content[place] ^= 1
        run.train_tokens.write_bytes(content)
    run.train_tokens.write_bytes(content + b"a")
    with pytest.raises(ModelError, match=r"train\.npy is not what was prepared"):
        load_prepared(run)


@pytest.mark.parametrize("unit", ["document", "record"])
def test_damage_inside_a_large_held_out_text_is_noticed_where_it_is_read(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on reads the beginning, which is scored: what is behind it costs no time."""
    small_blocks(monkeypatch)
    run, reading = RunFolder(tmp_path / "run"), ReadingConfig(unit=unit)
    text = corpus(f"{SENTENCE}\n" * 200)
    prepare(text, HeldOutConfig(valid="0.5"), TokenizerConfig(), run, reading=reading, scored_tokens=1300)
    whole = run.valid_text.read_bytes()
    assert len(whole) > 3000
    scored = load_prepared(run, 1300).scored
    for place, is_noticed in ((800, True), (2700, False)):
        flip(run.valid_text, place)
        if is_noticed:
            with pytest.raises(ModelError, match=r"valid\.(txt|jsonl) is not what was prepared: damaged, or"):
                load_prepared(run, 1300)
        else:
            assert load_prepared(run, 1300).scored == scored
        run.valid_text.write_bytes(whole)


@pytest.mark.parametrize("tokenizer", TOKENIZER_NAMES)
def test_a_corpus_too_short_to_split_is_named(tmp_path: Path, tokenizer: str) -> None:
    config = TokenizerConfig(tokenizer=tokenizer)
    with pytest.raises(CorpusError, match=r"has 1 character, and --valid 0\.1 leaves nothing"):
        prepare(corpus("x"), HeldOutConfig(), config, RunFolder(tmp_path / "run"))
    assert not RunFolder(tmp_path / "run").prepared.exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """Ten times the text takes no more than a little more memory."""

    def peak(megabytes: int) -> int:
        def chunks() -> Iterator[str]:
            for _ in range(megabytes * 4):
                yield SENTENCE * (250_000 // len(SENTENCE))

        text = Corpus(name="cats", train=Text("cats", chunks))
        tracemalloc.start()
        prepare(text, HeldOutConfig(), TokenizerConfig(), RunFolder(tmp_path / str(megabytes)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # what is imported and cached once
    assert peak(20) < 1.2 * peak(2)


class TestFindingModels:
    @pytest.mark.parametrize("newest", ["a/model.safetensors", "b/model.safetensors", "c-ngram.safetensors"])
    def test_the_newest_model_is_the_one_that_was_written_last(self, newest: str, tmp_path: Path) -> None:
        for name in (
            "a/model.safetensors",
            "b/model.safetensors",
            "b/ngram.safetensors",
            "c-ngram.safetensors",
        ):
            model = tmp_path / name
            model.parent.mkdir(exist_ok=True)
            model.touch()
            age = 3 if name == newest else 4 if name.startswith("b/ngram") else 2
            os.utime(model, (age, age))

        assert newest_model(tmp_path) == tmp_path / newest

    def test_a_folder_without_a_model_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"has no model\.safetensors; is it a run folder"):
            find_model(tmp_path)
