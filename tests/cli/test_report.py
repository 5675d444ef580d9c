"""The one place where errors end."""

import pytest
import torch
import typer

from lmgen.cli.report import reported_errors
from lmgen.errors import ConfigError, CorpusError


def outcome(error: BaseException) -> int:
    with pytest.raises(typer.Exit) as ended, reported_errors():
        raise error
    return ended.value.exit_code


def test_what_the_user_can_mend_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(CorpusError("there is no text")) == 1
    assert capsys.readouterr().err == "error: there is no text\n"
    assert outcome(ConfigError("steps is 0")) == 2


def test_a_bug_is_one_line_that_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(KeyError("x")) == 1
    assert capsys.readouterr().err == (
        "error: a bug in lmgen: KeyError: 'x'; run it again with LMGEN_DEBUG=1 and report what it prints\n"
    )
    monkeypatch.setenv("LMGEN_DEBUG", "1")
    with pytest.raises(KeyError), reported_errors():
        raise KeyError("x")


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")]
)
def test_where_memory_is_lacking_that_is_said(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(error) == 1
    assert capsys.readouterr().err == (
        "error: there is not enough memory for this; take a smaller model, text or batch\n"
    )


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


def test_an_exit_is_left_as_it_is() -> None:
    assert outcome(typer.Exit(3)) == 3
