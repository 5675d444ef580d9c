"""Commands on one core and on two: the same output, the same errors, the same end."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.process import COMMAND, ENVIRONMENT, run_command

pytestmark = pytest.mark.slow  # each test starts commands

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only there are processes forked")

RUN = Path(__file__).parents[1] / "files" / "runs" / "lstm-char" / "half"


ON_TWO = """
import sys, numpy
from threadpoolctl import threadpool_limits
from lmgen.__main__ import main
threadpool_limits(2, user_api="blas")
main()
"""
"""`lmgen` as on two processors, however many there are."""


def environment(cores: int) -> dict[str, str]:
    """Where numpy may have so many threads, unless the machine has fewer processors."""
    return {**ENVIRONMENT, "OMP_NUM_THREADS": str(cores), "OPENBLAS_NUM_THREADS": str(cores)}


def lines(count: int) -> list[str]:
    """Lines of letters, some of them empty."""
    chosen = random.Random(1)
    return ["".join(chosen.choices("abcdefgh ", k=chosen.randrange(40))) + "\n" for _ in range(count)]


def on_both(*arguments: str, cwd: Path, text: str | None = None) -> list[subprocess.CompletedProcess[str]]:
    """What a command does on one core and on two."""
    return [
        run_command([*COMMAND, *arguments], cwd=cwd, text=text, environment=environment(cores))
        for cores in (1, 2)
    ]


@pytest.mark.parametrize("given", ["file", "pipe"])
@pytest.mark.parametrize("by", ["document", "line"])
def test_perplexity(given: str, by: str, tmp_path: Path) -> None:
    text = "".join(lines(1500))
    (tmp_path / "text.txt").write_text(text)
    name, piped = ("text.txt", None) if given == "file" else ("-", text)
    one, two = on_both(
        "perplexity", str(RUN), name, "--by", by, "--baseline", "--format", "tsv", cwd=tmp_path, text=piped
    )

    assert one.returncode == 0, one.stderr
    assert len(one.stdout.splitlines()) == (1 + 2 * 1500 if by == "line" else 3)
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)


def test_a_text_that_cannot_be_read_on_is_the_same_error_after_the_same_lines(tmp_path: Path) -> None:
    text = "".join(lines(20_000)).encode()
    (tmp_path / "text.txt").write_bytes(text[:250_000] + b"\xff" + text[250_000:])
    one, two = on_both("perplexity", str(RUN), "text.txt", "--by", "line", "--format", "tsv", cwd=tmp_path)

    assert one.returncode == 1
    [error] = [line for line in one.stderr.splitlines() if line.startswith("error: ")]
    assert "text.txt" in error
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)


@pytest.mark.parametrize(
    "arguments",
    [["--num", "150", "--length", "60"], ["--prompt", "-", "--lines", "--length", "40", "--json"]],
)
def test_sample(arguments: list[str], tmp_path: Path) -> None:
    one, two = (
        run_command(
            [*command, "sample", str(RUN), *arguments, "--seed", "4"],
            cwd=tmp_path,
            text="".join(lines(300)),
            environment=environment(1),
        )
        for command in (COMMAND, [sys.executable, "-c", ON_TWO])
    )

    assert one.returncode == 0, one.stderr
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)


SAMPLING = ["sample", str(RUN), "--num", "100000", "--length", "300", "--json"]


def sampling(cwd: Path) -> "subprocess.Popen[bytes]":
    """A command in a session of its own that samples in two processes, for longer than a test."""
    return subprocess.Popen(
        [sys.executable, "-c", ON_TWO, *SAMPLING],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def processes_of(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found


def all_have_ended(session: int) -> bool:
    until = time.monotonic() + 20
    while processes_of(session):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@on_linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_processes(number: int, tmp_path: Path) -> None:
    with sampling(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(processes_of(process.pid)) == 3
        if number == signal.SIGINT:  # as Ctrl-C does
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert errors == b""
    assert all_have_ended(process.pid)


@on_linux
def test_a_closed_pipe_ends_all_processes(tmp_path: Path) -> None:
    with sampling(tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (0, b"")
    assert all_have_ended(process.pid)


@on_linux
def test_a_process_that_was_killed_is_one_line(tmp_path: Path) -> None:
    with sampling(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        copies = [each for each in processes_of(process.pid) if each != process.pid]
        os.kill(copies[1], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert errors.decode().startswith("error: one of the processes that share the work was ended")
    assert len(errors.splitlines()) == 1
    assert all_have_ended(process.pid)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_threads(cores: int, number: int, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(lines(20_000)) * 50)
    arguments = ["perplexity", str(RUN), "text.txt", "--by", "line", "--format", "tsv"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(cores),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGTERM)
    assert errors == b""
