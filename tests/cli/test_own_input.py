"""No command replaces what it reads, not even with --overwrite."""

import shutil
from pathlib import Path

import pytest

from tests.process import lmgen

pytestmark = pytest.mark.slow

TEXT = "the cat sat on the mat and the dog lay on the log\n" * 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, a labelled one, models of both, vectors, and an archive."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "text.txt").write_text(TEXT)
    (folder / "labelled.tsv").write_text("good\tfine day\nbad\tawful rain\n" * 30)
    (folder / "texts").mkdir()
    (folder / "texts" / "one.txt").write_text(TEXT)
    few = ["--hidden-size", "8", "--steps", "2", "--baseline-order", "0", "--quiet"]
    lmgen("train", "text.txt", "--tokenizer", "word", "--out", "run", *few, cwd=folder)
    lmgen("train", "labelled.tsv", "--labels", "--out", "labels", *few, cwd=folder)
    lmgen("ngram", "text.txt", "--order", "2", "--out", "ngram.safetensors", cwd=folder)
    lmgen("export", "ngram.safetensors", "--to", "arpa", "--out", "model.arpa", cwd=folder)
    lmgen("vectors", "export", "run", "--out", "vectors.txt", cwd=folder)
    lmgen("compress", "text.txt", "--out", "text.lmz", cwd=folder)
    lmgen("compress", "text.txt", "run", "--out", "by-run.lmz", cwd=folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("ngram text.txt --order 2 --out text.txt", "text.txt"),
        ("ngram texts --order 2 --out texts/one.txt", "texts/one.txt"),
        ("ngram text.txt --order 2 --out ./texts/../texts/one.txt --valid texts/one.txt", "texts/one.txt"),
        ("ngram --arpa model.arpa --out model.arpa", "model.arpa"),
        ("export ngram.safetensors --to arpa --out ngram.safetensors", "ngram.safetensors"),
        ("export run --to int8 --out run/model.safetensors", "run/model.safetensors"),
        ("export run --to int8 --text text.txt --out text.txt", "text.txt"),
        ("export labels --to int8 --out labels/model.safetensors", "labels/model.safetensors"),
        ("vectors train text.txt --out text.txt", "text.txt"),
        ("vectors export run --out run/model.safetensors", "run/model.safetensors"),
        ("vectors export vectors.txt --out vectors.txt", "vectors.txt"),
        ("vectors plot vectors.txt --out vectors.txt", "vectors.txt"),
        ("compress text.txt --out text.txt", "text.txt"),
        ("decompress text.lmz --out text.lmz", "text.lmz"),
        ("report run text.txt --out text.txt", "text.txt"),
        ("report run --out run/model.safetensors", "run/model.safetensors"),
        ("report ngram.safetensors text.txt --out ngram.safetensors", "ngram.safetensors"),
        ("export run --to int8 --out run/data/valid.txt", "run/data/valid.txt"),
        ("decompress by-run.lmz --out run/model.safetensors", "run/model.safetensors"),
        ("train run/data/valid.txt --steps 2 --out run", "run/data/valid.txt"),
        ("train text.txt --valid run/data/valid.txt --steps 2 --out run", "run/data/valid.txt"),
    ],
)
def test_what_a_command_reads_is_not_replaced(made: Path, tmp_path: Path, arguments: str, file: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    content = (folder / file).read_bytes()
    done = lmgen(*arguments.split(), "--overwrite", cwd=folder)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert ("would replace" in done.stderr) or ("whose files are read" in done.stderr), done.stderr
    assert (folder / file).read_bytes() == content


@pytest.mark.parametrize(
    "file", ["run/data/valid.txt", "run/config.toml", "run/model.safetensors", "text.txt"]
)
def test_a_picture_does_not_replace_what_it_is_of(made: Path, file: str) -> None:
    content = (made / file).read_bytes()
    done = lmgen("inspect", "gates", "run", "text.txt", "--svg", file, cwd=made)

    assert done.returncode == 2
    assert ("would replace" in done.stderr) or ("whose files are read" in done.stderr), done.stderr
    assert (made / file).read_bytes() == content
