"""Several processes give what one gives, in the same order, and end with it."""

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmgen.data.config import HeldOutConfig
from lmgen.data.preparation import prepare
from lmgen.data.run_folder import RunFolder
from lmgen.errors import CorpusError
from lmgen.text.config import ReadingConfig
from lmgen.text.corpora import Corpus
from lmgen.text.sources import Text
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.parallel import in_order, in_processes

LINES = [
    "the cat sat, 中文 and Zoë ran.\n",
    "<s> a second <unk> line\n",
    "\n",
    "Don't! \udc80 \udcff\n",
    "x" * 99,
]


class Lengths:
    """Gives the length of a block, or does something else that its text asks for; the total is their sum."""

    def __init__(self) -> None:
        self.sum = 0

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Lengths, ()

    def __call__(self, block: str) -> int:
        if block == "fail":
            raise CorpusError("it failed")
        if block == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if block == "print":
            print("this is no result")  # noqa: T201
        self.sum += len(block)
        return len(block)

    def total(self) -> int:
        return self.sum

    def merge(self, total: int) -> None:
        self.sum += total


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two processes, however short a text is."""
    monkeypatch.setattr("lmgen.tokenizers.parallel.ALONE", 1)
    with in_processes(2):
        yield


def children() -> list[str]:
    """The processes that this one has started."""
    tasks = Path("/proc/self/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.usefixtures("two")
def test_results_come_in_order_and_totals_are_added_up() -> None:
    work = Lengths()
    blocks = ["a" * (number % 7) + "b" for number in range(200)] + ["print"]

    assert list(in_order(work, iter(blocks))) == [(block, len(block)) for block in blocks]
    assert work.sum == sum(map(len, blocks))


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("block", "message"), [("fail", "it failed"), ("die", "was ended, perhaps for want")]
)
def test_an_error_in_a_process_is_an_error_here(block: str, message: str) -> None:
    before = children()
    with pytest.raises(CorpusError, match=message):
        list(in_order(Lengths(), ["a", "b", block, "c"]))

    assert children() == before


@pytest.mark.usefixtures("two")
def test_no_process_stays_if_another_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    started: list[int] = []

    class Refused(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            if started:
                raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
            super().__init__(*arguments, **named)
            started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Refused)
    with pytest.raises(CorpusError, match=r"cannot start a process .*unavailable\); --threads 1"):
        list(in_order(Lengths(), ["a", "b"]))

    assert started
    assert children() == before


@pytest.mark.usefixtures("two")
def test_modules_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)

    assert [length for _, length in in_order(Lengths(), ["a", "bc", "def"])] == [1, 2, 3]
    assert not (tmp_path / "imported").exists()


@pytest.mark.usefixtures("two")
def test_processes_end_when_results_are_no_longer_asked_for() -> None:
    before = children()
    results = in_order(Lengths(), (str(number) for number in range(10_000)))
    for _ in range(5):
        next(results)
    assert len(children()) == len(before) + 2
    results.close()  # type: ignore[attr-defined]

    assert children() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "reading"),
    [
        (TokenizerConfig(tokenizer="char", lowercase=True), None),
        (TokenizerConfig(tokenizer="byte"), ReadingConfig(unit="line")),
        (TokenizerConfig(tokenizer="word", vocab_size=20, split_punctuation=True, lowercase=True), None),
        (TokenizerConfig(tokenizer="word", literal_marks=True), ReadingConfig(unit="line", newlines="lf")),
        (TokenizerConfig(tokenizer="bpe", vocab_size=275), ReadingConfig(normalize="nfkc")),
        (TokenizerConfig(tokenizer="unigram", vocab_size=275), ReadingConfig(unit="line", answers_after="a")),
    ],
)
def test_a_corpus_is_prepared_to_the_same_files(
    config: TokenizerConfig, reading: ReadingConfig | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = LINES if config.tokenizer == "byte" else [line for line in LINES if "\udc80" not in line]
    corpus = Corpus(name="lines", train=Text("lines", lambda: iter(lines * 30)))
    held_out = HeldOutConfig(test="0.1")
    monkeypatch.setattr("lmgen.tokenizers.parallel.ALONE", 500)
    for processes in (1, 2):
        run = RunFolder(tmp_path / str(processes))
        prepare(corpus, held_out, config, run, reading=reading, processes=processes)
    one, two = (sorted((tmp_path / str(processes) / "data").iterdir()) for processes in (1, 2))

    assert [file.name for file in one] == [file.name for file in two]
    for file, other in zip(one, two, strict=True):
        assert file.read_bytes() == other.read_bytes(), file.name
