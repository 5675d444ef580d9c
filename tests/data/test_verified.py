"""What a run keeps of its texts is verified by all that use it later, whole or block by block."""

import shutil
from pathlib import Path

import pytest

from lmgen.data import prepared
from lmgen.data.config import HeldOutConfig
from lmgen.data.preparation import prepare
from lmgen.data.run_folder import RunFolder
from lmgen.data.verified import check_kept_text, open_kept_tokens, read_kept_tokens
from lmgen.errors import ModelError
from lmgen.text.corpora import Corpus
from lmgen.tokenizers.config import TokenizerConfig
from tests.data.test_preparation import SENTENCE, corpus
from tests.process import lmgen

PROBLEM = "is not what was prepared: damaged, or changed since; restore it, or train again with --overwrite\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text("".join(f"{n} fine day and {n * n} more\n" for n in range(400)))
    small = ["--steps", "2", "--hidden-size", "4", "--batch-size", "2", "--threads", "1"]
    result = lmgen("train", "text.txt", "--valid", "0.3", *small, "--out", "run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damaged", "arguments"),
    [
        ("valid.txt", ["perplexity", "run"]),
        ("valid.txt", ["export", "run", "--to", "int8", "--out", "small"]),
        ("valid.npy", ["perplexity", "run", "--mix"]),
        ("valid.npy", ["perplexity", "run", "--adapt", "--mix"]),
        ("valid.npy", ["novelty", "run", "--num", "2", "--length", "50"]),
        ("train.npy", ["perplexity", "run", "--order", "3"]),
        ("train.npy", ["perplexity", "run", "--adapt"]),
        ("train.npy", ["perplexity", "run", "--by", "word"]),
        ("train.npy", ["novelty", "run", "--num", "2", "--length", "50"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_damage_is_one_line(damaged: str, arguments: list[str], trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    file = tmp_path / "run" / "data" / damaged
    content = bytearray(file.read_bytes())
    content[400] ^= 1
    file.write_bytes(content)
    result = lmgen(*arguments, "--quiet", cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr == f"error: run/data/{damaged} {PROBLEM}"


def test_every_block_of_large_files_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "VERIFIED_BY_BLOCK", 1 << 20)
    run = RunFolder(tmp_path / "run")
    text: Corpus = corpus(SENTENCE * 200_000)
    size = prepare(text, HeldOutConfig(valid="0.5"), TokenizerConfig(), run).tokenizer.vocabulary_size
    read_kept_tokens(run, run.train_tokens, size)
    check_kept_text(run, run.valid_text)
    for file in (run.train_tokens, run.valid_text):
        content = bytearray(file.read_bytes())
        content[(1 << 20) + 5] = content[(1 << 20) + 5] ^ 1
        file.write_bytes(content)

    tokens = open_kept_tokens(run, run.train_tokens, size)
    assert len(tokens[: 1 << 19]) == 1 << 19
    for damaged in (
        lambda: tokens[1 << 20 : (1 << 20) + 9],
        lambda: read_kept_tokens(run, run.train_tokens, size),
        lambda: check_kept_text(run, run.valid_text),
    ):
        with pytest.raises(ModelError, match="is not what was prepared"):
            damaged()


def test_without_checksums_nothing_is_verified(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    made = prepare(corpus(SENTENCE * 100), HeldOutConfig(), TokenizerConfig(), run)
    run.prepared.unlink()

    assert len(read_kept_tokens(run, run.train_tokens, made.tokenizer.vocabulary_size)) == made.train.tokens
    run.prepared.write_text("{")
    with pytest.raises(ModelError, match=r"cannot read .*prepared\.json"):
        read_kept_tokens(run, run.train_tokens, made.tokenizer.vocabulary_size)
