"""A preparation that is interrupted goes on, with the same files in the end; anything else begins again."""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lmgen.data import parts, preparation, unfinished
from lmgen.data.config import HeldOutConfig
from lmgen.data.preparation import prepare
from lmgen.data.prepared import Prepared, load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.data.splitting import split_corpus
from lmgen.data.token_file import write_tokens
from lmgen.errors import CorpusError, CutOffError, WriteError
from lmgen.runs.config import RunConfig
from lmgen.runs.run import train
from lmgen.text.corpora import Corpus, open_corpus
from lmgen.tokenizers.config import TOKENIZER_NAMES, TokenizerConfig
from lmgen.tokenizers.parallel import _Process
from tests.process import lmgen, run_command
from tests.runs.test_trouble import full_disk

SENTENCE = "the cat sat on the mat, 中文 and Zoë ran <unk> away.\n"


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text that is read in many blocks, and how far it has come is written down after each."""
    monkeypatch.setattr("lmgen.data.unfinished.SECONDS", 0)
    monkeypatch.setattr("lmgen.text.raw.BLOCK_BYTES", 300)
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{number} {SENTENCE}" for number in range(200)) + "no end", encoding="utf-8")
    return path


def prepared(
    text: Path, folder: Path, tokenizer: str = "char", others: Sequence[RunFolder] = (), **settings: str
) -> Prepared:
    config = TokenizerConfig(tokenizer=tokenizer, vocab_size=275 if tokenizer in ("bpe", "unigram") else None)
    corpus = open_corpus([str(text)], errors="surrogateescape" if tokenizer == "byte" else "strict")
    held_out = HeldOutConfig(**({"valid": "0.1", "test": "0.1"} | settings))
    return prepare(corpus, held_out, config, RunFolder(folder), processes=1, going_on=True, others=others)


def interrupted(
    text: Path, folder: Path, blocks: int, monkeypatch: pytest.MonkeyPatch, tokenizer: str = "char"
) -> RunFolder:
    """What is left of a preparation that Ctrl-C ends after so many blocks of tokens."""
    with monkeypatch.context() as patch:
        left = blocks

        def write(path: Path, ids: Iterator[object], *others: object) -> int:
            def counted() -> Iterator[object]:
                nonlocal left
                for block in ids:
                    if not left:
                        raise KeyboardInterrupt
                    left -= 1
                    yield block

            return write_tokens(path, counted(), *others)  # type: ignore[arg-type]

        patch.setattr(parts, "write_tokens", write)
        with pytest.raises(KeyboardInterrupt):
            prepared(text, folder, tokenizer)
    return RunFolder(folder)


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 1000 bytes are large, and verified in blocks of 500."""
    for module in ("preparation", "prepared"):
        monkeypatch.setattr(f"lmgen.data.{module}.VERIFIED_BY_BLOCK", 1000)
    for module in ("data.prepared", "data.held_out_text", "data.token_file", "files"):
        monkeypatch.setattr(f"lmgen.{module}.CHECKED_BYTES", 500)


def flip(file: Path, place: int) -> None:
    """Damage one byte of a file."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def contents(run: RunFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in run.data.iterdir()}


@pytest.mark.parametrize("tokenizer", TOKENIZER_NAMES)
@pytest.mark.parametrize("blocks", [1, 20, 35])
def test_it_goes_on_to_the_same_files(
    tokenizer: str, blocks: int, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the training text, and after it; the tokenizer is not trained again."""
    whole = prepared(text, tmp_path / "whole", tokenizer)
    run = interrupted(text, tmp_path / "run", blocks, monkeypatch, tokenizer)
    assert not run.prepared.exists()
    monkeypatch.setattr(preparation, "train_tokenizer", None)
    again = prepared(text, run.folder, tokenizer)

    assert contents(run) == contents(RunFolder(tmp_path / "whole"))
    assert (again.train, again.valid, again.test, again.notes) == (
        whole.train,
        whole.valid,
        whole.test,
        whole.notes,
    )


