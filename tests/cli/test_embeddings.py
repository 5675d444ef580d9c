"""`lmgen train --embeddings` as a process: what it says of the vectors, and one line for a wrong file."""

from pathlib import Path

import pytest

from tests.process import lmgen

pytestmark = pytest.mark.slow

TINY = [
    *("--tokenizer", "word", "--steps", "6", "--evaluations", "1", "--baseline-order", "0", "--threads", "1"),
    *("--hidden-size", "8", "--window-length", "4", "--batch-size", "4"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\nthe dog sat\n" * 60)
    (tmp_path / "glove.txt").write_text("the 0.1 0.2 0.3\ncat 0.2 0.1 -0.5\ntree 1 2 3\nmat 0 0 -1e-3\n")
    return tmp_path


def test_it_reports_coverage_and_goes_on_without_the_file(folder: Path) -> None:
    asked = ["--embeddings", "glove.txt", "--freeze-embeddings"]
    begun = lmgen("train", "text.txt", *TINY, *asked, "--out", "run", cwd=folder)

    assert begun.returncode == 0, begun.stderr
    [note] = [line for line in begun.stderr.splitlines() if "have vectors" in line]
    assert note.startswith(
        "note: glove.txt: 3 of 6 words have vectors: 50.0% of the vocabulary, 55.7% of the training text; "
    )
    assert note.endswith("; without one: 'sat' 109, 'on' 55, 'dog' 54")
    config = (folder / "run" / "config.toml").read_text()
    assert 'embeddings = "glove.txt"\nfreeze_embeddings = true\n' in config
    assert "embedding_size = 3\n" in config

    (folder / "glove.txt").unlink()
    resumed = lmgen("train", "--resume", "--out", "run", "--steps", "9", cwd=folder)
    assert resumed.returncode == 0, resumed.stderr
    asked_again = lmgen("train", "--config", "run/config.toml", "--out", "again", cwd=folder)
    assert asked_again.returncode == 1
    assert asked_again.stderr.startswith("error: cannot read glove.txt: No such file or directory")


@pytest.mark.parametrize(
    ("content", "flags", "code", "message"),
    [
        (
            b"<html>Not found</html>",
            [],
            1,
            "error: v.txt is a web page that was saved in place of word vectors",
        ),
        (
            b"the 1 2\ncat 3\n",
            [],
            1,
            "error: v.txt, line 2: 'cat' is followed by 1 numbers, not 2; is the file",
        ),
        (b"the 1 nan\n", [], 1, "error: v.txt, line 1: the vector of 'the' has 'nan' in it"),
        (b"4 2\nthe 1 2\n", [], 1, "error: v.txt ends after 1 of the 4 vectors that its first line states"),
        (b"der 1 2\n", [], 1, "error: v.txt has a vector for no word of the training text"),
        (b"the 1 2\n", ["--embedding-size", "3"], 2, "error: --embedding-size is 3, but the vectors in"),
        (
            b"the 1 2\n",
            ["--tokenizer", "byte"],
            2,
            "error: --embeddings are vectors of words, not of byte tokens",
        ),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_what_is_wrong_is_one_line_and_leaves_no_run(
    content: bytes, flags: list[str], code: int, message: str, folder: Path
) -> None:
    (folder / "v.txt").write_bytes(content)
    result = lmgen("train", "text.txt", *TINY, "--embeddings", "v.txt", *flags, "--out", "run", cwd=folder)

    assert result.returncode == code
    assert result.stdout == ""
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith(message)
    assert not (folder / "run").exists()