def test_only_the_rest_is_encoded(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(text, tmp_path / "run", 25, monkeypatch)
    done = json.loads(run.begun.read_text(encoding="utf-8"))["under_way"]["ids"]
    written: list[int] = []
    encode = unfinished.Unfinished.encoded

    def noted(*arguments: object) -> Callable[..., object]:
        encoded = encode(*arguments)  # type: ignore[arg-type]
        written.append(encoded.counter.counts.characters)
        return encoded

    monkeypatch.setattr(unfinished.Unfinished, "encoded", noted)
    whole = prepared(text, run.folder)

    assert written[0] == done > whole.train.tokens / 3


@pytest.mark.parametrize(
    "change", ["text", "tokenizer", "split", "journal", "value", "part", "shorter", "damage"]
)
def test_what_is_left_of_another_preparation_is_thrown_away(
    change: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted(text, tmp_path / "run", 20, monkeypatch)
    settings: dict[str, Any] = {}
    tokenizer = "char"
    saved = json.loads(run.begun.read_text(encoding="utf-8"))
    match change:
        case "text":
            text.write_text(text.read_text(encoding="utf-8").replace("cat", "dog"), encoding="utf-8")
        case "tokenizer":
            tokenizer = "word"
        case "split":
            settings = {"valid": "0.2"}
        case "journal":
            run.begun.write_text(run.begun.read_text()[:-30])
        case "value":
            run.begun.write_text(json.dumps({**saved, "under_way": {"ids": "many"}}))
        case "part":
            (run.data / ".train.part").unlink()
        case "shorter":
            os.truncate(run.data / ".train.part", 200)
        case "damage":
            flip(run.data / ".train.part", 300)
    prepared(text, run.folder, tokenizer, **settings)
    prepared(text, tmp_path / "whole", tokenizer, **settings)

    assert contents(run) == contents(RunFolder(tmp_path / "whole"))


@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "valid.txt"])
@pytest.mark.parametrize("damage", [True, False])
def test_a_finished_file_is_made_again_if_it_is_damaged_or_missing(
    name: str, damage: bool, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted(text, tmp_path / "run", 42, monkeypatch)
    assert set(json.loads(run.begun.read_text(encoding="utf-8"))["parts"]) == {"train", "valid"}
    if damage:
        flip(run.data / name, 200)
    else:
        (run.data / name).unlink()
    prepared(text, run.folder)
    prepared(text, tmp_path / "whole")

    assert contents(run) == contents(RunFolder(tmp_path / "whole"))


def test_a_full_disk_is_one_error_and_the_work_goes_on(text: Path, tmp_path: Path) -> None:
    text.write_text(SENTENCE * 400, encoding="utf-8")
    run = RunFolder(tmp_path / "run")
    with full_disk(16_000), pytest.raises(WriteError, match=r"cannot write .*: File too large; choose"):
        prepared(text, run.folder)
    assert run.begun.exists()
    prepared(text, run.folder)
    prepared(text, tmp_path / "whole")

    assert contents(run) == contents(RunFolder(tmp_path / "whole"))


@pytest.mark.parametrize("when", ["split_corpus", "train_tokenizer", "write_part"])
def test_a_text_that_changes_while_it_is_read_is_one_error(
    when: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = getattr(preparation, when)

    def changed(*arguments: object, **named: object) -> object:
        with text.open("ab") as file:
            file.write(b"more\n")
        return step(*arguments, **named)

    monkeypatch.setattr(preparation, when, changed)
    with pytest.raises(CorpusError, match=r"text\.txt changed while it was read; wait until it is complete"):
        prepared(text, tmp_path / "run")
    assert not RunFolder(tmp_path / "run").prepared.exists()


def test_a_text_may_get_another_name_while_it_is_read(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def linked(*arguments: Any, **named: Any) -> Any:
        (tmp_path / "copy.txt").hardlink_to(text)
        return split_corpus(*arguments, **named)

    monkeypatch.setattr(preparation, "split_corpus", linked)
    assert prepared(text, tmp_path / "run").train.tokens


def test_a_short_preparation_leaves_nothing_to_go_on_with(text: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmgen.data.unfinished.SECONDS", 5)
        prepared(text, tmp_path / "run")

    assert not RunFolder(tmp_path / "run").begun.exists()


def test_a_hidden_folder_beside_the_tokens_does_no_harm(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted(text, tmp_path / "run", 20, monkeypatch)
    (run.data / ".snapshot").mkdir()
    prepared(text, run.folder)

    assert load_prepared(run).train.tokens


def test_a_corpus_that_is_no_file_is_not_gone_on_with(text: Path, tmp_path: Path) -> None:
    corpus: Corpus = open_corpus(["synthetic-markov"])
    run = RunFolder(tmp_path / "run")
    prepare(corpus, HeldOutConfig(), TokenizerConfig(), run, processes=1, going_on=True)

    assert not run.begun.exists()
    assert load_prepared(run).train.tokens


@pytest.mark.parametrize(
    "change",
    [None, "text", "text of that time", "moved text", "version", "tokenizer", "damage", "damage inside"],
)
def test_tokens_of_the_same_large_text_are_taken_over(
    change: str | None, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a run beside it, whose files stay as they are; else they are made anew."""
    small_blocks(monkeypatch)
    first = prepared(text, tmp_path / "first", "word")
    other = RunFolder(tmp_path / "first")
    if change == "text":
        text.write_text(SENTENCE * 200, encoding="utf-8")
    if change in ("text of that time", "moved text"):
        at = text.stat()
        if change == "moved text":
            text.rename(tmp_path / "old.txt")
        text.write_bytes(b"x" * at.st_size)
        os.utime(text, ns=(at.st_atime_ns, at.st_mtime_ns))
    if change == "version":
        monkeypatch.setattr(preparation, "VERSION", 0)
    if change == "damage":
        other.train_tokens.write_bytes(other.train_tokens.read_bytes()[:-1])
    if change == "damage inside":
        flip(other.train_tokens, 1500)
    monkeypatch.setattr(preparation, "split_corpus", split_corpus if change else None)
    run = RunFolder(tmp_path / "second")
    tokenizer = "char" if change == "tokenizer" else "word"
    second = prepared(text, run.folder, tokenizer, others=[RunFolder(tmp_path / "none"), other])

    assert (run.train_tokens.stat().st_ino == other.train_tokens.stat().st_ino) == (change is None)
    assert load_prepared(run).block_checksums == second.block_checksums
    if change is None:
        assert contents(run) == contents(other)
        assert (second.train, second.valid, second.test, second.notes) == (
            first.train,
            first.valid,
            first.test,
            first.notes,
        )


def test_where_there_are_no_hard_links_tokens_are_made_anew(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch)
    prepared(text, tmp_path / "first")
    other, run = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")

    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    prepared(text, run.folder, others=[other])

    assert contents(run) == contents(other)
    assert not run.train_tokens.samefile(other.train_tokens)


@pytest.mark.parametrize("is_absolute", [True, False])
def test_tokens_behind_a_symbolic_link_are_taken_over(
    is_absolute: bool, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file itself is linked; a link to it could not be read from elsewhere."""
    small_blocks(monkeypatch)
    prepared(text, tmp_path / "first")
    other = RunFolder(tmp_path / "first")
    moved = other.train_tokens.rename(other.folder / "train.npy")
    other.train_tokens.symlink_to(moved if is_absolute else Path("..", moved.name))
    prepared(text, tmp_path / "deep" / "second", others=[other])
    run = RunFolder(tmp_path / "deep" / "second")

    assert not run.train_tokens.is_symlink()
    assert run.train_tokens.samefile(moved)
    assert contents(run) == contents(other)


def test_no_file_outside_a_run_is_taken_over(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever another folder's prepared.json names."""
    small_blocks(monkeypatch)
    prepared(text, tmp_path / "first")
    other = RunFolder(tmp_path / "first")
    saved = json.loads(other.prepared.read_text(encoding="utf-8"))
    del saved["own_crc32"]
    saved["crc32"]["../../victim"] = 0
    other.prepared.write_text(json.dumps(saved))
    (tmp_path / "victim").write_text("mine")
    prepared(text, tmp_path / "second", others=[other])

    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "victim").stat().st_nlink == 1


SETTINGS = [
    *("--hidden-size", "4", "--embedding-size", "4", "--layers", "1", "--steps", "2"),
    *("--window-length", "8", "--batch-size", "4", "--baseline-order", "0"),
]
KILLED = """
import os, signal, sys
import lmgen.data.unfinished as unfinished, lmgen.text.raw as raw
from lmgen.__main__ import main

unfinished.SECONDS, raw.BLOCK_BYTES = 0, 300
write = unfinished.Unfinished.write
written, how = [], sys.argv.pop()

def write_or_die(begun):
    write(begun)
    written.append(begun)
    if len(written) == 15:
        os.kill(os.getpid(), getattr(signal, how))

unfinished.Unfinished.write = write_or_die
sys.argv[0] = "lmgen"
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("why", ["process", "share"])
def test_what_is_lost_from_outside_is_no_reason_to_begin_again(
    why: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the processes that split the text is killed, or the disk that holds it is gone."""
    settings = {"hidden_size": 4, "embedding_size": 4, "steps": 1, "window_length": 8, "batch_size": 4}
    config = RunConfig.from_settings({**settings, "threads": 2, "corpus": [str(text)]}, "the test")
    monkeypatch.setattr("lmgen.tokenizers.parallel.ALONE", 1000)
    run = RunFolder(tmp_path / "run")
    ask = _Process.ask

    def killed(process: _Process, block: str | None) -> object:
        process.kill()
        return ask(process, block)

    def lost(*_: object) -> None:
        if not run.new.begun.exists():
            return
        if why == "share":
            raise OSError(errno.ESTALE, "Stale file handle")
        monkeypatch.setattr(_Process, "ask", killed)

    monkeypatch.setattr("lmgen.text.raw.has_read", lost)
    notes: list[str] = []
    with pytest.raises(CutOffError):
        list(train(config, run.folder, on_note=notes.append))
    assert "the same command goes on with it" in notes[-1]
    assert run.new.begun.exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize("again", [True, False])
def test_a_killed_command_goes_on(how: str, again: bool, text: Path, tmp_path: Path) -> None:
    """By the same command, and by --resume."""
    train = ["train", text.name, *SETTINGS]
    ended = run_command([sys.executable, "-c", KILLED, *train, "--out", "run", how], cwd=tmp_path)
    assert ended.returncode == (-signal.SIGKILL if how == "SIGKILL" else 130), ended.stderr
    assert ("note: what was prepared of the text is kept" in ended.stderr) == (how == "SIGINT")
    assert RunFolder(tmp_path / "run").new.begun.exists()
    goes_on = lmgen(*(train if again else ["train", "--resume"]), "--out", "run", cwd=tmp_path)
    assert goes_on.returncode == 0, goes_on.stderr
    assert ("was stopped before its text was prepared: that goes on" in goes_on.stderr) != again
    lmgen(*train, "--out", "whole", cwd=tmp_path)
    run, whole = (RunFolder(tmp_path / name) for name in ("run", "whole"))

    assert contents(run) == contents(whole)
    assert run.model.read_bytes() == whole.model.read_bytes()
    assert not run.new.folder.exists()
